//! The way to a collector: its URL, the files that are named beside it, and a stream.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use ::http::uri::{Authority, PathAndQuery, Scheme};
use ::http::{HeaderMap, HeaderName, HeaderValue, Uri};
use leno_channel::{Clock, Roots, files, words};
use leno_model::view::Collector;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// A stream to a collector.
pub(crate) type Stream = Box<dyn Duplex>;

/// Bytes both ways.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Duplex for S {}

/// Where a collector is.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) scheme: Scheme,
    pub(crate) authority: Authority,
    /// The path that all its own begin with; it does not end with a slash.
    pub(crate) path: String,
}

/// Why a collector is not called.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum NotDialled {
    /// What is said of it cannot be used.
    Unusable(String),
    /// Nobody is there, or not the one who is meant.
    Away(String),
}

impl Endpoint {
    pub(crate) fn read(url: &str) -> Result<Self, NotDialled> {
        let unusable = || NotDialled::Unusable("its URL cannot be called".to_owned());
        let uri: Uri = url.parse().map_err(|_| unusable())?;
        let path = uri.path_and_query().map_or("", PathAndQuery::path);
        Ok(Self {
            scheme: uri.scheme().cloned().ok_or_else(unusable)?,
            authority: uri.authority().cloned().ok_or_else(unusable)?,
            path: path.trim_end_matches('/').to_owned(),
        })
    }

    fn is_secure(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// The host without the brackets that an IPv6 address has in a URL.
    fn host(&self) -> &str {
        self.authority.host().trim_matches(['[', ']'])
    }

    fn port(&self) -> u16 {
        let usual = if self.is_secure() { 443 } else { 80 };
        self.authority.port_u16().unwrap_or(usual)
    }

    /// A stream over which `protocol` is spoken.
    pub(crate) async fn dial(
        &self,
        collector: &Collector,
        clock: Clock,
        protocol: &[u8],
    ) -> Result<Stream, NotDialled> {
        let away = |why: &dyn fmt::Display| NotDialled::Away(why.to_string());
        let stream = TcpStream::connect((self.host(), self.port())).await;
        let stream = stream.map_err(|error| away(&words(&error)))?;
        // Requests are written whole.
        stream.set_nodelay(true).ok();
        if !self.is_secure() {
            return Ok(Box::new(stream));
        }
        let unusable = |why: &dyn fmt::Display| NotDialled::Unusable(why.to_string());
        let file = match &collector.roots_file {
            Some(file) => Path::new(&**file),
            None => host_roots().ok_or_else(|| unusable(&NO_ROOTS))?,
        };
        let roots = files::read_certificates(file).map_err(|why| unusable(&why))?;
        let none = || unusable(&format_args!("no root of {} is usable", file.display()));
        let roots = Roots::new(clock, roots).ok_or_else(none)?;
        let stream = roots.connect(stream, self.host(), protocol).await;
        Ok(Box::new(stream.map_err(|why| away(&why))?))
    }
}

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

const NO_ROOTS: &str = "this host has no file of roots that it trusts: say rootsFile";

/// The headers of a file: a line `name: value` for each, empty lines aside.
pub(crate) fn headers(file: Option<&str>) -> Result<HeaderMap, NotDialled> {
    let Some(file) = file else {
        return Ok(HeaderMap::new());
    };
    let unusable = |why: String| NotDialled::Unusable(format!("{file}: {why}"));
    let mut text = String::new();
    File::open(file)
        .and_then(|opened| opened.take(LONGEST_FILE).read_to_string(&mut text))
        .map_err(|error| unusable(words(&error)))?;
    read_headers(&text).map_err(unusable)
}

/// In bytes.
const LONGEST_FILE: u64 = 16 * 1024;

fn read_headers(text: &str) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    let lines = text.lines().enumerate();
    for (index, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
        // What stands there may be a secret.
        let flawed = || format!("line {} is no header `name: value`", index + 1);
        let (name, value) = line.split_once(':').ok_or_else(flawed)?;
        let name: HeaderName = name.trim().parse().map_err(|_| flawed())?;
        let mut value = HeaderValue::from_str(value.trim()).map_err(|_| flawed())?;
        if is_ours(name.as_str()) {
            return Err(format!(
                "line {}: {name} is not for a file to say",
                index + 1
            ));
        }
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Ok(headers)
}

/// Whether a header says how a request is framed or read.
fn is_ours(name: &str) -> bool {
    let framing = [
        "connection",
        "expect",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    framing.contains(&name) || name.starts_with("content-") || name.starts_with("grpc-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_url() {
        let check = |url: &str, expect: Option<(&str, u16, &str)>| {
            let endpoint = Endpoint::read(url);
            let told = endpoint.as_ref().ok();
            let told = told.map(|it| (it.host(), it.port(), it.path.as_str()));
            assert_eq!(told, expect, "{url}");
        };
        check("http://otel:4317", Some(("otel", 4317, "")));
        check(
            "https://otel.shop.example/",
            Some(("otel.shop.example", 443, "")),
        );
        check("http://[::1]:4318/otlp/", Some(("::1", 4318, "/otlp")));
        check("http://otel/a/b", Some(("otel", 80, "/a/b")));
        check("otel:4317", None);
        check("/otlp", None);
        check("http://", None);
    }

    #[test]
    fn headers_are_lines_and_say_nothing_of_framing() {
        let check = |text: &str, expect: Result<&[(&str, &str)], &str>| {
            let headers = read_headers(text);
            let told = headers.as_ref().map(|headers| {
                let pairs = headers.iter();
                let pairs = pairs.map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
                pairs.collect::<Vec<_>>()
            });
            let told = told.as_deref().map_err(|why| why.as_str());
            assert_eq!(told, expect, "{text:?}");
        };
        check("", Ok(&[]));
        check(
            "Authorization: Bearer a:b\n\nx-tenant:7\n",
            Ok(&[("authorization", "Bearer a:b"), ("x-tenant", "7")]),
        );
        check("secret", Err("line 1 is no header `name: value`"));
        check("a: b\nc d: e", Err("line 2 is no header `name: value`"));
        check("a: \u{1}", Err("line 1 is no header `name: value`"));
        check("Host: x", Err("line 1: host is not for a file to say"));
        check(
            "content-length: 3",
            Err("line 1: content-length is not for a file to say"),
        );
    }
}
