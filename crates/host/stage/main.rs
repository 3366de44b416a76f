//! The program that the tests enclose: guard and keeper when it is called so, else an agent that
//! does as it is told, one line in and one line out, a parent that waits to be killed, or what a control group bounds.

mod node;

use std::{
    collections::BTreeMap,
    env, fs,
    io::{self, BufRead, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs, UdpSocket},
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::CommandExt,
    },
    path::Path,
    process::{Child, Command, ExitCode, Stdio},
    thread,
    time::Duration,
};

use leno_host::{Bounds, Enclosure, Event, Group, Groups, Layout, Program, Session};
use rustix::{
    process::{Pid, PidfdFlags},
    thread::{
        CapabilitySet, ThreadNameSpaceType, UnshareFlags, capabilities,
        configure_capability_in_ambient_set, set_capabilities,
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
        Some("eats") => eats(),
        Some("spins") => spins(),
        Some("confined") => node::confined(&env::args().nth(2).unwrap_or_default()),
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
    groups: Option<Groups>,
    group: BTreeMap<String, Group>,
    spinning: BTreeMap<String, Child>,
    node: node::Node,
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
            ["own-groups"] => own(UnshareFlags::NEWCGROUP),
            ["own-network"] => own(UnshareFlags::NEWNET),
            ["sees", pod] => sees(pod),
            ["processors"] => Ok(format!("{:?}", leno_host::cpu::Cpu::read().quota)),
            ["open-groups"] => self.open_groups(),
            ["group", name, memory_mib, cpu_milli] => self.make(name, memory_mib, cpu_milli),
            ["eat", name, mib] => self.eat(name, mib),
            ["spin", name] => self.spin(name),
            ["leave", name] => self.leave(name),
            ["read", path] => Ok(fs::read_to_string(path)?.replace('\n', "|")),
            ["node", ref words @ ..] => self.node.obey(words),
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

impl Held {
    fn open_groups(&mut self) -> io::Result<String> {
        let groups = Groups::open()?;
        let lacks = groups.lacks().unwrap_or("nothing").to_owned();
        self.groups = Some(groups);
        Ok(format!("lacks {lacks}"))
    }

    fn make(&mut self, name: &str, memory_mib: &str, cpu_milli: &str) -> io::Result<String> {
        let groups = self.groups.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        let bounds = Bounds {
            memory: memory_mib.parse::<u64>().map_err(io::Error::other)? << 20,
            cpu_milli: cpu_milli.parse().ok(),
        };
        self.group
            .insert(name.to_owned(), groups.make(name, &bounds)?);
        Ok("made".into())
    }

    /// Lets a process of a group use so much memory; how it ended, and how often one there has ended for that.
    fn eat(&self, name: &str, mib: &str) -> io::Result<String> {
        let mut child = self.begin(name, &["eats", mib])?;
        let status = child.wait()?;
        let group = self.group.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(format!("{status}, {} in all", group.ends_for_memory()))
    }

    /// Lets a process of a group take all the time that it gets, until it is left.
    fn spin(&mut self, name: &str) -> io::Result<String> {
        let child = self.begin(name, &["spins"])?;
        self.spinning.insert(name.to_owned(), child);
        Ok("spinning".into())
    }

    fn leave(&mut self, name: &str) -> io::Result<String> {
        if let Some(mut child) = self.spinning.remove(name) {
            child.kill()?;
            child.wait()?;
        }
        drop(self.group.remove(name));
        Ok("left".into())
    }

    /// Starts this program in a group, where it waits until it is there.
    fn begin(&self, name: &str, arguments: &[&str]) -> io::Result<Child> {
        let group = self.group.get(name).ok_or(io::ErrorKind::NotFound)?;
        let mut command = Command::new("/proc/self/exe");
        let mut child = command.args(arguments).stdin(Stdio::piped()).spawn()?;
        group.add(child.id())?;
        drop(child.stdin.take());
        Ok(child)
    }
}

/// Has a namespace to itself from here on: of control groups, those of its own and those below, as in a container.
fn own(namespace: UnshareFlags) -> io::Result<String> {
    #[expect(unsafe_code, reason = "the safe wrapper is deprecated")]
    // SAFETY: the table of file descriptors is not unshared.
    unsafe { rustix::thread::unshare_unsafe(namespace) }?;
    Ok("alone".into())
}

/// Whether the processes of a pod of this UID are seen.
fn sees(pod: &str) -> io::Result<String> {
    let found = leno_host::networks_of_pods(&[pod.into()].into())?;
    Ok(found.contains_key(pod).to_string())
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

/// Uses so many MiB of memory, once whoever started it lets it.
fn eats() -> io::Result<ExitCode> {
    let mib = env::args().nth(2).unwrap_or_default();
    let mib: usize = mib.parse().map_err(io::Error::other)?;
    io::copy(&mut io::stdin(), &mut io::sink())?;
    let mut memory = vec![0_u8; mib << 20];
    // Nothing is used of a page before something is written there.
    memory.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
    std::hint::black_box(memory);
    Ok(ExitCode::SUCCESS)
}

/// Takes all the time that it gets, once whoever started it lets it.
fn spins() -> io::Result<ExitCode> {
    io::copy(&mut io::stdin(), &mut io::sink())?;
    loop {
        std::hint::spin_loop();
    }
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
