//! One question to several proxies, and their answers put together: what a control plane does for
//! those that are connected to it, and a command for those of its host.

mod kept;
mod tap;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

pub use kept::kept;
pub use tap::tap;

use crate::calls::Silent;
use crate::failure::{Failure, NotAsked};
use crate::lines::{ask_in_line, read_answer};
use crate::question::Ask;

/// Begins to answer the question in a line; each line of the answer comes from the channel, as
/// [`answer_in_lines`](crate::answer_in_lines) has it. Needs a runtime around it.
pub type Respondent = Arc<dyn Fn(Vec<u8>) -> mpsc::Receiver<Vec<u8>> + Send + Sync>;

/// A proxy that may be asked.
#[derive(Clone)]
pub struct Asked {
    /// A number that no other one has.
    pub number: u64,
    /// What it calls itself.
    pub name: String,
    /// The way to ask it, or why there is none.
    pub way: Result<Respondent, String>,
}

/// How many proxies are asked one question.
pub const MOST_ASKED: usize = 1000;

/// How long a proxy may take to answer, or to begin with it.
pub const PATIENCE: Duration = Duration::from_secs(3);

/// How long a proxy may take that tries something: a call, a connection.
pub const TRYING: Duration = Duration::from_secs(20);

impl Asked {
    fn silent(&self, why: impl Into<String>) -> Silent {
        Silent {
            proxy: self.name.clone(),
            why: why.into(),
        }
    }
}

/// Asks one proxy, which may take so long.
pub async fn one<Q: Ask>(
    proxy: &Asked,
    question: Q,
    patience: Duration,
) -> Result<Q::Answer, Failure> {
    let refused = |why: &str| Failure::plain(format_args!("{}: {why}", proxy.name));
    let way = proxy.way.as_ref().map_err(|why| refused(why))?;
    let mut lines = way(ask_in_line(question));
    let line = timeout(patience, lines.recv()).await;
    let late = |_| refused(&format!("it has not answered for {patience:?}"));
    let line = line.map_err(late)?;
    match read_answer(&line.ok_or_else(|| refused(HUNG_UP))?) {
        Err(NotAsked::Refused(failure)) => Err(failure),
        answer => answer.map_err(|why| refused(&why.to_string())),
    }
}

/// Those that are asked, and those beyond the bound that are not.
fn bounded(mut proxies: Vec<Asked>) -> (Vec<Asked>, Vec<Silent>) {
    let rest = proxies.split_off(proxies.len().min(MOST_ASKED));
    let why = format!("not asked: {MOST_ASKED} others were");
    let rest = rest.iter().map(|proxy| proxy.silent(&why)).collect();
    (proxies, rest)
}

/// Why there is no answer from a proxy that hung up.
const HUNG_UP: &str = "it has ended, or its connection has";
