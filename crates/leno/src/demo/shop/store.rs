//! The store: numbers under names. It speaks lines over TCP: `GET name` and `ADD name number`, each
//! answered by the number that stands there then.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Where the store listens.
const PORT: u16 = 6400;

/// Keeps numbers in memory, as long as it runs.
pub(super) fn serve() -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, super::own_port(PORT)))?;
    let numbers = Arc::new(Mutex::new(BTreeMap::new()));
    loop {
        if let Ok((stream, _)) = listener.accept() {
            let numbers = numbers.clone();
            thread::spawn(move || converse(stream, &numbers));
        }
    }
}

type Numbers = BTreeMap<String, i64>;

fn converse(mut stream: TcpStream, numbers: &Mutex<Numbers>) -> io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?);
    loop {
        let mut line = String::new();
        lines.by_ref().take(LONGEST_LINE).read_line(&mut line)?;
        if !line.ends_with('\n') {
            return Ok(());
        }
        let mut numbers = lock(numbers);
        let answer = obey(&line, &mut numbers);
        drop(numbers);
        stream.write_all(answer.as_bytes())?;
    }
}

/// Does what one line says, and answers in one.
fn obey(line: &str, numbers: &mut Numbers) -> String {
    let words: Vec<_> = line.split_whitespace().collect();
    match words[..] {
        ["GET", name] => format!("{}\n", numbers.get(name).copied().unwrap_or(0)),
        ["ADD", name, number] => {
            let Ok(number) = number.parse::<i64>() else {
                return format!("ERROR {number} is no number\n");
            };
            if numbers.len() >= MOST_NAMES && !numbers.contains_key(name) {
                return "ERROR the store is full\n".to_owned();
            }
            let held = numbers.entry(name.to_owned()).or_default();
            *held = held.saturating_add(number);
            format!("{held}\n")
        }
        _ => "ERROR say GET name, or ADD name number\n".to_owned(),
    }
}

/// What stands under `name`.
pub(super) fn get(name: &str) -> io::Result<i64> {
    ask(&format!("GET {name}\n"))
}

/// Adds to what stands under `name`, and says what stands there then.
pub(super) fn add(name: &str, number: i64) -> io::Result<i64> {
    ask(&format!("ADD {name} {number}\n"))
}

/// Asks over a connection that was kept, if there is one that is still open. What failed is not
/// asked again: it may have been done.
fn ask(line: &str) -> io::Result<i64> {
    let kept = lock(&IDLE).pop();
    let mut stream = match kept.filter(is_open) {
        Some(stream) => stream,
        None => connect()?,
    };
    stream.get_mut().write_all(line.as_bytes())?;
    let mut answer = String::new();
    stream.by_ref().take(LONGEST_LINE).read_line(&mut answer)?;
    let answer = answer.trim_end();
    let number = answer.parse();
    let number = number.map_err(|_| io::Error::other(format!("the store says {answer:?}")))?;
    let mut idle = lock(&IDLE);
    if idle.len() < MOST_IDLE {
        idle.push(stream);
    }
    Ok(number)
}

fn connect() -> io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(super::address_of("store", PORT))?;
    stream.set_read_timeout(Some(super::http::PATIENCE))?;
    Ok(BufReader::new(stream))
}

/// Whether the store has neither closed it nor spoken out of turn.
fn is_open(stream: &BufReader<TcpStream>) -> bool {
    let stream = stream.get_ref();
    let peek = || {
        stream.set_nonblocking(true)?;
        let peeked = stream.peek(&mut [0]);
        stream.set_nonblocking(false)?;
        peeked
    };
    peek().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

/// Connections to the store that nobody uses just now.
static IDLE: Mutex<Vec<BufReader<TcpStream>>> = Mutex::new(Vec::new());

/// More than there are calls at once.
const MOST_IDLE: usize = 16;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// In bytes.
const LONGEST_LINE: u64 = 1024;

const MOST_NAMES: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_under_names() {
        let mut numbers = Numbers::new();
        let mut check = |line: &str, expect: &str| {
            assert_eq!(obey(line, &mut numbers), format!("{expect}\n"), "{line}");
        };
        check("GET sold/loom\n", "0");
        check("ADD sold/loom 2\r\n", "2");
        check("ADD sold/loom -1\n", "1");
        check("GET sold/loom\n", "1");
        check("ADD sold/loom many\n", "ERROR many is no number");
        check("ADD sold/loom 9223372036854775807\n", "9223372036854775807");
        check("DEL sold/loom\n", "ERROR say GET name, or ADD name number");
    }
}
