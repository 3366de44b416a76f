//! How an application starts, what it may do, and how everything ends.

use std::{
    fs,
    io::{self, BufRead, BufReader, Write},
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use leno_host::{Enclosure, Event, Exit, Program};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use crate::world::{PATIENCE, World, open, program, readable_within, run, stage};

#[test]
fn the_end_of_the_application_is_passed_on() {
    for (script, expect, code) in [
        ("exit 0", Exit::Code(0), 0),
        ("exit 7", Exit::Code(7), 7),
        ("kill -TERM $$", Exit::Signal(15), 143),
        ("kill -KILL $$", Exit::Signal(9), 137),
    ] {
        let (exit, _) = run(program(["sh", "-c", script]));
        assert_eq!(exit, expect, "{script}");
        assert_eq!(exit.code(), code, "{script}");
    }
}

#[test]
fn an_enclosure_runs_one_application_once() {
    let (mut enclosure, _listeners) = open();
    enclosure.launch(program(["sleep", "30"])).unwrap();
    let again = enclosure.launch(program(["sleep", "30"])).unwrap_err();
    assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
    enclosure.signal(15).unwrap();
    assert_eq!(enclosure.wait().unwrap(), Exit::Signal(15));
    assert_eq!(enclosure.wait().unwrap(), Exit::Lost);
    let nothing = enclosure.try_event().unwrap_err();
    assert_eq!(nothing.kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn a_signal_reaches_the_whole_group() {
    let script = "trap 'wait; exit 3' TERM; sh -c 'echo; exec sleep 30' & wait";
    let (mut enclosure, _) = ready(program(["sh", "-c", script]));
    enclosure.signal(15).unwrap();
    // The shell waits for the sleeper, which must have got the signal for this to end.
    assert_eq!(enclosure.wait().unwrap(), Exit::Code(3));
}

#[test]
fn a_command_that_cannot_run_is_told_with_its_reason() {
    for (command, expect) in [("no-such-command", 2), ("/etc/passwd", 13), ("", 2)] {
        let (mut enclosure, _listeners) = open();
        enclosure.launch(program([command])).unwrap();
        let event = enclosure.next_event(Some(PATIENCE)).unwrap();
        assert_eq!(
            event,
            Some(Event::NotStarted { errno: expect }),
            "{command}"
        );
        assert_eq!(enclosure.next_event(None).unwrap(), None);
    }
}

#[test]
fn the_application_is_its_user_without_capabilities() {
    let script =
        "id -u; id -g; grep -E 'Cap(Inh|Prm|Eff|Bnd|Amb)' /proc/self/status | sort -u -k 2";
    let (_, text) = run(program(["sh", "-c", script]));
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    let lines: Vec<_> = text.lines().collect();
    let [own_user, own_group, capabilities] = lines[..] else {
        panic!("{text}");
    };
    assert_eq!(own_user, user.as_raw().to_string());
    assert_eq!(own_group, group.as_raw().to_string());
    assert!(capabilities.ends_with("\t0000000000000000"), "{text}");
}

#[test]
fn the_application_cannot_reach_into_its_keeper() {
    let script = "kill -KILL 1; cat /proc/1/environ; readlink /proc/1/fd/0; nsenter -t 1 -n true; \
        ip link add leak0 type dummy; ip address flush dev lo; mount -t tmpfs none /mnt; echo still here";
    let (exit, text) = run(program(["sh", "-c", script]));
    assert_eq!((exit, text.as_str()), (Exit::Code(0), "still here\n"));
}

#[test]
fn the_application_starts_as_it_was_told() {
    let mut told = program([
        "sh",
        "-c",
        "pwd; ulimit -Sn; echo $COLOUR; cat; env | wc -l",
    ]);
    let (stdin, mut writer) = io::pipe().unwrap();
    writer.write_all(b"from outside\n").unwrap();
    drop(writer);
    told.stdio[0] = stdin.into();
    told.cwd = "/usr".into();
    told.env.push(("COLOUR".into(), "green".into()));
    told.open_files = Some(99);
    let (_, text) = run(told);
    // PATH and COLOUR, and PWD, which the shell adds.
    assert_eq!(text, "/usr\n99\ngreen\nfrom outside\n3\n");
}

#[test]
fn the_application_sees_its_own_processes() {
    let script = "tr '\\0' ' ' </proc/1/cmdline; set -- /proc/[0-9]*; echo $#";
    let (_, text) = run(program(["sh", "-c", script]));
    assert_eq!(text, "leno-keeper 2\n", "the keeper and the shell");
}

#[test]
fn an_application_may_listen_on_a_low_port() {
    let mut world = World::new();
    assert_eq!(world.ask("listen 0.0.0.0:80"), "0.0.0.0:80");
}

#[test]
fn a_long_environment_fits() {
    let mut long = program(["sh", "-c", "echo ${#LONG}"]);
    long.env
        .extend((0..10).map(|n| (format!("LONG{n}").into(), "x".repeat(100_000).into())));
    long.env.push(("LONG".into(), "x".repeat(100_000).into()));
    assert_eq!(run(long).1, "100000\n");
}

#[test]
fn what_the_application_leaves_behind_ends_with_it() {
    let mut leaving = program(["sh", "-c", "setsid sleep 30 & echo; read end"]);
    let (stdin, mut writer) = io::pipe().unwrap();
    leaving.stdio[0] = stdin.into();
    let (mut enclosure, pid) = ready(leaving);
    let inside = Inside::with(pid);
    writer.write_all(b"\n").unwrap();
    assert_eq!(enclosure.wait().unwrap(), Exit::Code(0));
    inside.end_within(PROMISE);
}

#[test]
fn dropping_an_enclosure_ends_everything_inside() {
    let script = "setsid sleep 30 & trap '' TERM INT HUP; echo; sleep 30";
    let (enclosure, pid) = ready(program(["sh", "-c", script]));
    let inside = Inside::with(pid);
    drop(enclosure);
    inside.end_within(Duration::ZERO);
}

#[test]
fn killing_the_parent_leaves_nothing() {
    let (mut parent, pid) = parent();
    let inside = Inside::with(pid);
    parent.kill().unwrap();
    parent.wait().unwrap();
    inside.end_within(PROMISE);
}

#[test]
fn killing_the_parent_leaves_nothing_even_if_the_keeper_is_stopped() {
    let (mut parent, pid) = parent();
    let inside = Inside::with(pid);
    let keeper = Pid::from_raw(parent_of(pid).try_into().unwrap()).unwrap();
    kill_process(keeper, Signal::STOP).unwrap();
    parent.kill().unwrap();
    parent.wait().unwrap();
    inside.end_within(PROMISE);
}

#[test]
fn a_killed_keeper_or_guard_is_told() {
    for generations in [1, 2] {
        let mut world = World::new();
        let killed = (0..generations).fold(world.pid, |pid, _| parent_of(pid));
        let killed = Pid::from_raw(killed.try_into().unwrap()).unwrap();
        kill_process(killed, Signal::KILL).unwrap();
        assert_eq!(world.enclosure.wait().unwrap(), Exit::Lost);
    }
}

/// A process that opened an enclosure, and its application's process id.
fn parent() -> (std::process::Child, u32) {
    let mut parent = Command::new(stage())
        .arg("parent")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(parent.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    (parent, line.trim().parse().unwrap())
}

/// Starts a program that prints a line once everything it starts is there.
fn ready(mut program: Program) -> (Enclosure, u32) {
    let (mut enclosure, _listeners) = open();
    let (reader, writer) = io::pipe().unwrap();
    program.stdio[1] = writer.into();
    enclosure.launch(program).unwrap();
    let mut line = String::new();
    BufReader::new(reader).read_line(&mut line).unwrap();
    match enclosure.next_event(Some(PATIENCE)).unwrap() {
        Some(Event::Started { pid: Some(pid) }) => (enclosure, pid),
        other => panic!("{other:?}"),
    }
}

fn parent_of(pid: u32) -> u32 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"));
    line.unwrap().trim().parse().unwrap()
}

/// The processes of an enclosure that this user can see.
struct Inside(Vec<OwnedFd>);

impl Inside {
    /// All that share a network with this process.
    fn with(pid: u32) -> Self {
        let network = |path: PathBuf| fs::metadata(path.join("ns/net")).map(|it| it.ino());
        let ours = network(format!("/proc/{pid}").into()).unwrap();
        let paths = fs::read_dir("/proc")
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let inside = paths.filter(|path| network(path.clone()).is_ok_and(|it| it == ours));
        let number = |path: PathBuf| path.file_name()?.to_str()?.parse().ok();
        let pids = inside.filter_map(number).filter_map(Pid::from_raw);
        let processes: Vec<_> = pids
            .map(|pid| pidfd_open(pid, PidfdFlags::empty()).unwrap())
            .collect();
        assert!(
            processes.len() >= 3,
            "a guard, an application, and what it started"
        );
        Self(processes)
    }

    fn end_within(self, limit: Duration) {
        for process in self.0 {
            readable_within(limit, process);
        }
    }
}

/// How long anything may outlive the one who started it.
const PROMISE: Duration = Duration::from_secs(20);
