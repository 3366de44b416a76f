//! How the CA's private keys lie in the store: sealed, where whoever runs the control plane gives a
//! secret, or as they are. Who copies the store and has not the secret has no key.

use std::fs::File;
use std::io::{self, Read};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::pbkdf2::{self, PBKDF2_HMAC_SHA256};
use leno_identity::Key;
use leno_model::Code;
use leno_store::{Failed, Label, Secret, Store};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::clock;

/// Keeps private keys and gives them back.
#[derive(Debug)]
pub(crate) struct Keys(Option<RandomizedNonceKey>);

impl Keys {
    /// Keys that are sealed by what `file` holds, a pass phrase or random bytes; as they are without
    /// one. What the secret is stretched with lies in the store.
    pub(crate) fn open(store: &Store, file: Option<&Path>) -> Result<Self, NotUnsealed> {
        let Some(path) = file else {
            return Ok(Self(None));
        };
        let passphrase = passphrase(path)?;
        let salt = match store.secret(&salt())? {
            Some(Secret(salt)) => salt,
            None => {
                let new = clock::secret::<16>().to_vec();
                store.keep_secrets(&[(salt(), Some(Secret(new.clone())))])?;
                new
            }
        };
        let key = stretched(&passphrase, &salt);
        let key = RandomizedNonceKey::new(&AES_256_GCM, &key);
        Ok(Self(Some(key.expect("a key of 256 bits"))))
    }

    /// A key as the store is to keep it under `name`.
    pub(crate) fn kept(&self, name: Label, key: &Key) -> (Label, Option<Secret>) {
        let mut bytes = key.secret().to_vec();
        if let Some(sealing) = &self.0 {
            let aad = Aad::from(name.as_str().as_bytes());
            let nonce = sealing.seal_in_place_append_tag(aad, &mut bytes);
            let nonce = nonce.expect("a key is shorter than what can be sealed");
            bytes = [MARK, nonce.as_ref(), &bytes].concat();
        }
        (name, Some(Secret(bytes)))
    }

    /// The key that was kept under `name`, if there is one, and whether it lies there as it should.
    pub(crate) fn read(
        &self,
        store: &Store,
        name: &Label,
    ) -> Result<Option<(Key, bool)>, NotUnsealed> {
        let Some(Secret(kept)) = store.secret(name)? else {
            return Ok(None);
        };
        let (der, is_sealed) = match (kept.strip_prefix(MARK), &self.0) {
            (None, _) => (kept, false),
            (Some(_), None) => return Err(NotUnsealed::NoSecret),
            (Some(sealed), Some(sealing)) => {
                let unsealed = unseal(sealing, name, sealed);
                (unsealed.ok_or(NotUnsealed::OtherSecret)?, true)
            }
        };
        let der = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(der));
        let key = Key::read(&der).map_err(|_| NotUnsealed::NoKey)?;
        Ok(Some((key, is_sealed == self.0.is_some())))
    }
}

/// The key that the secret in a file makes with a salt of its purpose.
pub(crate) fn key_of(file: &Path, salt: &[u8]) -> Result<[u8; 32], NotUnsealed> {
    Ok(stretched(&passphrase(file)?, salt))
}

fn stretched(passphrase: &[u8], salt: &[u8]) -> [u8; 32] {
    let mut key = [0; 32];
    pbkdf2::derive(PBKDF2_HMAC_SHA256, ROUNDS, salt, passphrase, &mut key);
    key
}

fn passphrase(path: &Path) -> Result<Vec<u8>, NotUnsealed> {
    let passphrase = read(path).map_err(|why| NotUnsealed::Unreadable {
        path: path.to_owned(),
        why,
    })?;
    match (SHORTEST..=LONGEST).contains(&passphrase.len()) {
        true => Ok(passphrase),
        false => Err(NotUnsealed::Length {
            path: path.to_owned(),
            bytes: passphrase.len(),
        }),
    }
}

fn unseal(sealing: &RandomizedNonceKey, name: &Label, sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, sealed) = sealed.split_first_chunk::<12>()?;
    let mut bytes = sealed.to_vec();
    let aad = Aad::from(name.as_str().as_bytes());
    let opened = sealing.open_in_place(Nonce::from(nonce), aad, &mut bytes);
    Some(opened.ok()?.to_vec())
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = u64::try_from(LONGEST).unwrap_or(u64::MAX).saturating_add(2);
    File::open(path)?.take(most).read_to_end(&mut bytes)?;
    // What an editor or `echo` puts behind it.
    let end = bytes.strip_suffix(b"\n").map_or(bytes.len(), <[u8]>::len);
    bytes.truncate(end);
    Ok(bytes)
}

