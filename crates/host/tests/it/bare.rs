//! Enclosures without walls: nothing is captured, and everything ends all the same.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpListener,
    os::fd::OwnedFd,
    process::{Command, Stdio},
    time::Duration,
};

use leno_host::{Enclosure, Event, Exit, Family, Program};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use socket2::Socket;

use crate::world::{PATIENCE, program, readable, readable_within, stage};

#[test]
fn an_application_lives_as_it_would_without_us() {
    let script = "readlink /proc/self/ns/net; cat /etc/resolv.conf | cksum; \
        grep CapEff /proc/self/status; exit 7";
    let mut as_always = Command::new("sh");
    let expect = as_always.args(["-c", script]).output().unwrap().stdout;
    let mut told = program(["sh", "-c", script]);
    let (reader, writer) = io::pipe().unwrap();
    told.stdio[1] = writer.into();
    let mut enclosure = open();
    enclosure.launch(told).unwrap();
    assert_eq!(enclosure.wait().unwrap(), Exit::Code(7));
    let text = io::read_to_string(reader).unwrap();
    assert_eq!(text, String::from_utf8(expect).unwrap());
}

#[test]
fn only_its_own_sockets_are_seen_and_they_are_reached() {
    let _foreign = TcpListener::bind("127.0.0.1:0").unwrap();
    let (stdin, mut orders) = io::pipe().unwrap();
    let (answers, stdout) = io::pipe().unwrap();
    let stage = stage();
    // What listens is a grandchild.
    let mut agent = program(["sh", "-c", "\"$0\" agent; exit 3", stage.to_str().unwrap()]);
    agent.stdio[0] = stdin.into();
    agent.stdio[1] = stdout.into();
    let mut enclosure = open();
    let supply = enclosure.sockets(Family::V4).unwrap();
    enclosure.launch(agent).unwrap();
    writeln!(orders, "listen 127.0.0.1:0").unwrap();
    let mut bound = String::new();
    let mut answers = BufReader::new(answers);
    answers.read_line(&mut bound).unwrap();
    let bound = bound.trim().parse().unwrap();
    until(
        &mut enclosure,
        |event| matches!(event, Event::Listening { addresses, .. } if addresses.iter().eq([&bound])),
    );

    readable(&supply);
    let socket = Socket::from(supply.take().unwrap());
    socket.set_nonblocking(false).unwrap();
    socket.connect(&bound.into()).unwrap();
    writeln!(orders, "close").unwrap();
    until(
        &mut enclosure,
        |event| matches!(event, Event::Listening { addresses, .. } if addresses.is_empty()),
    );
    drop(orders);
    assert_eq!(enclosure.wait().unwrap(), Exit::Code(3));
}

#[test]
fn what_the_application_leaves_behind_ends_with_it() {
    let (mut enclosure, left) = leaving("setsid sleep 30 & echo $!; exit 0");
    assert_eq!(enclosure.wait().unwrap(), Exit::Code(0));
    readable_within(PROMISE, left);
}

#[test]
fn dropping_it_ends_everything_however_deaf() {
    let script = "setsid sh -c 'trap \"\" TERM INT HUP; echo $$; sleep 30; sleep 30' & \
        trap '' TERM INT HUP; sleep 30; sleep 30";
    let (enclosure, left) = leaving(script);
    drop(enclosure);
    readable_within(Duration::ZERO, left);
}

#[test]
fn killing_the_parent_leaves_nothing_even_if_the_keeper_is_stopped_or_killed() {
    for signal in [None, Some(Signal::STOP), Some(Signal::KILL)] {
        let mut parent = Command::new(stage())
            .arg("bare-parent")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut said = BufReader::new(parent.stdout.take().unwrap());
        said.read_line(&mut line).unwrap();
        let application: i32 = line.trim().parse().unwrap();
        let mut all = below(parent.id().try_into().unwrap());
        let keeper = parent_of(application).unwrap();
        all.retain(|pid| *pid != application);
        assert!(
            all.len() >= 3,
            "a guard, a keeper, and what was left behind"
        );
        let all = all.into_iter().map(held).collect::<Vec<_>>();
        let application = held(application);
        if let Some(signal) = signal {
            kill_process(Pid::from_raw(keeper).unwrap(), signal).unwrap();
        }
        parent.kill().unwrap();
        parent.wait().unwrap();
        for process in all.into_iter().chain([application]) {
            readable_within(PROMISE, process);
        }
    }
}

fn open() -> Enclosure {
    Enclosure::open_bare(&stage()).unwrap()
}

/// Starts a script, and holds the process whose number it prints.
fn leaving(script: &str) -> (Enclosure, OwnedFd) {
    let mut told: Program = program(["sh", "-c", script]);
    let (reader, writer) = io::pipe().unwrap();
    told.stdio[1] = writer.into();
    let mut enclosure = open();
    enclosure.launch(told).unwrap();
    let mut line = String::new();
    BufReader::new(reader.take(64))
        .read_line(&mut line)
        .unwrap();
    (enclosure, held(line.trim().parse().unwrap()))
}

fn until(enclosure: &mut Enclosure, is_it: impl Fn(&Event) -> bool) {
    loop {
        let event = enclosure.next_event(Some(PATIENCE)).unwrap();
        if is_it(&event.expect("it should have happened long ago")) {
            return;
        }
    }
}

fn held(pid: i32) -> OwnedFd {
    pidfd_open(Pid::from_raw(pid).unwrap(), PidfdFlags::empty()).unwrap()
}

fn below(pid: i32) -> Vec<i32> {
    let entries = fs::read_dir("/proc").unwrap();
    let pids = entries.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse::<i32>().ok());
    let children = pids
        .filter(|child| parent_of(*child) == Some(pid))
        .collect::<Vec<_>>();
    let below = children
        .iter()
        .flat_map(|child| below(*child))
        .collect::<Vec<_>>();
    [children, below].concat()
}

fn parent_of(pid: i32) -> Option<i32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"));
    line?.trim().parse().ok()
}

/// How long anything may outlive the one who started it.
const PROMISE: Duration = Duration::from_secs(20);
