//! `leno top`: services or edges as they are at this moment, with keys to sort, to filter, and to look
//! closer.

mod board;

use std::io::{self, Read as _};
use std::time::Duration;

use leno_admin::{By, Carried, Edge, KeptOf, TrafficOf, Wanted, Which};
use leno_model::CallId;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use self::board::{Act, Board, Key};
use crate::arguments::{self, Output, fleet};
use crate::command::asking::Ground;
use crate::command::context::Context;
use crate::command::{Answer, fleet::refused, tap, why};
use crate::render;
use crate::terminal::{Line, Screen, Terminal};

/// What the table sums up, in seconds.
const WINDOW: u64 = 10;

/// How often it is asked again.
const LOOK: Duration = Duration::from_secs(1);

/// How many lines stand around the rows.
const AROUND: usize = 5;

/// Shows the table until it is left; one time where nobody could press a key.
pub(crate) fn run(options: &arguments::Top, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let context = Context::choose(options.context.context.as_deref())?;
    let board = Board::new(if options.services {
        By::Service
    } else {
        By::Edge
    });
    let json = options.context.output == Output::Json;
    let told = match context.ask(question(board.by))? {
        Ok(told) => told,
        Err(failure) => return refused(&failure, json, terminal),
    };
    if json {
        terminal.text(&serde_json::to_string_pretty(&told)?)?;
        return Ok(Answer::Fine);
    }
    if options.once || !terminal.is_live() {
        for line in lines(&board, &told, usize::MAX, false) {
            terminal.line(line)?;
        }
        return Ok(Answer::Fine);
    }
    live(board, &context, options, terminal)
}

fn question(by: By) -> TrafficOf {
    TrafficOf {
        seconds: WINDOW,
        until: None,
        step: None,
        by,
        of: None,
        namespace: String::new(),
    }
}

fn lines(board: &Board, told: &Carried, most: usize, live: bool) -> Vec<Line> {
    let head = render::head(&told.status);
    let head = head.dim(format_args!(" · last {WINDOW} s"));
    let nothing = leno_admin::Traffic::default();
    let traffic = told.steps.last().unwrap_or(&nothing);
    let mut lines = vec![head, Line::new()];
    lines.extend(board.lines(traffic, most, live));
    lines
}

fn live(
    mut board: Board,
    context: &Context,
    options: &arguments::Top,
    terminal: &mut Terminal,
) -> anyhow::Result<Answer> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut hand = runtime.block_on(async { Hand::new() })?;
    loop {
        let screen = terminal.screen()?;
        let (act, chosen) = runtime.block_on(watch(&mut board, context, screen, &mut hand))?;
        match (act, chosen) {
            (Act::Quit, _) => return Ok(Answer::Fine),
            (Act::Why, Some(row)) => tell_why(&row, &runtime, options, terminal)?,
            (Act::Tap, Some(row)) => {
                let tap = tap_of(&row, options, terminal, &mut hand);
                if runtime.block_on(tap)? == Act::Quit {
                    return Ok(Answer::Fine);
                }
                continue;
            }
            _ => continue,
        }
        terminal.line(Line::new().dim("any key goes back"))?;
        let _raw = terminal.raw()?;
        if runtime.block_on(hand.next()).is_none() {
            return Ok(Answer::Fine);
        }
    }
}

/// What whoever looks on does: presses keys, or wants an end.
struct Hand {
    keys: mpsc::UnboundedReceiver<Key>,
    terminate: Signal,
    hang_up: Signal,
}

