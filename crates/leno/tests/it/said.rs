//! Programs that are waited for, and never for longer than a minute: one that hangs fails its test.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, ExitStatus};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);
const STEP: Duration = Duration::from_millis(20);

/// What a program says, line by line.
pub(crate) struct Said(Receiver<String>);

impl Said {
    /// From here on.
    pub(crate) fn by(out: impl Read + Send + 'static) -> Self {
        let (said, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if said.send(line).is_err() {
                    return;
                }
            }
        });
        Self(lines)
    }

    /// The next line; `None` when it has closed its mouth.
    pub(crate) fn next(&self) -> Option<String> {
        match self.0.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("nothing was said for {PATIENCE:?}"),
        }
    }
}

/// Asks until the answer is yes: what is asked for should come at once.
pub(crate) fn until(mut is_so: impl FnMut() -> bool) {
    let mut left = PATIENCE;
    while !is_so() {
        let waits = left.checked_sub(STEP);
        left = waits.expect("what the test waits for should have come long ago");
        pause();
    }
}

/// How a program ended, once it has.
pub(crate) fn ended(child: &mut Child) -> ExitStatus {
    let mut status = None;
    until(|| {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    status.unwrap()
}

#[expect(
    clippy::disallowed_methods,
    reason = "other processes have no clock that could be set"
)]
fn pause() {
    thread::sleep(STEP);
}
