//! What a proxy tells on its standard output of those who ask it by its socket: who looked at single calls,
//! or had one tried, and which users may not ask.

use std::convert::Infallible;
use std::sync::Arc;

use leno_admin::{Asker, Audit, Pace, Question};
use leno_model::Code;
use leno_proxy::Clocks;
use tokio::sync::mpsc;

/// Hears of who asks. A clone is the same.
#[derive(Clone)]
pub(crate) struct Doorkeeper(Arc<Telling>);

struct Telling {
    clocks: Clocks,
    looks: Pace<u32>,
    refusals: Pace<u32>,
    lines: mpsc::Sender<String>,
}

/// How many of each kind are told of in a minute: more are only counted.
const MOST: u32 = 60;

/// How many lines wait at most to be told.
const QUEUE: usize = 256;

impl Doorkeeper {
    /// Beside it, the lines that are to be told.
    pub(crate) fn new(clocks: Clocks) -> (Self, mpsc::Receiver<String>) {
        let (lines, told) = mpsc::channel(QUEUE);
        let telling = Telling {
            clocks,
            looks: Pace::new(MOST),
            refusals: Pace::new(MOST),
            lines,
        };
        (Self(Arc::new(telling)), told)
    }

    /// Somebody asks this and is answered.
    pub(crate) fn asks(&self, asker: &Asker, question: &Question) {
        let about = match question.needs().audit {
            Audit::No => return,
            Audit::Before(about) | Audit::After(about) => about,
        };
        let Asker::User(user) = asker else {
            return;
        };
        let what = format!("user {user} asks: {} {about}", question.word());
        self.tell(&self.0.looks, *user, what.trim_end());
    }

    /// A user asks who may not.
    pub(crate) fn refuses(&self, user: u32) {
        let (code, slug) = (Code::S016, Code::S016.slug());
        let what = format!("{code} {slug}: user {user} asks, and may not");
        self.tell(&self.0.refusals, user, &what);
    }

    fn tell(&self, pace: &Pace<u32>, user: u32, what: &str) {
        let now = self.0.clocks.now().wall;
        let Ok(()) = pace.keep(&user, now, |passed| {
            let line = match passed {
                0 => what.to_owned(),
                more => format!("{what} (and {more} more before, only counted)"),
            };
            // Where so many wait, or nobody listens any more, there is nobody to tell.
            drop(self.0.lines.try_send(line));
            Ok::<_, Infallible>(())
        });
    }
}
