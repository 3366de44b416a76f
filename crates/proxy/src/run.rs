//! One worker from its beginning to its end: what it is told, what it listens at, and how it drains.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use leno_model::view::WorkloadId;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::connect::socket_for;
use crate::cut::Cut;
use crate::listen;
use crate::worker::Worker;
use crate::{Order, Stage, State};

/// How a worker ends once it is told to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ending {
    /// For how long it goes on as before, but says that it is not ready.
    pub(crate) lame_duck: Duration,
    /// How long what lives then may go on.
    pub(crate) drain: Duration,
}

/// How often idle connections are looked through.
const SWEEP: Duration = Duration::from_secs(5);

/// How long connections whose time is over may take to tell that.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How often a drain looks whether it is done.
const DRAIN_LOOK: Duration = Duration::from_millis(20);

/// Runs one worker until it has ended, and says what it had to cut. Beside the connections that it
/// takes and makes it opens no file: when none is left, it goes on.
pub(crate) async fn run(
    worker: Rc<Worker>,
    accepting: Accepting,
    mut orders: mpsc::UnboundedReceiver<Order>,
    mut state: watch::Receiver<State>,
    ending: Ending,
) -> io::Result<Cut> {
    let mut accepting = Some(accepting);
    let mut leaving = None;
    // Whether nobody is left who could tell it anything.
    let mut is_orphaned = false;
    let mut trust = 0;
    let mut sweep = tokio::time::interval(SWEEP);
    let mut handing_over = pin!(worker.keep_handing_over());
    loop {
        tokio::select! {
            never = &mut handing_over => match never {},
            () = ended(&mut leaving) => break,
            changed = state.changed(), if !is_orphaned => {
                is_orphaned = changed.is_err();
                let now = state.borrow_and_update().clone();
                let trust_changed = std::mem::replace(&mut trust, now.trust) != now.trust;
                worker.adopt(now.table, trust_changed);
                if let Some(heir) = now.heir {
                    worker.is_succeeded_by(heir);
                }
                if now.stage == Stage::Over {
                    worker.end();
                }
                if (now.stage > Stage::Serving || is_orphaned)
                    && let Some(accepting) = accepting.take()
                {
                    worker.begin_to_leave();
                    leaving = Some(tokio::task::spawn_local(leave(worker.clone(), accepting, ending)));
                }
            }
            Some(order) = orders.recv() => obey(&worker, accepting.as_mut(), order)?,
            _ = sweep.tick() => {
                worker.sweep();
                let has_ended = accepting.as_ref().is_some_and(Accepting::has_ended);
                if worker.is_broken() || has_ended {
                    return Err(io::Error::other("too much panicked; see what was said above"));
                }
            }
        }
    }
    worker.hand_over();
    Ok(worker.cut())
}

/// Does what it is told. One that leaves listens at nothing more.
fn obey(worker: &Rc<Worker>, accepting: Option<&mut Accepting>, order: Order) -> io::Result<()> {
    match order {
        Order::Listen(socket) => match accepting {
            Some(accepting) => accepting.begin(worker, socket)?,
            None => drop(socket),
        },
        Order::Enclose(workload, share) => worker.enter_by(workload, Some(share.open()?)),
        Order::ReachInto(workload, netns) => worker.reach_into(workload, Some(netns)),
        Order::GiveSocket(workload, to, give) => {
            let socket = socket_for(worker.netns(&workload).as_deref(), to);
            // Whoever asked may have gone.
            drop(give.send(socket));
        }
        Order::AskBy(asker) => worker.ask_by(asker),
        Order::Take(connection, came, door) => listen::take(worker, &door, connection, &came),
        Order::Accept(connection, door) => {
            worker.spread.has_come();
            listen::take(worker, &door, connection, &[]);
        }
        Order::Carry(plain, door) => listen::take_over(worker, &door, plain),
        Order::Leave(workload) => {
            if let Some(accepting) = accepting {
                accepting.end(&workload);
            }
            worker.forget_upstreams(&workload);
            worker.reach_into(workload.clone(), None);
            worker.enter_by(workload, None);
        }
        Order::Lend(lend) => {
            let lent = accepting.map_or_else(|| Ok(Vec::new()), |accepting| accepting.lend())?;
            // Who asked has gone if this is not heard.
            lend.send(lent).ok();
        }
    }
    Ok(())
}

