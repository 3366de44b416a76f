//! A mesh as the proxies of this host know it, where no control plane answers: the views by which they
//! decide, put together again.

use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use leno_admin::several::{self, Asked, PATIENCE};
use leno_admin::{Parts, PartsOf, Silent};
use leno_compile::Known;
use leno_model::Namespace;
use leno_model::view::{Generation, View};
use leno_wire::part::{Part, assemble};

use crate::neighbours;
use crate::up::meant_in;

/// What the proxies of this host know.
pub(crate) struct Hosted {
    /// The mesh by which the proxy decides that stands before the caller.
    pub(crate) known: Known,
    /// The proxies that told their views.
    pub(crate) asked: Vec<String>,
    /// Those that did not.
    pub(crate) silent: Vec<Silent>,
    /// The caller's proxy, if it holds only those services that were called through it.
    partial: Option<String>,
}

impl Hosted {
    /// Asks the proxies of this host about calls of `caller`, a workload (`NAME` or `NAMESPACE/NAME`)
    /// that one of them stands before; without one, about calls from outside. `None` if there is no
    /// proxy.
    pub(crate) async fn ask(
        caller: Option<&str>,
        namespace: &Namespace,
    ) -> anyhow::Result<Option<Self>> {
        let (held, silent) = views().await;
        if held.is_empty() && silent.is_empty() {
            return Ok(None);
        }
        let before = match caller {
            Some(caller) => stands_before(caller, namespace, &held)?,
            // One that holds every service knows more of who is called from outside.
            None => held.iter().position(|(told, _)| told.is_whole).unwrap_or(0),
        };
        let Some((told, view)) = held.get(before) else {
            let why = silent.iter().map(|one| one.why.as_str());
            bail!("{}", why.collect::<Vec<_>>().join("; "));
        };
        let views: Vec<_> = held.iter().map(|(_, view)| Arc::clone(view)).collect();
        Ok(Some(Self {
            known: Known::of(view, &views),
            asked: held.iter().map(|(told, _)| told.proxy.clone()).collect(),
            silent,
            partial: (!told.is_whole).then(|| told.proxy.clone()),
        }))
    }

    /// Why nothing can be told, with who was asked.
    pub(crate) fn explain(&self, why: &anyhow::Error) -> anyhow::Error {
        let end = if why.to_string().ends_with('?') {
            ""
        } else {
            "."
        };
        let held = self.partial.as_ref().map(|proxy| {
            format!("; the proxy {proxy} holds only services that were called through it")
        });
        let held = held.unwrap_or_default();
        anyhow!("{why}{end} Asked were the proxies of this host, as no control plane answers{held}")
    }
}

/// By what each proxy of this host decides, and those that did not say.
pub(crate) async fn views() -> (Vec<(Parts, Arc<View>)>, Vec<Silent>) {
    let (mut held, mut silent) = (Vec::new(), Vec::new());
    for proxy in neighbours::all() {
        match view_of(&proxy).await {
            Ok((told, view)) => held.push((told, Arc::new(view))),
            Err(why) => silent.push(Silent {
                proxy: proxy.name,
                why: why.to_string(),
            }),
        }
    }
    (held, silent)
}

async fn view_of(proxy: &Asked) -> anyhow::Result<(Parts, View)> {
    let told = several::one(proxy, PartsOf {}, PATIENCE).await;
    let told = told.map_err(|failure| anyhow!("{}", failure.message))?;
    let parts = told.parts.iter().map(|part| {
        let bytes = STANDARD.decode(part)?;
        Ok(Part::decode(&bytes)?)
    });
    let parts = parts.collect::<anyhow::Result<Vec<_>>>()?;
    let generation: Generation = told
        .generation
        .parse()
        .map_err(|_| anyhow!("{:?} is no generation", told.generation))?;
    let view = assemble(generation, parts).context("its view is not understood")?;
    Ok((told, view))
}

/// Which of the proxies stands before the caller.
fn stands_before(
    caller: &str,
    home: &Namespace,
    held: &[(Parts, Arc<View>)],
) -> anyhow::Result<usize> {
    let id = meant_in(caller, home)?;
    let found = held
        .iter()
        .position(|(_, view)| view.workloads.contains_key(&id));
    found.ok_or_else(|| {
        let all = held.iter().flat_map(|(_, view)| view.workloads.keys());
        let mut all: Vec<_> = all.map(ToString::to_string).collect();
        all.sort();
        anyhow!(
            "no proxy of this host stands before {id}; those that answer stand before {}",
            all.join(", ")
        )
    })
}
