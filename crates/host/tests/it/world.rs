//! An enclosure with an agent inside, and what the tests ask of both.

use std::{
    collections::BTreeSet,
    env, fs,
    io::{self, BufRead, BufReader, PipeReader, PipeWriter, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::fd::AsFd,
    path::PathBuf,
    process::Command,
    time::Duration,
};

use leno_host::{
    Enclosure, Event, Exit, Layout, Listeners, Program, Session, original_destination,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// How long anything may take before a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The program to enclose: beside this one if the tests were copied, else where it was built.
pub(crate) fn stage() -> PathBuf {
    let name = "leno-host-stage";
    let beside = env::current_exe().unwrap().with_file_name(name);
    if beside.exists() {
        beside
    } else {
        env!("CARGO_BIN_EXE_leno-host-stage").into()
    }
}

pub(crate) fn layout() -> Layout {
    Layout {
        v4: [10, 77, 0, 2].into(),
        v6: "fd77::2".parse().unwrap(),
        resolver: [10, 77, 0, 1].into(),
        search: vec!["default.svc.cluster.local".into()],
    }
}

pub(crate) fn open() -> (Enclosure, Listeners) {
    Enclosure::open(&stage(), &layout()).unwrap()
}

/// A program with nothing to read and nobody to hear it.
pub(crate) fn program<const N: usize>(command: [&str; N]) -> Program {
    let null = || {
        fs::File::options()
            .read(true)
            .write(true)
            .open("/dev/null")
            .unwrap()
            .into()
    };
    Program {
        command: command.map(Into::into).into(),
        env: vec![("PATH".into(), "/usr/sbin:/usr/bin:/sbin:/bin".into())],
        cwd: "/".into(),
        stdio: [null(), null(), null()],
        session: Session::Own,
        open_files: None,
    }
}

/// Runs a program to its end, and returns that and what it printed.
pub(crate) fn run(mut program: Program) -> (Exit, String) {
    let (mut enclosure, _listeners) = open();
    let (reader, writer) = io::pipe().unwrap();
    program.stdio[1] = writer.into();
    enclosure.launch(program).unwrap();
    let exit = enclosure.wait().unwrap();
    (exit, io::read_to_string(reader).unwrap())
}

/// An enclosure with an agent inside.
pub(crate) struct World {
    pub(crate) enclosure: Enclosure,
    pub(crate) listeners: Listeners,
    pub(crate) pid: u32,
    orders: PipeWriter,
    answers: BufReader<PipeReader>,
}

impl World {
    pub(crate) fn new() -> Self {
        let (mut enclosure, listeners) = open();
        let (stdin, orders) = io::pipe().unwrap();
        let (answers, stdout) = io::pipe().unwrap();
        let stage = stage();
        let mut agent = program([stage.to_str().unwrap(), "agent"]);
        agent.stdio[0] = stdin.into();
        agent.stdio[1] = stdout.into();
        agent.stdio[2] = io::stderr().as_fd().try_clone_to_owned().unwrap();
        enclosure.launch(agent).unwrap();
        let Some(Event::Started { pid: Some(pid) }) = enclosure.next_event(Some(PATIENCE)).unwrap()
        else {
            panic!("the agent did not start");
        };
        Self {
            enclosure,
            listeners,
            pid,
            orders,
            answers: BufReader::new(answers),
        }
    }

    /// Tells the agent to do something, without waiting for the answer.
    pub(crate) fn order(&mut self, line: &str) {
        writeln!(self.orders, "{line}").unwrap();
    }

    /// The agent's next answer.
    pub(crate) fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    pub(crate) fn ask(&mut self, line: &str) -> String {
        self.order(line);
        self.answer()
    }

    /// Waits until the application is known to listen on exactly these addresses.
    pub(crate) fn until_listening(&mut self, expect: &[&str]) {
        let expect: BTreeSet<SocketAddr> = expect.iter().map(|a| a.parse().unwrap()).collect();
        self.until(
            |event| matches!(event, Event::Listening { addresses, .. } if *addresses == expect),
        );
    }

    /// Waits until so many datagrams have been refused.
    pub(crate) fn until_refused(&mut self, expect: u64) {
        self.until(|event| *event == Event::UdpRefused { datagrams: expect });
    }

    pub(crate) fn until(&mut self, is_it: impl Fn(&Event) -> bool) {
        loop {
            let event = self.enclosure.next_event(Some(PATIENCE)).unwrap();
            let event = event.expect("what the test waits for should have happened long ago");
            if is_it(&event) {
                return;
            }
        }
    }

    /// The next connection that was captured, and where it was meant to go.
    pub(crate) fn captured(&self, family: usize) -> (TcpStream, SocketAddr) {
        let stream = accept(&self.listeners.outbound[family]);
        let meant = original_destination(&stream).unwrap();
        (stream, meant)
    }

    pub(crate) fn nothing_captured(&self) -> bool {
        let mut outbound = self.listeners.outbound.iter();
        outbound.all(|listener| {
            listener
                .accept()
                .is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
        })
    }

    /// Runs a command of the host in the agent's user and network namespace.
    pub(crate) fn inside<const N: usize>(&self, command: [&str; N]) -> String {
        let output = Command::new(stage())
            .args(["enter", &self.pid.to_string()])
            .args(command)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }
}

/// Takes the next connection of a listener that does not block.
pub(crate) fn accept(listener: &TcpListener) -> TcpStream {
    readable(listener);
    let (stream, _) = listener.accept().unwrap();
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Waits until there is something to read.
pub(crate) fn readable(fd: impl AsFd) {
    readable_within(PATIENCE, fd);
}

/// Waits until there is something to read; for a pidfd, until the process has ended.
pub(crate) fn readable_within(limit: Duration, fd: impl AsFd) {
    let limit = Timespec {
        tv_sec: limit.as_secs().try_into().unwrap(),
        tv_nsec: 0,
    };
    let ready = poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&limit)).unwrap();
    assert_eq!(
        ready, 1,
        "what the test waits for should have come long ago"
    );
}
