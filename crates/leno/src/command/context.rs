//! Which control plane a command asks: that of `--context`, else of `$LENO_CONTEXT`, else of the mesh
//! that is up in this folder, else of this machine.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use anyhow::bail;
use leno_admin::{Ask, Client, Failure, NotAsked};
use leno_host::through_folder;

use super::host;
use crate::neighbours;
use crate::up::{Place, Source};

/// What can be asked while proxies of this host run and no control plane does.
const THE_PROXIES: &str = "Only a control plane knows; the proxies of this host still answer to \
                           leno check, leno proxies, leno view, leno tap, leno probe and leno why";

/// A control plane to ask.
pub(crate) struct Context {
    socket: PathBuf,
    advice: &'static str,
    /// Whether somebody named it.
    is_named: bool,
    /// The file that the mesh of a folder applies again when it changes.
    file: Option<&'static str>,
}

impl Context {
    /// The one to ask when `flag` is what `--context` says.
    pub(crate) fn choose(flag: Option<&Path>) -> anyhow::Result<Self> {
        if let Some(socket) = flag {
            return Ok(Self {
                socket: socket.to_owned(),
                advice: "it is what --context names",
                is_named: true,
                file: None,
            });
        }
        if let Some(socket) = host::named_context() {
            return Ok(Self {
                socket,
                advice: "it is what $LENO_CONTEXT names",
                is_named: true,
                file: None,
            });
        }
        let place = Place::here()?;
        let socket = place.control_socket();
        if is_answered(&socket) {
            return Ok(Self {
                socket,
                advice: "leno down and leno up start it again",
                is_named: false,
                file: Source::file_of(place.folder()),
            });
        }
        Ok(Self {
            socket: host::socket()?,
            advice: "nothing is up in this folder either. Start one: leno up, or leno control",
            is_named: false,
            file: None,
        })
    }

    /// The file that is applied again when it changes, if it is that of a folder.
    pub(crate) fn file(&self) -> Option<&'static str> {
        self.file
    }

    /// Asks, and waits for the answer. A refusal is an answer too.
    pub(crate) fn ask<Q: Ask>(&self, question: Q) -> anyhow::Result<Result<Q::Answer, Failure>> {
        match ask(&self.socket, question)? {
            Ok(answer) => Ok(Ok(answer)),
            Err(NotAsked::Refused(failure)) => Ok(Err(failure)),
            Err(away @ NotAsked::Away { .. }) => match neighbours::all().len() {
                0 => bail!("{away}; {}", self.advice),
                _ => bail!("{away}; {}. {THE_PROXIES}", self.advice),
            },
            Err(misfit @ NotAsked::Misfit(_)) => Err(misfit.into()),
        }
    }

    /// The socket that is asked.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Whether somebody named it: then it is missed where it does not answer.
    pub(crate) fn is_named(&self) -> bool {
        self.is_named
    }

    /// What to do if nobody answers.
    pub(crate) fn advice(&self) -> &'static str {
        self.advice
    }
}

/// Asks whoever listens at `socket`, and waits for the answer.
pub(crate) fn ask<Q: Ask>(
    socket: &Path,
    question: Q,
) -> anyhow::Result<Result<Q::Answer, NotAsked>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime.block_on(Client::new(socket).ask(question)))
}

/// Whether somebody listens at `socket`: one that was killed leaves the file behind.
fn is_answered(socket: &Path) -> bool {
    let reached = through_folder(socket);
    reached.is_ok_and(|(_folder, path)| UnixStream::connect(path).is_ok())
}
