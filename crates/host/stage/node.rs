//! What the proxy of a node does to a pod and to its node, one step at a time.

use std::{
    fs,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    os::{
        fd::AsFd as _,
        unix::net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use leno_host::{
    Confined, KnownBy, Netns, PROXY_MARK, PodCapture, PodListeners, Reach, SocketFile,
    nft::Netfilter, original_destination,
};
use rustix::net::sockopt::socket_peercred;
use socket2::{Domain, Socket, Type};

use super::address;

/// What it keeps open between two steps.
#[derive(Default)]
pub(crate) struct Node {
    pod: Option<Netns>,
    listeners: PodListeners,
    door: Option<(UnixListener, SocketFile)>,
}

impl Node {
    pub(crate) fn obey(&mut self, words: &[&str]) -> io::Result<String> {
        match *words {
            ["find", uid] => self.find(uid),
            ["capture"] => self.capture(),
            ["capture-itself"] => capture_itself(),
            ["stand"] => self.stand(),
            ["carry", to] => self.carry(to),
            ["confine", own] => self.confine(own),
            ["door", path] => self.open_door(path),
            ["asked"] => self.asked(),
            ["keep", path, text] => keep(path, text),
            ["release"] => Ok(format!("released {}", leno_host::release_pods()?)),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    fn pod(&self) -> io::Result<&Netns> {
        self.pod.as_ref().ok_or(io::ErrorKind::NotConnected.into())
    }

    fn find(&mut self, uid: &str) -> io::Result<String> {
        let mut found = leno_host::networks_of_pods(&[uid.into()].into())?;
        self.pod = found.remove(uid);
        self.pod().map(|_| "found".to_owned())
    }

    fn capture(&self) -> io::Result<String> {
        let capture = PodCapture {
            known_by: KnownBy::Mark,
            ..PodCapture::default()
        };
        let rules = capture.rules();
        let loaded = || {
            let netfilter = Netfilter::open()?;
            netfilter.replace(&rules).map_err(io::Error::other)
        };
        self.pod()?.within(loaded)?;
        Ok("captured".into())
    }

    fn stand(&mut self) -> io::Result<String> {
        self.listeners = self.pod()?.within(PodListeners::open)?;
        Ok("standing".into())
    }

    /// Takes what the pod sends outside, and carries it to another address from within the pod.
    fn carry(&mut self, to: &str) -> io::Result<String> {
        let listener = self.listeners.outbound.first();
        let listener = listener.ok_or(io::ErrorKind::NotConnected)?;
        listener.set_nonblocking(false)?;
        let (mut taken, _) = listener.accept()?;
        let meant = original_destination(&taken)?;
        let mut onward = self.pod()?.within(|| connected(address(to)?))?;
        let mut text = [0; 64];
        let count = taken.read(&mut text)?;
        onward.write_all(&text[..count])?;
        let count = onward.read(&mut text)?;
        taken.write_all(&text[..count])?;
        Ok(format!("carried what was for {meant}"))
    }

    /// Starts a process with a user of its own and this folder, which goes into the pod for good.
    fn confine(&self, own: &str) -> io::Result<String> {
        let pod = self.pod()?.file().try_clone_to_owned()?;
        let mut command = Command::new("/proc/self/exe");
        let said = command.args(["confined", own]).stdin(pod).output()?;
        match said.status.success() {
            true => Ok(String::from_utf8_lossy(&said.stdout).trim_end().to_owned()),
            false => Err(io::Error::other(format!("{said:?}"))),
        }
    }

    fn open_door(&mut self, path: &str) -> io::Result<String> {
        let bind = |path: &Path| UnixListener::bind(path);
        self.door = Some(SocketFile::put(Path::new(path), Reach::Owner, bind)?);
        Ok("open".into())
    }

    /// Answers the plugin, which asks about the pod.
    fn asked(&self) -> io::Result<String> {
        let (door, _) = self.door.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        let (mut stream, _) = door.accept()?;
        let process = socket_peercred(&stream)?.pid.as_raw_nonzero().get();
        let process = process.try_into().map_err(io::Error::other)?;
        let netns = netns_in(&stream)?;
        let is_the_pod = Netns::open_as(process, &netns)? == *self.pod()?;
        stream.write_all(b"{\"served\": true}\n")?;
        Ok(format!("asked about the pod: {is_the_pod}"))
    }
}

fn capture_itself() -> io::Result<String> {
    let netfilter = Netfilter::open()?;
    let loaded = netfilter.replace(&PodCapture::default().rules());
    loaded.map_err(io::Error::other)?;
    Ok("captured".into())
}

/// The file that a question names.
fn netns_in(stream: &UnixStream) -> io::Result<PathBuf> {
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    let (_, behind) = line.split_once("\"netns\":\"").unwrap_or_default();
    Ok(behind.split('"').next().unwrap_or_default().into())
}

/// A connection that is known as the proxy's own.
fn connected(to: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
    socket.set_mark(PROXY_MARK)?;
    socket.connect(&to.into())?;
    Ok(socket.into())
}

fn keep(path: &str, text: &str) -> io::Result<String> {
    let path = Path::new(path);
    fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
    let beside = path.with_added_extension("new");
    fs::write(&beside, text)?;
    fs::rename(&beside, path)?;
    fs::read_to_string(path)
}

/// Is left with the rights of a process that serves one pod alone, whose network is its standard input, and listens there.
pub(crate) fn confined(own: &str) -> io::Result<ExitCode> {
    let pod = Netns::of_opened(io::stdin().as_fd().try_clone_to_owned()?)?;
    let confined = Confined {
        user: 64001,
        own: own.into(),
        hidden: Vec::new(),
        memory: 1 << 30,
    };
    confined.enter()?;
    let settled = pod.settle()?;
    let listeners = settled.within(PodListeners::of_metrics)?;
    fs::write(Path::new(own).join("kept"), "kept")?;
    writeln!(
        io::stdout(),
        "settled, heard at {} addresses",
        listeners.len()
    )?;
    Ok(ExitCode::SUCCESS)
}