/// Waits until a worker that leaves has left.
async fn ended(leaving: &mut Option<JoinHandle<()>>) {
    match leaving {
        // One that panicked has left as well.
        Some(leaving) => drop(leaving.await),
        None => std::future::pending().await,
    }
}

/// Lets what lives end in peace, for as long as it may; then ends it.
async fn leave(worker: Rc<Worker>, accepting: Accepting, ending: Ending) {
    tokio::select! {
        () = sleep(ending.lame_duck) => {}
        () = worker.begins_to_drain() => {}
    }
    worker.drain();
    accepting.drained().await;
    let in_peace = timeout(ending.drain, async {
        tokio::select! {
            () = is_idle(&worker) => {}
            () = worker.is_told_to_end() => {}
        }
    });
    // What is too long about it is cut next.
    drop(in_peace.await);
    if worker.is_busy() {
        worker.end();
        // What does not even hear that is closed with the runtime.
        drop(timeout(LAST_WORDS, is_idle(&worker)).await);
    }
}

/// Waits until nothing lives.
async fn is_idle(worker: &Worker) {
    while worker.is_busy() {
        sleep(DRAIN_LOOK).await;
    }
}

/// What a worker listens at.
#[derive(Default)]
pub(crate) struct Accepting(Vec<Listening>);

struct Listening {
    /// The workload that it belongs to.
    workload: Option<WorkloadId>,
    /// Whether it goes on while the worker drains.
    stays: bool,
    /// Shared with the task, which alone accepts; none of datagrams.
    socket: Option<Rc<TcpListener>>,
    task: JoinHandle<()>,
}

impl Accepting {
    /// Begins to accept at each of `sockets`.
    pub(crate) fn at(worker: &Rc<Worker>, sockets: Vec<listen::Socket>) -> io::Result<Self> {
        let mut accepting = Self::default();
        for socket in sockets {
            accepting.begin(worker, socket)?;
        }
        Ok(accepting)
    }

    fn begin(&mut self, worker: &Rc<Worker>, socket: listen::Socket) -> io::Result<()> {
        let (workload, stays) = (socket.door.workload().cloned(), socket.door.stays());
        if let Some((workload, port, address)) = socket.upstream() {
            worker.listens_for(workload, port, address);
        }
        let open = socket.open()?;
        let socket = open.streams().cloned();
        let task = listen::accept(worker.clone(), open);
        self.0.push(Listening {
            workload,
            stays,
            socket,
            task: tokio::task::spawn_local(task),
        });
        Ok(())
    }

    /// The sockets of streams once more.
    fn lend(&self) -> io::Result<Vec<OwnedFd>> {
        let sockets = self.0.iter().filter_map(|one| one.socket.as_ref());
        let lent = sockets.map(|socket| socket.as_fd().try_clone_to_owned());
        lent.collect()
    }

    /// Ends what belongs to `workload`.
    fn end(&mut self, workload: &WorkloadId) {
        self.0.retain(|listening| {
            let goes_on = listening.workload.as_ref() != Some(workload);
            if !goes_on {
                listening.task.abort();
            }
            goes_on
        });
    }

    /// Whether any has ended by itself: it panicked.
    fn has_ended(&self) -> bool {
        self.0.iter().any(|listening| listening.task.is_finished())
    }

    /// Waits until what has come to the sockets is taken and they are closed.
    async fn drained(self) {
        let ending = self.0.into_iter().filter(|listening| !listening.stays);
        // Each task holds its socket alone from here on, and closes it as soon as nothing waits there.
        let tasks: Vec<_> = ending.map(|listening| listening.task).collect();
        for task in tasks {
            // One that panicked has ended as well.
            drop(task.await);
        }
    }
}
