//! What is asked, and what is answered.

use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::NotFetched;
use crate::url::Url;

/// A request: GET, or POST with content.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    content: Option<&'a [u8]>,
    headers: HeaderMap,
}

impl<'a> Ask<'a> {
    /// A GET.
    pub fn get() -> Self {
        Self {
            content: None,
            headers: HeaderMap::new(),
        }
    }

    /// A POST of `content`, which is of the media type `kind`.
    pub fn post(kind: &'static str, content: &'a [u8]) -> Self {
        let get = Self {
            content: Some(content),
            ..Self::get()
        };
        get.header(CONTENT_TYPE, HeaderValue::from_static(kind))
    }

    /// The same with one more header. `host`, and what frames a request, is not for a caller to say.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// The same with these headers beside its own.
    pub fn headers(mut self, headers: &HeaderMap) -> Self {
        let headers = headers.iter();
        self.headers
            .extend(headers.map(|(name, value)| (name.clone(), value.clone())));
        self
    }

    /// The bytes that say it to the server of `url`.
    pub(crate) fn written(&self, url: &Url) -> Vec<u8> {
        let method = self.content.map_or("GET", |_| "POST");
        let mut bytes = format!(
            "{method} {} HTTP/1.1\r\nhost: {}\r\nuser-agent: leno/{}\r\n",
            url.path(),
            url.authority(),
            env!("CARGO_PKG_VERSION"),
        )
        .into_bytes();
        for (name, value) in &self.headers {
            for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                bytes.extend_from_slice(part);
            }
        }
        if let Some(content) = self.content {
            bytes.extend_from_slice(format!("content-length: {}\r\n", content.len()).as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(self.content.unwrap_or_default());
        bytes
    }
}

/// What a server answered, whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// 200 to 999.
    pub status: u16,
    /// Its headers, without those that concern the connection.
    pub headers: HeaderMap,
    /// Its content.
    pub body: Vec<u8>,
}

impl Answer {
    /// The answer, if it is a yes (2xx).
    pub fn taken(self) -> Result<Self, NotFetched> {
        match self.status {
            200..300 => Ok(self),
            status => Err(NotFetched::Refused {
                status,
                leads_to: self.header(LOCATION).map(str::to_owned),
            }),
        }
    }

    /// The first value of a header, if it is visible ASCII.
    pub fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}
