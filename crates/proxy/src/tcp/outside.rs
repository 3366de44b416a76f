//! Streams that leave the mesh: heard as far as it hangs on that whether they may, judged, and opened.

use std::task::Poll;
use std::time::Duration;

use leno_protocol::{SERVER_FIRST, Spoken};
use leno_traffic::{AdmittedStream, Leave, NotSpoken, Outside, Refusal, Said};
use tokio::time::sleep;

use super::{Begun, CONNECT_LIMIT, Carrying, Client, Opened};
use crate::buffer::Buffer;
use crate::first;
use crate::news::Reader;
use crate::pool;
use crate::stream::Stream;

/// How long a client may be silent of whose host nothing is known, and how long its first words may take.
const FIRST_WORDS: Duration = Duration::from_secs(3);

/// A stream that is not let out, and its other half if it was open.
type Kept = (Refusal, Option<Opened>);

impl<'a> Carrying<'a> {
    /// Lets a stream out of the mesh, if its host may be called. Where what was told of the address lets it
    /// out, it is opened before it is heard: its server may be the first to speak. Requests are judged
    /// each by itself.
    pub(super) async fn go_out(
        &self,
        client: Client,
        admitted: AdmittedStream<'a>,
        outside: Outside<'a>,
        news: &mut Reader,
    ) -> Begun {
        let unheard = self.leave(&outside);
        let mut opened = None;
        match &unheard {
            Ok(leave) => match self.open_out(admitted, leave).await {
                Ok(open) => opened = Some(open),
                Err(refusal) => return self.turn_down(client, &refusal).await,
            },
            Err(refusal) if client.waits() && !refusal.hangs_on_host() => {
                return self.turn_down(client, refusal).await;
            }
            Err(_) => {}
        }
        let Some((mut client, mut came)) = client.here().await else {
            return self.gone();
        };
        let heard = self.hear(&mut client, &mut came, opened.as_mut(), news);
        let judged = match heard.await {
            Ok(Some(spoken @ (Spoken::Http1 | Spoken::Http2))) => {
                // What is opened is there for the first of them.
                if let (Some(Opened { server, target, .. }), Spoken::Http1) = (opened, spoken) {
                    let (pool, now) = (&self.worker.pool, self.worker.mono());
                    pool.give(&target.borrowed(), server, pool::IDLE, now);
                }
                let came = came.unwrap_or_else(|| self.worker.buffers.lend());
                return Begun::Requests((client, came));
            }
            Ok(Some(Spoken::Tls)) => {
                match first::hello(&mut client, &mut came, &self.worker.buffers).await {
                    Ok(hello) => {
                        let said = hello.server_name.as_deref();
                        let said = said.map_or(Said::Nothing, Said::of);
                        self.judge_out(admitted, &outside, said, opened).await
                    }
                    Err(refusal) => Err((refusal, opened)),
                }
            }
            Ok(Some(Spoken::Other)) => {
                let said = Said::Nothing;
                self.judge_out(admitted, &outside, said, opened).await
            }
            Ok(None) => {
                let late = || Refusal::NotSpoken(NotSpoken::Late(FIRST_WORDS));
                Err((unheard.err().unwrap_or_else(late), opened))
            }
            Err(refusal) => Err((refusal, opened)),
        };
        match judged {
            Ok(opened) => Begun::Stream(Box::new((client, came, opened))),
            Err((refusal, opened)) => {
                if let Some(opened) = opened {
                    opened.server.reset(Some(refusal.code()));
                }
                let client = Client::Here(client, came);
                self.turn_down(client, &refusal).await
            }
        }
    }

