//! The first message of a TLS connection (RFC 8446 section 4.1.2), read and left where it is: the name of
//! the server that it asks for chooses a route for a connection that is carried and not ended.

use alloc::string::String;
use alloc::vec::Vec;

/// What a client asks for before anything is encrypted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientHello {
    /// The name of the server (RFC 6066 section 3), in lower case, if it says one. Where the real name is
    /// encrypted (ECH), the outer one.
    pub server_name: Option<String>,
}

/// Why the first bytes of a connection are no [`ClientHello`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoHello {
    /// They are no TLS.
    #[error("the first bytes are not TLS")]
    NotTls,
    /// They begin as TLS does, and break its rules.
    #[error("the first message of TLS is malformed: {0}")]
    Malformed(&'static str),
    /// It is longer than anything that clients send.
    #[error("the first message of TLS is longer than {} bytes", ClientHello::MOST)]
    TooLarge,
}

impl ClientHello {
    /// How many bytes of a connection are looked at.
    pub const MOST: usize = 16 * 1024;

    /// Reads `bytes`, with which a connection begins; `None` as long as more of them are needed. Grows
    /// with their count: ask again when more have come.
    pub fn read(bytes: &[u8]) -> Result<Option<Self>, NoHello> {
        let seen = bytes.get(..Self::MOST).unwrap_or(bytes);
        match Message::of(seen)?.complete() {
            Some(hello) => Self::of(hello).map(Some),
            None if seen.len() == Self::MOST => Err(NoHello::TooLarge),
            None => Ok(None),
        }
    }

    fn of(hello: &[u8]) -> Result<Self, NoHello> {
        let mut rest = Reader(hello);
        rest.take(2 + 32)?;
        rest.vector(Length::One)?;
        rest.vector(Length::Two)?;
        rest.vector(Length::One)?;
        let mut server_name = None;
        if !rest.is_empty() {
            let mut extensions = rest.vector(Length::Two)?;
            while !extensions.is_empty() {
                let kind = extensions.number(Length::Two)?;
                let data = extensions.vector(Length::Two)?;
                if kind != SERVER_NAME {
                    continue;
                }
                //= RFC 8446 section 4.2: "There MUST NOT be more than one extension of the same type in a
                //= given extension block."
                if server_name.replace(name_in(data)?).is_some() {
                    return Err(NoHello::Malformed("it has two lists of server names"));
                }
            }
        }
        if !rest.is_empty() {
            return Err(NoHello::Malformed("something stands behind its extensions"));
        }
        Ok(Self { server_name })
    }
}

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_NAME: usize = 0;
const HOST_NAME: usize = 0;

/// The most that a record holds (RFC 8446 section 5.1).
const MOST_IN_RECORD: usize = 1 << 14;

/// Whether bytes begin as the first record of a client does, as far as they go. Six of them tell it.
pub(crate) fn begins(bytes: &[u8]) -> bool {
    let expected = |(place, octet): (usize, &u8)| match place {
        0 => *octet == HANDSHAKE,
        1 => *octet == 3,
        5 => *octet == CLIENT_HELLO,
        _ => true,
    };
    bytes.iter().take(6).enumerate().all(expected)
}

/// What has come of the first message, which may be cut into several records anywhere.
struct Message(Vec<u8>);

impl Message {
    fn of(bytes: &[u8]) -> Result<Self, NoHello> {
        if !begins(bytes) {
            return Err(NoHello::NotTls);
        }
        let (mut rest, mut message) = (bytes, Vec::new());
        while let [kind, major, _, high, low, behind @ ..] = rest {
            if (*kind, *major) != (HANDSHAKE, 3) {
                return Err(NoHello::Malformed(
                    "another record stands between its parts",
                ));
            }
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            //= RFC 8446 section 5.1: "Implementations MUST NOT send zero-length fragments of Handshake
            //= types, even if those fragments contain padding."
            if length == 0 || length > MOST_IN_RECORD {
                return Err(NoHello::Malformed("a record is empty or too large"));
            }
            let part = behind.get(..length).unwrap_or(behind);
            message.extend_from_slice(part);
            rest = behind.get(length..).unwrap_or_default();
            match Self::split(&message) {
                Some((length, _)) if length > ClientHello::MOST => return Err(NoHello::TooLarge),
                Some((length, behind)) if behind.len() >= length => break,
                Some(_) | None => {}
            }
        }
        Ok(Self(message))
    }

