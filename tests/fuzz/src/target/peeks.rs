//! First bytes of a connection, read before anybody knows what it is: TLS and the PROXY protocol.

use std::fmt::Debug;
use std::net::SocketAddr;

use leno_model::view::ProxyVersion;
use leno_protocol::{ClientHello, ProxyHead, Spoken, write_proxy_head};

use super::Target;

pub(super) const TARGET: Target = Target {
    name: "peek",
    holds: "what the first bytes of a connection say is said as soon as it can be, and no later byte changes it; a \
            head of the PROXY protocol is written as it was read",
    seeds,
    words: &[
        "PROXY ",
        "TCP4 ",
        "TCP6 ",
        "UNKNOWN",
        "\r\n\r\n\0\r\nQUIT\n",
        "\u{16}\u{3}\u{1}",
        "255.255.255.255",
        "::1",
    ],
    check,
};

fn seeds() -> Vec<Vec<u8>> {
    let [source, destination] = ["10.0.0.1:4711", "10.0.0.2:80"].map(address);
    let [of_six, to_six] = ["[fd00::1]:4711", "[fd00::2]:80"].map(address);
    let head = |version, source, destination| {
        let mut out = Vec::new();
        write_proxy_head(version, source, destination, &mut out);
        out
    };
    vec![
        b"PROXY UNKNOWN\r\nGET / HTTP/1.1\r\n".to_vec(),
        b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0".to_vec(),
        head(ProxyVersion::V1, source, destination),
        head(ProxyVersion::V2, source, destination),
        head(ProxyVersion::V1, of_six, to_six),
        head(ProxyVersion::V2, of_six, to_six),
        hello(b"Cart.Shop"),
    ]
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address and a port")
}

/// The least message that asks for a server.
fn hello(name: &[u8]) -> Vec<u8> {
    let sized = |size: usize, content: &[u8]| {
        let length = content.len().to_be_bytes();
        [&length[length.len() - size..], content].concat()
    };
    let name = sized(2, &[&[0][..], &sized(2, name)].concat());
    let extensions = sized(2, &[&[0, 0][..], &sized(2, &name)].concat());
    let body = [
        &[3, 3][..],
        &[7; 32],
        &[0, 0, 2, 0x13, 1, 1, 0],
        &extensions,
    ]
    .concat();
    let message = [&[1][..], &sized(3, &body)].concat();
    [&[22, 3, 1][..], &sized(2, &message)].concat()
}

fn check(input: &[u8]) -> bool {
    let hello = grows(input, ClientHello::read);
    let head = grows(input, ProxyHead::read);
    // It waits for nothing, so that there is always an answer.
    let spoken = Spoken::of(input);
    let surely = grows(input, |bytes| Ok::<_, ()>(Spoken::surely(bytes)));
    if spoken != Spoken::Other {
        assert_eq!(surely, Some(spoken));
    }
    if let Some(ClientHello {
        server_name: Some(name),
    }) = &hello
    {
        assert!(
            name.len() <= 253 && !name.contains(char::is_control) && *name == name.to_lowercase()
        );
        assert_eq!(spoken, Spoken::Tls);
    }
    if let Some((head, length)) = head {
        assert!(length <= input.len().min(ProxyHead::MOST));
        written(head);
    }
    hello.is_some() || head.is_some()
}

/// What is read of the whole, and of no beginning of it anything else.
fn grows<T: PartialEq + Debug, E: Debug>(
    input: &[u8],
    read: impl Fn(&[u8]) -> Result<Option<T>, E>,
) -> Option<T> {
    let step = input.len() / 200 + 1;
    let whole = read(input);
    for end in (0..input.len()).step_by(step) {
        let begun = read(&input[..end]);
        match (&begun, &whole) {
            (Ok(None), _) | (Err(_), Err(_)) => {}
            (Ok(Some(begun)), Ok(Some(whole))) => assert_eq!(begun, whole, "after {end} bytes"),
            _ => panic!("after {end} bytes {begun:?}, in the end {whole:?}"),
        }
    }
    whole.ok().flatten()
}

fn written(head: ProxyHead) {
    let ProxyHead::From {
        source,
        destination,
    } = head
    else {
        return;
    };
    let canonical =
        |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    let (source, destination) = (canonical(source), canonical(destination));
    if source.is_ipv4() != destination.is_ipv4() {
        return;
    }
    for version in [ProxyVersion::V1, ProxyVersion::V2] {
        let mut out = Vec::new();
        write_proxy_head(version, source, destination, &mut out);
        let again = ProxyHead::read(&out);
        let head = ProxyHead::From {
            source,
            destination,
        };
        assert_eq!(again, Ok(Some((head, out.len()))));
    }
}
