//! Clients of ours: one that asks and waits, and many that ask when it is time, answered or not.

use std::{
    error::Error,
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    thread,
    time::Duration,
};

use crate::chance::Chance;
use crate::rig::process::{Core, now, pause};

/// Sends one request over `connection` and gives the body of the answer, which is a 200.
pub(super) fn ask(connection: &mut TcpStream) -> io::Result<String> {
    connection.write_all(b"GET / HTTP/1.1\r\nhost: cart\r\n\r\n")?;
    let mut answer = Vec::new();
    let mut some = [0; 4096];
    let body = loop {
        let count = connection.read(&mut some)?;
        answer.extend_from_slice(some.get(..count).unwrap_or_default());
        if let Some(body) = body(&answer) {
            break body;
        }
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    };
    if !answer.starts_with(b"HTTP/1.1 200 ") {
        return Err(io::Error::other(
            String::from_utf8_lossy(&answer).into_owned(),
        ));
    }
    Ok(body)
}

/// The body of an answer with a `Content-Length`, once it has come whole.
fn body(answer: &[u8]) -> Option<String> {
    let (head, body) = length(answer)?;
    let body = answer.get(head..head + body)?;
    Some(String::from_utf8_lossy(body).into_owned())
}

/// How long the head of an answer is, once it has come whole, and the body by its `Content-Length`.
pub(super) fn length(answer: &[u8]) -> Option<(usize, usize)> {
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let head = str::from_utf8(answer.get(..end)?).ok()?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then_some(value)
    })?;
    Some((end + 4, length.trim().parse().ok()?))
}

/// Opens a connection on which nothing is waited for without end.
pub(super) fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let connection = TcpStream::connect(address)?;
    connection.set_nodelay(true)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    Ok(connection)
}

/// Calls that begin when it is time, over connections that take turns. One that is not answered yet
/// makes the next on its connection wait, and the wait counts: it is what a caller would have seen
/// who came at that time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// How many calls are begun in a second, on average; the time between two is left to chance, as
    /// of callers who know nothing of each other.
    pub(super) rate: u32,
    pub(super) connections: usize,
    pub(super) seconds: u32,
}

impl Pace {
    /// Makes the calls; how long each took since its time had come, in order.
    pub(super) fn calls(&self, address: SocketAddr) -> Result<Latencies, Box<dyn Error>> {
        let mut connections = Vec::new();
        for _ in 0..self.connections {
            let mut connection = connect(address)?;
            ask(&mut connection)?;
            connections.push(connection);
        }
        let mut times = vec![Vec::new(); self.connections];
        for (place, time) in self.times().into_iter().enumerate() {
            if let Some(times) = times.get_mut(place % self.connections) {
                times.push(time);
            }
        }
        let begin = now();
        let client = |mut connection: TcpStream, times: Vec<Duration>| {
            Core::Other.pin()?;
            let mut took = Vec::with_capacity(times.len());
            for time in times {
                if let Some(early) = time.checked_sub(begin.elapsed()) {
                    pause(early);
                }
                ask(&mut connection)?;
                took.push(begin.elapsed().saturating_sub(time));
            }
            io::Result::Ok(took)
        };
        let all = thread::scope(|scope| {
            let clients = connections.into_iter().zip(times);
            let clients =
                clients.map(|(connection, times)| scope.spawn(|| client(connection, times)));
            let clients: Vec<_> = clients.collect();
            let ends = clients.into_iter().map(|client| {
                client
                    .join()
                    .map_err(|_| "a client has panicked")?
                    .map_err(Into::into)
            });
            ends.collect::<Result<Vec<_>, Box<dyn Error>>>()
        })?;
        let mut all = all.concat();
        all.sort_unstable();
        Ok(Latencies(all))
    }

    /// When each call is due, counted from the beginning; always the same.
    fn times(&self) -> Vec<Duration> {
        let mut chance = Chance::new(0);
        let mut at = READY;
        let mut times = Vec::new();
        loop {
            at -= chance.share().ln() / f64::from(self.rate);
            if at >= READY + f64::from(self.seconds) {
                return times;
            }
            times.push(Duration::from_secs_f64(at));
        }
    }
}

/// How long calls took, the shortest first.
pub(super) struct Latencies(Vec<Duration>);

impl Latencies {
    /// How many calls there were.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// The time within which this share of the calls was answered, in microseconds.
    pub(super) fn micros(&self, share: f64) -> f64 {
        let rank = (share * self.0.len() as f64).ceil() as usize;
        let found = self.0.get(rank.saturating_sub(1));
        found.map_or(f64::NAN, |took| took.as_secs_f64() * 1e6)
    }
}

/// How long a call may take; then something is wrong that no figure tells.
const PATIENCE: Duration = Duration::from_secs(10);

/// Until when all clients have begun, in seconds.
const READY: f64 = 0.05;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_come_at_their_rate_and_always_alike() {
        let pace = Pace {
            rate: 1000,
            connections: 1,
            seconds: 10,
        };
        let times = pace.times();
        assert!(times.is_sorted());
        assert!((9_700..10_300).contains(&times.len()), "{}", times.len());
        assert_eq!(times, pace.times());
    }

    #[test]
    fn a_share_of_calls_is_answered_within() {
        let took = (1..=200).map(Duration::from_micros);
        let latencies = Latencies(took.collect());
        assert_eq!(latencies.micros(0.5), 100.0);
        assert_eq!(latencies.micros(0.99), 198.0);
        assert_eq!(latencies.micros(1.0), 200.0);
    }

    #[test]
    fn an_answer_is_whole_with_its_body() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        assert_eq!(body(answer).as_deref(), Some("ok"));
        assert_eq!(body(&answer[..answer.len() - 1]), None);
        assert_eq!(body(&answer[..20]), None);
    }
}
