//! The end that a body comes from: content as it comes, then the trailers that may stand there.

use std::mem;
use std::num::NonZeroUsize;
use std::task::{Context, Poll, ready};

use ::http::{HeaderMap, HeaderName, HeaderValue};
use h2::RecvStream;
use leno_protocol::body::{END_CHUNK, LAST_CHUNK, begin_chunk};
use leno_protocol::http2::check_trailer;
use leno_protocol::{BodyFraming, Flaw};

use crate::buffer::Buffers;
use crate::http::relay::framed::{Gathered, trailers_of, write_last_chunk};
use crate::http::relay::{Relay, Source};
use crate::pump::Stopped;
use crate::stream::{Cut, Stream};

impl Relay {
    /// Reads what comes next of an end of HTTP/2.
    pub(super) fn poll_receive(
        &mut self,
        context: &mut Context<'_>,
        stream: &mut RecvStream,
    ) -> Poll<Result<(), Stopped>> {
        let broken = |error| Stopped::Read(Cut::of_http2(&error));
        match ready!(stream.poll_data(context))
            .transpose()
            .map_err(broken)?
        {
            Some(data) => {
                self.untouched = false;
                self.fresh += data.len();
                self.copy(&data);
                self.content = data;
                self.ended = stream.is_end_stream();
            }
            None => {
                if let Some(trailers) = ready!(stream.poll_trailers(context)).map_err(broken)? {
                    //= RFC 9113 section 8.5: "Frame types other than DATA or stream management frames (RST_STREAM, WINDOW_UPDATE, and PRIORITY) MUST NOT be sent on a connected stream and MUST be treated as a stream error (Section 5.4.2) if received."
                    if self.framing == BodyFraming::Tunnel {
                        return Poll::Ready(Err(Stopped::Body(Flaw::Trailer)));
                    }
                    self.end_with(self.sift(trailers)?);
                }
                (self.untouched, self.ended) = (false, true);
            }
        }
        if self.ended && !self.copies.are_unwanted() {
            let mut end = Vec::new();
            match &self.trailers {
                _ if self.framing != BodyFraming::Chunked => {}
                None => end.extend_from_slice(LAST_CHUNK),
                Some(trailers) => write_last_chunk(&mut end, trailers),
            }
            self.copies.take(&end);
            self.copies.end();
        }
        Poll::Ready(Ok(()))
    }

    /// Those of the fields behind a body that may stand there.
    fn sift(&self, mut trailers: HeaderMap) -> Result<HeaderMap, Stopped> {
        let checked = |(name, value): (&HeaderName, &HeaderValue)| {
            let flaw = check_trailer(name.as_str(), value.as_bytes()).err()?;
            Some((name.clone(), flaw))
        };
        while let Some((name, flaw)) = trailers.iter().find_map(checked) {
            if self.is_strict {
                return Err(Stopped::Body(flaw));
            }
            trailers.remove(name);
        }
        Ok(trailers)
    }

    /// Copies content that came from an end of HTTP/2, framed as HTTP/1 frames it.
    fn copy(&mut self, data: &[u8]) {
        let Some(length) = NonZeroUsize::new(data.len()).filter(|_| !self.copies.are_unwanted())
        else {
            return;
        };
        if self.framing != BodyFraming::Chunked {
            return self.copies.take(data);
        }
        let mut framed = Vec::with_capacity(data.len() + 16);
        begin_chunk(&mut framed, length);
        framed.extend_from_slice(data);
        framed.extend_from_slice(END_CHUNK);
        self.copies.take(&framed);
    }

    /// Reads what comes next of an end of HTTP/1.
    pub(super) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        stream: &mut Stream,
        buffers: &Buffers,
    ) -> Poll<Result<(), Stopped>> {
        let Source::Http1 {
            reader,
            buffer,
            lines,
        } = &mut self.source
        else {
            unreachable!("the source speaks the version that it began with");
        };
        if buffer.is_none() {
            ready!(stream.poll_read_ready(context)).map_err(Stopped::read)?;
            let mut lent = buffers.lend();
            if ready!(stream.poll_read_into(context, &mut lent)).map_err(Stopped::read)? == 0 {
                reader.finish().map_err(Stopped::Body)?;
                self.ended = true;
                self.copies.end();
                return Poll::Ready(Ok(()));
            }
            *buffer = Some(lent);
        }
        let mut came = buffer.take().expect("something was read");
        let mut gathered = Gathered {
            content: Vec::with_capacity(came.len()),
            lines: mem::take(lines),
        };
        let used = gathered.add(reader, &came).map_err(Stopped::Body)?;
        self.copies.take(came.get(..used).unwrap_or_default());
        self.untouched = false;
        self.fresh += gathered.content.len();
        self.content = gathered.content.into();
        if reader.is_done() {
            self.ended = true;
            self.copies.end();
        }
        came.consume(used);
        *buffer = (!came.is_empty()).then_some(came);
        match self.ended && !gathered.lines.is_empty() {
            true => self.end_with(trailers_of(&gathered.lines)),
            false => *lines = gathered.lines,
        }
        Poll::Ready(Ok(()))
    }
}
