//! One request of HTTP/2, byte by byte: also one that no library would send.

use std::net::SocketAddr;

use crate::client::Client;
use crate::frames::{END_HEADERS, END_STREAM, Kind, PREFACE, frame, frames};

/// The stream of the request.
const STREAM: u32 = 1;

/// The field 8 of the static table, `:status: 200` (RFC 7541 appendix A).
const OK: u8 = 0x80 | 8;

/// Asks by a request of these fields, which has no body, and gives the body of the answer if that has status
/// 200.
pub fn ask_by_http2(to: SocketAddr, fields: &[u8]) -> Option<String> {
    let asked = [
        PREFACE.to_vec(),
        frame(Kind::Settings, 0, 0, &[]),
        frame(Kind::Headers, END_HEADERS | END_STREAM, STREAM, fields),
    ];
    let mut client = Client::to(to);
    client.send(asked.concat());
    answer(&client.until(is_over))
}

/// Whether the stream, or the connection, is over.
fn is_over(came: &[u8]) -> bool {
    frames(came).iter().any(|(kind, flags, stream, _)| {
        let carries = [Kind::Data as u8, Kind::Headers as u8].contains(kind);
        let ends = carries && flags & END_STREAM != 0 || *kind == Kind::RstStream as u8;
        *kind == Kind::GoAway as u8 || *stream == STREAM && ends
    })
}

fn answer(came: &[u8]) -> Option<String> {
    let frames = frames(came).into_iter();
    let mut of_stream = frames.filter(|(_, _, stream, _)| *stream == STREAM);
    let (_, _, _, head) = of_stream.find(|(kind, ..)| *kind == Kind::Headers as u8)?;
    // The status comes first, but for another size of the table (section 6.3).
    let status = head.iter().find(|byte| **byte & 0xe0 != 0x20)?;
    let data = of_stream.filter(|(kind, ..)| *kind == Kind::Data as u8);
    let body: Vec<u8> = data.flat_map(|(.., payload)| payload.to_vec()).collect();
    (*status == OK).then(|| String::from_utf8_lossy(&body).into_owned())
}
