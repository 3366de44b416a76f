//! The process that carries the calls of one pod of a node and of nobody else: it was started by the proxy of the node,
//! which gave it the pod's network and sockets and keeps the packet rules.

use std::cell::RefCell;
use std::io;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::sync::{Arc, mpsc as std_mpsc};
use std::thread;

use anyhow::{Context as _, bail};
use leno_host::link::Link;
use leno_host::{Confined, Netns, PROXY_USER, give_up_rights};
use leno_model::view::WorkloadId;
use leno_proxy::{Door, Listener, Place, Proxy, Settings, follow};
use tokio::sync::mpsc;

use crate::command::joined::node::listeners;
use crate::command::joined::word::{Begin, Hearing, Listening, PATIENCE, Word};

/// What the process was given.
pub(super) struct Inside {
    begin: Begin,
    link: Link,
    netns: Arc<Netns>,
    listening: RefCell<Option<Listening>>,
    jobs: mpsc::UnboundedSender<Job>,
}

/// Something that is done in the pod's network.
type Job = Box<dyn FnOnce() + Send>;

impl Inside {
    /// Takes what the node's proxy gives, and gives up all rights but those to serve the pod. `own` is the folder in which
    /// it keeps its keys. For the only thread of the process.
    pub(super) fn take(own: &Path) -> anyhow::Result<Self> {
        let stdin = io::stdin().as_fd().try_clone_to_owned()?;
        let link = Link::from(stdin);
        let received = link.receive_within(PATIENCE);
        let received =
            received.context("no proxy of a node has started this: it starts such ones itself")?;
        let (word, files) = Word::read(received.context("the node's proxy has ended")?)?;
        let (Word::Begin(begin), Ok([netns])) = (word, <[_; 1]>::try_from(files)) else {
            bail!("the node's proxy does not say what this is to be");
        };
        let netns = Netns::of_opened(netns).context("the pod's network")?;
        let listening = Listening::receive(&link).context("the pod's sockets")?;
        let confined = Confined {
            user: PROXY_USER,
            own: own.to_owned(),
            hidden: begin.hidden.clone(),
            memory: u64::from(begin.memory_mib) << 20,
        };
        confined.enter().context("rights could not be given up")?;
        let (netns, jobs) = settle(netns).context("the pod's network")?;
        give_up_rights().context("rights could not be given up")?;
        Ok(Self {
            begin,
            link,
            netns,
            listening: RefCell::new(Some(listening)),
            jobs,
        })
    }

    /// Joins the mesh by what the node's proxy vouches for, unless that was done in `folder` before.
    pub(super) fn join(&self, folder: &Path) -> anyhow::Result<()> {
        if follow::Folder::open(folder).is_ok() {
            return Ok(());
        }
        let joined = follow::join_vouched(|request| self.vouched(request), folder);
        joined.map(drop).map_err(|why| {
            let code = why.code();
            anyhow::anyhow!("{code} {}: {why}", code.slug())
        })
    }

    fn vouched(&self, request: Vec<u8>) -> io::Result<Vec<u8>> {
        Word::Request(request).send(&self.link, &[])?;
        let received = self.link.receive()?.ok_or(io::ErrorKind::UnexpectedEof)?;
        match Word::read(received)?.0 {
            Word::Vouched(vouched) => Ok(vouched),
            Word::NotVouched(why) => Err(io::Error::other(why)),
            Word::End => Err(io::Error::other("the node's proxy needs this no more")),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// The same settings, for no more than this process may use.
    pub(super) fn bounded(&self, mut settings: Settings) -> Settings {
        let processors = self.begin.cpu_milli.unwrap_or(1000).div_ceil(1000);
        let processors = usize::try_from(processors).unwrap_or(usize::MAX);
        settings.workers = processors
            .try_into()
            .unwrap_or(settings.workers)
            .min(settings.workers);
        // The rest is for connections, the view, and what was freed and not given back.
        let buffered = usize::try_from(self.begin.memory_mib).unwrap_or(usize::MAX);
        let buffered = buffered.saturating_mul(1 << 20) / 4;
        settings.limits.buffered = settings.limits.buffered.min(buffered);
        settings.node_servers.clone_from(&self.begin.node_servers);
        settings
    }

    /// What `job` returns, carried out in the pod's network: threads that it starts are there for good. Blocks.
    pub(super) fn carry_out<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        let ended = || io::Error::other("the thread in the pod's network has ended");
        let (done, is_done) = std_mpsc::channel();
        // Whoever asked waits for it.
        let job = Box::new(move || drop(done.send(job())));
        self.jobs.send(job).map_err(|_| ended())?;
        is_done.recv().map_err(|_| ended())
    }

    /// Lets `proxy` take what arrives for the pod, once, and says so.
    pub(super) fn serve(&self, id: &WorkloadId, proxy: &Proxy) -> io::Result<()> {
        let Some(Listening { pod, metrics }) = self.listening.take() else {
            return Ok(());
        };
        proxy.reach_into(id, &self.netns)?;
        let metrics = metrics.into_iter().map(|socket| Listener {
            place: Place::Socket(socket),
            door: Door::Metrics,
        });
        proxy.listen(listeners(id, pod).into_iter().chain(metrics).collect())?;
        Word::Serves.send(&self.link, &[])
    }

    /// Waits until the node's proxy asks for the end.
    pub(super) async fn told_to_end(&self) -> io::Result<()> {
        let hearing = Hearing::new(self.link.try_clone()?)?;
        while !matches!(hearing.next().await?, Some(Word::End) | None) {}
        Ok(())
    }
}

/// Starts a thread that goes to the pod's network and carries out what it is given.
fn settle(netns: Netns) -> io::Result<(Arc<Netns>, mpsc::UnboundedSender<Job>)> {
    let (jobs, mut given) = mpsc::unbounded_channel::<Job>();
    let (begin, begun) = std_mpsc::channel();
    let work = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let settled = runtime.and_then(|runtime| Ok((runtime, netns.settle()?)));
        let (runtime, settled) = match settled {
            Ok((runtime, settled)) => (runtime, Ok(settled)),
            // Whoever started the thread waits for it.
            Err(why) => return drop(begin.send(Err(why))),
        };
        drop(begin.send(settled));
        runtime.block_on(async {
            while let Some(job) = given.recv().await {
                job();
            }
        });
    };
    thread::Builder::new()
        .name("leno-inside".into())
        .spawn(work)?;
    let settled = begun.recv().map_err(io::Error::other)??;
    Ok((Arc::new(settled), jobs))
}
