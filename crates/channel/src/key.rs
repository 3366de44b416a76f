//! Making keys.

use leno_identity::Key;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// Makes a P-256 key of chance that is fit for secrets.
pub fn generate_key() -> Key {
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256);
    let pair = pair.expect("the operating system gives chance for keys, or nothing is safe");
    let secret = PrivatePkcs8KeyDer::from(pair.serialize_der());
    Key::read(&PrivateKeyDer::from(secret)).expect("what was just made can be read")
}
