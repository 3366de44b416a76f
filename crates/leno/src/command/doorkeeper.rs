//! What a proxy tells, on its standard output and to its control plane, of those who ask it by its socket: who
//! looked at single calls, or had one tried, and which users may not ask.

use std::convert::Infallible;
use std::sync::Arc;

use leno_admin::{Asker, Audit, Pace, Question};
use leno_model::Code;
use leno_proxy::Clocks;
use leno_proxy::follow::Looks;
use leno_wire::looks::Look;
use tokio::sync::mpsc;

/// Hears of who asks. A clone is the same.
#[derive(Clone)]
pub(crate) struct Doorkeeper(Arc<Telling>);

struct Telling {
    clocks: Clocks,
    looks: Pace<u32>,
    refusals: Pace<u32>,
    lines: mpsc::Sender<String>,
    /// Told too, if there is a control plane.
    control: Option<Looks>,
}

/// How many of each kind are told of in a minute: more are only counted.
const MOST: u32 = 60;

/// How many lines wait at most to be told.
const QUEUE: usize = 256;

impl Doorkeeper {
    /// Beside it, the lines that are to be told.
    pub(crate) fn new(clocks: Clocks, control: Option<Looks>) -> (Self, mpsc::Receiver<String>) {
        let (lines, told) = mpsc::channel(QUEUE);
        let telling = Telling {
            clocks,
            looks: Pace::new(MOST),
            refusals: Pace::new(MOST),
            lines,
            control,
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
        let word = question.word();
        let line = format!("user {user} asks: {word} {about}");
        let look = self.look(*user, &word, &about);
        self.tell(&self.0.looks, line.trim_end(), look);
    }

    /// A user asks who may not.
    pub(crate) fn refuses(&self, user: u32) {
        let (code, slug) = (Code::S016, Code::S016.slug());
        let line = format!("{code} {slug}: user {user} asks, and may not");
        let look = Look {
            is_refused: true,
            ..self.look(user, "ask", "")
        };
        self.tell(&self.0.refusals, &line, look);
    }

    fn look(&self, user: u32, what: &str, about: &str) -> Look {
        Look {
            at: self.0.clocks.now().wall,
            user,
            what: what.to_owned(),
            about: about.to_owned(),
            is_refused: false,
            before: 0,
        }
    }

    fn tell(&self, pace: &Pace<u32>, line: &str, look: Look) {
        let Ok(()) = pace.keep(&look.user, look.at, look.before, |before| {
            let line = match before {
                0 => line.to_owned(),
                more => format!("{line} (and {more} more before, only counted)"),
            };
            // Where so many wait, or nobody listens any more, there is nobody to tell.
            drop(self.0.lines.try_send(line));
            if let Some(control) = &self.0.control {
                control.tell(Look {
                    before,
                    ..look.clone()
                });
            }
            Ok::<_, Infallible>(())
        });
    }
}
