//! A question in HTTP/2, of gRPC or not, and the whole answer.

use std::future::poll_fn;

use ::http::uri::{Authority, PathAndQuery, Scheme, Uri};
use ::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, uri};
use bytes::Bytes;
use leno_authorizer::{
    Answer, Garbled, HttpQuestion, LARGEST_MESSAGE, PATH, read_framed, read_http, too_long,
};
use leno_model::CallId;
use leno_protocol::grpc;

use crate::aim::Hop;
use crate::http::Why;
use crate::http::authorize::ask::{Asking, Failed, Form};
use crate::http::http2::shared::Connection;
use crate::http::relay::give::poll_room;
use crate::http::server::{Called, Server};

impl Asking<'_> {
    pub(super) async fn ask_in_http2(
        &self,
        hop: &Hop<'_>,
        head: &Request<()>,
        body: &Bytes,
    ) -> Result<Answer, Failed> {
        let (worker, target) = (self.worker, &hop.target);
        let (mut head, body) = (head.clone(), body.clone());
        let id = HeaderValue::from_bytes(&self.id.digits());
        if let (true, Ok(id)) = (target.tunnel.is_some(), id) {
            head.headers_mut().insert(CallId::HEADER, id);
        }
        // A server may have closed a connection that lay idle: such a question was not heard.
        if let Some(open) = worker.shared.open_to(target, worker.mono()) {
            match self.call(open, head.clone(), body.clone()).await {
                Err(Failed::Broken) => {}
                heard => return heard,
            }
        }
        let limit = self.connect_limit();
        let opened = worker.shared.connect(target, self.id, limit, worker).await;
        let opened = opened.map_err(|why| Failed::Unreached(why.to_string().into()))?;
        self.call(opened, head, body).await
    }

    async fn call(
        &self,
        connection: Connection,
        head: Request<()>,
        body: Bytes,
    ) -> Result<Answer, Failed> {
        let called = connection.send(head, body.is_empty());
        let mut called = called.map_err(|_ended| Failed::Broken)?;
        let heard = async {
            send(&mut called, body).await?;
            hear(&mut called).await
        };
        match heard.await {
            Ok(heard) => Ok(self.read(heard)?),
            Err(failed) => {
                Server::Http2(called).reset(Why::Gone);
                Err(failed)
            }
        }
    }

    fn read(&self, heard: Heard) -> Result<Answer, Garbled> {
        let Heard {
            status,
            headers,
            body,
            trailers,
        } = heard;
        if !self.is_by_grpc() {
            let headers = headers.iter();
            let headers = headers.map(|(name, value)| (name.as_str(), value.as_bytes()));
            return read_http(status, headers, body);
        }
        if status != 200 {
            return Err(Garbled::Status(status));
        }
        let said = trailers.get(grpc::STATUS).or(headers.get(grpc::STATUS));
        match said.and_then(|value| grpc::status_in(value.as_bytes())) {
            Some(0) => read_framed(&body),
            Some(failed) => Err(Garbled::Grpc(failed)),
            None => Err(Garbled::Unreadable),
        }
    }
}

/// A question by HTTP; `None` if HTTP/2 cannot say it.
pub(super) fn by_http(question: HttpQuestion) -> Option<Form> {
    let method = Method::from_bytes(question.method.as_bytes()).ok()?;
    let mut head = head(method, &question.host, &question.target)?;
    for (name, value) in &question.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        let value = HeaderValue::from_bytes(value).ok()?;
        head.headers_mut().try_append(name, value).ok()?;
    }
    Some(Form::Http2(head, question.body.into()))
}

/// A question by gRPC to who is named so: one message, framed.
pub(super) fn by_grpc(host: &str, message: Vec<u8>) -> Option<Form> {
    let mut head = head(Method::POST, host, PATH)?;
    for (name, value) in [("content-type", grpc::CONTENT_TYPE), ("te", "trailers")] {
        head.headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    Some(Form::Http2(head, message.into()))
}

fn head(method: Method, host: &str, path: &str) -> Option<Request<()>> {
    let mut parts = uri::Parts::default();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(Authority::try_from(host).ok()?);
    parts.path_and_query = Some(PathAndQuery::try_from(path).ok()?);
    let mut head = Request::new(());
    *head.method_mut() = method;
    *head.uri_mut() = Uri::from_parts(parts).ok()?;
    Some(head)
}

/// An answer.
struct Heard {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
    trailers: HeaderMap,
}

async fn send(called: &mut Called, mut body: Bytes) -> Result<(), Failed> {
    let up = called.up();
    while !body.is_empty() {
        let room = poll_fn(|context| poll_room(context, up, body.len())).await;
        let room = room.map_err(|_broken| Failed::Broken)?;
        let part = body.split_to(room.min(body.len()));
        let is_last = body.is_empty();
        let sent = up.send_data(part, is_last);
        sent.map_err(|_broken| Failed::Broken)?;
    }
    Ok(())
}

async fn hear(called: &mut Called) -> Result<Heard, Failed> {
    let head = loop {
        let head = poll_fn(|context| called.poll_head(context)).await;
        let head = head.map_err(|_broken| Failed::Broken)?;
        if !head.status().is_informational() {
            break head;
        }
    };
    let mut heard = Heard {
        status: head.status().as_u16(),
        headers: head.into_parts().0.headers,
        body: Vec::new(),
        trailers: HeaderMap::new(),
    };
    let Some(down) = called.down() else {
        return Ok(heard);
    };
    while let Some(data) = down.data().await {
        let data = data.map_err(|_broken| Failed::Broken)?;
        if heard.body.len() + data.len() > LARGEST_MESSAGE {
            return Err(too_long(heard.status).into());
        }
        heard.body.extend_from_slice(&data);
        // A stream that has ended needs no window.
        drop(down.flow_control().release_capacity(data.len()));
    }
    let trailers = down.trailers().await.map_err(|_broken| Failed::Broken)?;
    heard.trailers = trailers.unwrap_or_default();
    Ok(heard)
}
