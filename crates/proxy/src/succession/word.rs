//! What an older and a newer process of one proxy say to each other. Each word is a message of its own;
//! some carry sockets.

use std::net::SocketAddr;

use leno_model::CallId;

/// The version of the words. Another one is refused, and the older process goes on.
pub(super) const VERSION: u32 = 3;

/// One word.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Word {
    /// The newer one asks for what the older one has, in this version.
    Hello(u32),
    /// The older one does not give it, for this reason.
    Refused(String),
    /// Here is a socket that the older one listens on; it goes on listening.
    Socket,
    /// These were all.
    All,
    /// The newer one serves on them.
    Serving,
    /// The older one takes nothing new from here on.
    Yours,
    /// Here is a connection on which nothing is under way.
    Connection,
    /// Here are both ends of a stream of bytes: the client, which comes from the first address, and the
    /// server, which was reached at the other. What the older one had read of either it has written to the
    /// other.
    Stream(CallId, SocketAddr, SocketAddr),
}

/// What each word begins with.
const HELLO: &str = "leno-succession ";
const REFUSED: &str = "refused ";
const STREAM: &str = "stream ";

impl Word {
    /// Its bytes.
    pub(super) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Hello(version) => format!("{HELLO}{version}").into_bytes(),
            Self::Refused(why) => format!("{REFUSED}{why}").into_bytes(),
            Self::Socket => b"socket".to_vec(),
            Self::All => b"all".to_vec(),
            Self::Serving => b"serving".to_vec(),
            Self::Yours => b"yours".to_vec(),
            Self::Connection => b"connection".to_vec(),
            Self::Stream(id, from, to) => format!("{STREAM}{id:?} {from} {to}").into_bytes(),
        }
    }

    /// Reads them; `None` if they are no word of this version.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let text = str::from_utf8(bytes).ok()?;
        Some(match text {
            "socket" => Self::Socket,
            "all" => Self::All,
            "serving" => Self::Serving,
            "yours" => Self::Yours,
            "connection" => Self::Connection,
            _ => {
                if let Some(version) = text.strip_prefix(HELLO) {
                    return version.parse().ok().map(Self::Hello);
                }
                if let Some(stream) = text.strip_prefix(STREAM) {
                    let (id, addresses) = stream.split_once(' ')?;
                    let id = CallId::parse(id.as_bytes())?;
                    let (from, to) = addresses.split_once(' ')?;
                    return Some(Self::Stream(id, from.parse().ok()?, to.parse().ok()?));
                }
                Self::Refused(text.strip_prefix(REFUSED)?.to_owned())
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_is_read_as_it_was_said() {
        for word in [
            Word::Hello(VERSION),
            Word::Refused("user 7 may not".to_owned()),
            Word::Socket,
            Word::All,
            Word::Serving,
            Word::Yours,
            Word::Connection,
            Word::Stream(
                CallId::of_number(7),
                "[fd00::1]:80".parse().unwrap(),
                "10.0.0.1:6379".parse().unwrap(),
            ),
        ] {
            assert_eq!(Word::decode(&word.encode()), Some(word));
        }
        for other in [
            &b""[..],
            b"SOCKET",
            b"leno-succession x",
            b"stream 7 [::1]:80",
            b"stream 00000000000000000000000000000007 [::1]:80",
            b"all\n",
            b"\xff",
        ] {
            assert_eq!(Word::decode(other), None);
        }
    }
}
