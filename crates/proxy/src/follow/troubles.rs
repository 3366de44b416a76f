//! Tells the control plane what is wrong that costs no call, on a call that this proxy holds open.

use leno_channel::grpc::{Line, Status};
use leno_telemetry::export::{News, Trouble};
use leno_wire::call;
use leno_wire::troubles::{self, Troubles};
use tokio::sync::watch;

use crate::follow::time::Wrong;

/// Tells what is wrong with the host's clocks, and with what is sent to a collector if `news` says so, and each change of it,
/// for as long as the connection lasts; an older control plane hears none of it.
pub(super) async fn tell(line: Line, news: Option<News>, clocks: watch::Receiver<Wrong>) {
    // Why it ended is told by the connection that ends with it.
    drop(tell_each(&line, news, clocks).await);
}

async fn tell_each(
    line: &Line,
    mut news: Option<News>,
    mut clocks: watch::Receiver<Wrong>,
) -> Result<(), Status> {
    let (mut sender, mut incoming) = line.call(call::TROUBLES).await?;
    incoming.begun().await?;
    clocks.mark_changed();
    let mut not_sent = Vec::new();
    loop {
        tokio::select! {
            told = next_of(&mut news) => not_sent = told,
            Ok(()) = clocks.changed() => {}
        }
        let of_clocks: Vec<_> = clocks.borrow_and_update().troubles().collect();
        let wrong = of_clocks.into_iter();
        let wrong = wrong.chain(not_sent.iter().cloned().map(worded));
        let wrong = Troubles(wrong.take(Troubles::MOST).collect());
        sender.send(&wrong.encode()).await?;
    }
}

/// What a collector does not get, if there is anybody who sends to one; pending otherwise.
async fn next_of(news: &mut Option<News>) -> Vec<Trouble> {
    match news {
        Some(news) => news.next().await,
        None => std::future::pending().await,
    }
}

fn worded(trouble: Trouble) -> troubles::Trouble {
    let Trouble {
        code,
        endpoint,
        mut why,
        since,
    } = trouble;
    why.truncate(why.floor_char_boundary(Troubles::LONGEST_TEXT));
    troubles::Trouble {
        code,
        about: endpoint,
        why,
        since,
    }
}