fn salt() -> Label {
    Label::new("ca/seal/salt").expect("a name of ours is a label")
}

/// What sealed keys begin with.
const MARK: &[u8] = b"leno-sealed-1\0";

/// How many bytes the secret has.
const SHORTEST: usize = 16;
const LONGEST: usize = 4096;

/// As many as make guessing a pass phrase dear (OWASP, 2023).
const ROUNDS: NonZeroU32 = NonZeroU32::new(600_000).expect("not zero");

/// Why the CA's keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NotUnsealed {
    /// The file with the secret cannot be read.
    #[error("{} cannot be read: {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        why: io::Error,
    },
    /// The secret is too easily guessed, or none.
    #[error("{} holds {bytes} bytes, and a secret has {SHORTEST} to {LONGEST}", path.display())]
    Length {
        /// The file.
        path: PathBuf,
        /// How many it has.
        bytes: usize,
    },
    /// They are sealed, and no secret was given.
    #[error("the CA's keys are sealed: start with --seal-keys-with FILE")]
    NoSecret,
    /// They are sealed with another secret, or were changed.
    #[error("the CA's keys are sealed with another secret than that of --seal-keys-with")]
    OtherSecret,
    /// What was kept is no key.
    #[error("what the store holds as a key of the CA is none")]
    NoKey,
    /// The store could not be read or written.
    #[error(transparent)]
    Store(#[from] Failed),
}

impl NotUnsealed {
    /// The code under which people find it.
    pub fn code(&self) -> Code {
        match self {
            Self::Unreadable { .. } => Code::C010,
            Self::Length { .. } | Self::NoSecret | Self::OtherSecret | Self::NoKey => Code::T017,
            Self::Store(failed) => failed.code(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use leno_channel::generate_key;
    use leno_store::Settings;

    use super::*;

    /// A folder of this test's own.
    struct Place(PathBuf);

    impl Place {
        fn new() -> Self {
            let name = format!("leno-keys-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn secret(&self, text: &str) -> PathBuf {
            let path = self.0.join("secret");
            fs::write(&path, text).unwrap();
            path
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            // A folder of this test alone; what is left of it is the system's to clear.
            drop(fs::remove_dir_all(&self.0));
        }
    }

    #[test]
    fn keys_are_given_back_to_who_has_the_secret_and_to_nobody_else() {
        let place = Place::new();
        let store = Arc::new(Store::open(&place.0, Settings::default()).unwrap());
        let name = Label::new("ca/key").unwrap();
        let key = generate_key();
        let open = |text: Option<&str>| {
            let file = text.map(|text| place.secret(text));
            Keys::open(&store, file.as_deref())
        };
        let told = |keys: &Keys| match keys.read(&store, &name) {
            Ok(Some((read, is_well))) => {
                assert_eq!(read.public(), key.public());
                if is_well { "as it should" } else { "otherwise" }.to_owned()
            }
            Ok(None) => "none".to_owned(),
            Err(why) => format!("{} {why}", why.code()),
        };
        let (plain, sealing) = (open(None).unwrap(), open(Some("correct horse battery\n")));
        let sealing = sealing.unwrap();
        assert_eq!(told(&plain), "none");
        store
            .keep_secrets(&[plain.kept(name.clone(), &key)])
            .unwrap();
        assert_eq!(told(&plain), "as it should");
        assert_eq!(told(&sealing), "otherwise");

        store
            .keep_secrets(&[sealing.kept(name.clone(), &key)])
            .unwrap();
        assert_eq!(told(&sealing), "as it should");
        let kept = store.secret(&name).unwrap().unwrap().0;
        let key_bytes = key.secret();
        assert!(
            !kept
                .windows(16)
                .any(|part| key_bytes.windows(16).any(|it| it == part))
        );
        assert_eq!(
            told(&plain),
            "T017 the CA's keys are sealed: start with --seal-keys-with FILE"
        );
        let other = open(Some("another secret of ours")).unwrap();
        let expect =
            "T017 the CA's keys are sealed with another secret than that of --seal-keys-with";
        assert_eq!(told(&other), expect);
        // A line break at the end is an editor's.
        assert_eq!(
            told(&open(Some("correct horse battery")).unwrap()),
            "as it should"
        );
        // One that lies under another's name is not taken.
        let moved = Label::new("ca/other").unwrap();
        store
            .keep_secrets(&[(moved.clone(), Some(Secret(kept)))])
            .unwrap();
        assert!(sealing.read(&store, &moved).is_err());
        let short = open(Some("short")).unwrap_err();
        assert!(
            short
                .to_string()
                .ends_with("holds 5 bytes, and a secret has 16 to 4096")
        );
    }
}
