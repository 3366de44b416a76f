//! The program that the tests enclose: guard and keeper when it is called so, else an agent that
//! does as it is told, one line in and one line out, or a parent that waits to be killed.

use std::{
    env, fs,
    io::{self, BufRead, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs, UdpSocket},
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::CommandExt,
    },
    path::Path,
    process::{Command, ExitCode},
    thread,
    time::Duration,
};

use leno_host::{Enclosure, Event, Layout, Program, Session};
use rustix::{
    process::{Pid, PidfdFlags},
    thread::{
        CapabilitySet, ThreadNameSpaceType, capabilities, configure_capability_in_ambient_set,
        set_capabilities,
    },
};

fn main() -> io::Result<ExitCode> {
    if let Some(code) = leno_host::run_if_called() {
        return Ok(code);
    }
    match env::args().nth(1).as_deref() {
        Some("agent") => agent(),
        Some("parent") => {
            let layout = layout()?;
            let opened = Enclosure::open(Path::new("/proc/self/exe"), &layout);
            parent(opened.map_err(io::Error::other)?.0)
        }
        Some("bare-parent") => {
            let opened = Enclosure::open_bare(Path::new("/proc/self/exe"));
            parent(opened.map_err(io::Error::other)?)
        }
        Some("enter") => enter(),
        Some("probe") => probe(),
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}

/// Answers each line of standard input with a line of standard output, and ends with it.
fn agent() -> io::Result<ExitCode> {
    let mut held = Held::default();
    for line in io::stdin().lock().lines() {
        let line = line?;
        if let Some(code) = line.strip_prefix("exit ") {
            return Ok(ExitCode::from(code.parse().unwrap_or(1)));
        }
        let answer = held.obey(&line);
        let answer = answer.unwrap_or_else(|error| format!("error: {error}"));
        writeln!(io::stdout(), "{answer}")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What the agent keeps open between two lines.
#[derive(Default)]
struct Held {
    listeners: Vec<TcpListener>,
    datagrams: Vec<UdpSocket>,
    streams: Vec<TcpStream>,
}

impl Held {
    fn obey(&mut self, line: &str) -> io::Result<String> {
        let words: Vec<_> = line.split(' ').collect();
        match words[..] {
            ["listen", at] => self.listen(at),
            ["listen-many", ip, count] => self.listen_many(ip, count),
            ["close"] => Ok(format!("{:?}", self.listeners.pop())),
            ["accept"] => self.accept(),
            ["connect", to] => self.connect(to),
            ["say", text] => self.say(text),
            ["hear"] => self.hear(),
            ["bind", at] => self.bind(at),
            ["echo"] => self.echo(),
            ["tell", to, text] => tell(to, text),
            ["resolve", name] => resolve(name),
            ["read", path] => Ok(fs::read_to_string(path)?.replace('\n', "|")),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    fn listen(&mut self, at: &str) -> io::Result<String> {
        let listener = TcpListener::bind(at)?;
        let bound = listener.local_addr()?;
        self.listeners.push(listener);
        Ok(bound.to_string())
    }

    fn listen_many(&mut self, ip: &str, count: &str) -> io::Result<String> {
        let mut last = String::new();
        for _ in 0..number(count)? {
            last = self.listen(&format!("{ip}:0"))?;
        }
        Ok(last)
    }

    fn accept(&mut self) -> io::Result<String> {
        let listener = self.listeners.last().ok_or(io::ErrorKind::NotConnected)?;
        let (stream, peer) = listener.accept()?;
        self.streams.push(stream);
        Ok(peer.to_string())
    }

    fn connect(&mut self, to: &str) -> io::Result<String> {
        let stream = TcpStream::connect_timeout(&address(to)?, PATIENCE)?;
        let from = stream.local_addr()?;
        self.streams.push(stream);
        Ok(from.to_string())
    }

    fn say(&mut self, text: &str) -> io::Result<String> {
        let mut stream = self.streams.last().ok_or(io::ErrorKind::NotConnected)?;
        stream.write_all(text.as_bytes())?;
        Ok("said".into())
    }

    fn hear(&mut self) -> io::Result<String> {
        let mut stream = self.streams.last().ok_or(io::ErrorKind::NotConnected)?;
        let mut text = [0; 64];
        let count = stream.read(&mut text)?;
        Ok(String::from_utf8_lossy(&text[..count]).into_owned())
    }

    fn bind(&mut self, at: &str) -> io::Result<String> {
        let socket = UdpSocket::bind(at)?;
        let bound = socket.local_addr()?;
        self.datagrams.push(socket);
        Ok(bound.to_string())
    }

    /// Sends every datagram back from here on.
    fn echo(&mut self) -> io::Result<String> {
        let socket = self.datagrams.pop().ok_or(io::ErrorKind::NotConnected)?;
        thread::spawn(move || -> io::Result<()> {
            let mut bytes = [0; 64];
            loop {
                let (count, from) = socket.recv_from(&mut bytes)?;
                socket.send_to(&bytes[..count], from)?;
            }
        });
        Ok("echoing".into())
    }
}

/// Sends a datagram and waits for the answer.
fn tell(to: &str, text: &str) -> io::Result<String> {
    let to = address(to)?;
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.connect(to)?;
    socket.send(text.as_bytes())?;
    let mut answer = [0; 64];
    let count = socket.recv(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer[..count]).into_owned())
}

/// Asks the C library for a name.
fn resolve(name: &str) -> io::Result<String> {
    let addresses: Vec<_> = (name, 0).to_socket_addrs()?.collect();
    Ok(format!("{addresses:?}"))
}

fn address(text: &str) -> io::Result<SocketAddr> {
    text.parse().map_err(io::Error::other)
}

fn number(text: &str) -> io::Result<i32> {
    text.parse().map_err(io::Error::other)
}

fn layout() -> io::Result<Layout> {
    Ok(Layout {
        v4: [10, 77, 0, 2].into(),
        v6: "fd77::2".parse().map_err(io::Error::other)?,
        resolver: [10, 77, 0, 1].into(),
        search: Vec::new(),
    })
}

/// Runs a program in an enclosure that leaves a child behind and does not end, prints its process id
/// when both are there, and waits.
fn parent(mut enclosure: Enclosure) -> io::Result<ExitCode> {
    let (mut both_there, told) = io::pipe()?;
    enclosure.launch(Program {
        command: ["sh", "-c", "setsid sleep 30 & echo; exec sleep 30"]
            .map(Into::into)
            .into(),
        env: env::vars_os().collect(),
        cwd: "/".into(),
        stdio: [null()?, told.into(), null()?],
        session: Session::Own,
        open_files: None,
    })?;
    loop {
        if let Some(Event::Started { pid: Some(pid) }) = enclosure.next_event(None)? {
            both_there.read_exact(&mut [0])?;
            writeln!(io::stdout(), "{pid}")?;
        }
    }
}

fn null() -> io::Result<OwnedFd> {
    let null = fs::File::options().read(true).write(true).open("/dev/null");
    Ok(null?.into())
}

/// Says what forbids enclosures, if anything does.
fn probe() -> io::Result<ExitCode> {
    if let Err(blocker) = leno_host::probe(Path::new("/proc/self/exe")) {
        writeln!(io::stdout(), "{blocker}")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs a command in the user and network namespace of a process, with every right there: nsenter
/// cannot give them to a user who is not root inside.
fn enter() -> io::Result<ExitCode> {
    let words: Vec<_> = env::args().skip(2).collect();
    let [pid, command, arguments @ ..] = &words[..] else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let pid = Pid::from_raw(number(pid)?).ok_or(io::ErrorKind::InvalidInput)?;
    let process = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
    let kinds = ThreadNameSpaceType::USER | ThreadNameSpaceType::NETWORK;
    rustix::thread::move_into_thread_name_spaces(process.as_fd(), kinds)?;
    let mut sets = capabilities(None)?;
    sets.inheritable = sets.permitted;
    set_capabilities(None, sets)?;
    for capability in [CapabilitySet::NET_ADMIN, CapabilitySet::NET_RAW] {
        configure_capability_in_ambient_set(capability, true)?;
    }
    Err(Command::new(command).args(arguments).exec())
}

/// How long the agent waits for anything.
const PATIENCE: Duration = Duration::from_secs(5);
