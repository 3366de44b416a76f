//! `leno proxy --joined`: a proxy that follows a control plane.

mod applications;
pub(super) mod holding;
mod inside;
mod joining;
pub(super) mod lasting;
mod node;
mod proving;
mod running;
mod wanted;
mod word;

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use leno_admin::{self as admin, Ending, Question, Server};
use leno_channel::Keyring;
use leno_model::view::View;
use leno_proxy::follow::{Event, Folder, Follower};
use leno_proxy::succession::{Predecessor, Succession};
use leno_proxy::{Clocks, Witness};
use leno_telemetry::{AccessLog, Format, Telemetry};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::arguments::{
    self,
    fleet::{self, Joined},
};
use crate::command::collecting::Collecting;
use crate::command::doorkeeper::Doorkeeper;
use crate::command::ending::{EndSignals, tell_cut};
use crate::command::joined::applications::Applications;
use crate::command::joined::holding::Held;
use crate::command::joined::inside::Inside;
use crate::command::joined::lasting::Lasting;
use crate::command::joined::node::{Living, Node, Said};
use crate::command::joined::running::{Running, Start};
use crate::command::joined::wanted::Wanted;
use crate::command::succeeding::{accepted, give_way, offer, predecessor, start_newer, tell_taken};
use crate::command::{Answer, host, service};
use crate::neighbours;
use crate::terminal::{Line, Terminal};

