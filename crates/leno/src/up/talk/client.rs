//! The end of a command: asks, or joins.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context as _, bail};
use leno_host::through_folder;
use leno_model::view::WorkloadId;
use serde_json::{Value, json};

use super::{Arrived, send, words};
use crate::up::engine::{Guest, Joined, Opened};
use crate::up::news::Row;
use crate::up::place::Place;

/// How long an answer may take; a workload that is started again may take its time to end.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// A connection to the mesh of a place. Blocks while it waits for an answer.
pub(crate) struct Client {
    stream: UnixStream,
    arrived: Arrived,
}

impl Client {
    /// Connects, if the mesh of `place` is up.
    pub(crate) fn connect(place: &Place) -> anyhow::Result<Option<Self>> {
        let socket = place.socket();
        if !socket.exists() {
            return Ok(None);
        }
        let (_folder, path) = through_folder(&socket)?;
        match UnixStream::connect(path) {
            Ok(stream) => {
                stream.set_read_timeout(Some(LONGEST_WAIT))?;
                stream.set_write_timeout(Some(LONGEST_WAIT))?;
                Ok(Some(Self {
                    stream,
                    arrived: Arrived::default(),
                }))
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot ask {}", socket.display())),
        }
    }

    /// Connects, or says that nothing is up.
    pub(crate) fn require(place: &Place) -> anyhow::Result<Self> {
        match Self::connect(place)? {
            Some(client) => Ok(client),
            None => bail!("nothing is up in {}: leno up", place.folder().display()),
        }
    }

    /// What runs.
    pub(crate) fn rows(&mut self) -> anyhow::Result<Vec<Row>> {
        let answer = self.ask(&json!({ "ask": "ps" }))?;
        let rows = answer["rows"].as_array().map(|rows| rows.iter());
        let rows = rows.and_then(|rows| rows.map(words::read_row).collect());
        rows.context("the mesh that is up speaks another version of this program")
    }

    /// Starts a workload again.
    pub(crate) fn restart(&mut self, id: &WorkloadId) -> anyhow::Result<()> {
        self.ask(&json!({ "ask": "restart", "workload": words::id(id) }))?;
        Ok(())
    }

    /// Ends the mesh; returns when everything in it has ended.
    pub(crate) fn down(&mut self) -> anyhow::Result<()> {
        self.say(&json!({ "ask": "down" }))?;
        self.stream.set_read_timeout(None)?;
        // It ends with the process that would give another answer.
        while self.read()?.is_some() {}
        Ok(())
    }

    /// Asks for a place.
    pub(crate) fn join(&mut self, guest: &Guest) -> anyhow::Result<Joined> {
        let answer = self.ask(&json!({ "ask": "join", "guest": words::guest(guest) }))?;
        let joined = words::read_joined(&answer["joined"]);
        joined.context("the mesh that is up speaks another version of this program")
    }

    /// Hands over what is needed of the enclosure that was opened for that place.
    pub(crate) fn hand_over(&mut self, opened: &Opened) -> anyhow::Result<()> {
        let Opened { listeners, v4, v6 } = opened;
        let mut fds = Vec::new();
        fds.extend(listeners.outbound.iter().map(|socket| socket.as_fd()));
        fds.extend(listeners.dns_udp.iter().map(|socket| socket.as_fd()));
        fds.extend(listeners.dns_tcp.iter().map(|socket| socket.as_fd()));
        fds.push(v4.as_fd());
        fds.extend(v6.iter().map(|socket| socket.as_fd()));
        let families = 1 + usize::from(v6.is_some());
        let said = json!({ "families": families });
        send(&self.stream, &said.to_string(), &fds)?;
        self.answer().map(drop)
    }

    /// Tells on what the workload listens.
    pub(crate) fn listening(&self, addresses: &BTreeSet<SocketAddr>) -> io::Result<()> {
        let said = json!({ "listening": words::addresses(addresses) });
        send(&self.stream, &said.to_string(), &[])
    }

    /// Tells how many of its datagrams were refused so far.
    pub(crate) fn udp_refused(&self, datagrams: u64) -> io::Result<()> {
        let said = json!({ "udpRefused": datagrams });
        send(&self.stream, &said.to_string(), &[])
    }

    fn ask(&mut self, question: &Value) -> anyhow::Result<Value> {
        self.say(question)?;
        self.answer()
    }

    fn say(&self, question: &Value) -> anyhow::Result<()> {
        Ok(send(&self.stream, &question.to_string(), &[])?)
    }

    fn answer(&mut self) -> anyhow::Result<Value> {
        let answer = self.read()?.context("the mesh has ended")?;
        match answer["error"].as_str() {
            Some(why) => bail!("{why}"),
            None => Ok(answer),
        }
    }

    fn read(&mut self) -> anyhow::Result<Option<Value>> {
        loop {
            if let Some(line) = self.arrived.line() {
                return Ok(Some(serde_json::from_slice(&line)?));
            }
            match self.arrived.receive(&self.stream) {
                Ok(true) => {}
                Ok(false) => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    bail!("the mesh that is up here has not answered for {LONGEST_WAIT:?}")
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}
