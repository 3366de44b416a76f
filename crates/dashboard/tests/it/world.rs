//! A dashboard of a mesh that is made up, and somebody who speaks to it.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use leno_admin::{Failure, Followers, Overview, Status};
use leno_dashboard::{Arrived, Dashboard, Links, Mesh, Port};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// A dashboard that runs for as long as this is there.
pub(crate) struct World {
    pub(crate) port: u16,
    pub(crate) links: Links,
    /// What was handed on, as it arrived.
    pub(crate) carried: Arc<Mutex<Vec<Vec<u8>>>>,
    _running: JoinSet<()>,
}

struct Made {
    carries: bool,
    carried: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Mesh for Made {
    async fn look(&self) -> Result<Overview, Failure> {
        Ok(Overview {
            status: Status {
                context: "made-up".into(),
                revision: 1,
                proxies: 0,
                objects: 0,
                problems: 0,
                now: "2026-03-01T12:04:31.250Z".into(),
            },
            change: None,
            followers: Followers::default(),
            certificate: None,
            findings: Vec::new(),
            workloads: Vec::new(),
            traffic: None,
            failed: None,
            next: Vec::new(),
        })
    }

    async fn carry(&self, arrived: Arrived) -> Result<(), Arrived> {
        if !self.carries {
            return Err(arrived);
        }
        self.carried
            .lock()
            .expect("nobody panics with it")
            .push(arrived.bytes);
        let mut stream = arrived.stream;
        std::io::Write::write_all(&mut stream, b"HTTP/1.1 200 OK\r\n\r\nfrom the service")
            .expect("the client is there");
        Ok(())
    }
}

impl World {
    /// One whose mesh publishes services by name, or does not.
    pub(crate) fn new(carries: bool) -> Self {
        let dashboard = Dashboard::open(Port::Exactly(0)).expect("a port is free");
        let (port, links) = (dashboard.port(), dashboard.links());
        let carried = Arc::default();
        let made = Made {
            carries,
            carried: Arc::clone(&carried),
        };
        let mut running = JoinSet::new();
        running.spawn(async move { panic!("{}", dashboard.run(made).await) });
        Self {
            port,
            links,
            carried,
            _running: running,
        }
    }

    /// The path of a new link.
    pub(crate) fn link(&self) -> String {
        let link = self.links.make();
        let path = link.strip_prefix(&format!("http://localhost:{}", self.port));
        path.expect("a link leads here").to_owned()
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))
            .await
            .expect("it is there")
    }

    /// What comes back for these bytes until the connection closes; `PORT` is the port.
    pub(crate) async fn say(&self, bytes: &str) -> Told {
        let mut stream = self.connect().await;
        let bytes = bytes.replace("PORT", &self.port.to_string());
        stream
            .write_all(bytes.as_bytes())
            .await
            .expect("it listens");
        let mut told = String::new();
        stream
            .read_to_string(&mut told)
            .await
            .expect("it answers in text");
        Told(told)
    }

    /// The answer to a request for `path` with these further header lines.
    pub(crate) async fn get(&self, path: &str, headers: &str) -> Told {
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost:PORT\r\n");
        self.say(&format!("{request}connection: close\r\n{headers}\r\n"))
            .await
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Told(pub(crate) String);

impl Told {
    pub(crate) fn status(&self) -> &str {
        self.0.get(9..12).unwrap_or("none")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let (head, _) = self.0.split_once("\r\n\r\n")?;
        let mut lines = head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(": "));
        lines
            .find(|(told, _)| told.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    pub(crate) fn body(&self) -> &str {
        self.0.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }

    /// The cookie that it sets, as it is sent back.
    pub(crate) fn cookie(&self) -> String {
        let cookie = self.header("set-cookie").expect("it sets a cookie");
        let pair = cookie.split(';').next().expect("a text has a beginning");
        format!("cookie: {pair}\r\n")
    }
}
