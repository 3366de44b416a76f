//! Whether the other end of a connection of HTTP/2 still lives: who says nothing for long while streams are
//! open is sent a PING (RFC 9113 section 6.7), and must answer.

use std::future::{pending, poll_fn};
use std::time::Duration;

use h2::{Ping, PingPong};
use tokio::time::{sleep, timeout};

use crate::coalesce::Turns;

/// After how long a silence another proxy is asked, or a client.
pub(crate) const SILENCE: Duration = Duration::from_secs(60);

/// The same of a server. Those of gRPC close a connection on which they are asked more often than every
/// five minutes while nothing moves (gRPC A8, client-side keepalive).
pub(crate) const SILENCE_OF_SERVER: Duration = Duration::from_secs(310);

/// How long whoever is asked may take to answer.
const ANSWER: Duration = Duration::from_secs(20);

/// Waits until the other end was silent for `silence` and did not answer a PING either; says for how long.
/// A connection that is not used may be silent. To be polled with the connection that `pings` belong to,
/// whose writer has `turns`.
pub(crate) async fn stops<S>(
    pings: Option<PingPong>,
    turns: &Turns<S>,
    silence: Duration,
    is_used: impl Fn() -> bool,
) -> Duration {
    let Some(mut pings) = pings else {
        return pending().await;
    };
    loop {
        sleep(silence).await;
        if turns.take_heard() || !is_used() {
            continue;
        }
        // One that is still on its way is as good as another.
        drop(pings.send_ping(Ping::opaque()));
        let answered = timeout(ANSWER, poll_fn(|context| pings.poll_pong(context))).await;
        match answered {
            Ok(Ok(_pong)) => {}
            // The connection is over, and whoever runs it knows.
            Ok(Err(_)) => return pending().await,
            Err(_late) if turns.take_heard() => {}
            Err(_late) => return silence + ANSWER,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::io::{DuplexStream, duplex};

    use super::*;
    use crate::buffer::Buffers;
    use crate::coalesce::coalesce;
    use crate::room::tests::places;

    /// What becomes of a connection to `other` within an hour; streams are open on it or not.
    async fn within_an_hour(
        is_used: bool,
        other: impl AsyncFnOnce(DuplexStream),
    ) -> Option<Duration> {
        let (ours, theirs) = duplex(64 * 1024);
        let (ours, turns) = coalesce(ours, Buffers::new(usize::MAX, places(0)), Duration::MAX);
        let client = async {
            let shaken = turns.of(h2::client::handshake(ours)).await;
            let (_requests, mut connection) = shaken.unwrap();
            let pings = connection.ping_pong();
            let stops = stops(pings, &turns, SILENCE, || is_used);
            let living = async {
                tokio::select! {
                    _ = connection => None,
                    silent = stops => Some(silent),
                }
            };
            turns.of(living).await
        };
        tokio::select! {
            ended = client => ended,
            () = other(theirs) => None,
            () = sleep(Duration::from_secs(3600)) => None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_answer_is_given_up() {
        let deaf = async |_theirs| pending().await;
        let expect = Some(SILENCE + ANSWER);
        assert_eq!(within_an_hour(true, deaf).await, expect);
        assert_eq!(within_an_hour(false, deaf).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn who_answers_lives_on() {
        let lived = Cell::new(false);
        let answers = async |theirs| {
            let mut server = h2::server::handshake(theirs).await.unwrap();
            lived.set(true);
            assert!(server.accept().await.is_none());
        };
        assert_eq!(within_an_hour(true, answers).await, None);
        assert!(lived.get());
    }
}