    /// The length that the message says it has, and what of it has come.
    fn split(message: &[u8]) -> Option<(usize, &[u8])> {
        let (head, behind) = message.split_at_checked(4)?;
        let length = Reader(head.get(1..)?).number(Length::Three).ok()?;
        Some((length, behind))
    }

    /// All of it behind its length, if it has come.
    fn complete(&self) -> Option<&[u8]> {
        let (length, behind) = Self::split(&self.0)?;
        behind.get(..length)
    }
}

/// The host name in a list of server names.
fn name_in(mut data: Reader<'_>) -> Result<String, NoHello> {
    let mut names = data.vector(Length::Two)?;
    if !data.is_empty() || names.is_empty() {
        return Err(NoHello::Malformed(
            "its list of server names is empty or cut",
        ));
    }
    let kind = names.number(Length::One)?;
    let Reader(name) = names.vector(Length::Two)?;
    //= RFC 6066 section 3: "The ServerNameList MUST NOT contain more than one name of the same
    //= name_type." No other type is known.
    if kind != HOST_NAME || !names.is_empty() {
        return Err(NoHello::Malformed(
            "it names its server in more than one way",
        ));
    }
    let name = core::str::from_utf8(name).ok().filter(|name| is_host(name));
    let name = name.ok_or(NoHello::Malformed("the server name is no host name"))?;
    Ok(name.to_ascii_lowercase())
}

