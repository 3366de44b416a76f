//! The program that the tests enclose: guard and keeper when it is called so, else an agent that
//! does as it is told, one line in and one line out, or a parent that waits to be killed.

use std::{
    env,
    io::{self, BufRead, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::{fd::AsFd, unix::process::CommandExt},
    path::Path,
    process::{Command, ExitCode},
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
        Some("parent") => parent(),
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
            ["listen", at] => {
                let listener = TcpListener::bind(at)?;
                let bound = listener.local_addr()?;
                self.listeners.push(listener);
                Ok(bound.to_string())
            }
            ["listen-many", ip, count] => {
                let count = count.parse().map_err(io::Error::other)?;
                let mut last = String::new();
                for _ in 0..count {
                    last = self.obey(&format!("listen {ip}:0"))?;
                }
                Ok(last)
            }
            ["close"] => {
                self.listeners.pop();
                Ok("closed".into())
            }
            ["accept"] => {
                let listener = self.listeners.last().ok_or(io::ErrorKind::NotConnected)?;
                let (stream, peer) = listener.accept()?;
                self.streams.push(stream);
                Ok(peer.to_string())
            }
            ["connect", to] => {
                let to: SocketAddr = to.parse().map_err(io::Error::other)?;
                let stream = TcpStream::connect_timeout(&to, PATIENCE)?;
                let from = stream.local_addr()?;
                self.streams.push(stream);
                Ok(from.to_string())
            }
            ["say", text] => {
                let mut stream = self.streams.last().ok_or(io::ErrorKind::NotConnected)?;
                stream.write_all(text.as_bytes())?;
                Ok("said".into())
            }
            ["hear"] => {
                let mut stream = self.streams.last().ok_or(io::ErrorKind::NotConnected)?;
                let mut text = [0; 64];
                let count = stream.read(&mut text)?;
                Ok(String::from_utf8_lossy(&text[..count]).into_owned())
            }
            ["bind", at] => {
                let socket = UdpSocket::bind(at)?;
                let bound = socket.local_addr()?;
                self.datagrams.push(socket);
                Ok(bound.to_string())
            }
            ["tell", to, text] => {
                let to: SocketAddr = to.parse().map_err(io::Error::other)?;
                let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
                let socket = UdpSocket::bind(any)?;
                socket.set_read_timeout(Some(PATIENCE))?;
                socket.connect(to)?;
                socket.send(text.as_bytes())?;
                let mut answer = [0; 64];
                let count = socket.recv(&mut answer)?;
                Ok(String::from_utf8_lossy(&answer[..count]).into_owned())
            }
            ["echo"] => {
                let socket = self.datagrams.last().ok_or(io::ErrorKind::NotConnected)?;
                let socket = socket.try_clone()?;
                std::thread::spawn(move || {
                    let mut bytes = [0; 64];
                    while let Ok((count, from)) = socket.recv_from(&mut bytes) {
                        if socket.send_to(&bytes[..count], from).is_err() {
                            return;
                        }
                    }
                });
                Ok("echoing".into())
            }
            ["resolve", name] => {
                use std::net::ToSocketAddrs;
                let addresses: Vec<_> = (name, 0).to_socket_addrs()?.map(|a| a.ip()).collect();
                Ok(format!("{addresses:?}"))
            }
            ["read", path] => Ok(std::fs::read_to_string(path)?.replace('\n', "|")),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }
}

/// Opens an enclosure around a program that never ends and daemonises a child, prints the
/// application's process id, and waits.
fn parent() -> io::Result<ExitCode> {
    let layout = Layout {
        v4: [10, 77, 0, 2].into(),
        v6: "fd77::2".parse().map_err(io::Error::other)?,
        resolver: [10, 77, 0, 1].into(),
        search: Vec::new(),
    };
    let (mut enclosure, _listeners) =
        Enclosure::open(Path::new("/proc/self/exe"), &layout).map_err(io::Error::other)?;
    let null = || {
        std::fs::File::options()
            .read(true)
            .write(true)
            .open("/dev/null")
    };
    enclosure.launch(Program {
        command: ["sh", "-c", "setsid sleep 30 & exec sleep 30"]
            .map(Into::into)
            .into(),
        env: env::vars_os().collect(),
        cwd: "/".into(),
        stdio: [null()?.into(), null()?.into(), null()?.into()],
        session: Session::Own,
        open_files: None,
    })?;
    loop {
        if let Some(Event::Started { pid: Some(pid) }) = enclosure.next_event(None)? {
            writeln!(io::stdout(), "{pid}")?;
        }
    }
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
    let pid = Pid::from_raw(pid.parse().map_err(io::Error::other)?);
    let pid = pid.ok_or(io::ErrorKind::InvalidInput)?;
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
