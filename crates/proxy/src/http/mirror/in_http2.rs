//! A copy for a mirror that is spoken to in HTTP/2.

use std::future::poll_fn;
use std::mem;

use ::http::Request;
use bytes::Bytes;
use leno_model::Code;
use leno_protocol::{BodyFraming, BodyReader};
use leno_traffic::Refusal;

use crate::copies::Last;
use crate::http::Why;
use crate::http::mirror::{Copy, MOST_READ};
use crate::http::relay::framed::{Gathered, trailers_of};
use crate::http::relay::give::poll_room;
use crate::http::server::{Called, Server};

impl Copy {
    /// Sends it; says with which status it was answered.
    pub(super) async fn exchange_in_http2(
        &self,
        head: &Request<()>,
        framing: BodyFraming,
    ) -> Result<u16, Code> {
        let worker = &self.worker;
        let target = self.target.borrowed();
        let connection = match worker.shared.open_to(&target, worker.mono()) {
            Some(open) => open,
            None => {
                let (id, limit) = (self.id, self.connect_limit);
                let opened = worker.shared.connect(&target, id, limit, worker).await;
                opened.map_err(|refusal: Refusal| refusal.code())?
            }
        };
        let ended = framing == BodyFraming::None;
        let called = connection.send(head.clone(), ended);
        let mut called = called.map_err(|_ended| Code::R022)?;
        let answered = match ended {
            true => hear(&mut called).await,
            false => match self.send_body(&mut called, framing).await {
                Ok(()) => hear(&mut called).await,
                Err(code) => Err(code),
            },
        };
        if let Err(code) = answered {
            Server::Http2(called).reset(Why::For(code));
        }
        answered
    }

    /// Sends what came with the head, and the rest as it comes.
    async fn send_body(&self, called: &mut Called, framing: BodyFraming) -> Result<(), Code> {
        let mut reader = BodyReader::new(framing);
        let mut gathered = Gathered::default();
        let mut bytes = self.bytes.to_vec();
        let up = called.up();
        loop {
            let read = gathered.add(&mut reader, &bytes);
            read.map_err(|_flaw| Code::R037)?;
            let mut content = Bytes::from(mem::take(&mut gathered.content));
            while !content.is_empty() {
                let room = poll_fn(|context| poll_room(context, up, content.len())).await;
                let room = room.map_err(|_broken| Code::R022)?;
                let part = content.split_to(room.min(content.len()));
                up.send_data(part, false).map_err(|_broken| Code::R022)?;
            }
            if reader.is_done() {
                break;
            }
            let Some(rest) = &self.rest else { break };
            match poll_fn(|context| rest.poll_more(context)).await {
                Ok(more) => bytes = more,
                Err(Last::End) => break,
                Err(Last::Behind | Last::Cut) => return Err(Code::R045),
            }
        }
        let ended = match &*gathered.lines {
            [] => up.send_data(Bytes::new(), true),
            lines => up.send_trailers(trailers_of(lines)),
        };
        ended.map_err(|_broken| Code::R022)
    }
}

/// Reads an answer, of its body as much as is worth it; says with which status it came.
async fn hear(called: &mut Called) -> Result<u16, Code> {
    let status = loop {
        let head = poll_fn(|context| called.poll_head(context)).await;
        let status = head.map_err(|_broken| Code::R022)?.status();
        if !status.is_informational() {
            break status.as_u16();
        }
    };
    let Some(down) = called.down() else {
        return Ok(status);
    };
    let mut read = 0;
    while let Some(data) = down.data().await {
        let data = data.map_err(|_broken| Code::R022)?;
        // A stream that has ended needs no window.
        drop(down.flow_control().release_capacity(data.len()));
        read += data.len();
        if read > MOST_READ {
            break;
        }
    }
    Ok(status)
}
