//! Calls that are really made to find out how far they get.

use serde::{Deserialize, Serialize};

/// A request that is made.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requested {
    /// Its method.
    pub method: String,
    /// Its path, with the query.
    pub path: String,
    /// Its other headers.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
}

/// What came of a call that was made.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Probed {
    /// The addresses that the name stands for, and how long it took to find out in microseconds;
    /// absent where nobody asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<(Vec<String>, Tried)>,
    /// The connection; absent where none was tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect: Option<Tried>,
    /// Where the connection came from, by which its proxy knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The first byte of the answer; absent where none was waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_byte: Option<Tried>,
    /// The status of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What the mesh said of a refusal: `R003 no-allow-rule; by=proxy-of-cart; ..`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// The id of the call, if a proxy recorded it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// Something that was tried.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Tried {
    /// How long it took, in microseconds.
    pub took_us: u64,
    /// The code of why it failed, if it did and has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Why it failed, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

/// How an endpoint can be reached from the proxy of a caller.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Reached {
    /// Where its proxy takes mesh calls; absent where it has none, and is called in plain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tunnel: Option<String>,
    /// A connection to that, or to the endpoint itself.
    pub tcp: Tried,
    /// A handshake over it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tried>,
    /// Who answered, and proved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// Whether an earlier session was resumed.
    #[serde(default)]
    pub resumed: bool,
}

impl Requested {
    /// Its head, as HTTP/1.1. Nothing of it may hold a line's end: else there is none.
    pub fn head(&self, authority: &str) -> Option<String> {
        let Self {
            method,
            path,
            headers,
        } = self;
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {authority}\r\n");
        let mut texts = vec![authority, method, path];
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
            texts.extend([name.as_str(), value.as_str()]);
        }
        let is_plain = |text: &&str| !text.contains(['\r', '\n', '\0']);
        let is_word = |text: &str| !text.is_empty() && !text.contains(char::is_whitespace);
        let fits = texts.iter().all(is_plain) && is_word(method) && is_word(path);
        fits.then(|| format!("{head}user-agent: leno-probe\r\nconnection: close\r\n\r\n"))
    }
}

impl Probed {
    /// Takes in the head of an answer.
    pub fn hear(&mut self, head: &[u8]) {
        let head = String::from_utf8_lossy(head);
        let mut lines = head.split("\r\n");
        let first = lines.next().and_then(|line| line.split(' ').nth(1));
        self.status = first.and_then(|status| status.parse().ok());
        let refused = lines.find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("leno-error")
                .then(|| value.trim().to_owned())
        });
        self.refused = refused;
    }
}

impl Tried {
    /// It went well.
    pub fn well(took: std::time::Duration) -> Self {
        Self {
            took_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            code: None,
            failed: None,
        }
    }

    /// It failed.
    pub fn failed(
        took: std::time::Duration,
        code: Option<leno_model::Code>,
        why: impl ToString,
    ) -> Self {
        Self {
            code: code.map(|code| code.as_str().to_owned()),
            failed: Some(why.to_string()),
            ..Self::well(took)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_has_one_line_for_each_thing_that_was_asked_for() {
        let request = |method: &str, path: &str, value: &str| Requested {
            method: method.to_owned(),
            path: path.to_owned(),
            headers: vec![("x-user".to_owned(), value.to_owned())],
        };
        let head = request("GET", "/items", "7").head("cart:8080").unwrap();
        assert!(head.starts_with("GET /items HTTP/1.1\r\nhost: cart:8080\r\nx-user: 7\r\n"));
        assert_eq!(request("GET", "/a b", "7").head("cart"), None);
        assert_eq!(request("GET", "/", "7\r\nx-evil: 1").head("cart"), None);
        assert_eq!(request("", "/", "7").head("cart"), None);
    }

    #[test]
    fn an_answer_tells_its_status_and_who_refused() {
        let mut probed = Probed::default();
        probed.hear(b"HTTP/1.1 403 Forbidden\r\nLeno-Error: R003 no-allow-rule; id=7\r\n\r\n");
        assert_eq!(probed.status, Some(403));
        assert_eq!(probed.refused.as_deref(), Some("R003 no-allow-rule; id=7"));
        probed.hear(b"nonsense");
        assert_eq!((probed.status, probed.refused), (None, None));
    }
}
