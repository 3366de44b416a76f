//! Frames of HTTP/2, written by hand: also those that nobody should send (RFC 9113 sections 4 to 6).

/// What a connection begins with.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a frame is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
#[expect(missing_docs, reason = "these are the names of RFC 9113")]
pub enum Kind {
    Data = 0,
    Headers = 1,
    Priority = 2,
    RstStream = 3,
    Settings = 4,
    PushPromise = 5,
    Ping = 6,
    GoAway = 7,
    WindowUpdate = 8,
    Continuation = 9,
}

/// The stream ends with this frame.
pub const END_STREAM: u8 = 1;
/// Of SETTINGS and PING: it answers one.
pub const ANSWER: u8 = 1;
/// The fields are complete.
pub const END_HEADERS: u8 = 4;

/// A frame.
pub fn frame(kind: Kind, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame is short");
    let [_, length @ ..] = length.to_be_bytes();
    let mut frame = length.to_vec();
    frame.extend([kind as u8, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A setting: 1 is the size of the table, 3 the most streams, 4 a stream's window.
pub fn setting(number: u16, value: u32) -> Vec<u8> {
    [&number.to_be_bytes()[..], &value.to_be_bytes()].concat()
}

/// A field in HPACK, written out and not kept in any table (RFC 7541 section 6.2.2).
pub fn field(name: &str, value: &str) -> Vec<u8> {
    [&[0][..], &text(name), &text(value)].concat()
}

/// A field in HPACK that is kept in the table, as the newest one (RFC 7541 section 6.2.1).
pub fn kept_field(name: &str, value: &str) -> Vec<u8> {
    [&[0x40][..], &text(name), &text(value)].concat()
}

/// The newest field of the table once more: one byte (RFC 7541 section 6.1).
pub const NEWEST: u8 = 0x80 | 62;

/// A text in HPACK (RFC 7541 section 5.2), without Huffman's code.
fn text(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    match u8::try_from(text.len()) {
        Ok(length @ ..127) => out.push(length),
        _ => {
            out.push(127);
            let mut rest = text.len() - 127;
            while rest >= 128 {
                out.push((rest % 128) as u8 | 128);
                rest /= 128;
            }
            out.push(rest as u8);
        }
    }
    out.extend(text.bytes());
    out
}

/// The fields of a CONNECT to `authority`.
pub fn connect(authority: &str) -> Vec<u8> {
    [field(":method", "CONNECT"), field(":authority", authority)].concat()
}

/// The fields of an extended CONNECT (RFC 8441), which asks for `protocol`.
pub fn ask_for(protocol: &str, authority: &str, path: &str) -> Vec<u8> {
    let asked = request("CONNECT", authority, path);
    [asked, field(":protocol", protocol)].concat()
}

/// The fields of a request to `authority`.
pub fn request(method: &str, authority: &str, path: &str) -> Vec<u8> {
    [
        field(":method", method),
        field(":scheme", "http"),
        field(":authority", authority),
        field(":path", path),
    ]
    .concat()
}

/// What came, as the frames it is: kind, flags, stream and payload. What is cut off is left out.
pub fn frames(mut bytes: &[u8]) -> Vec<(u8, u8, u32, &[u8])> {
    let mut frames = Vec::new();
    while let Some((&[one, two, three, kind, flags, a, b, c, d], rest)) = bytes.split_first_chunk()
    {
        let length = u32::from_be_bytes([0, one, two, three]) as usize;
        let Some((payload, rest)) = rest.split_at_checked(length) else {
            break;
        };
        frames.push((kind, flags, u32::from_be_bytes([a, b, c, d]), payload));
        bytes = rest;
    }
    frames
}
