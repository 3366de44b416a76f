//! Keys and certificates in PEM files, as `leno proxy --static` and the control plane keep them.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use leno_identity::{BadCredential, BadKey, Credential, Key};
use leno_model::{Code, Fault};
use pem::Pem;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

/// The longest file that is read, in bytes.
const LONGEST: u64 = 1024 * 1024;

/// Reads a credential: a private key (PKCS #8 or SEC 1) from one file and its certificates, leaf
/// first, from another.
pub fn read_credential(key: &Path, chain: &Path) -> Result<Credential, BadFile> {
    let chain_der = read_certificates(chain)?;
    let key = read_key(key)?;
    Credential::new(chain_der, key).map_err(|why| BadFile::Credential {
        path: chain.to_owned(),
        why,
    })
}

/// Reads a private key (PKCS #8 or SEC 1).
pub fn read_key(path: &Path) -> Result<Key, BadFile> {
    let text = read(path)?;
    let der = PrivateKeyDer::from_pem_slice(&text).map_err(|_| BadFile::NoKey {
        path: path.to_owned(),
    })?;
    Key::read(&der).map_err(|why| BadFile::Key {
        path: path.to_owned(),
        why,
    })
}

/// Reads one certificate or more, in DER, in the file's order: a chain or a bundle.
pub fn read_certificates(path: &Path) -> Result<Vec<Vec<u8>>, BadFile> {
    let certificates = certificates_of(&read(path)?);
    certificates.ok_or_else(|| BadFile::NoCertificate {
        path: path.to_owned(),
    })
}

/// The certificates in a text of PEM, in DER, in the text's order; `None` if there is none, or one that
/// cannot be read.
pub fn certificates_of(text: &[u8]) -> Option<Vec<Vec<u8>>> {
    let certificates = CertificateDer::pem_slice_iter(text);
    let certificates = certificates.map(|der| der.ok().map(|der| der.to_vec()));
    let certificates: Vec<_> = certificates.collect::<Option<_>>()?;
    (!certificates.is_empty()).then_some(certificates)
}

/// A certificate request (PKCS #10) in PEM.
pub fn request_text(der: &[u8]) -> String {
    pem::encode(&Pem::new("CERTIFICATE REQUEST", der))
}

/// Writes a private key, readable by its owner alone (mode 0600). The file is whole or absent.
pub fn write_key(path: &Path, key: &Key) -> io::Result<()> {
    let secret = Pem::new("PRIVATE KEY", key.secret());
    write(path, 0o600, pem::encode(&secret).as_bytes())
}

/// Writes certificates in DER, in this order. The file is whole or absent.
pub fn write_certificates(path: &Path, certificates: &[Vec<u8>]) -> io::Result<()> {
    write(path, 0o644, certificates_text(certificates).as_bytes())
}

/// Certificates in DER as the text of a PEM file.
pub fn certificates_text(certificates: &[Vec<u8>]) -> String {
    let pem = |der: &Vec<u8>| Pem::new("CERTIFICATE", der.as_slice());
    pem::encode_many(&certificates.iter().map(pem).collect::<Vec<_>>())
}

fn read(path: &Path) -> Result<Vec<u8>, BadFile> {
    let unreadable = |why| BadFile::Unreadable {
        path: path.to_owned(),
        why,
    };
    let file = File::open(path).map_err(unreadable)?;
    let mut text = Vec::new();
    file.take(LONGEST + 1)
        .read_to_end(&mut text)
        .map_err(unreadable)?;
    if text.len() as u64 > LONGEST {
        return Err(BadFile::TooLarge {
            path: path.to_owned(),
        });
    }
    Ok(text)
}

fn write(path: &Path, mode: u32, text: &[u8]) -> io::Result<()> {
    let mut beside = path.to_owned();
    beside.add_extension("new");
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    // Created anew, so that the mode is ours and not that of a file somebody laid there.
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&beside)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

/// Why a file of keys or certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadFile {
    /// It could not be read at all.
    #[error("{} cannot be read: {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        why: io::Error,
    },
    /// It is larger than any such file.
    #[error("{} has more than {LONGEST} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// There is no private key in it.
    #[error("{} was expected to hold a private key in PEM, and does not", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// The key in it is not taken.
    #[error("{}: {why}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with the key.
        why: BadKey,
    },
    /// There is no certificate in it, or one that is cut off.
    #[error("{} was expected to hold certificates in PEM, and does not", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// Its certificates do not make a credential.
    #[error("{}: {why}", path.display())]
    Credential {
        /// The file with the certificates.
        path: PathBuf,
        /// What is wrong with them.
        why: BadCredential,
    },
}

impl BadFile {
    /// The code of what is wrong.
    pub fn code(&self) -> Code {
        match self {
            Self::Unreadable { .. } | Self::TooLarge { .. } => Code::C010,
            Self::NoKey { .. } | Self::NoCertificate { .. } => Code::C007,
            Self::Key { .. } | Self::Credential { .. } => Code::T010,
        }
    }

    /// Whose move it is.
    pub fn fault(&self) -> Fault {
        Fault::Configuration
    }
}
