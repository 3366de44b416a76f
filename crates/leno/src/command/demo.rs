//! `leno demo`: a small shop of real services as a mesh, and what its calls look like.

use std::time::Duration;

use leno_proxy::Clocks;
use time::UtcOffset;
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;

use super::explicit::{blocker, print_cause};
use super::up::{not_up, until_told};
use crate::arguments::{Demo, Shop};
use crate::command::Answer;
use crate::dashboard::Page;
use crate::demo::{Folder, Story, Total, Words};
use crate::terminal::{Line, Terminal};
use crate::up::{Place, Server, Source, Up};

/// How often it is looked what happened.
const LOOK: Duration = Duration::from_millis(100);

/// How often the traffic is shown to somebody who looks on, and in lines that stay.
const LIVE: Duration = Duration::from_secs(1);
const PLAIN: Duration = Duration::from_secs(10);

/// Runs the shop until Ctrl-C, or for as long as the options say.
pub(crate) fn run(options: &Demo, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let folder = Folder::make()?;
    // Known only while there is one thread.
    let offset = UtcOffset::current_local_offset().unwrap_or(UtcOffset::UTC);
    let blocker = blocker();
    if let Some(blocker) = &blocker {
        print_cause(blocker, terminal)?;
        terminal.line(
            "    In force  the demo goes on without capture; leno up says what to do about it",
        )?;
        terminal.gap()?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let local = LocalSet::new();
    let telling = tell(&folder, offset, blocker.is_some(), options.limit, terminal);
    let told = local.block_on(&runtime, telling);
    runtime.shutdown_background();
    match told {
        Ok(answer) => Ok(answer),
        Err(error) => not_up(error, terminal),
    }
}

/// Runs one program of the shop until it is ended.
pub(crate) fn run_shop(options: &Shop) -> anyhow::Result<Answer> {
    options.face.run()?;
    Ok(Answer::Fine)
}

async fn tell(
    folder: &Folder,
    offset: UtcOffset,
    is_explicit: bool,
    limit: Option<Duration>,
    terminal: &mut Terminal,
) -> anyhow::Result<Answer> {
    let clocks = Clocks::start();
    let now = || clocks.now().mono;
    let mut show = tokio::time::interval(if terminal.is_live() { LIVE } else { PLAIN });
    let mut look = tokio::time::interval(LOOK);

    let source = Source::read(folder.path())?;
    let place = Place::of(folder.path())?;
    let (tell, mut news) = mpsc::unbounded_channel();
    // Nobody listens any more once the story is over.
    let mut up = Up::begin(source, place.clone(), move |told| drop(tell.send(told)))?;
    let page = Page::of(&mut up, None)?;
    let words = Words {
        folder: folder.path().display().to_string(),
        page: page.link(Line::new().dim("  Page").column(9, 1)),
        offset,
    };
    if is_explicit {
        up = up.explicitly(Vec::new());
    }
    tokio::task::spawn_local(Server::open(&place)?.run(up.inbox()));
    let mut story = Story::begin(&up, words, now(), terminal)?;

    let mut over = std::pin::pin!(tokio::time::sleep(limit.unwrap_or(Duration::MAX)));
    let mut told_to_end = std::pin::pin!(until_told()?);
    let (end, ended) = oneshot::channel();
    let mut running = std::pin::pin!(up.run(async { drop(ended.await) }));
    loop {
        tokio::select! {
            // Somebody may have said `leno down`.
            ran = &mut running => {
                ran?;
                return Ok(answer(story.end(now())?));
            }
            () = &mut over => break,
            () = &mut told_to_end => break,
            Some(told) = news.recv() => story.handle(told, now())?,
            _ = look.tick() => story.look(now())?,
            _ = show.tick() => story.show_traffic(now())?,
        }
    }
    let total = story.end(now())?;
    end.send(()).expect("who waits for it is here");
    running.await?;
    Ok(answer(total))
}

/// A mesh is for calls between those who have proven themselves.
fn answer(total: Total) -> Answer {
    match total.mtls {
        0 => Answer::Bad,
        _ => Answer::Fine,
    }
}