/// Runs the proxy until it is told to end. It listens as soon as it holds a view: the last one at
/// once, also where no control plane is there.
pub(crate) fn run(options: &arguments::Proxy, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let wanted = Wanted::read(options)?;
    let options = &options.joined;
    let mut lasting = wanted.lasting(terminal);
    let following = wanted.following(lasting.as_ref())?;
    // While this thread is the only one.
    let inside = wanted.is_of_pod.then(|| Inside::take(&following.folder));
    let inside = inside.transpose()?;
    let clocks = Clocks::start();
    let keyring = Arc::new(Keyring::new(clocks.clock()));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    if let Some(inside) = &inside {
        inside.join(&following.folder)?;
        terminal.speak_of(&following.name);
    }
    if let Some(token) = &following.token {
        let joining = joining::join(
            token,
            &following.folder,
            lasting.as_mut(),
            &clocks,
            terminal,
        );
        if !runtime.block_on(joining)? {
            return Ok(Answer::Fine);
        }
    }
    let terminal = RefCell::new(terminal);
    let tell = |event: &Event| terminal.borrow_mut().tell(event.to_string());
    let place = host::proxy_succession(&following.folder);
    let predecessor = predecessor(&place, wanted.take_over)?;
    let succeeds = predecessor.as_ref().map(Predecessor::process);
    let (mut follower, asker) =
        Follower::open(&following, Arc::clone(&keyring), clocks.clone(), tell)?;
    tell_identity(&terminal, &follower);
    let held = Held::of(
        &following.name,
        &wanted.workloads,
        &follower,
        clocks.now().wall,
    );
    let telemetry = telemetry(options)?;
    let witness = held.witness(&clocks, &telemetry);
    follower.answer_by(witness.respondent());
    follower.report(&telemetry);
    let domain = &follower.identity().trust_domain;
    let applications = Applications::new(domain, follower.signer(), clocks.clone());
    let looks = follower.looks();
    let ended = Arc::new(Notify::new());
    let (views, seen) = watch::channel(None);
    let tell = |event: &Event| {
        held.hear(event, clocks.now().wall);
        if let Event::Certified { .. } = event {
            // Pods that the view names may have waited for it.
            views.send_modify(|_| {});
        }
        tell(event);
    };
    let mut collecting = Collecting::of(&telemetry);
    let placer = follower.placer();
    let living = Living::default();
    let of_pods = wanted.of_pods(&following.folder, lasting.as_ref());
    let own = (follower.voucher(), &of_pods, &living);
    let of_node = wanted
        .node
        .map(|node| (node, Arc::clone(&keyring), asker.clone()));
    let running = Running::new(Start {
        wanted,
        inside,
        keyring,
        clocks: clocks.clone(),
        telemetry,
        witness: witness.clone(),
        asker,
        predecessor: RefCell::new(predecessor),
    });
    let adopt = |view: Arc<View>, scope| {
        held.see(&view);
        applications.see(&view);
        running.adopt(Arc::clone(&view), scope);
        views.send_replace(Some(view));
    };
    if let Some((view, scope)) = follower.view() {
        adopt(view, scope);
    }
    let keeping = follower.folder().clone();
    let succession = runtime.block_on(async {
        let mut signals = EndSignals::new()?;
        let answering = async {
            if let Some(process) = succeeds {
                // Until then the other one answers.
                let _proxy = running.started().await;
                tell_taken(process, *terminal.borrow_mut());
            }
            let (doorkeeper, mut lines) = Doorkeeper::new(clocks.clone(), Some(looks));
            let socket = &following.folder;
            let _asked = listen(socket, witness, doorkeeper, &ended, succeeds.is_some())?;
            let _found = neighbours::Place::of(&host::proxy_socket(&following.folder));
            let tell = |line: String| terminal.borrow_mut().tell(line);
            let telling = async {
                while let Some(line) = lines.recv().await {
                    tell(line);
                }
                pending::<Infallible>().await
            };
            let Some(socket) = &options.workload_api else {
                return Ok(telling.await);
            };
            let serving = applications.serve(socket, succeeds.is_some(), tell);
            tokio::select! {
                failed = serving => failed,
                never = telling => match never {},
            }
        };
        let serving = async {
            let Some((node, keyring, asker)) = of_node else {
                return pending().await;
            };
            let seen_too = seen.clone();
            let node = Node::new(node, &running, keyring, (asker, placer), own, seen);
            let tell = |said| {
                let line = match said {
                    Said::Good(line) => Line::new().good("node  ").plain(line),
                    Said::Bad(line) => Line::new().bad("✗ ").plain(line),
                };
                terminal.borrow_mut().tell(line);
            };
            let clearing = async {
                match &lasting {
                    Some(lasting) => clear(lasting, seen_too).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                failed = node.run(tell) => failed,
                never = clearing => match never {},
                // Pods that come then are a newer proxy's.
                () = running.begins_to_end() => pending().await,
            }
        };
        let life = async {
            let lived = live(&running, &place, &keeping, &ended, &mut signals, &terminal);
            let succession = lived.await?;
            if !running.is_broken() {
                tokio::select! {
                    () = living.ended() => {}
                    () = signals.next() => {}
                }
            }
            anyhow::Ok(succession)
        };
        let succession = tokio::select! {
            lived = life => lived?,
            failed = answering => match failed? {},
            failed = serving => match failed? {},
            // While it drains, too, what lives obeys what is in force.
            never = follower.run(adopt, tell) => match never {},
            never = running.see_in_advance() => match never {},
            never = tell_collecting(&mut collecting, &terminal) => match never {},
        };
        follower.tell_the_last().await;
        anyhow::Ok(succession)
    })?;
    // With it goes the connection to the control plane.
    runtime.shutdown_background();
    let cut = running.end()?;
    tell_cut(&cut, *terminal.borrow_mut())?;
    if let Some(succession) = succession {
        succession.finish();
    }
    Ok(Answer::Fine)
}

/// Removes what other proxies of this node left that run no more, for as long as it is polled: once this one has a view of
/// its own, nobody needs it.
async fn clear(lasting: &Lasting, mut views: watch::Receiver<Option<Arc<View>>>) -> Infallible {
    // Whoever says so lives as long as this.
    drop(views.wait_for(Option::is_some).await);
    let mut look = interval(CLEARING);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        // What cannot be removed now is tried again.
        drop(lasting.clear());
    }
}

