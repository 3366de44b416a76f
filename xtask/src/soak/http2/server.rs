//! The application over HTTP/2.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Weak},
    thread::Scope,
};

use bytes::Bytes;
use h2::{
    Reason,
    server::{Builder, SendResponse},
};
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Notify,
    time::sleep,
};

use crate::{
    chance::Chance,
    soak::{
        errand::{Errand, ServerDoes},
        http2::{TRAILER, next, runtime, send},
        scene::Scene,
        server::PIECE,
    },
};

/// Takes connections in a thread until all is over; where it does.
pub(in crate::soak) fn serve<'scope>(
    scene: &Arc<Scene>,
    scope: &'scope Scope<'scope, '_>,
    at: SocketAddr,
) -> io::Result<SocketAddr> {
    let runtime = runtime()?;
    let listener = runtime.block_on(TcpListener::bind(at))?;
    let at = listener.local_addr()?;
    let scene = Arc::clone(scene);
    scope.spawn(move || {
        // Held by each stream that is being served.
        let busy = Arc::new(());
        runtime.block_on(async {
            while !scene.is_over() {
                tokio::select! {
                    accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                        tokio::spawn(connection(Arc::clone(&scene), stream, Arc::downgrade(&busy)));
                    },
                    () = sleep(PIECE) => {}
                }
            }
            while Arc::strong_count(&busy) > 1 {
                sleep(PIECE).await;
            }
            // What was given last goes out.
            sleep(PIECE * 5).await;
        });
    });
    Ok(at)
}

/// Serves the streams of a connection, and waits until its client has closed it: closing it with something
/// unread would reset it, and what was answered last would be lost.
async fn connection(scene: Arc<Scene>, stream: TcpStream, busy: Weak<()>) -> io::Result<()> {
    let stream = stream.into_std()?;
    let rest = TcpStream::from_std(stream.try_clone()?)?;
    streams(scene, TcpStream::from_std(stream)?, busy).await;
    loop {
        rest.readable().await?;
        match rest.try_read(&mut [0; 512]) {
            Ok(0) => return Ok(()),
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            Ok(_) | Err(_) => {}
        }
    }
}

/// Serves the streams of a connection; whoever calls is told by what he gets.
async fn streams(scene: Arc<Scene>, stream: TcpStream, busy: Weak<()>) {
    let Ok(mut connection) = Builder::new()
        .max_concurrent_streams(200)
        .handshake::<_, Bytes>(stream)
        .await
    else {
        return;
    };
    let last = Arc::new(Notify::new());
    loop {
        let accepted = tokio::select! {
            accepted = connection.accept() => accepted,
            () = last.notified() => {
                connection.graceful_shutdown();
                continue;
            }
        };
        let Some(Ok((request, respond))) = accepted else {
            return;
        };
        let (scene, last) = (Arc::clone(&scene), Arc::clone(&last));
        let busy = busy.upgrade();
        tokio::spawn(async move {
            let _busy = busy;
            // A client that has gone is told nothing.
            drop(stream_of(&scene, request, respond, &last).await);
        });
    }
}

async fn stream_of(
    scene: &Scene,
    request: Request<h2::RecvStream>,
    mut respond: SendResponse<Bytes>,
    last: &Notify,
) -> Result<(), h2::Error> {
    let Some(errand) = Errand::read(request.uri().path()) else {
        respond.send_reset(Reason::REFUSED_STREAM);
        return Ok(());
    };
    let change = request.headers().get("x-change").cloned();
    let mut come = request.into_body();
    let mut body = Vec::new();
    while let Some(bytes) = next(&mut come).await {
        body.extend_from_slice(&bytes?);
    }
    let intact = body == errand.request_body();
    scene.ledger.done(errand.id, intact);
    if let Some(change) = change.as_ref().and_then(|change| change.to_str().ok()) {
        scene.meet(change);
    }
    if errand.server == ServerDoes::Vanish {
        respond.send_reset(Reason::INTERNAL_ERROR);
        return Ok(());
    }
    let mut stream = respond.send_response(Response::new(()), false)?;
    let mut body = Bytes::from(errand.answer_body());
    match errand.server {
        ServerDoes::Break => {
            let half = body.split_to(body.len() / 2);
            send(&mut stream, half, false).await?;
            stream.send_reset(Reason::INTERNAL_ERROR);
            return Ok(());
        }
        ServerDoes::Trickle => {
            let mut chance = Chance::new(!errand.id);
            while !scene.is_over() {
                let piece = chance.next().to_le_bytes();
                send(&mut stream, Bytes::copy_from_slice(&piece), false).await?;
                sleep(PIECE).await;
            }
        }
        ServerDoes::AnswerLast => {
            last.notify_one();
            send(&mut stream, body, false).await?;
        }
        ServerDoes::Answer | ServerDoes::AnswerAndVanish | ServerDoes::Vanish => {
            send(&mut stream, body, false).await?;
        }
    }
    if !errand.chunked {
        return stream.send_data(Bytes::new(), true);
    }
    let mut trailers = HeaderMap::new();
    trailers.insert(TRAILER, HeaderValue::from(errand.id));
    stream.send_trailers(trailers)
}
