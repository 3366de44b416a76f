//! The ends of a conversation: a client, a second one beside it, and the server that they want to reach.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use leno_e2e::{until, within};
use socket2::SockRef;

use crate::told;

/// How long what is expected may take; only a conversation that goes wrong waits for so long.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long nothing comes when all has come, for recording what a conversation is.
const QUIET: Duration = Duration::from_millis(300);

/// Who takes part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Who {
    Client,
    /// An honest client beside the first one.
    Victim,
    Server,
}

impl Who {
    pub(crate) const ALL: [Self; 3] = [Self::Client, Self::Victim, Self::Server];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Victim => "victim",
            Self::Server => "server",
        }
    }
}

/// Where clients connect to and where the server listens, with all of their connections.
#[derive(Debug)]
pub struct Stage {
    to: SocketAddr,
    listener: TcpListener,
    connections: Vec<Connection>,
}

#[derive(Debug)]
struct Connection {
    who: Who,
    stream: TcpStream,
    /// What came and was not asked for yet.
    came: Vec<u8>,
    /// How it ended, once it was read up to there.
    end: Option<&'static str>,
    /// Whether it was told of already, and its end.
    told: bool,
    over: bool,
    /// Whether something came since something was sent.
    waits: bool,
}

impl Stage {
    /// Of clients that connect to one address, where a proxy listens, and a server at the other.
    pub(crate) fn new(to: SocketAddr, server: SocketAddr) -> Self {
        let listener = until("a free address", || TcpListener::bind(server).ok());
        listener.set_nonblocking(true).expect("a socket can be so");
        Self {
            to,
            listener,
            connections: Vec::new(),
        }
    }

    /// Closes every connection, so that the next conversation begins with none. Of a request that waits for
    /// its answer the client goes first, and takes it along: nobody is to try it again.
    pub(crate) fn clear(&mut self) {
        for who in [Who::Client, Who::Victim] {
            self.break_off(who);
        }
        within(PATIENCE, || {
            self.read();
            let waits = |one: &Connection| one.waits && one.end.is_none();
            (!self.connections.iter().any(waits)).then_some(())
        });
        self.connections.clear();
    }

    /// Sends bytes. That the other end has closed is found out by what it gets.
    pub(crate) fn send(&mut self, who: Who, mut bytes: &[u8]) {
        self.arrive(who);
        within(PATIENCE, || {
            // Whoever is sent a lot may have something to say before it reads on.
            self.read();
            let connection = self.last(who)?;
            connection.waits = false;
            match connection.stream.write(bytes) {
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(_) => return Some(()),
            }
            bytes.is_empty().then_some(())
        });
    }

    /// Says that nothing more will be sent.
    pub(crate) fn end(&mut self, who: Who) {
        self.arrive(who);
        if let Some(connection) = self.last(who) {
            drop(connection.stream.shutdown(Shutdown::Write));
        }
    }

    /// Closes a connection.
    pub(crate) fn close(&mut self, who: Who) {
        drop(self.take(who));
    }

    /// Closes a connection so that the other end sees a failure.
    pub(crate) fn break_off(&mut self, who: Who) {
        if let Some(Connection { stream, .. }) = self.take(who) {
            let set = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
            set.expect("the option can be set");
        }
    }

    fn take(&mut self, who: Who) -> Option<Connection> {
        let is_last = |connection: &Connection| connection.who == who;
        let last = self.connections.iter().rposition(is_last)?;
        Some(self.connections.remove(last))
    }

    /// What has come at one end since it was asked last: waits until it is what is `expected`, or, to
    /// record it, until nothing more comes.
    pub(crate) fn gets(&mut self, who: Who, expected: Option<&[String]>) -> Vec<String> {
        let patience = expected.map_or(QUIET, |_| PATIENCE);
        within(patience, || {
            self.read();
            (Some(self.told(who).as_slice()) == expected).then_some(())
        });
        let told = self.told(who);
        for connection in self.connections.iter_mut().filter(|one| one.who == who) {
            connection.came.clear();
            connection.told = true;
            connection.over = connection.end.is_some();
        }
        told
    }

    /// What has come at one end and was not asked for. How a connection ends that nobody asks about is
    /// its own affair.
    pub(crate) fn left(&mut self, who: Who) -> Vec<String> {
        self.read();
        let of_them = self.connections.iter().filter(|one| one.who == who);
        let came = of_them.filter(|one| !one.came.is_empty());
        came.flat_map(|one| told::lines(&one.came)).collect()
    }

    /// Everything that came at one end, in words.
    fn told(&self, who: Who) -> Vec<String> {
        let mut lines = Vec::new();
        for connection in self.connections.iter().filter(|one| one.who == who) {
            if !connection.told && !lines.is_empty() {
                lines.push("(another connection)".to_owned());
            }
            lines.extend(told::lines(&connection.came));
            let end = connection.end.filter(|_| !connection.over);
            lines.extend(end.map(str::to_owned));
        }
        lines
    }

    /// Makes sure that there is a connection of one end: a client opens one, a server waits for it.
    fn arrive(&mut self, who: Who) {
        if self.last(who).is_none() && who != Who::Server {
            let stream = TcpStream::connect(self.to).expect("the proxy listens");
            self.enter(who, stream);
        }
        let arrived = within(PATIENCE, || {
            self.read();
            self.last(who).map(drop)
        });
        assert!(arrived.is_some(), "nobody has come to the server");
    }

    /// The connection that one end used last.
    fn last(&mut self, who: Who) -> Option<&mut Connection> {
        let mut last = self.connections.iter_mut().rev();
        last.find(|connection| connection.who == who)
    }

    fn enter(&mut self, who: Who, stream: TcpStream) {
        stream.set_nodelay(true).expect("the option can be set");
        stream.set_nonblocking(true).expect("a socket can be so");
        self.connections.push(Connection {
            who,
            stream,
            came: Vec::new(),
            end: None,
            told: false,
            over: false,
            waits: false,
        });
    }

    /// Takes what has come at all ends.
    fn read(&mut self) {
        while let Ok((stream, _)) = self.listener.accept() {
            self.enter(Who::Server, stream);
        }
        for connection in &mut self.connections {
            connection.read();
        }
    }
}

impl Connection {
    fn read(&mut self) {
        let mut bytes = [0; 16 * 1024];
        while self.end.is_none() {
            match self.stream.read(&mut bytes) {
                Ok(0) => self.end = Some("(closed)"),
                Ok(count) => {
                    self.came.extend(bytes.iter().take(count));
                    self.waits = self.who == Who::Server;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => self.end = Some("(cut)"),
            }
        }
    }
}
