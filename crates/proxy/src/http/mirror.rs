//! Copies of requests, for mirrors. Each goes its own way beside the request, which never waits for
//! one: what a mirror is too slow for it does not get, and what it answers nobody hears.

mod in_http2;

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, ready};
use std::time::Duration;

use ::http::Request;
use leno_model::view::PortRef;
use leno_model::{CallId, Code, Now, Origin};
use leno_protocol::{Asked, BodyFraming, BodyReader, Fields, HeadReader, Limits, RequestChanges};
use leno_telemetry::{Bytes, Call, Decided, Edge, Event, Headers, Party, Security};
use leno_traffic::{Changed, Ended, Forward, Picked, Refusal, Tried};

use crate::buffer::Buffer;
use crate::connect::connect;
use crate::copies::{Eater, Last, feed};
use crate::http::attempt::Sending;
use crate::http::attempt::Sent;
use crate::http::exchange::Exchange;
use crate::incoming::Incoming;
use crate::pool::Target;
use crate::stream::Stream;
use crate::telling;
use crate::worker::{Held, Worker};

/// How long a copy may be under way, where its route does not say how long the request may.
const LIMIT: Duration = Duration::from_secs(30);

/// How many copies a worker has under way.
const MOST: usize = 256;

/// How much of an answer is read so that its connection can be used again.
const MOST_READ: usize = 1024 * 1024;

impl Exchange<'_> {
    /// Sends a copy of the request to each mirror that gets one. Of what asks for a stream there is none: nobody
    /// would speak on it.
    pub(super) fn mirror(&self, forward: &Forward<'_>, sending: &mut Sending<'_>) {
        if self.head.asks_for_stream() {
            return;
        }
        for mirror in forward.mirrors() {
            let told = self.told_of_copy(&mirror.to);
            match self.copy(&mirror.to, forward, sending) {
                Ok(copy) => {
                    let limit = forward.request_timeout().unwrap_or(LIMIT);
                    let task = told.tell(copy, limit);
                    self.worker.supervise(self.incoming.from, task);
                }
                Err(code) => told.report(Err(code), Security::None, None),
            }
        }
    }

    /// A copy on its way to one endpoint of `to`, or why there is none.
    //= HTTPRequestMirrorFilter backendRef: "Mirrored requests must be sent only to a single destination
    //= endpoint within this BackendRef"
    fn copy(
        &self,
        to: &PortRef,
        forward: &Forward<'_>,
        sending: &mut Sending<'_>,
    ) -> Result<Copy, Code> {
        let worker = self.worker;
        if Rc::strong_count(&worker.copying) > MOST {
            return Err(Code::R045);
        }
        let port = self.table.port(to).ok_or(Code::R015)?;
        let now = self.began.mono;
        let picked = worker.pick(port, &Tried::default(), now);
        let picked = picked.map_err(|refusal| refusal.code())?;
        let endpoint = picked.endpoint();
        let hop = self.incoming.hop(self.table, endpoint, endpoint.address);
        let hop = hop.map_err(|refusal| refusal.code())?;
        let id = worker.new_id();
        let Changed {
            host,
            path,
            headers,
        } = forward.copy_changed();
        let changes = RequestChanges {
            host,
            path,
            headers: &headers,
            own: &[],
        };
        let in_http2 = self.goes_in_http2(port.protocol());
        let mut bytes = worker.buffers.lend();
        let told_id = hop.target.tunnel.is_some().then_some(id);
        // Nobody tells a span of a copy: what came is passed on.
        let sent = Sent {
            id: told_id,
            number: 1,
            trace: None,
        };
        let framing = self.head.body;
        let form = match in_http2 {
            true => {
                let head = self.request_in_http2(&sent, &changes).ok_or(Code::R030)?;
                Form::Http2(Box::new(head), framing)
            }
            false => {
                self.write_request(&mut bytes, &sent, &changes);
                Form::Http1
            }
        };
        bytes.extend_from_slice(sending.here());
        let rest = sending.up.as_mut().filter(|up| !up.has_come()).map(|up| {
            let (feed, eater) = feed(&worker.space);
            up.copies().feed(feed);
            eater
        });
        Ok(Copy {
            worker: worker.clone(),
            id,
            target: hop.target.keep(),
            security: hop.security,
            connect_limit: port.tuning().connect_timeout,
            asked: self.head.asked(),
            form,
            bytes,
            rest,
            picked,
            _counted: worker.copying.clone(),
        })
    }

    fn told_of_copy(&self, to: &PortRef) -> Told {
        let request = &self.head.request;
        Told {
            worker: self.worker.clone(),
            table: self.worker.table(),
            incoming: self.incoming.clone(),
            to: to.clone(),
            route: self.told.route.cloned(),
            of: self.id,
            began: self.worker.now(),
            method: request.method.into(),
            host: request.host.into(),
            path: request.path.raw().into(),
        }
    }
}