/// How often it is looked for what others left.
const CLEARING: Duration = Duration::from_secs(10);

/// Lives until the proxy is told to end, has failed, or a newer process has taken its place: that is
/// the succession.
async fn live(
    running: &Running<'_>,
    place: &Path,
    keeping: &Folder,
    ended: &Notify,
    signals: &mut EndSignals,
    terminal: &RefCell<&mut Terminal>,
) -> anyhow::Result<Option<Succession>> {
    let mut succession = None;
    let mut newer = signal(SignalKind::user_defined2())?;
    let starting = async {
        loop {
            newer.recv().await;
            if let Err(error) = start_newer() {
                let error = error.context("no newer process could be started");
                terminal.borrow_mut().error(&error);
            }
        }
    };
    let offered = async {
        let proxy = running.started().await;
        service::serves();
        succession = offer(place, proxy, *terminal.borrow_mut());
        let heir = accepted(&mut succession).await;
        keeping.give_up();
        give_way(proxy, heir, *terminal.borrow_mut());
    };
    tokio::select! {
        () = ended.notified() => service::ends(),
        told = running.serve_pod() => told?,
        () = running.has_failed() => return Ok(succession),
        () = signals.next() => service::ends(),
        () = offered => {}
        never = starting => match never {},
        // What drains listens no longer.
        never = running.prove(terminal) => match never {},
    }
    running.drain(signals).await;
    Ok(succession)
}

fn telemetry(options: &Joined) -> io::Result<Telemetry> {
    let format = options.access_log.map(|format| match format {
        fleet::AccessLog::Text => Format::Text,
        fleet::AccessLog::Json => Format::Json,
    });
    let access_log = format.map(|format| AccessLog::start(format, io::stdout()));
    Ok(Telemetry::new(leno_telemetry::Settings {
        access_log: access_log.transpose()?,
        blind: options.blind,
        ..leno_telemetry::Settings::default()
    }))
}

/// Answers on the proxy's socket, for as long as the answer is held; whoever asks it to end is told in
/// `ended`. Instead of whoever answered there, if it has taken that one's place.
fn listen(
    folder: &Path,
    witness: Witness,
    doorkeeper: Doorkeeper,
    ended: &Arc<Notify>,
    instead: bool,
) -> anyhow::Result<JoinSet<()>> {
    let socket = host::proxy_socket(folder);
    let server = match instead {
        true => Server::listen_instead(&socket),
        false => Server::listen(&socket),
    };
    let server = server.with_context(|| format!("cannot listen on {}", socket.display()))?;
    let ended = Arc::clone(ended);
    let strangers = doorkeeper.clone();
    let server = server.telling(move |user| strangers.refuses(user));
    let answer = move |asker, question| {
        doorkeeper.asks(&asker, &question);
        let (witness, ended) = (witness.clone(), Arc::clone(&ended));
        async move {
            match question {
                Question::End(_) => {
                    ended.notify_one();
                    Ok(admin::Answer::Ending(Ending {}).into())
                }
                question => witness.answer(question).await,
            }
        }
    };
    let mut tasks = JoinSet::new();
    tasks.spawn(server.run(answer));
    Ok(tasks)
}

async fn tell_collecting(
    collecting: &mut Collecting,
    terminal: &RefCell<&mut Terminal>,
) -> Infallible {
    loop {
        for line in collecting.next().await {
            terminal.borrow_mut().tell(line);
        }
    }
}

fn tell_identity(terminal: &RefCell<&mut Terminal>, follower: &Follower) {
    let line = Line::new()
        .good("follows")
        .plain("  as ")
        .strong(follower.identity());
    let line = match follower.view() {
        Some((view, _)) => line.plain(format_args!(" · holds view {}", view.generation)),
        None => line.plain(" · holds no view yet"),
    };
    terminal.borrow_mut().tell(line);
}
