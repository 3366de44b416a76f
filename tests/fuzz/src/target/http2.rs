//! Requests of HTTP/2, as fields.

use leno_protocol::{
    Block, BodyFraming, Fields, HeadReader, Pseudo, RequestChanges, write_request,
};

use super::Target;
use super::http1::plain;

pub(super) const TARGET: Target = Target {
    name: "http2",
    holds: "what is accepted of HTTP/2 and passed on as HTTP/1.1 is one request there, and the same one",
    seeds,
    words: &[
        ":method\tGET\n",
        ":path\t/admin\n",
        ":authority\tadmin\n",
        ":scheme\thttps\n",
        ":protocol\twebsocket\n",
        "host\tcart\n",
        "content-length\t3\n",
        "transfer-encoding\tchunked\n",
        "connection\tclose\n",
        "te\ttrailers\n",
        "cookie\ta=b\n",
        "HTTP/1.1\r\nHost: admin\r\n\r\n",
    ],
    check,
};

/// A field in each line, with a tab between name and value; the last line says whether a body follows.
fn seeds() -> Vec<Vec<u8>> {
    let seeds = [
        ":method\tGET\n:scheme\thttp\n:path\t/items?a=b\n:authority\tcart\n!",
        ":method\tPOST\n:scheme\thttp\n:path\t/\n:authority\tcart:8080\ncontent-length\t3\naccept\t*/*\n+",
        ":method\tPOST\n:scheme\thttp\n:path\t/shop.Cart/Add\nhost\tcart\nte\ttrailers\ncontent-type\tapplication/grpc\n+",
        ":method\tOPTIONS\n:scheme\thttp\n:path\t*\n:authority\tcart\ncookie\ta=b; c=d\n!",
        ":method\tCONNECT\n:authority\tdb:5432\n+",
        ":method\tCONNECT\n:protocol\twebsocket\n:scheme\thttps\n:path\t/chat\n:authority\tcart\n+",
    ];
    seeds.iter().map(|seed| seed.as_bytes().to_vec()).collect()
}

fn check(input: &[u8]) -> bool {
    let mut pseudo = Pseudo {
        method: "",
        scheme: None,
        authority: None,
        path: None,
        protocol: None,
    };
    let mut named = Vec::new();
    let ended = input.last() == Some(&b'!');
    for line in input.split(|byte| *byte == b'\n') {
        let Some(tab) = line.iter().position(|byte| *byte == b'\t') else {
            continue;
        };
        let (name, value) = (&line[..tab], &line[tab + 1..]);
        let (Ok(name), text) = (str::from_utf8(name), str::from_utf8(value)) else {
            return false;
        };
        match (name, text) {
            (":method", Ok(text)) => pseudo.method = text,
            (":scheme", Ok(text)) => pseudo.scheme = Some(text),
            (":authority", Ok(text)) => pseudo.authority = Some(text),
            (":path", Ok(text)) => pseudo.path = Some(text),
            (":protocol", Ok(text)) => pseudo.protocol = Some(text),
            (name, _) => named.push((name, value)),
        }
    }
    let fields = named.into_iter();
    let mut room = Fields::new();
    let head = HeadReader::default().http2_request(&pseudo, Block { fields, ended }, &mut room);
    let Ok(head) = head else {
        return false;
    };
    let mut written = Vec::new();
    let changes = RequestChanges::default();
    write_request(&mut written, &head.request, head.body, &changes);
    let mut fields = Fields::new();
    let again = HeadReader::default().request(&written, &mut fields);
    let told = written.escape_ascii();
    let again = again.unwrap_or_else(|refused| panic!("{refused:?}: {told}"));
    let again = again.unwrap_or_else(|| panic!("not whole: {told}"));
    assert_eq!(again.length, written.len(), "{told}");
    let (one, other) = (&head.request, &again.request);
    assert_eq!(one.method, other.method);
    assert_eq!(
        (head.upgrade, head.protocol()),
        (again.upgrade, again.protocol())
    );
    assert_eq!(one.path.raw(), other.path.raw());
    assert_eq!(one.query, other.query);
    assert_eq!((one.host, one.port), (other.host, other.port));
    let without_te = |headers| {
        let mut headers = plain(headers);
        headers.retain(|(name, _)| !name.eq_ignore_ascii_case("te"));
        headers
    };
    assert_eq!(without_te(one.headers), without_te(other.headers));
    let is_empty = |body| matches!(body, BodyFraming::None | BodyFraming::Length(0));
    assert!(head.body == again.body || is_empty(head.body) && is_empty(again.body));
    true
}
