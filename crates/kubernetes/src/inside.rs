//! A command in the pod of the control plane, for who asks it from outside: whoever may run one there may ask.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::api::{Api, AttachParams, AttachedProcess};
use leno_model::ControlName;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf, copy_bidirectional};

use crate::cluster::Cluster;
use crate::install::{self, NAMESPACE, called};
use crate::words::in_words;

/// Why a command is not run in the pod of the control plane.
#[derive(Debug, thiserror::Error)]
pub enum NotRun {
    /// There is none that runs.
    #[error("no pod of {0} runs in {NAMESPACE}")]
    NoPod(String),
    /// The API server did not do it.
    #[error("{0}")]
    Cluster(String),
    /// What it was to be told did not get there.
    #[error("it was not told what is asked: {0}")]
    Untold(#[source] io::Error),
}

/// A command in a pod, for as long as this is kept. Reading gives what it prints, and where that is nothing, fails with
/// what it says of errors.
pub struct Inside {
    /// It ends with these: the command's input is closed, and the connection to it.
    _process: (AttachedProcess, Box<dyn Send + Unpin>),
    output: Pin<Box<dyn AsyncRead + Send>>,
    errors: Pin<Box<dyn AsyncRead + Send>>,
    end: End,
    has_printed: bool,
    said: Vec<u8>,
}

/// How a command has ended.
enum End {
    /// It has not, as far as is known.
    Awaited(Pin<Box<dyn Future<Output = Option<Status>> + Send>>),
    /// With what is said of that.
    Told(String),
    /// Nobody says: the connection is gone.
    Lost,
}

impl Cluster {
    /// Runs a command of `leno` in the pod of the control plane of this name, and tells it `line`; without a name, of the
    /// default one.
    pub async fn run_in_control(
        &self,
        control: Option<&ControlName>,
        command: &[&str],
        line: &[u8],
    ) -> Result<Inside, NotRun> {
        let (pods, name) = self.control_pod(control).await?;
        let how = AttachParams::default()
            .stdin(true)
            .max_stdin_buf_size(BUFFER)
            .max_stdout_buf_size(BUFFER);
        let words = ["/leno"].into_iter().chain(command.iter().copied());
        let mut process = pods.exec(&name, words, &how).await.map_err(failed)?;
        let closed = || NotRun::Cluster("the command has no input and output".to_owned());
        let mut input = process.stdin().ok_or_else(closed)?;
        let output = process.stdout().ok_or_else(closed)?;
        let errors = process.stderr().ok_or_else(closed)?;
        input.write_all(line).await.map_err(NotRun::Untold)?;
        input.write_all(b"\n").await.map_err(NotRun::Untold)?;
        input.flush().await.map_err(NotRun::Untold)?;
        let status = process.take_status().ok_or_else(closed)?;
        Ok(Inside {
            _process: (process, Box::new(input)),
            output: Box::pin(output),
            errors: Box::pin(errors),
            end: End::Awaited(Box::pin(status)),
            has_printed: false,
            said: Vec::new(),
        })
    }
}

impl Cluster {
    /// Carries a connection to a port of the pod of the control plane of this name, until either end closes it; without a
    /// name, of the default one's.
    pub async fn carry_to_control(
        &self,
        control: Option<&ControlName>,
        port: u16,
        connection: &mut (impl AsyncRead + AsyncWrite + Unpin),
    ) -> Result<(), NotRun> {
        let (pods, name) = self.control_pod(control).await?;
        let mut forwarder = pods.portforward(&name, &[port]).await.map_err(failed)?;
        if let Some(mut there) = forwarder.take_stream(port) {
            // Whoever is cut off sees it.
            drop(copy_bidirectional(connection, &mut there).await);
        }
        forwarder.abort();
        Ok(())
    }

    async fn control_pod(
        &self,
        control: Option<&ControlName>,
    ) -> Result<(Api<Pod>, String), NotRun> {
        let pods = self.pods_of(&install::pods_of_control(control)).await;
        let mut pods = pods.map_err(NotRun::Cluster)?.into_iter();
        let runs = |pod: &Pod| {
            let phase = pod.status.as_ref().and_then(|it| it.phase.as_deref());
            phase == Some("Running") && pod.metadata.deletion_timestamp.is_none()
        };
        let name = pods.find(runs).and_then(|pod| pod.metadata.name);
        let name = name.ok_or_else(|| NotRun::NoPod(called(control)))?;
        let pods = Api::namespaced(self.client.clone(), NAMESPACE);
        Ok((pods, name))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
fn failed(why: kube::Error) -> NotRun {
    NotRun::Cluster(in_words(&why))
}

impl AsyncRead for Inside {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        // Before it is read: what comes before an end is read whole.
        let is_lost = self.end.poll(context);
        match self.output.as_mut().poll_read(context, into)? {
            Poll::Pending if is_lost => {
                return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
            }
            Poll::Pending => return Poll::Pending,
            Poll::Ready(()) => {}
        }
        if into.filled().len() > before || self.has_printed {
            self.has_printed = true;
            return Poll::Ready(Ok(()));
        }
        let why = ready!(self.poll_errors(context));
        Poll::Ready(Err(io::Error::other(why)))
    }
}

impl Inside {
    /// What a command says that has printed nothing.
    fn poll_errors(&mut self, context: &mut Context<'_>) -> Poll<String> {
        loop {
            let mut bytes = [0; 512];
            let mut heard = ReadBuf::new(&mut bytes);
            let read = self.errors.as_mut().poll_read(context, &mut heard);
            match read {
                Poll::Ready(Ok(())) if !heard.filled().is_empty() => {
                    let room = MOST_SAID.saturating_sub(self.said.len());
                    let more = heard.filled();
                    self.said.extend(more.iter().take(room));
                }
                Poll::Pending if !matches!(self.end, End::Lost) => return Poll::Pending,
                Poll::Pending | Poll::Ready(_) => break,
            }
        }
        let said = String::from_utf8_lossy(&self.said);
        let said = match (said.trim(), &self.end) {
            ("", End::Told(how)) => how.clone(),
            ("", End::Awaited(_) | End::Lost) => "it has said nothing".to_owned(),
            (said, _) => said.to_owned(),
        };
        Poll::Ready(said)
    }
}

impl End {
    /// Whether it is known that nobody will say how it ended.
    fn poll(&mut self, context: &mut Context<'_>) -> bool {
        if let Self::Awaited(status) = self
            && let Poll::Ready(status) = status.as_mut().poll(context)
        {
            *self = match status {
                Some(status) => Self::Told(status.message.unwrap_or_default()),
                None => Self::Lost,
            };
        }
        matches!(self, Self::Lost)
    }
}

/// How much of an answer waits for who reads it, in bytes.
const BUFFER: usize = 64 << 10;

/// How much is heard of what a command says of errors, in bytes.
const MOST_SAID: usize = 4 << 10;
