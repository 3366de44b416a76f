//! What the other end of a connection of HTTP/2 says of itself before it says anything else, which is waited
//! for only by who must know it (RFC 9113 section 3.4).

use std::pin::pin;
use std::rc::Rc;

use bytes::Bytes;
use h2::client::{Builder, Connection, SendRequest};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

/// How many streams there may be as long as nobody has said how many: more than anybody can say.
const NOT_TOLD: usize = usize::MAX - 1;

/// Whether the other end has told its settings.
#[derive(Clone)]
pub(crate) struct Settings(Rc<watch::Receiver<bool>>);

impl Settings {
    /// Whether it can be asked for another protocol than HTTP (RFC 8441 section 3), by such requests.
    pub(crate) async fn offer_protocols(&self, requests: &SendRequest<Bytes>) -> bool {
        self.are_told().await && requests.is_extended_connect_protocol_enabled()
    }

    /// Waits until they are told; `false` if the connection ends before.
    async fn are_told(&self) -> bool {
        let mut told = watch::Receiver::clone(&self.0);
        told.wait_for(|told| *told).await.is_ok()
    }
}

/// Lets it be seen of the connections that `builder` makes whether their settings are told.
pub(crate) fn untold(builder: &mut Builder) -> &mut Builder {
    builder.initial_max_send_streams(NOT_TOLD)
}

/// What runs `connection`, and sees when its settings are told.
pub(crate) fn see<S>(
    connection: Connection<S>,
) -> (Settings, impl Future<Output = Result<(), h2::Error>>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (tell, told) = watch::channel(false);
    let running = async move {
        let (mut connection, mut tell) = (pin!(connection), Some(tell));
        std::future::poll_fn(|context| {
            let polled = connection.as_mut().poll(context);
            let is_told = |_: &mut _| connection.max_concurrent_send_streams() != NOT_TOLD;
            if let Some(tell) = tell.take_if(is_told) {
                tell.send_replace(true);
            }
            polled
        })
        .await
    };
    (Settings(Rc::new(told)), running)
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;
    use tokio::task::{LocalSet, spawn_local};

    use super::*;

    /// Whether settings are told, and whether they offer extended CONNECT.
    async fn check(speak: Option<&h2::server::Builder>) -> (bool, bool) {
        let (near, far) = duplex(1 << 16);
        let shaken = untold(&mut Builder::new()).handshake::<_, Bytes>(near);
        let (requests, connection) = shaken.await.unwrap();
        let (settings, running) = see(connection);
        spawn_local(running);
        match speak {
            Some(speak) => {
                let server = speak.handshake::<_, Bytes>(far);
                spawn_local(async move { server.await.unwrap().accept().await.is_some() });
            }
            None => drop(far),
        }
        let told = settings.are_told().await;
        (told, requests.is_extended_connect_protocol_enabled())
    }

    #[tokio::test]
    async fn they_are_known_as_soon_as_they_are_told() {
        let checks = async {
            let mut offering = h2::server::Builder::new();
            offering.enable_connect_protocol();
            let mut counting = h2::server::Builder::new();
            counting.max_concurrent_streams(u32::MAX);
            let plain = h2::server::Builder::new();
            for (speak, expect) in [
                (Some(&offering), (true, true)),
                (Some(&counting), (true, false)),
                (Some(&plain), (true, false)),
                (None, (false, false)),
            ] {
                assert_eq!(check(speak).await, expect);
            }
        };
        LocalSet::new().run_until(checks).await;
    }
}
