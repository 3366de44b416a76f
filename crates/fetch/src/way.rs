//! The way to a server: its name, a connection, and proof of who it is.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use leno_channel::{Clock, Roots, files, words};
use leno_identity::{Key, Trust};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use crate::{NotFetched, Url};

/// How servers are reached, and who may prove them.
#[derive(Clone, Debug)]
pub struct Way {
    /// What time certificates are judged by.
    pub clock: Clock,
    /// Whose word is taken for who a server of `https://` is.
    pub trusted: Trusted,
    /// Where `http://` is spoken.
    pub plain: Plain,
    /// What is shown to a server of `https://` that asks who this is.
    pub shown: Option<Arc<Shown>>,
}

/// What proves to servers outside the mesh who this is.
#[derive(Debug)]
pub struct Shown {
    /// Certificates in DER, its own first.
    pub chain: Vec<Vec<u8>>,
    /// The key of the first.
    pub key: Key,
}

/// Whose word is taken for who a server is.
#[derive(Clone, Debug)]
pub enum Trusted {
    /// That of the roots that this host trusts.
    Host,
    /// That of the roots in a file of PEM, read anew each time.
    File(PathBuf),
    /// That of these roots, each a certificate in DER.
    Roots(Arc<Vec<Vec<u8>>>),
    /// Nobody's for its host's name: it must prove to be this SPIFFE ID.
    Identity(Arc<str>, Arc<Trust>),
}

/// Where servers are asked that prove nothing, and whom everybody on the way can hear.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Plain {
    /// Nowhere.
    Never,
    /// On this machine.
    Loopback,
    /// Wherever the URL leads.
    Anywhere,
}

/// A stream to a server.
pub type Stream = Box<dyn Duplex>;

/// Bytes both ways.
pub trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Duplex for S {}

impl Way {
    /// A stream to the server of `url`, which proved to be it where it is secure, and over which
    /// `protocol` (a name of ALPN) is spoken.
    pub async fn dial(&self, url: &Url, protocol: &[u8]) -> Result<Stream, NotFetched> {
        let stream = self.connect(url).await?;
        // Requests are written whole.
        stream.set_nodelay(true).ok();
        if !url.is_secure() {
            return Ok(Box::new(stream));
        }
        let mut roots = self.roots()?;
        if let Some(shown) = &self.shown {
            let showing = roots.showing(&shown.chain, &shown.key);
            roots = showing.map_err(|why| NotFetched::Unusable(why.to_string()))?;
        }
        let stream = roots.connect(stream, url.host(), protocol).await;
        Ok(Box::new(
            stream.map_err(|why| NotFetched::Away(why.to_string()))?,
        ))
    }

    async fn connect(&self, url: &Url) -> Result<TcpStream, NotFetched> {
        if !url.is_secure() && self.plain == Plain::Never {
            return Err(NotFetched::Unusable(NEVER_PLAIN.to_owned()));
        }
        let away = |error| NotFetched::Away(words(&error));
        let addresses = lookup_host((url.host(), url.port())).await.map_err(away)?;
        let mut failed = NotFetched::Away("its name has no address".to_owned());
        for address in addresses {
            if !url.is_secure() && self.plain == Plain::Loopback && !address.ip().is_loopback() {
                failed = NotFetched::Unusable(format!(
                    "http:// is taken on loopback alone, and {} is not there",
                    url.host()
                ));
                continue;
            }
            match timeout(PATIENCE, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => failed = away(error),
                Err(_) => failed = NotFetched::Late(PATIENCE),
            }
        }
        Err(failed)
    }

    fn roots(&self) -> Result<Roots, NotFetched> {
        let unusable = |why: &dyn ToString| NotFetched::Unusable(why.to_string());
        let (roots, place) = match &self.trusted {
            Trusted::Identity(id, trust) => {
                let (clock, trust) = (self.clock.clone(), Arc::clone(trust));
                return Ok(Roots::of_identity(clock, trust, Arc::clone(id)));
            }
            Trusted::Roots(roots) => (roots.to_vec(), "those that are trusted".to_owned()),
            Trusted::File(file) => read(file)?,
            Trusted::Host => read(host_roots().ok_or_else(|| unusable(&NO_ROOTS))?)?,
        };
        let none = || unusable(&format_args!("no root of {place} is usable"));
        Roots::new(self.clock.clone(), roots).ok_or_else(none)
    }
}

fn read(file: &Path) -> Result<(Vec<Vec<u8>>, String), NotFetched> {
    let roots = files::read_certificates(file);
    let roots = roots.map_err(|why| NotFetched::Unusable(why.to_string()))?;
    Ok((roots, file.display().to_string()))
}

/// How long one of a server's addresses is tried.
const PATIENCE: Duration = Duration::from_secs(5);

const NEVER_PLAIN: &str = "http:// is not taken here: say https://";

/// The file with the roots that this host trusts.
fn host_roots() -> Option<&'static Path> {
    let mut files = HOST_ROOTS.iter().map(Path::new);
    files.find(|file| file.exists())
}

/// Where distributions keep them: Debian, Fedora, RHEL, openSUSE, Alpine.
const HOST_ROOTS: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

const NO_ROOTS: &str = "this host has no file of roots that it trusts: say which file has them";
