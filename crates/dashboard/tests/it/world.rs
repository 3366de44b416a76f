//! A dashboard of a mesh that is made up, and somebody who speaks to it.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use leno_admin::{Answer, Failure, Followers, Overview, Question, Status, Verdict};
use leno_dashboard::{Arrived, Dashboard, Links, Mesh, Port};
use leno_model::Code;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// A dashboard that runs for as long as this is there.
pub(crate) struct World {
    pub(crate) port: u16,
    pub(crate) links: Links,
    /// What was handed on, as it arrived.
    pub(crate) carried: Arc<Mutex<Vec<Vec<u8>>>>,
    /// What the mesh was asked, oldest first.
    pub(crate) asked: Arc<Mutex<Vec<Question>>>,
    /// What those tried who were kept out, oldest first.
    pub(crate) kept_out: Arc<Mutex<Vec<String>>>,
    _running: JoinSet<()>,
}

struct Made {
    carries: bool,
    carried: Arc<Mutex<Vec<Vec<u8>>>>,
    asked: Arc<Mutex<Vec<Question>>>,
    kept_out: Arc<Mutex<Vec<String>>>,
}

impl Mesh for Made {
    async fn ask(&self, question: Question) -> Result<Answer, Failure> {
        self.asked
            .lock()
            .expect("nobody panics with it")
            .push(question.clone());
        match question {
            Question::Overview(_) => Ok(Answer::Overview(Box::new(overview()))),
            Question::Status(_) => Ok(Answer::Status(overview().status)),
            _ => Err(Failure::coded(Code::D001, "nothing like it is made up")),
        }
    }

    async fn kept_out(&self, attempt: String) {
        let mut kept_out = self.kept_out.lock().expect("nobody panics with it");
        kept_out.push(attempt);
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

/// How the mesh is; its name drives terminals and turns letters around.
fn overview() -> Overview {
    Overview {
        status: Status {
            context: "made-up\u{202e}\u{1b}[2J".into(),
            revision: 1,
            proxies: 0,
            objects: 0,
            problems: 0,
            overrides: 0,
            watches: 0,
            cluster: None,
            now: "2026-03-01T12:04:31.250Z".into(),
        },
        verdict: Verdict::default(),
        file: None,
        change: None,
        followers: Followers::default(),
        certificate: None,
        findings: Vec::new(),
        workloads: Vec::new(),
        traffic: None,
        failed: None,
        next: Vec::new(),
    }
}

impl World {
    /// One whose mesh publishes services by name, or does not.
    pub(crate) fn new(carries: bool) -> Self {
        let dashboard = Dashboard::open(Port::Exactly(0)).expect("a port is free");
        let (port, links) = (dashboard.port(), dashboard.links());
        let (carried, asked, kept_out) = (Arc::default(), Arc::default(), Arc::default());
        let made = Made {
            carries,
            carried: Arc::clone(&carried),
            asked: Arc::clone(&asked),
            kept_out: Arc::clone(&kept_out),
        };
        let mut running = JoinSet::new();
        running.spawn(async move { panic!("{}", dashboard.run(made).await) });
        Self {
            port,
            links,
            carried,
            asked,
            kept_out,
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

    /// A visit: the folder of the pages, and the header line that proves it.
    pub(crate) async fn visit(&self) -> (String, String) {
        let entered = self.get(&self.link(), "").await;
        let folder = entered.header("location").expect("it leads somewhere");
        (folder.to_owned(), entered.cookie())
    }

    /// The answer to `question`, sent to the folder `at` with these header lines.
    pub(crate) async fn ask(&self, at: &str, question: &str, headers: &str) -> Told {
        let length = question.len();
        let request = format!(
            "POST {at}ask HTTP/1.1\r\nhost: localhost:PORT\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n{headers}\r\n{question}"
        );
        self.say(&request).await
    }

    /// The answer to a request for `path` with these further header lines.
    pub(crate) async fn get(&self, path: &str, headers: &str) -> Told {
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost:PORT\r\n");
        self.say(&format!("{request}connection: close\r\n{headers}\r\n"))
            .await
    }

    /// The head of the answer to a request for `path`.
    pub(crate) async fn head(&self, path: &str) -> Told {
        let request = format!("HEAD {path} HTTP/1.1\r\nhost: localhost:PORT\r\n");
        self.say(&format!("{request}connection: close\r\n\r\n"))
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
