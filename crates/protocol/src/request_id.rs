//! `x-request-id`: the name that applications give a request.

use crate::request::Request;

/// A name that is kept as it came: 1 to 64 visible ASCII characters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct RequestId<'a>(&'a str);

impl<'a> RequestId<'a> {
    /// The name of the header that carries it.
    pub const HEADER: &'static str = "x-request-id";

    /// The id of a request, if it has exactly one and may keep it. Whether the caller's word counts
    /// is for the proxy to say.
    pub fn of(request: &Request<'a>) -> Option<Self> {
        let mut values = request.header(Self::HEADER);
        let value = values.next().filter(|_| values.next().is_none())?;
        Self::parse(value)
    }

    /// Reads a value.
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let fits = (1..=64).contains(&value.len()) && value.iter().all(u8::is_ascii_graphic);
        str::from_utf8(value).ok().filter(|_| fits).map(Self)
    }

    /// The id as it came.
    pub fn as_str(&self) -> &'a str {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Fields, HeadReader};

    #[test]
    fn a_short_visible_name_is_kept() {
        let most = "x".repeat(64);
        for good in [
            "7",
            "0c8f2a4e-5a53-4a0b-8b5e-0d6a3c7e9f11",
            "a,b;c=\"d\"",
            &most,
        ] {
            assert_eq!(
                RequestId::parse(good.as_bytes()).map(|id| id.as_str()),
                Some(good)
            );
        }
        for bad in [
            "",
            "a b",
            "a\tb",
            "k\u{e4}se",
            "a\r\nb",
            "a\x1b[31m",
            &format!("{most}x"),
        ] {
            assert_eq!(RequestId::parse(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn a_request_has_one_id_or_none() {
        let of = |headers: &str| {
            let head = format!("GET / HTTP/1.1\r\nHost: cart\r\n{headers}\r\n");
            let mut fields = Fields::new();
            let head = HeadReader::default()
                .request(head.as_bytes(), &mut fields)
                .unwrap()
                .unwrap();
            RequestId::of(&head.request).map(|id| id.as_str().to_owned())
        };
        assert_eq!(of("X-Request-ID: 7\r\n").as_deref(), Some("7"));
        assert_eq!(of("X-Request-ID: 7\r\nx-request-id: 8\r\n"), None);
        assert_eq!(of(""), None);
    }
}
