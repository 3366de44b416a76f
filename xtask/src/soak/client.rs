//! A client: one errand after the other, as chance has it, each written into the ledger before it
//! begins and when it has ended.

use std::{
    io::{self, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
    time::Duration,
};

use crate::soak::{
    errand::{ClientDoes, Errand, Over},
    ledger::{Ledger, Told},
    message::{Connection, framed},
};

/// One client of a proxy.
pub(super) struct Client<'a> {
    /// Where the proxy takes calls.
    at: SocketAddr,
    ledger: &'a Ledger,
    /// The connection that is kept, if one is.
    kept: Option<Connection>,
}

impl<'a> Client<'a> {
    /// One that has not connected yet.
    pub(super) fn new(at: SocketAddr, ledger: &'a Ledger) -> Self {
        Self {
            at,
            ledger,
            kept: None,
        }
    }

    /// Runs an errand to its end.
    pub(super) fn run(&mut self, errand: &Errand) {
        self.ledger.begin(*errand);
        let told = match errand.over {
            Over::Http | Over::Http2 => self.request(errand),
            Over::Bytes => self.bytes(errand),
        };
        // An answer that fails before it begins is none.
        self.ledger.told(
            errand.id,
            told.unwrap_or_else(|error| missing(&error, Told::Nothing)),
        );
    }

    fn request(&mut self, errand: &Errand) -> io::Result<Told> {
        let mut connection = match self.kept.take() {
            Some(kept) => kept,
            None => Connection::new(self.connect()?),
        };
        let method = if errand.up == 0 { "GET" } else { "POST" };
        let lines = format!("{method} {} HTTP/1.1\r\nhost: cart\r\n", errand.target());
        let message = framed(
            &lines,
            &errand.request_body(),
            errand.chunked && errand.up > 0,
        );
        if errand.client == ClientDoes::Break {
            // Less than the body, more than the head.
            let half = message.len() - errand.up / 2 - 1;
            connection.write(message.get(..half).unwrap_or_default())?;
            return Ok(Told::Left);
        }
        // A proxy may answer before it has read everything, and close then.
        let written = connection.write(&message);
        if errand.client == ClientDoes::Vanish {
            return Ok(Told::Left);
        }
        let Some(head) = connection.head()? else {
            return written.map(|()| Told::Nothing("closed".to_owned()));
        };
        let status = head.line.split(' ').nth(1).unwrap_or("no status");
        if status == "200" && errand.client == ClientDoes::Leave {
            drop(connection.take(errand.down / 2));
            return Ok(Told::Left);
        }
        let body = match connection.body(&head) {
            Ok(body) => body,
            Err(error) => return Ok(missing(&error, Told::Broken)),
        };
        if head.field("connection") != Some("close") {
            self.kept = Some(connection);
        }
        if status != "200" {
            let code = head
                .field("leno-error")
                .and_then(|code| code.split(';').next());
            return Ok(Told::Failed(format!(
                "{status} {}",
                code.unwrap_or("without a code")
            )));
        }
        Ok(self.judged(errand, &body))
    }

    fn bytes(&self, errand: &Errand) -> io::Result<Told> {
        let mut stream = self.connect()?;
        let mut message = format!("{}\n", errand.target()).into_bytes();
        message.extend(errand.request_body());
        if errand.client == ClientDoes::Break {
            let half = message.len() - errand.up / 2 - 1;
            stream.write_all(message.get(..half).unwrap_or_default())?;
            return Ok(Told::Left);
        }
        stream.write_all(&message)?;
        if errand.client == ClientDoes::Vanish {
            return Ok(Told::Left);
        }
        stream.shutdown(Shutdown::Write)?;
        let mut body = Vec::new();
        if errand.client == ClientDoes::Leave {
            drop(stream.take(errand.down as u64 / 2).read_to_end(&mut body));
            return Ok(Told::Left);
        }
        if let Err(error) = stream.read_to_end(&mut body) {
            return Ok(missing(&error, Told::Broken));
        }
        if body.len() < errand.down {
            return Ok(Told::Broken(format!("closed after {}", body.len())));
        }
        Ok(self.judged(errand, &body))
    }

    fn judged(&self, errand: &Errand, body: &[u8]) -> Told {
        match errand.is_answer(body) {
            true => Told::Done,
            false => Told::Other(format!("{} bytes", body.len())),
        }
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(self.at)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(stream)
    }
}

/// What was told of what did not come.
fn missing(error: &io::Error, otherwise: fn(String) -> Told) -> Told {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Told::Hung,
        _ => otherwise(error.to_string()),
    }
}

/// How long a client waits for the next byte.
const PATIENCE: Duration = Duration::from_secs(20);