impl Hand {
    fn new() -> io::Result<Self> {
        Ok(Self {
            keys: keys(),
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// The next key; nothing if it is to end.
    async fn next(&mut self) -> Option<Key> {
        tokio::select! {
            key = self.keys.recv() => key,
            _ = self.terminate.recv() => None,
            _ = self.hang_up.recv() => None,
        }
    }
}

/// Shows the table until a key asks for something else.
async fn watch(
    board: &mut Board,
    context: &Context,
    mut screen: Screen<'_>,
    hand: &mut Hand,
) -> anyhow::Result<(Act, Option<Edge>)> {
    let client = context.client();
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told: Option<Carried> = None;
    let mut trouble = None;
    loop {
        let act = tokio::select! {
            _ = looks.tick() => Act::Ask,
            key = hand.next() => {
                let traffic = told.as_ref().and_then(|told| told.steps.last());
                key.map_or(Act::Quit, |key| board.handle_key(key, traffic))
            }
        };
        match act {
            Act::Ask => match client.ask(question(board.by)).await {
                Ok(answer) => (told, trouble) = (Some(answer), None),
                Err(error) => trouble = Some(error.to_string()),
            },
            Act::Stay => {}
            Act::Why | Act::Tap | Act::Quit => {
                let traffic = told.as_ref().and_then(|told| told.steps.last());
                let chosen = traffic.and_then(|traffic| board.chosen(traffic)).cloned();
                return Ok((act, chosen));
            }
        }
        let most = screen.height().saturating_sub(AROUND);
        let mut shown = match &told {
            Some(told) => lines(board, told, most, true),
            None => Vec::new(),
        };
        if let Some(trouble) = &trouble {
            shown.push(Line::new().bad("! ").plain(trouble));
        }
        shown.extend([Line::new(), board.foot()]);
        screen.show(&shown)?;
    }
}

/// Tells of the newest call of a row that failed.
fn tell_why(
    row: &Edge,
    runtime: &tokio::runtime::Runtime,
    options: &arguments::Top,
    terminal: &mut Terminal,
) -> anyhow::Result<()> {
    let which = Which {
        failed: true,
        from: Some(row.from.clone()).filter(|from| !from.is_empty()),
        to: Some(row.to.clone()),
        ..Which::default()
    };
    let wanted = Wanted::Last { count: 1, which };
    let kept = runtime.block_on(async {
        let ground = Ground::choose(options.context.context.as_deref()).await?;
        ground.kept(KeptOf { wanted }).await
    })?;
    let newest = kept
        .ok()
        .and_then(|kept| kept.calls.into_iter().next_back());
    let Some(newest) = newest.filter(|call| CallId::parse(call.id.as_bytes()).is_some()) else {
        let line = Line::new().good("no call is kept that failed there  ");
        terminal.line(line.dim(format_args!("{} → {}", row.from, row.to)))?;
        return Ok(());
    };
    let context = fleet::Context {
        context: options.context.context.clone(),
        output: Output::Text,
    };
    why::happened::run(&newest.id, &context, terminal)?;
    Ok(())
}

/// Shows the calls of a row as they happen, until a key goes back or all is to end.
async fn tap_of(
    row: &Edge,
    options: &arguments::Top,
    terminal: &mut Terminal,
    hand: &mut Hand,
) -> anyhow::Result<Act> {
    let which = Which {
        from: Some(row.from.clone()).filter(|from| !from.is_empty()),
        to: Some(row.to.clone()),
        ..Which::default()
    };
    terminal.line(Line::new().dim("any key goes back"))?;
    let _raw = terminal.raw()?;
    tokio::select! {
        shown = tap::show(which, options.context.context.as_deref(), terminal) => {
            shown.map(|()| Act::Stay)
        }
        key = hand.next() => Ok(key.map_or(Act::Quit, |_| Act::Stay)),
    }
}

/// The keys that are pressed from here on.
fn keys() -> mpsc::UnboundedReceiver<Key> {
    let (press, pressed) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        let mut bytes = [0; 64];
        let mut input = io::stdin();
        while let Ok(count @ 1..) = input.read(&mut bytes) {
            for key in read(&bytes[..count]) {
                if press.send(key).is_err() {
                    return;
                }
            }
        }
    });
    pressed
}

/// The keys that a terminal sent at once. An escape alone is the key, else the begin of another.
fn read(bytes: &[u8]) -> Vec<Key> {
    match bytes {
        [0x1b] => return vec![Key::Escape],
        [0x1b, b'[' | b'O', b'A', ..] => return vec![Key::Up],
        [0x1b, b'[' | b'O', b'B', ..] => return vec![Key::Down],
        [0x1b, ..] => return Vec::new(),
        _ => {}
    }
    let text = String::from_utf8_lossy(bytes);
    let keys = text.chars().filter_map(|letter| match letter {
        '\r' | '\n' => Some(Key::Enter),
        '\x03' => Some(Key::Interrupt),
        '\x08' | '\x7f' => Some(Key::Back),
        letter if letter.is_control() => None,
        letter => Some(Key::Letter(letter)),
    });
    keys.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_sends_reads_as_keys() {
        use Key::{Back, Down, Enter, Escape, Interrupt, Letter, Up};
        for (bytes, keys) in [
            (&b"q"[..], vec![Letter('q')]),
            (b"/a\r", vec![Letter('/'), Letter('a'), Enter]),
            (b"\x1b", vec![Escape]),
            (b"\x1b[A", vec![Up]),
            (b"\x1bOB", vec![Down]),
            (b"\x1b[31~", vec![]),
            (b"\x7f\x03", vec![Back, Interrupt]),
        ] {
            assert_eq!(read(bytes), keys, "{bytes:?}");
        }
    }
}
