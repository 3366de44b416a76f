//! Requests as hyper reads them, beside our own reading.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use leno_protocol::{BodyReader, Fields, Flaw, HeadReader, Piece};

use super::Target;
use super::http1::{WORDS, streams};

pub(super) const TARGET: Target = Target {
    name: "hyper",
    holds: "hyper sees every request that is accepted, and no other one before or between them; where it sees more, \
            there is a reason to be stricter",
    seeds: || {
        streams(include_str!(
            "../../../../crates/protocol/tests/corpus/requests.txt"
        ))
    },
    words: WORDS,
    check,
};

/// A request as both tell it.
#[derive(PartialEq, Eq, Debug)]
struct Seen {
    method: String,
    path: String,
    query: Option<String>,
    body: Vec<u8>,
}

/// How our reading of a stream ends.
enum End {
    /// Nothing is wrong with it.
    Fine,
    /// No request follows on this connection, or hyper does not read targets as we do.
    Apart,
    Refused(Flaw),
}

fn check(input: &[u8]) -> bool {
    let (ours, end) = our_reading(input);
    let theirs = their_reading(input);
    let told = || format!("ours {ours:?}, theirs {theirs:?}");
    let same = theirs.get(..ours.len());
    assert_eq!(same, Some(ours.as_slice()), "{}", told());
    if let End::Refused(flaw) = end
        && theirs.len() > ours.len()
    {
        assert!(
            why_stricter(flaw).is_some(),
            "no reason for {flaw:?}: {}",
            told()
        );
    }
    !ours.is_empty()
}

/// Why a flaw is one that hyper does not mind.
fn why_stricter(flaw: Flaw) -> Option<&'static str> {
    Some(match flaw {
        Flaw::BareLineFeed => "servers differ in whether LF alone ends a line",
        Flaw::Method | Flaw::RequestLine => {
            "empty lines and spaces before a request are where one is hidden"
        }
        Flaw::MethodCase => "some servers take `get` for GET, and a policy for GET would not",
        Flaw::TargetFragment => "hyper cuts it off; a server that keeps it serves another path",
        Flaw::TargetForm => "`GET cart:80` is a target of CONNECT alone",
        Flaw::TargetEscape | Flaw::TargetOctet | Flaw::TargetUtf8 => {
            "servers decode it to different paths"
        }
        Flaw::TargetTooLong { .. } | Flaw::HeadTooLarge { .. } | Flaw::TooManyHeaders { .. } => {
            "what a peer makes us hold has a bound"
        }
        Flaw::TooManyReadings { .. } | Flaw::ReadingsTooLong { .. } => {
            "a path is decided under each way to read it, and these have a bound"
        }
        Flaw::FieldValue => {
            "hyper takes some control characters in values; logs and terminals do not"
        }
        Flaw::NoHost | Flaw::RepeatedHost | Flaw::Host | Flaw::HostDiffers => {
            "two hosts, or a host that can be read in two ways, reach two places"
        }
        Flaw::ContentLength | Flaw::RepeatedContentLength | Flaw::LengthAndEncoding => {
            "a server behind us may take the other one of two lengths"
        }
        Flaw::TransferEncoding | Flaw::EncodingInOldVersion => {
            "a server that does not know the coding takes the body for the next request"
        }
        Flaw::FramingLookalike => {
            "servers that make environment variables of headers take `_` for `-`"
        }
        Flaw::BodyOfConnect => "what follows CONNECT is no body",
        Flaw::ConnectionOption | Flaw::TooManyOptions { .. } => {
            "headers that decide must not be taken away on the way"
        }
        Flaw::ChunkSize | Flaw::ChunkExtension { .. } => {
            "hyper takes spaces and bare line ends there, others do not"
        }
        Flaw::Trailer | Flaw::ForbiddenTrailer | Flaw::TrailersTooLarge { .. } => {
            "a server that merges trailers into headers would read another message"
        }
        Flaw::BareCarriageReturn
        | Flaw::StatusLine
        | Flaw::Status
        | Flaw::Version
        | Flaw::FoldedLine
        | Flaw::SpaceBeforeColon
        | Flaw::FieldName
        | Flaw::UnaskedSwitch
        | Flaw::UnaskedBody
        | Flaw::ChunkEnd
        | Flaw::CutShort
        | Flaw::ConnectionField
        | Flaw::FieldToken
        | Flaw::Protocol
        | Flaw::ProtocolNotCarried
        | Flaw::WebSocketKey => return None,
    })
}

