//! Tells the control plane what is wrong that costs no call, on a call that this proxy holds open.

use leno_channel::grpc::{Line, Status};
use leno_telemetry::export::{News, Trouble};
use leno_wire::call;
use leno_wire::troubles::{self, Troubles};

/// Tells what is wrong and each change of it, for as long as the connection lasts; an older control
/// plane hears none of it.
pub(super) async fn tell(line: Line, news: News) {
    // Why it ended is told by the connection that ends with it.
    drop(tell_each(&line, news).await);
}

async fn tell_each(line: &Line, mut news: News) -> Result<(), Status> {
    let (mut sender, mut incoming) = line.call(call::TROUBLES).await?;
    incoming.begun().await?;
    loop {
        let wrong = news.next().await.into_iter().map(worded);
        let wrong = Troubles(wrong.take(Troubles::MOST).collect());
        sender.send(&wrong.encode()).await?;
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
