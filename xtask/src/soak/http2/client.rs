//! A client over HTTP/2: several errands at once on one connection, which is opened anew when the proxy
//! lets it go.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use h2::{Reason, client::SendRequest};
use http::{Method, Request};
use tokio::{
    net::TcpStream,
    sync::Mutex,
    time::{sleep, timeout},
};

use crate::{
    chance::Chance,
    soak::{
        errand::{ClientDoes, Errand, Over, ServerDoes},
        http2::{TRAILER, next, runtime, send},
        ledger::Told,
        scene::Scene,
    },
};

/// Runs errands until it is enough, with ids from `first` on, and beside them one that lives as long.
pub(in crate::soak) fn errands(
    scene: &Arc<Scene>,
    at: SocketAddr,
    first: u64,
    seed: u64,
    long: Errand,
) -> io::Result<()> {
    let client = Arc::new(Client {
        scene: Arc::clone(scene),
        at,
        kept: Mutex::new(None),
    });
    let ids = Arc::new(AtomicU64::new(first));
    runtime()?.block_on(async {
        let mut running = Vec::new();
        for place in 0..AT_ONCE {
            let (client, ids) = (Arc::clone(&client), Arc::clone(&ids));
            let mut chance = Chance::new(seed ^ first ^ place);
            running.push(tokio::spawn(async move {
                while !client.scene.is_enough() {
                    let id = ids.fetch_add(1, Ordering::Relaxed);
                    let errand = Errand::next(id, Over::Http2, &mut chance);
                    client.run(&errand).await;
                    sleep(Duration::from_micros(chance.below(16_000))).await;
                }
            }));
        }
        running.push(tokio::spawn(async move { client.run(&long).await }));
        for errands in running {
            errands.await.map_err(io::Error::other)?;
        }
        Ok(())
    })
}

/// One client of a proxy.
struct Client {
    scene: Arc<Scene>,
    /// Where the proxy takes calls.
    at: SocketAddr,
    /// The connection that takes the next errand.
    kept: Mutex<Option<SendRequest<Bytes>>>,
}

impl Client {
    /// Runs an errand to its end.
    async fn run(&self, errand: &Errand) {
        self.scene.ledger.begin(*errand);
        let told = match errand.server {
            ServerDoes::Trickle => Ok(self.request(errand).await),
            _ => timeout(PATIENCE, self.request(errand)).await,
        };
        let told = match told {
            Ok(Ok(told)) => told,
            // An answer that fails before it begins is none.
            Ok(Err(error)) => Told::Nothing(error.to_string()),
            Err(_) => Told::Hung,
        };
        self.scene.ledger.told(errand.id, told);
    }

    /// Asks, and once more where the proxy says that nobody has heard it.
    async fn request(&self, errand: &Errand) -> Result<Told, h2::Error> {
        for _ in 0..TRIES {
            match self.once(errand).await {
                Err(error) if is_unheard(&error) => {}
                told => return told,
            }
        }
        Ok(Told::Failed("refused by the proxy".to_owned()))
    }

    async fn once(&self, errand: &Errand) -> Result<Told, h2::Error> {
        let mut connection = self.connection().await?;
        let mut request = Request::new(());
        if errand.up > 0 {
            *request.method_mut() = Method::POST;
        }
        let target = format!("http://cart{}", errand.target());
        *request.uri_mut() = target.parse().expect("a target of digits and slashes");
        let (answer, mut stream) = connection.send_request(request, errand.up == 0)?;
        let mut body = Bytes::from(errand.request_body());
        if errand.client == ClientDoes::Break {
            send(&mut stream, body.split_to(errand.up / 2), false).await?;
            stream.send_reset(Reason::CANCEL);
            return Ok(Told::Left);
        }
        if errand.up > 0 {
            // A proxy may answer before it has read everything.
            drop(send(&mut stream, body, true).await);
        }
        if errand.client == ClientDoes::Vanish {
            stream.send_reset(Reason::CANCEL);
            return Ok(Told::Left);
        }
        let (head, mut come) = answer.await?.into_parts();
        if head.status != 200 {
            let code = head.headers.get("leno-error");
            let code = code.and_then(|code| code.to_str().ok()?.split(';').next());
            let (status, code) = (head.status.as_u16(), code.unwrap_or("without a code"));
            return Ok(Told::Failed(format!("{status} {code}")));
        }
        let mut body = Vec::new();
        while let Some(bytes) = next(&mut come).await {
            match bytes {
                Ok(bytes) => body.extend_from_slice(&bytes),
                Err(error) => {
                    let so_far = body.len();
                    return Ok(Told::Broken(format!("{error} after {so_far}")));
                }
            }
            if errand.client == ClientDoes::Leave {
                stream.send_reset(Reason::CANCEL);
                return Ok(Told::Left);
            }
        }
        let trailers = match come.trailers().await {
            Ok(trailers) => trailers,
            Err(error) => return Ok(Told::Broken(format!("{error} in the trailers"))),
        };
        let end = trailers.as_ref().and_then(|trailers| trailers.get(TRAILER));
        let end = end.and_then(|id| id.to_str().ok()?.parse().ok());
        let whole = end == errand.chunked.then_some(errand.id) && errand.is_answer(&body);
        Ok(match whole {
            true => Told::Done,
            false => Told::Other(format!("{} bytes, {end:?} behind them", body.len())),
        })
    }

    /// The connection that is kept, or another if that has ended.
    async fn connection(&self) -> Result<SendRequest<Bytes>, h2::Error> {
        let mut kept = self.kept.lock().await;
        if let Some(connection) = kept.take()
            && let Ok(ready) = connection.ready().await
        {
            return Ok(kept.insert(ready).clone());
        }
        // A proxy that cannot be reached tells nothing either.
        let stream = TcpStream::connect(self.at).await;
        let stream = stream.map_err(|_| Reason::CONNECT_ERROR)?;
        let (sender, connection) = h2::client::handshake(stream).await?;
        // What ends it is told by its streams.
        tokio::spawn(async move { drop(connection.await) });
        Ok(kept.insert(sender.ready().await?).clone())
    }
}

/// Whether the proxy says that it has not looked at the request.
//= RFC 9113 section 8.7: "Requests that have not been processed have not failed; clients MAY
//= automatically retry them"
fn is_unheard(error: &h2::Error) -> bool {
    error.reason() == Some(Reason::REFUSED_STREAM)
        || error.is_go_away() && error.reason() == Some(Reason::NO_ERROR)
}

/// How many errands a client has at once.
const AT_ONCE: u64 = 8;

/// How often a request is sent that nobody has heard.
const TRIES: usize = 3;

/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(20);
