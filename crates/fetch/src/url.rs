//! Where a server is, and what is asked of it.

use std::fmt;

use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};

/// An absolute URL of `http` or `https` that holds no secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Url {
    scheme: Scheme,
    authority: Authority,
    path: PathAndQuery,
}

impl Url {
    /// Reads `https://host[:port][/path][?query]`.
    pub fn parse(text: &str) -> Result<Self, BadUrl> {
        let uri: Uri = text.parse().map_err(|_| BadUrl::NotAUrl)?;
        let parts = uri.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err(BadUrl::NotAUrl);
        };
        if scheme != Scheme::HTTP && scheme != Scheme::HTTPS {
            return Err(BadUrl::Scheme);
        }
        if authority.as_str().contains('@') {
            return Err(BadUrl::Secret);
        }
        if authority.host().is_empty() {
            return Err(BadUrl::NotAUrl);
        }
        let path = parts.path_and_query;
        let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
        Ok(Self {
            scheme,
            authority,
            path,
        })
    }

    /// The URL of `path`, which begins with a slash, under this one. This one's query is left out.
    pub fn under(&self, path: &str) -> Result<Self, BadUrl> {
        let base = self.path.path().trim_end_matches('/');
        let path = format!("{base}{path}").parse();
        Ok(Self {
            path: path.map_err(|_| BadUrl::NotAUrl)?,
            ..self.clone()
        })
    }

    /// Whether the host proves its name.
    pub fn is_secure(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// `http` or `https`.
    pub fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// The host, with its port where one is written.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The host without the brackets that an IPv6 address has in a URL.
    pub fn host(&self) -> &str {
        self.authority.host().trim_matches(['[', ']'])
    }

    /// The port, or the usual one.
    pub fn port(&self) -> u16 {
        let usual = if self.is_secure() { 443 } else { 80 };
        self.authority.port_u16().unwrap_or(usual)
    }

    /// The path with its query: what a request asks for.
    pub fn path(&self) -> &str {
        self.path.as_str()
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.path)
    }
}

/// Why a text is no URL that can be asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadUrl {
    /// It is no absolute URL.
    #[error("it is no URL https://host[:port]/path")]
    NotAUrl,
    /// It is of another scheme.
    #[error("its scheme is neither https nor http")]
    Scheme,
    /// It holds the name of a user, or a secret, which everybody may see who sees the URL.
    #[error("it holds the name of a user: say it in a header or a file")]
    Secret,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_place_and_a_path() {
        let check = |url: &str, expect: Result<(&str, u16, &str), &str>| {
            let read = Url::parse(url).map_err(|why| why.to_string());
            let told = read.as_ref().map(|it| (it.host(), it.port(), it.path()));
            assert_eq!(told.map_err(String::as_str), expect, "{url}");
        };
        check("http://otel:4317", Ok(("otel", 4317, "/")));
        check(
            "https://otel.shop.example/",
            Ok(("otel.shop.example", 443, "/")),
        );
        check("http://[::1]:4318/a/?b=c#d", Ok(("::1", 4318, "/a/?b=c")));
        check("http://otel/a/b", Ok(("otel", 80, "/a/b")));
        let no_url = "it is no URL https://host[:port]/path";
        for text in ["otel:4317", "/otlp", "http://", "https://:443/", "a b"] {
            check(text, Err(no_url));
        }
        check("ftp://otel/a", Err("its scheme is neither https nor http"));
        let secret = "it holds the name of a user: say it in a header or a file";
        check("https://me:word@otel/", Err(secret));
    }

    #[test]
    fn a_path_goes_under_another() {
        let check = |url: &str, path: &str, expect: &str| {
            let url = Url::parse(url).unwrap();
            assert_eq!(url.under(path).unwrap().to_string(), expect);
        };
        check("http://otel", "/v1/logs", "http://otel/v1/logs");
        check("http://otel/otlp/", "/v1/logs", "http://otel/otlp/v1/logs");
        check("http://otel/otlp?a=b", "/v1?c", "http://otel/otlp/v1?c");
        assert!(Url::parse("http://a").unwrap().under("/a b").is_err());
    }
}
