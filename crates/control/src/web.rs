//! Port 15012 for those who speak HTTP/1.1 and prove nothing: other trust domains get our bundle there, and the API
//! server of the followed cluster asks what pods are to get, and whether objects may be changed. One question a connection.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Collected, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use leno_kubernetes::{Misfit, OTHER, Placement};
use leno_model::Namespace;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use crate::center::Center;
use crate::{inject, published, validate};

/// How long somebody may take for the question, and for taking the answer.
const LIMIT: Duration = Duration::from_secs(10);

/// How long the question itself may take to come. The API server sends it at once.
const READ: Duration = Duration::from_secs(3);

/// The longest question: etcd takes objects of one and a half MiB.
const LONGEST: usize = 2 << 20;

/// An answer.
pub(crate) type Said = Response<Full<Bytes>>;

/// Answers one question of anybody, and ends the connection.
pub(crate) async fn serve<S>(center: Arc<Center>, stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let answer = service_fn(move |asked| {
        let center = Arc::clone(&center);
        async move { Ok::<_, Infallible>(answer(center, asked).await) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), answer);
    // Whoever is slow or has gone needs no answer.
    drop(timeout(LIMIT, serving).await);
}

async fn answer(center: Arc<Center>, asked: Request<Incoming>) -> Said {
    match (asked.method(), asked.uri().path()) {
        (&Method::GET, published::PATH) => blocking(move || published::told(&center)).await,
        (&Method::POST, path) if center.validate.is(path) => {
            match all_of(asked.into_body(), validate::LONGEST).await {
                Ok(body) => reviewed(validate::review(&center, &body).await),
                Err(why) => why,
            }
        }
        (&Method::POST, OTHER) => review_others(&center, asked.into_body()).await,
        (&Method::POST, path) => match Placement::asked_at(path) {
            Some(placement) => review(&center, placement, asked.into_body()).await,
            None => nothing(),
        },
        _ => nothing(),
    }
}

fn nothing() -> Said {
    words(StatusCode::NOT_FOUND, "there is /bundle")
}

/// What the API server is answered about a pod that names another control plane.
async fn review_others(center: &Center, body: Incoming) -> Said {
    match all_of(body, LONGEST).await {
        Ok(body) => reviewed(inject::review_others(center, &body)),
        Err(why) => why,
    }
}

/// What the API server is answered about a pod.
async fn review(center: &Center, placement: Placement, body: Incoming) -> Said {
    let Some(injection) = inject::injection(center) else {
        return words(
            StatusCode::NOT_FOUND,
            "this control plane adds nothing to pods",
        );
    };
    let around = |namespace: &Namespace| inject::around(center, namespace);
    match all_of(body, LONGEST).await {
        Ok(body) => reviewed(injection.review(placement, around, &body)),
        Err(why) => why,
    }
}

/// What is asked, if it is no longer than that and comes soon: else what to answer.
async fn all_of(body: Incoming, longest: usize) -> Result<Bytes, Said> {
    let body = timeout(READ, Limited::new(body, longest).collect()).await;
    let body =
        body.map_err(|_| words(StatusCode::REQUEST_TIMEOUT, "the question takes too long"))?;
    let too_long = |_| words(StatusCode::PAYLOAD_TOO_LARGE, "the question is too long");
    body.map(Collected::to_bytes).map_err(too_long)
}

fn reviewed(review: Result<Vec<u8>, Misfit>) -> Said {
    match review {
        Ok(review) => json(review),
        Err(why) => words(StatusCode::BAD_REQUEST, &why.to_string()),
    }
}

async fn blocking(answer: impl FnOnce() -> Said + Send + 'static) -> Said {
    let answered = tokio::task::spawn_blocking(answer).await;
    answered.unwrap_or_else(|_| words(StatusCode::INTERNAL_SERVER_ERROR, "the answer failed"))
}

/// A document of JSON.
pub(crate) fn json(document: Vec<u8>) -> Said {
    said(StatusCode::OK, "application/json", document)
}

/// Words for people.
pub(crate) fn words(status: StatusCode, words: &str) -> Said {
    let line = format!("{words}\n");
    said(status, "text/plain; charset=utf-8", line.into_bytes())
}

fn said(status: StatusCode, kind: &'static str, body: Vec<u8>) -> Said {
    let mut said = Response::new(Full::from(body));
    *said.status_mut() = status;
    let kind = http::HeaderValue::from_static(kind);
    said.headers_mut().insert(CONTENT_TYPE, kind);
    said
}
