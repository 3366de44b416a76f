//! Certificates as nobody would get them who asks for one.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use leno_channel::{files, generate_key};
use leno_identity::Intermediate;
use leno_model::{Dice, SpiffeId, Wall};

const MINUTE: Duration = Duration::from_secs(60);

/// Replaces the certificate of `name` by one that ended a minute ago.
pub fn let_expire(certificates: &Path, name: &str) {
    let hour = 60 * MINUTE;
    issue_earlier(certificates, name, hour, hour + MINUTE);
}

/// Replaces the certificate of `name` by one of this `life` that was signed so long `ago`.
pub fn issue_earlier(certificates: &Path, name: &str, life: Duration, ago: Duration) {
    let authority = files::read_certificates(&certificates.join("ca.pem"));
    let authority = authority.expect("there is an authority").remove(0);
    let key = files::read_key(&certificates.join("ca.key")).expect("it has a key");
    let authority = Intermediate::restore(authority, key).expect("they belong together");
    let id = format!("spiffe://shop.local/ns/shop/sa/{name}");
    let id = SpiffeId::parse(&id).expect("a name");
    let key = generate_key();
    let chain = authority
        .sign_leaf(&key.public(), &id, life, before_now(ago), &mut Dice::new(1))
        .expect("it may sign that");
    let written = files::write_key(&certificates.join(format!("{name}.key")), &key);
    written.expect("the folder takes files");
    let written = files::write_certificates(&certificates.join(format!("{name}.pem")), &chain);
    written.expect("the folder takes files");
}

#[expect(
    clippy::disallowed_methods,
    reason = "other processes go by the host's clock"
)]
fn before_now(ago: Duration) -> Wall {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    Wall::since_epoch(now.expect("it is after 1970") - ago)
}