/// What is told of a copy in the end.
struct Told {
    worker: Rc<Worker>,
    table: Held,
    incoming: Incoming,
    to: PortRef,
    route: Option<Origin>,
    of: CallId,
    began: Now,
    method: Box<str>,
    host: Box<str>,
    path: Box<str>,
}

impl Told {
    /// Carries a copy to its end, and tells of it.
    async fn tell(self, copy: Copy, limit: Duration) {
        let (id, security, address) = (copy.id, copy.security, copy.target.address);
        let worker = self.worker.clone();
        let answered = tokio::select! {
            carried = tokio::time::timeout(limit, copy.carry()) => carried.unwrap_or(Err(Code::R023)),
            () = worker.is_told_to_end() => Err(Code::R041),
        };
        self.report(answered, security, Some((id, address)));
    }

    fn report(
        &self,
        answered: Result<u16, Code>,
        security: Security,
        sent: Option<(CallId, std::net::SocketAddr)>,
    ) {
        let Self {
            worker, incoming, ..
        } = self;
        let PortRef { service, .. } = &self.to;
        let call = Call {
            id: sent.map_or_else(|| worker.new_id(), |(id, _)| id),
            edge: Edge {
                reporter: incoming.way.reporter(),
                source: incoming.source(&self.table),
                destination: Party::Known {
                    namespace: service.namespace.as_str(),
                    name: service.name.as_str(),
                },
                security,
            },
            route: self.route.as_ref(),
            peer: incoming.from,
            endpoint: sent.map(|(_, address)| address),
            began: self.began.wall,
            took: worker.mono().since(self.began.mono),
            method: &self.method,
            host: &self.host,
            path: &self.path,
            status: answered.unwrap_or_default(),
            grpc: None,
            refused: answered.err(),
            tries: sent.is_some().into(),
            copy_of: Some(self.of),
            sent: 0,
            received: 0,
            counted: Bytes::default(),
            traced: None,
            logged: None,
            decided: Decided {
                workload: Some(incoming.way.workload()),
                generation: Some(&self.table.view().generation),
                backend: Some(&self.to),
                ..Decided::default()
            },
        };
        let called = self.table.port(&self.to);
        let report = incoming.report(&self.table, called, self.route.as_ref());
        let logged = telling::of_call(report, &call, None, &Headers::default());
        worker.report(&Event::Call(Call {
            logged: logged.as_ref(),
            ..call
        }));
    }
}

/// One copy on its way.
struct Copy {
    worker: Rc<Worker>,
    id: CallId,
    target: Target,
    security: Security,
    connect_limit: Duration,
    asked: Asked,
    form: Form,
    /// In HTTP/1 its head; and what of its body came with that, as HTTP/1 frames it.
    bytes: Buffer,
    /// Where the rest of its body comes from.
    rest: Option<Eater>,
    picked: Picked,
    _counted: Rc<()>,
}

/// What is spoken to a mirror.
enum Form {
    Http1,
    /// With this head, of a request whose body is framed so in HTTP/1.
    Http2(Box<Request<()>>, BodyFraming),
}

impl Copy {
    /// Sends it, and says with which status it was answered.
    async fn carry(self) -> Result<u16, Code> {
        let answered = self.exchange().await;
        let ended = match answered {
            Ok(500..) | Err(Code::R022 | Code::R024) => Some(Ended::Failed),
            Ok(_) => Some(Ended::Answered),
            Err(Code::R020 | Code::R021 | Code::R025) => Some(Ended::Unreached),
            Err(_) => None,
        };
        if let Some(ended) = ended {
            self.picked.finish(ended, self.worker.mono());
        }
        answered
    }

    async fn exchange(&self) -> Result<u16, Code> {
        if let Form::Http2(head, framing) = &self.form {
            return Box::pin(self.exchange_in_http2(head, *framing)).await;
        }
        let target = self.target.borrowed();
        let mut server = match self.worker.pool.take(&target, self.worker.mono()) {
            Some(server) => server,
            None => {
                let opened = connect(&self.worker, &target, self.id, self.connect_limit).await;
                opened.map_err(|refusal: Refusal| refusal.code())?
            }
        };
        match self.talk(&mut server).await {
            Ok((status, kept)) => {
                if let (Some(kept), false) = (kept, self.worker.is_draining()) {
                    let now = self.worker.mono();
                    self.worker.pool.give(&target, server, kept, now);
                }
                Ok(status)
            }
            Err(code) => {
                server.reset(Some(code));
                Err(code)
            }
        }
    }