    /// The leave by what is known without a word of the stream's.
    pub(super) fn leave(&self, outside: &Outside<'a>) -> Result<Leave<'a>, Refusal> {
        let host = self.worker.host(outside, Said::Nothing);
        Ok(outside.judge(&host)?)
    }

    /// Opens the other half outside the mesh.
    pub(super) async fn open_out(
        &self,
        admitted: AdmittedStream<'a>,
        leave: &Leave<'a>,
    ) -> Result<Opened, Refusal> {
        self.let_out_by(leave);
        let hop = self.incoming.hop_out(leave);
        Ok(Opened {
            server: self.connect(hop, CONNECT_LIMIT).await?,
            target: hop.target.keep(),
            permit: admitted.permit_out(leave),
            picked: None,
            stays: leave.is_by_name(),
        })
    }

    /// Judges a stream that says this of its host, and opens it if it is not open yet.
    async fn judge_out(
        &self,
        admitted: AdmittedStream<'a>,
        outside: &Outside<'a>,
        said: Said,
        opened: Option<Opened>,
    ) -> Result<Opened, Kept> {
        self.tell_audits(outside, said.clone());
        let leave = match self.worker.let_out(outside, said).await {
            Ok(leave) => leave,
            Err(refusal) => return Err((refusal, opened)),
        };
        let Some(opened) = opened else {
            let opened = self.open_out(admitted, &leave).await;
            return opened.map_err(|refusal| (refusal, None));
        };
        self.let_out_by(&leave);
        let permit = admitted.permit_out(&leave);
        Ok(Opened { permit, ..opened })
    }

    /// Hears what is spoken: by the client's first words or, where the stream is open, by a server that
    /// speaks before it. `None` if nothing came in time that tells it. Fails when the stream may be no
    /// longer.
    async fn hear(
        &self,
        client: &mut Stream,
        came: &mut Option<Buffer>,
        mut opened: Option<&mut Opened>,
        news: &mut Reader,
    ) -> Result<Option<Spoken>, Refusal> {
        let limit = || Box::pin(sleep(FIRST_WORDS));
        let mut late = opened.is_none().then(limit);
        let (mut first, mut server_waits) = ([0; SERVER_FIRST], false);
        std::future::poll_fn(|context| {
            while news.poll_changed(context).is_ready() {
                if let Some(opened) = &opened {
                    self.worker.still_carries(&opened.permit)?;
                }
            }
            loop {
                let has_come = came.as_deref().is_some_and(|bytes| !bytes.is_empty());
                if let Some(spoken) = came.as_deref().and_then(|bytes| Spoken::surely(bytes)) {
                    return Poll::Ready(Ok(Some(spoken)));
                }
                if has_come && late.is_none() {
                    late = Some(limit());
                }
                if late
                    .as_mut()
                    .is_some_and(|late| late.as_mut().poll(context).is_ready())
                {
                    return Poll::Ready(Ok(None));
                }
                if let Some(opened) = &mut opened
                    && !has_come
                    && !server_waits
                    && let Poll::Ready(said) = opened.server.poll_peek(context, &mut first)
                {
                    let is_whole = said.is_ok_and(|count| count == first.len());
                    if !is_whole || Spoken::of_server(&first) != Spoken::Http2 {
                        return Poll::Ready(Ok(Some(Spoken::Other)));
                    }
                    // Its client does not wait for that.
                    server_waits = true;
                }
                let is_open = opened.is_some();
                let ended = || (is_open && !has_come).then_some(Spoken::Other);
                match client.poll_read_ready(context) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Err(_)) => return Poll::Ready(Ok(ended())),
                    Poll::Ready(Ok(())) => {}
                }
                // No buffer is lent to who says nothing.
                let mut buffer = came.take().unwrap_or_else(|| self.worker.buffers.lend());
                let read = client.poll_read_into(context, &mut buffer);
                *came = (!buffer.is_empty()).then_some(buffer);
                match read {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Ok(ended())),
                    Poll::Ready(Ok(_)) => {}
                }
            }
        })
        .await
    }

    /// Remembers by what it is let out.
    fn let_out_by(&self, leave: &Leave<'a>) {
        self.host.set(leave.host());
        self.decision.borrow_mut().let_out(leave);
    }

    /// Remembers the rules that match it and only tell so.
    pub(super) fn tell_audits(&self, outside: &Outside<'a>, said: Said) {
        let audits = outside.audits(&self.worker.host(outside, said));
        let origins = audits.into_iter().map(|rule| &rule.origin);
        self.decision.borrow_mut().also_audited(origins);
    }
}