/// The requests that we accept whole, one behind the other.
fn our_reading(input: &[u8]) -> (Vec<Seen>, End) {
    let (mut seen, mut rest) = (Vec::new(), input);
    let mut reader = HeadReader::default();
    loop {
        let mut fields = Fields::new();
        let head = match reader.request(rest, &mut fields) {
            Ok(Some(head)) => head,
            Ok(None) => return (seen, End::Fine),
            Err(refused) => return (seen, End::Refused(refused.flaw)),
        };
        let request = &head.request;
        let is_uri = |target: &str| !target.contains(NO_URI) && target.is_ascii();
        let is_apart = request.method == "CONNECT" || request.path.raw() == "*";
        if is_apart || !is_uri(request.path.raw()) || !request.query.is_none_or(is_uri) {
            return (seen, End::Apart);
        }
        rest = rest.get(head.length..).unwrap_or_default();
        let mut body = BodyReader::new(head.body);
        let mut content = Vec::new();
        loop {
            let (length, is_data) = match body.next(rest) {
                Ok(Piece::Data(length)) => (length, true),
                Ok(Piece::Framing(length) | Piece::Trailer(length)) => (length, false),
                Ok(Piece::Wait) => return (seen, End::Fine),
                Ok(Piece::End) => break,
                Err(flaw) => return (seen, End::Refused(flaw)),
            };
            if is_data {
                content.extend(rest.get(..length).unwrap_or_default());
            }
            rest = rest.get(length..).unwrap_or_default();
        }
        seen.push(Seen {
            method: request.method.to_owned(),
            path: request.path.raw().to_owned(),
            query: request.query.map(str::to_owned),
            body: content,
        });
        if !head.keep_alive || head.upgrade {
            return (seen, End::Apart);
        }
    }
}

/// What stands in no URI, and is carried as it came. hyper refuses some of it.
const NO_URI: [char; 9] = ['"', '<', '>', '\\', '^', '`', '{', '|', '}'];

/// The requests that hyper gives to a service, with a body that came whole.
fn their_reading(input: &[u8]) -> Vec<Seen> {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let service = service_fn(|mut request: Request<Incoming>| {
        let seen = seen.clone();
        async move {
            let mut body = Vec::new();
            let mut is_whole = true;
            while let Some(frame) =
                poll_fn(|context| Pin::new(request.body_mut()).poll_frame(context)).await
            {
                match frame.map(Frame::into_data) {
                    Ok(Ok(data)) => body.extend(data),
                    Ok(Err(_trailers)) => {}
                    Err(_) => {
                        is_whole = false;
                        break;
                    }
                }
            }
            if is_whole {
                seen.borrow_mut().push(Seen {
                    method: request.method().to_string(),
                    path: request.uri().path().to_owned(),
                    query: request.uri().query().map(str::to_owned),
                    body,
                });
            }
            Ok::<_, Infallible>(Response::new(NoBody))
        }
    });
    let mut serving = http1::Builder::new();
    serving.half_close(true).max_headers(Fields::MOST);
    {
        let mut connection = pin!(serving.serve_connection(Played(input), service));
        let mut context = Context::from_waker(Waker::noop());
        // Nothing that it waits for comes later.
        for _ in 0..MOST_TURNS {
            if connection.as_mut().poll(&mut context).is_ready() {
                break;
            }
        }
    }
    seen.take()
}

const MOST_TURNS: usize = 1000;

/// A connection on which these bytes have come, and then the end; what is written is lost.
struct Played<'a>(&'a [u8]);

impl Read for Played<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let (now, later) = self.0.split_at(self.0.len().min(buffer.remaining()));
        buffer.put_slice(now);
        self.0 = later;
        Poll::Ready(Ok(()))
    }
}

impl Write for Played<'_> {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

struct NoBody;

impl Body for NoBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        true
    }
}