    /// Sends it over a connection; says with which status it was answered, and for how
    /// long another request may follow.
    async fn talk(&self, server: &mut Stream) -> Result<(u16, Option<Duration>), Code> {
        let sent = server.write_all(&self.bytes).await;
        sent.map_err(|_broken| Code::R022)?;
        let mut hearing = Hearing {
            bytes: self.worker.buffers.lend(),
            reader: HeadReader::new(Limits::default()),
            asked: self.asked,
        };
        let begun = match &self.rest {
            Some(rest) => hearing.meanwhile(server, rest).await?,
            None => None,
        };
        let whole = begun.is_none();
        let answer = match begun {
            Some(answer) => answer,
            None => hearing.answer(server).await?,
        };
        let kept = match whole {
            true => hearing.drain(server, answer).await?,
            false => None,
        };
        Ok((answer.status, kept))
    }
}

/// What a mirror says.
struct Hearing {
    bytes: Buffer,
    reader: HeadReader,
    asked: Asked,
}

/// The head of its answer.
#[derive(Clone, Copy)]
struct Answer {
    status: u16,
    body: BodyFraming,
    keep_alive: Option<Duration>,
}

impl Hearing {
    /// Sends the rest of a body as it comes; an answer that begins before all of it is sent ends
    /// that.
    async fn meanwhile(
        &mut self,
        server: &mut Stream,
        rest: &Eater,
    ) -> Result<Option<Answer>, Code> {
        let mut sending = Vec::new();
        let mut written = 0;
        poll_fn(|context| {
            loop {
                if let Poll::Ready(read) = server.poll_read_into(context, &mut self.bytes) {
                    let Ok(1..) = read else {
                        return Poll::Ready(Err(Code::R022));
                    };
                    match self.begun()? {
                        Some(answer) => return Poll::Ready(Ok(Some(answer))),
                        None => continue,
                    }
                }
                rest.watch(context).map_err(|_last| Code::R045)?;
                let left = sending.get(written..).unwrap_or_default();
                if !left.is_empty() {
                    let count = ready!(server.poll_write(context, left));
                    written += count.map_err(|_broken| Code::R022)?;
                    continue;
                }
                match ready!(rest.poll_more(context)) {
                    Ok(more) => (sending, written) = (more, 0),
                    Err(Last::End) => return Poll::Ready(Ok(None)),
                    Err(Last::Behind | Last::Cut) => return Poll::Ready(Err(Code::R045)),
                }
            }
        })
        .await
    }

    /// Waits for the head of the answer.
    async fn answer(&mut self, server: &mut Stream) -> Result<Answer, Code> {
        loop {
            if let Some(answer) = self.begun()? {
                return Ok(answer);
            }
            self.more(server).await?;
        }
    }

    /// The head of the answer, if it has come; what stands before it is passed over.
    fn begun(&mut self) -> Result<Option<Answer>, Code> {
        loop {
            let mut fields = Fields::new();
            let head = self.reader.response(&self.bytes, &mut fields, self.asked);
            let Some(head) = head.map_err(|_flaw| Code::R024)? else {
                return Ok(None);
            };
            let is_interim = head.response.is_interim();
            let answer = Answer {
                status: head.response.status,
                body: head.body,
                keep_alive: head.keep_alive,
            };
            let length = head.length;
            drop(fields);
            self.bytes.consume(length);
            if !is_interim {
                return Ok(Some(answer));
            }
        }
    }

    /// Reads the body of the answer; says for how long another request may follow.
    async fn drain(
        &mut self,
        server: &mut Stream,
        answer: Answer,
    ) -> Result<Option<Duration>, Code> {
        match answer.body {
            BodyFraming::UntilClose | BodyFraming::Tunnel => return Ok(None),
            BodyFraming::None | BodyFraming::Length(_) | BodyFraming::Chunked => {}
        }
        let mut body = BodyReader::new(answer.body);
        let mut read = 0;
        while read < MOST_READ {
            let used = body.take(&self.bytes).map_err(|_flaw| Code::R024)?;
            self.bytes.consume(used);
            if body.is_done() {
                return Ok(answer.keep_alive.filter(|_| self.bytes.is_empty()));
            }
            read += used;
            self.more(server).await?;
        }
        Ok(None)
    }

    async fn more(&mut self, server: &mut Stream) -> Result<(), Code> {
        match server.read_into(&mut self.bytes).await {
            Ok(1..) => Ok(()),
            Ok(0) | Err(_) => Err(Code::R022),
        }
    }
}
