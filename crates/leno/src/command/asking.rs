//! Whom a command asks about calls: the control plane, which asks its proxies; where none answers,
//! the proxies of this host.

use std::fmt::Display;
use std::path::Path;

use anyhow::bail;
use leno_admin::several::{self, Asked, PATIENCE, TRYING};
use leno_admin::{
    Ask, Client, Failure, Holding, HoldingOf, KeptCalls, KeptOf, NotAsked, ProbeOf, Probed,
    ReachOf, Reached, Silent, Status, StatusOf, TapOf, Tapped, Watching,
};
use tokio::sync::mpsc;

use crate::command::context::Context;
use crate::terminal::Line;
use crate::{neighbours, render};

/// Who is asked.
pub(crate) enum Ground {
    /// A control plane.
    Control {
        /// The way to it.
        client: Client,
        /// How it is.
        status: Box<Status>,
    },
    /// The proxies of this host.
    Host {
        /// Why no control plane is asked.
        why: String,
        /// What to do about that.
        advice: &'static str,
    },
}

/// What is told of calls as they happen.
pub(crate) enum Tap {
    /// By a control plane.
    Control(Watching<Tapped>),
    /// By the proxies of this host.
    Host(mpsc::Receiver<Tapped>),
}

impl Ground {
    /// Finds out who answers: the control plane that `flag` or the surroundings name, else the
    /// proxies of this host.
    pub(crate) async fn choose(flag: Option<&Path>) -> anyhow::Result<Self> {
        let context = Context::choose(flag)?;
        let client = context.client();
        match client.ask(StatusOf {}).await {
            Ok(status) => Ok(Self::Control {
                client,
                status: Box::new(status),
            }),
            Err(away @ NotAsked::Away { .. }) if context.is_elsewhere() => {
                bail!("{away}; {}", context.advice())
            }
            Err(away @ NotAsked::Away { .. }) => Ok(Self::Host {
                why: away.to_string(),
                advice: context.advice(),
            }),
            Err(error) => Err(error.into()),
        }
    }

    /// The first lines of what is told to people: who is asked.
    pub(crate) fn head(&self) -> Vec<Line> {
        match self {
            Self::Control { status, .. } => vec![render::head(status)],
            Self::Host { why, advice } => instead(why, advice),
        }
    }

    /// What is kept of calls that are over; a refusal is an answer too.
    pub(crate) async fn kept(&self, ask: KeptOf) -> anyhow::Result<Result<KeptCalls, Failure>> {
        match self {
            Self::Control { client, .. } => refusable(client.ask(ask).await),
            Self::Host { .. } => Ok(Ok(several::kept(self.neighbours()?, ask).await)),
        }
    }

    /// Calls as they happen. Needs a runtime around it.
    pub(crate) async fn tap(&self, ask: TapOf) -> anyhow::Result<Tap> {
        Ok(match self {
            Self::Control { client, .. } => Tap::Control(client.watch(ask).await?),
            Self::Host { .. } => {
                self.neighbours()?;
                Tap::Host(several::tap(neighbours::all, ask))
            }
        })
    }

    /// How far a call of a workload gets, by the proxy in front of it.
    pub(crate) async fn probe(&self, ask: ProbeOf) -> anyhow::Result<Result<Probed, Failure>> {
        match self {
            Self::Control { client, .. } => refusable(client.ask(ask).await),
            Self::Host { .. } => Ok(self.by_who_stands_before(&ask.workload.clone(), ask).await),
        }
    }

    /// Whether the proxy in front of a workload can reach an endpoint.
    pub(crate) async fn reach(&self, ask: ReachOf) -> anyhow::Result<Result<Reached, Failure>> {
        match self {
            Self::Control { client, .. } => refusable(client.ask(ask).await),
            Self::Host { .. } => Ok(self.by_who_stands_before(&ask.workload.clone(), ask).await),
        }
    }

    async fn by_who_stands_before<Q: Ask>(
        &self,
        workload: &str,
        ask: Q,
    ) -> Result<Q::Answer, Failure> {
        for proxy in neighbours::all() {
            let held = several::one(&proxy, HoldingOf {}, PATIENCE).await;
            if held.is_ok_and(|held| held.workloads.iter().any(|one| one == workload)) {
                return several::one(&proxy, ask, TRYING).await;
            }
        }
        Err(Failure {
            advice: Some("leno proxies".to_owned()),
            ..Failure::plain(format_args!(
                "no proxy of this host stands in front of {workload}"
            ))
        })
    }

    /// The proxies of this host; where there are none, nobody can be asked.
    fn neighbours(&self) -> anyhow::Result<Vec<Asked>> {
        let found = neighbours::all();
        match self {
            Self::Host { why, advice } if found.is_empty() => {
                bail!("{why}, and no proxy of this host does; {advice}")
            }
            Self::Control { .. } | Self::Host { .. } => Ok(found),
        }
    }
}

impl Tap {
    /// The next thing; nothing once there is nobody left to tell it.
    pub(crate) async fn next(&mut self) -> Result<Option<Tapped>, NotAsked> {
        match self {
            Self::Control(watching) => watching.next().await,
            Self::Host(shown) => Ok(shown.recv().await),
        }
    }
}

/// Says why the proxies of this host are asked, and no control plane.
pub(crate) fn instead(why: impl Display, advice: &str) -> Vec<Line> {
    vec![
        Line::new().bad("! ").plain(why),
        Line::new().plain("  ").dim(advice),
        Line::new().plain("  asked instead: the proxies of this host"),
    ]
}

fn refusable<A>(asked: Result<A, NotAsked>) -> anyhow::Result<Result<A, Failure>> {
    match asked {
        Ok(answer) => Ok(Ok(answer)),
        Err(NotAsked::Refused(failure)) => Ok(Err(failure)),
        Err(error) => Err(error.into()),
    }
}

/// What the proxies of this host hold, and those that did not say.
pub(crate) async fn holdings() -> (Vec<Holding>, Vec<Silent>) {
    let (mut told, mut silent) = (Vec::new(), Vec::new());
    for proxy in neighbours::all() {
        match several::one(&proxy, HoldingOf {}, PATIENCE).await {
            Ok(holding) => told.push(holding),
            Err(failure) => silent.push(Silent {
                proxy: proxy.name,
                why: failure.message,
            }),
        }
    }
    told.sort_by(|one, other| one.proxy.cmp(&other.proxy));
    (told, silent)
}

/// The proxies of other hosts that those of this one know of and that were not asked: each workload
/// with where its proxy takes calls.
pub(crate) fn not_asked(holdings: &[Holding]) -> Vec<String> {
    let own = |workload: &String| holdings.iter().any(|one| one.workloads.contains(workload));
    let peers = holdings.iter().flat_map(|holding| &holding.peers);
    let others = peers.filter(|peer| !own(&peer.workload));
    let mut others: Vec<_> = others
        .map(|peer| format!("{} ({})", peer.workload, peer.address))
        .collect();
    others.sort();
    others.dedup();
    others
}

/// That sentence in words, for people; nothing where everybody was asked.
pub(crate) fn not_asked_line(others: &[String]) -> Option<Line> {
    const SHOWN: usize = 3;
    let count = match others.len() {
        0 => return None,
        1 => "1 proxy elsewhere".to_owned(),
        many => format!("{many} proxies elsewhere"),
    };
    let shown = others.iter().take(SHOWN).cloned().collect::<Vec<_>>();
    let rest = if others.len() > SHOWN { ", .." } else { "" };
    let line = Line::new().doubtful("not asked: ").plain(count);
    Some(line.dim(format_args!(": {}{rest}", shown.join(", "))))
}
