//! What is asked for: a URL, and the bytes of its request.

use anyhow::{anyhow, bail};
use leno_protocol::{Authority, Fields, HeadReader, Limits, Refused, RequestHead, grpc};

use super::Kind;

/// What is asked for.
pub(crate) struct Asked {
    method: String,
    pub(super) host: String,
    pub(super) port: u16,
    /// Path and query; `None` for a stream of bytes.
    pub(super) target: Option<String>,
    headers: Vec<(String, String)>,
    /// The server that a stream asks for, if it is TLS.
    pub(super) server_name: Option<String>,
}

impl Asked {
    /// Reads a URL as `curl` takes it, `http://HOST[:PORT][/PATH]`, `https://` of which only the server's
    /// name is seen; or `grpc://HOST:PORT/SERVICE/METHOD`,
    /// `tcp://HOST:PORT` or `tls://HOST:PORT[/SERVER-NAME]`.
    pub(crate) fn new(
        method: &str,
        url: &str,
        headers: Vec<(String, String)>,
    ) -> anyhow::Result<Self> {
        let (scheme, rest) = url.split_once("://").ok_or_else(|| {
            anyhow!(
                "{url:?} is no URL: http://HOST[:PORT]/PATH, https://, grpc://, tcp:// or tls://HOST:PORT"
            )
        })?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        let authority = Authority::parse(authority.as_bytes())
            .map_err(|flaw| anyhow!("{authority:?} in {url:?}: {flaw}"))?;
        let default = match scheme {
            "http" => Some(80),
            "https" => Some(443),
            _ => None,
        };
        let port = authority.port.or(default);
        let asked = Self {
            method: method.to_owned(),
            host: authority.host.to_owned(),
            port: port.ok_or_else(|| anyhow!("{url:?} names no port"))?,
            target: None,
            headers,
            server_name: None,
        };
        match scheme {
            "http" if target.starts_with('/') => Ok(asked.requests(target)),
            "http" => Ok(asked.requests(&format!("/{target}"))),
            "grpc" if is_grpc_method(target) => Ok(asked.calls(target)),
            "grpc" => bail!("{url:?} names no method: grpc://HOST:PORT/SERVICE/METHOD"),
            "tcp" if target.is_empty() => Ok(asked),
            "tcp" => bail!("{url:?} has a path, and bytes have none"),
            "tls" => {
                let name = target.strip_prefix('/').filter(|name| !name.is_empty());
                let server_name = Some(name.unwrap_or(&asked.host).to_owned());
                Ok(Self {
                    server_name,
                    ..asked
                })
            }
            "https" => Ok(Self {
                server_name: Some(asked.host.clone()),
                ..asked
            }),
            other => bail!(
                "{other}:// is not carried; http://, https://, grpc://, tcp:// and tls:// are"
            ),
        }
    }

    fn requests(self, target: &str) -> Self {
        Self {
            target: Some(target.to_owned()),
            ..self
        }
    }

    /// A call of gRPC, which is a request: its headers are what every client of gRPC sends.
    fn calls(mut self, target: &str) -> Self {
        for (name, value) in [("content-type", "application/grpc"), ("te", "trailers")] {
            let said = |(header, _): &(String, String)| header.eq_ignore_ascii_case(name);
            if !self.headers.iter().any(said) {
                self.headers.push((name.to_owned(), value.to_owned()));
            }
        }
        self.method = "POST".to_owned();
        self.requests(target)
    }

    pub(super) fn kind(&self) -> Kind {
        let of_grpc = |(name, value): &(String, String)| {
            name.eq_ignore_ascii_case("content-type") && grpc::is_content_type(value.as_bytes())
        };
        match self.target {
            None => Kind::Stream,
            Some(_) if self.headers.iter().any(of_grpc) => Kind::Grpc,
            Some(_) => Kind::Request,
        }
    }

    /// The request as bytes. It is read by the parser that reads real ones.
    pub(super) fn bytes(&self, target: &str) -> Vec<u8> {
        let Self {
            method, host, port, ..
        } = self;
        let port = if *port == 80 {
            String::new()
        } else {
            format!(":{port}")
        };
        let mut text = format!("{method} {target} HTTP/1.1\r\n");
        let has_host = |(name, _): &(String, String)| name.eq_ignore_ascii_case("host");
        if !self.headers.iter().any(has_host) {
            text.push_str(&format!("Host: {host}{port}\r\n"));
        }
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        text.into_bytes()
    }

    pub(super) fn words(&self, source: &str) -> String {
        let Self {
            method, host, port, ..
        } = self;
        match &self.target {
            Some(target) => format!("{source} → {host}:{port}  {method} {target}"),
            None => match &self.server_name {
                Some(name) => format!("{source} → {host}:{port}  TLS for {name}"),
                None => format!("{source} → {host}:{port}  bytes"),
            },
        }
    }
}

/// `/shop.Cart/Get`
fn is_grpc_method(target: &str) -> bool {
    let parts = target
        .strip_prefix('/')
        .and_then(|path| path.split_once('/'));
    parts.is_some_and(|(service, method)| {
        !service.is_empty() && !method.is_empty() && !method.contains(['/', '?'])
    })
}

/// Reads a request with the parser that reads real ones.
pub(crate) fn read<'f, 'a: 'f>(
    bytes: &'a [u8],
    fields: &'f mut Fields<'a>,
) -> Result<RequestHead<'f>, Refused> {
    let head = HeadReader::new(Limits::default()).request(bytes, fields)?;
    Ok(head.expect("the bytes end with the empty line of a head"))
}