/// Whether it is a host name as DNS has them, without a dot behind it.
fn is_host(name: &str) -> bool {
    let is_label = |label: &str| {
        let fits = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
        (1..=63).contains(&label.len()) && label.bytes().all(fits)
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

/// How many octets say how long something is.
#[derive(Clone, Copy)]
enum Length {
    One,
    Two,
    Three,
}

/// What is not read yet.
#[derive(Clone, Copy)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], NoHello> {
        let split = self.0.split_at_checked(count);
        let (taken, rest) = split.ok_or(NoHello::Malformed("a length points behind its end"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self, length: Length) -> Result<usize, NoHello> {
        let octets = self.take(match length {
            Length::One => 1,
            Length::Two => 2,
            Length::Three => 3,
        })?;
        let number = octets.iter();
        Ok(number.fold(0, |number, octet| number << 8 | usize::from(*octet)))
    }

    fn vector(&mut self, length: Length) -> Result<Self, NoHello> {
        let length = self.number(length)?;
        Ok(Self(self.take(length)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(size: usize, content: &[u8]) -> Vec<u8> {
        let length = content.len().to_be_bytes();
        [&length[length.len() - size..], content].concat()
    }

    fn extension(kind: u16, data: &[u8]) -> Vec<u8> {
        [&kind.to_be_bytes()[..], &vector(2, data)].concat()
    }

    fn host(name: &[u8]) -> Vec<u8> {
        extension(0, &vector(2, &[&[0][..], &vector(2, name)].concat()))
    }

    fn message(extensions: &[u8]) -> Vec<u8> {
        let hello = [
            &[3, 3][..],
            &[7; 32],
            &vector(1, &[9; 32]),
            // GREASE (RFC 8701) stands among the cipher suites.
            &vector(2, &[0x1a, 0x1a, 0x13, 0x01]),
            &vector(1, &[0]),
            extensions,
        ]
        .concat();
        [&[1][..], &vector(3, &hello)].concat()
    }

    fn record(part: &[u8]) -> Vec<u8> {
        [&[22, 3, 1][..], &vector(2, part)].concat()
    }

    fn hello(extensions: &[Vec<u8>]) -> Vec<u8> {
        record(&message(&vector(2, &extensions.concat())))
    }

    fn story(bytes: &[u8]) -> String {
        match ClientHello::read(bytes) {
            Ok(None) => "more".to_owned(),
            Ok(Some(ClientHello { server_name: None })) => "no name".to_owned(),
            Ok(Some(ClientHello {
                server_name: Some(name),
            })) => name,
            Err(no) => no.to_string(),
        }
    }

    #[test]
    fn the_name_of_the_server_is_read() {
        let grease = || extension(0x0a0a, &[]);
        let ech = || extension(0xfe0d, &[1; 200]);
        let two = [host(b"a.shop"), host(b"b.shop")];
        let names = |content: &[u8]| hello(&[extension(0, content)]);
        let malformed = |why: &str| format!("the first message of TLS is malformed: {why}");
        for (bytes, expect) in [
            (
                hello(&[grease(), host(b"Cart.Shop"), ech()]),
                "cart.shop".to_owned(),
            ),
            (hello(&[grease(), ech()]), "no name".to_owned()),
            (hello(&[]), "no name".to_owned()),
            (record(&message(&[])), "no name".to_owned()),
            (hello(&two), malformed("it has two lists of server names")),
            (
                hello(&[host(b"")]),
                malformed("the server name is no host name"),
            ),
            (
                hello(&[host(b"cart.")]),
                malformed("the server name is no host name"),
            ),
            (
                hello(&[host(b"a b")]),
                malformed("the server name is no host name"),
            ),
            (
                hello(&[host(b"\xff")]),
                malformed("the server name is no host name"),
            ),
            (
                hello(&[host(&[b'a'; 64])]),
                malformed("the server name is no host name"),
            ),
            (names(&[]), malformed("a length points behind its end")),
            (
                names(&[0, 0]),
                malformed("its list of server names is empty or cut"),
            ),
            (
                names(&[0, 1, 0]),
                malformed("a length points behind its end"),
            ),
            (
                names(&[0, 4, 7, 0, 1, b'a']),
                malformed("it names its server in more than one way"),
            ),
            (
                record(&message(&[0, 9, 1])),
                malformed("a length points behind its end"),
            ),
            (
                record(&message(&[0, 0, 1])),
                malformed("something stands behind its extensions"),
            ),
            (
                b"GET / HTTP/1.1\r\n".to_vec(),
                "the first bytes are not TLS".to_owned(),
            ),
            (
                record(&[2, 0, 0, 0]),
                "the first bytes are not TLS".to_owned(),
            ),
            (record(&[]), malformed("a record is empty or too large")),
            (
                [record(&[1, 0]), b"\x15\x03\x01\0\x02\x01\0".to_vec()].concat(),
                malformed("another record stands between its parts"),
            ),
            (vec![], "more".to_owned()),
        ] {
            assert_eq!(story(&bytes), expect, "{bytes:?}");
        }
    }

    #[test]
    fn it_may_come_in_any_number_of_parts_and_is_bounded() {
        let message = message(&vector(2, &host(b"cart.shop")));
        for size in [1, 2, 3, 50, 1000] {
            let records = message.chunks(size).flat_map(record).collect::<Vec<_>>();
            for come in 0..records.len() {
                assert_eq!(story(&records[..come]), "more", "{size} {come}");
            }
            assert_eq!(story(&records), "cart.shop");
            // What follows is another message's.
            assert_eq!(story(&[&records[..], b"early data"].concat()), "cart.shop");
        }
        let too_large = "the first message of TLS is longer than 16384 bytes";
        assert_eq!(story(&record(&[1, 0, 0x40, 1])), too_large);
        let slow = record(&[1, 0, 0x3f, 0xff]).into_iter();
        let slow = slow.chain((0..4000).flat_map(|_| record(&[7])));
        assert_eq!(story(&slow.collect::<Vec<_>>()), too_large);
    }

    /// Changes nothing, or one octet of a hello, or its end: no reading panics, and a name that is
    /// read is a name.
    #[test]
    fn a_flawed_one_is_refused_or_read() {
        let sound = hello(&[extension(0x0a0a, &[1, 2]), host(b"cart.shop")]);
        for place in 0..sound.len() {
            for change in [1, 0x80, 0xff] {
                let mut changed = sound.clone();
                changed[place] ^= change;
                if let Ok(Some(hello)) = ClientHello::read(&changed) {
                    assert!(hello.server_name.is_none_or(|name| is_host(&name)));
                }
            }
        }
    }
}
