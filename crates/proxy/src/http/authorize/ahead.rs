//! The beginning of a body, read before the request goes on. It is held, and sent on with the request.

use std::num::NonZeroU16;
use std::time::Duration;

use leno_authorizer::Body;
use leno_model::Code;
use leno_protocol::{BodyFraming, BodyReader, Flaw, Refused};
use leno_traffic::Refusal;
use tokio::time::timeout;

use crate::http::attempt::Sending;
use crate::http::exchange::Exchange;
use crate::http::refuse::Reason;
use crate::http::relay::framed::Gathered;
use crate::pump::Stopped;

/// How long a client may take for what is read of its body.
const LIMIT: Duration = Duration::from_secs(10);

/// What was read of a body. Each byte is taken apart once, however small the parts are in which they come.
pub(super) struct Ahead {
    reader: BodyReader,
    gathered: Gathered,
    /// How many bytes were taken apart of those that are held.
    seen: usize,
    flaw: Option<Flaw>,
}

impl Exchange<'_> {
    /// Reads so much of the body, or all of it, behind what was read before.
    pub(super) async fn read_ahead(
        &mut self,
        ahead: &mut Ahead,
        most: NonZeroU16,
        sending: &mut Sending<'_>,
    ) -> Result<(), Reason> {
        let worker = self.worker;
        let protocol = self.incoming.protocol(worker, self.table);
        sending.speak(self.goes_in_http2(protocol), worker);
        if self.head.expects_continue && !sending.is_ahead() {
            // Whoever is gone shows that when it is read.
            drop(sending.client.bid_continue(worker.stalled).await);
        }
        let is_enough = |held: &[u8]| {
            ahead.take(held);
            ahead.is_enough(most)
        };
        let read = timeout(LIMIT, sending.read_ahead(worker, is_enough)).await;
        let flawed = |flaw| Reason::from(&Refused::request(flaw));
        match read {
            Ok(Ok(())) => {}
            Ok(Err(Stopped::Body(flaw))) => return Err(flawed(flaw)),
            Ok(Err(Stopped::Read(_) | Stopped::Write(_))) => return Err(flawed(Flaw::CutShort)),
            Err(_late) => return Err(too_slow()),
        }
        let Some(held) = sending.held() else {
            return Err(Reason::from(&Refusal::BuffersFull));
        };
        ahead.take(held);
        self.told.sent = ahead.gathered.content.len() as u64;
        match ahead.flaw {
            Some(flaw) => Err(flawed(flaw)),
            None => Ok(()),
        }
    }

    /// How long the body is, if the client said so.
    pub(super) fn size_of_body(&self) -> Option<u64> {
        match self.head.body {
            BodyFraming::None => Some(0),
            BodyFraming::Length(length) => Some(length),
            BodyFraming::Chunked | BodyFraming::UntilClose | BodyFraming::Tunnel => None,
        }
    }
}

impl Ahead {
    /// Of a body of which this came with the head.
    pub(super) fn new(framing: BodyFraming, here: &[u8]) -> Self {
        let mut ahead = Self {
            reader: BodyReader::new(framing),
            gathered: Gathered::default(),
            seen: 0,
            flaw: None,
        };
        ahead.take(here);
        ahead.seen = 0;
        ahead
    }

    /// Takes apart what came behind that, of which the first was seen before; says how many bytes it looked
    /// at.
    fn take(&mut self, held: &[u8]) -> usize {
        let fresh = held.get(self.seen..).unwrap_or_default();
        self.seen = held.len();
        if self.flaw.is_none() {
            self.flaw = self.gathered.add(&mut self.reader, fresh).err();
        }
        fresh.len()
    }

    fn is_enough(&self, most: NonZeroU16) -> bool {
        let is_long = self.gathered.content.len() >= usize::from(most.get());
        is_long || self.reader.is_done() || self.flaw.is_some()
    }

    /// So much of it, as it is told.
    pub(super) fn body(&self, most: NonZeroU16) -> Body<'_> {
        let content = &self.gathered.content;
        let told = content.get(..usize::from(most.get()));
        Body {
            bytes: told.unwrap_or(content),
            is_whole: self.reader.is_done() && content.len() <= usize::from(most.get()),
        }
    }
}

/// Why a body that does not come is answered.
fn too_slow() -> Reason {
    Reason {
        words: format!("the body, which an authorizer is told, did not come within {LIMIT:?}"),
        ..Reason::new(408, Code::R034)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told of `held`, which comes behind `here` in parts of this size, and how many bytes were
    /// looked at for that.
    fn check(here: &str, held: &str, parts: usize, most: u16, expect: &str) -> usize {
        let most = NonZeroU16::new(most).unwrap();
        let mut ahead = Ahead::new(BodyFraming::Chunked, here.as_bytes());
        let ends = (0..held.len()).step_by(parts).chain([held.len()]);
        let looked = ends.map(|end| ahead.take(&held.as_bytes()[..end])).sum();
        let body = ahead.body(most);
        let whole = if body.is_whole { "" } else { ".." };
        let told = format!("{}{whole}", str::from_utf8(body.bytes).unwrap());
        assert_eq!(told, expect, "{here:?} {held:?} by {parts}");
        looked
    }

    #[test]
    fn what_is_told_does_not_hang_on_the_parts_in_which_it_comes() {
        for parts in 1..12 {
            check(
                "3\r\non",
                "e\r\n4\r\n two\r\n0\r\n\r\n",
                parts,
                99,
                "one two",
            );
            check("", "3\r\none\r\n4\r\n two\r\n", parts, 99, "one two..");
            check("3\r\none\r\n", "4\r\n two\r\n0\r\n\r\n", parts, 4, "one ..");
        }
    }

    #[test]
    fn the_work_grows_with_the_bytes_and_not_with_the_parts() {
        for chunks in [100, 1_000, 10_000] {
            let held = "1\r\nx\r\n".repeat(chunks);
            let expect = format!("{}..", "x".repeat(chunks));
            assert_eq!(check("", &held, 6, u16::MAX, &expect), held.len());
        }
    }

    #[test]
    fn a_flaw_ends_it() {
        let mut ahead = Ahead::new(BodyFraming::Chunked, b"x");
        assert!(ahead.is_enough(NonZeroU16::MAX));
        ahead.take(b"1\r\nx\r\n");
        assert_eq!(ahead.flaw, Some(Flaw::ChunkSize));
        assert_eq!(ahead.body(NonZeroU16::MAX).bytes, b"");
    }
}
