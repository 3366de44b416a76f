//! Asking the node's proxy: a line to its socket, a line back, within a time.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::message::MOST;
use crate::{Answer, Options, Question};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum NotAsked {
    /// Nobody is there, or whoever was has gone.
    #[error("nobody answers at {socket}: {why}", socket = socket.display())]
    Away {
        /// The socket.
        socket: PathBuf,
        /// What the system says.
        why: io::Error,
    },
    /// Somebody is there, and says nothing.
    #[error("whoever is at {socket} says nothing within {seconds} s", socket = socket.display())]
    Silent {
        /// The socket.
        socket: PathBuf,
        /// For how long it was waited.
        seconds: u32,
    },
    /// What it says cannot be understood.
    #[error("what {socket} answers cannot be understood: {why}", socket = socket.display())]
    Misread {
        /// The socket.
        socket: PathBuf,
        /// Why.
        why: String,
    },
}

/// How often whoever is just being replaced is tried again, and after what pause.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(200);

/// Asks, and waits for the answer for as long as the options say.
pub fn ask(options: &Options, question: &Question) -> Result<Answer, NotAsked> {
    let mut line = serde_json::to_vec(question).expect("texts and addresses are JSON");
    line.push(b'\n');
    let socket = options.socket.clone();
    let (tell, told) = mpsc::channel();
    // A thread of its own, for even connecting may take as long as it likes. It ends with the process.
    thread::spawn({
        let socket = socket.clone();
        // Whoever waited may be gone.
        move || tell.send(tried(&socket, &line)).ok()
    });
    let seconds = options.timeout_seconds;
    let answer = told.recv_timeout(Duration::from_secs(seconds.into()));
    let answer = match answer {
        Ok(Ok(answer)) => answer,
        Ok(Err(why)) => return Err(NotAsked::Away { socket, why }),
        Err(_) => return Err(NotAsked::Silent { socket, seconds }),
    };
    serde_json::from_slice(&answer).map_err(|why| NotAsked::Misread {
        socket,
        why: why.to_string(),
    })
}

/// A line back. Where nobody is there, or hangs up, one who takes that one's place may answer in a moment.
fn tried(socket: &Path, line: &[u8]) -> io::Result<Vec<u8>> {
    let mut tries = 1..TRIES;
    loop {
        let why = match once(socket, line) {
            Ok(answer) => return Ok(answer),
            Err(why) => why,
        };
        if tries.next().is_none() {
            return Err(why);
        }
        thread::park_timeout(PAUSE);
    }
}

fn once(socket: &Path, line: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(socket)?;
    stream.write_all(line)?;
    let most = u64::try_from(MOST).unwrap_or(u64::MAX);
    let mut answer = Vec::new();
    BufReader::new(stream.take(most)).read_until(b'\n', &mut answer)?;
    match answer.last() {
        None => Err(ErrorKind::UnexpectedEof.into()),
        Some(_) => Ok(answer),
    }
}
