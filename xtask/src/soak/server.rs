//! The application behind the proxies: it does with each errand what the errand says, and writes down
//! what it got.

use std::{
    io::{self, BufRead as _, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    thread::Scope,
    time::Duration,
};

use crate::{
    chance::Chance,
    rig::process::pause,
    soak::{
        errand::{Errand, Over, ServerDoes},
        message::{Connection, as_chunk, framed},
        scene::Scene,
    },
};

/// Takes connections, each with a thread of its own, until all is over; where it does.
pub(super) fn serve<'scope>(
    scene: &'scope Scene,
    scope: &'scope Scope<'scope, '_>,
    at: SocketAddr,
    over: Over,
) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(at)?;
    let at = listener.local_addr()?;
    // Nobody waits for what comes after the end.
    listener.set_nonblocking(true)?;
    scope.spawn(move || {
        while !scene.is_over() {
            let Ok((stream, _)) = listener.accept() else {
                pause(Duration::from_millis(1));
                continue;
            };
            let server = Server { scene };
            // Whoever calls is told by what he gets; one that has gone is told nothing.
            scope.spawn(move || drop(server.connection(stream, over)));
        }
    });
    Ok(at)
}

/// The server of one connection.
struct Server<'a> {
    scene: &'a Scene,
}

impl Server<'_> {
    fn connection(&self, stream: TcpStream, over: Over) -> io::Result<()> {
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        let stream = Patient {
            stream,
            scene: self.scene,
        };
        match over {
            Over::Http | Over::Http2 => self.requests(Connection::new(stream)),
            Over::Bytes => self.bytes(stream),
        }
    }

    fn requests(&self, mut connection: Connection<Patient<'_>>) -> io::Result<()> {
        while !self.scene.is_over() {
            let Some(head) = connection.head()? else {
                return Ok(());
            };
            let target = head.line.split(' ').nth(1).and_then(Errand::read);
            let errand = target.ok_or_else(|| io::Error::other("no errand"))?;
            let body = connection.body(&head)?;
            self.scene
                .ledger
                .done(errand.id, body == errand.request_body());
            if let Some(change) = head.field("x-change") {
                self.scene.meet(change);
            }
            if !self.answer(&mut connection, &errand)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Does what the errand says; whether the connection goes on.
    fn answer(
        &self,
        connection: &mut Connection<Patient<'_>>,
        errand: &Errand,
    ) -> io::Result<bool> {
        let body = errand.answer_body();
        let ok = "HTTP/1.1 200 OK\r\n";
        match errand.server {
            ServerDoes::Answer => {
                connection.write(&framed(ok, &body, errand.chunked))?;
                return Ok(true);
            }
            ServerDoes::AnswerAndVanish => {
                connection.write(&framed(ok, &body, errand.chunked))?;
            }
            ServerDoes::AnswerLast => {
                let last = format!("{ok}connection: close\r\n");
                connection.write(&framed(&last, &body, errand.chunked))?;
            }
            ServerDoes::Vanish => {}
            ServerDoes::Break => {
                let whole = framed(ok, &body, errand.chunked);
                let lost = body.len() / 2 + 1;
                connection.write(whole.get(..whole.len() - lost).unwrap_or_default())?;
            }
            ServerDoes::Trickle => {
                connection.write(format!("{ok}transfer-encoding: chunked\r\n\r\n").as_bytes())?;
                self.trickle(errand, |piece| connection.write(&as_chunk(piece)))?;
                connection.write(&as_chunk(b""))?;
            }
        }
        Ok(false)
    }

    fn bytes(&self, mut stream: Patient<'_>) -> io::Result<()> {
        let mut come = BufReader::new(&mut stream);
        let mut line = String::new();
        come.read_line(&mut line)?;
        let errand = Errand::read(line.trim_end()).ok_or_else(|| io::Error::other("no errand"))?;
        let mut body = Vec::new();
        come.read_to_end(&mut body)?;
        if body.len() < errand.up {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.scene
            .ledger
            .done(errand.id, body == errand.request_body());
        let answer = errand.answer_body();
        match errand.server {
            ServerDoes::Answer | ServerDoes::AnswerLast | ServerDoes::AnswerAndVanish => {
                stream.write_all(&answer)?;
            }
            ServerDoes::Vanish => {}
            ServerDoes::Break => {
                stream.write_all(answer.get(..answer.len() / 2).unwrap_or_default())?;
            }
            ServerDoes::Trickle => self.trickle(&errand, |piece| stream.write_all(piece))?,
        }
        stream.stream.shutdown(Shutdown::Write)
    }

    /// Gives what follows from the errand, a piece at a time, until all is over.
    fn trickle(
        &self,
        errand: &Errand,
        mut give: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut chance = Chance::new(!errand.id);
        while !self.scene.is_over() {
            give(&chance.next().to_le_bytes())?;
            pause(PIECE);
        }
        Ok(())
    }
}

/// A stream that waits for what a proxy sends, however long that takes, until all is over: then a
/// connection that a proxy keeps is closed.
struct Patient<'a> {
    stream: TcpStream,
    scene: &'a Scene,
}

impl Read for Patient<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.stream.read(room) {
                Err(error) if is_waiting(&error) && !self.scene.is_over() => {}
                read => return read,
            }
        }
    }
}

impl Write for Patient<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// Whether nothing has come yet.
fn is_waiting(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

/// How long it is from one piece to the next.
pub(super) const PIECE: Duration = Duration::from_millis(100);
