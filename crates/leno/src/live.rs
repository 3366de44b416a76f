//! A mesh that runs, as its control plane tells of it: compiled here by what compiles it there, so that
//! a call is imagined in the very mesh that proxies are told of.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use leno_admin::Configuration;
use leno_compile::Mesh;
use leno_control::mesh_of;
use leno_model::Namespace;
use leno_model::view::WorkloadId;

use crate::render;
use crate::terminal::Line;

/// A mesh that runs.
pub(crate) struct Live {
    /// What is in force, with what proxies report.
    pub(crate) mesh: Mesh,
    /// The namespace of names that state none.
    pub(crate) namespace: Namespace,
    context: Line,
    /// How the proxy in front of a workload stands that is connected.
    proxies: BTreeMap<String, Standing>,
    left: BTreeSet<String>,
}

/// How a proxy stands to what is in force.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Standing {
    /// It holds it.
    Current,
    /// It holds it, and refuses what it is too old for.
    Lacking,
    /// It holds something older.
    Behind,
    /// It is not connected, and decides by what it had.
    Away,
    /// It has left: nobody calls it.
    Left,
    /// There has never been one.
    None,
}

impl Standing {
    /// The word for programs.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Lacking => "lacking",
            Self::Behind => "behind",
            Self::Away => "away",
            Self::Left => "left",
            Self::None => "none",
        }
    }
}

impl Live {
    /// Takes what a control plane told.
    pub(crate) fn of(told: &Configuration, namespace: &str) -> anyhow::Result<Self> {
        let each = told.proxies.iter();
        let proxies = each.flat_map(|proxy| {
            let standing = match (proxy.current, &proxy.lacks[..]) {
                (true, []) => Standing::Current,
                (true, _) => Standing::Lacking,
                (false, _) => Standing::Behind,
            };
            let workloads = proxy.workloads.iter();
            workloads.map(move |workload| (workload.clone(), standing))
        });
        Ok(Self {
            mesh: mesh_of(told).context("the control plane's answer is not understood")?,
            namespace: Namespace::new(namespace).context("-n")?,
            context: render::head(&told.status),
            proxies: proxies.collect(),
            left: told.left.iter().cloned().collect(),
        })
    }

    /// The first line of every answer: where it comes from.
    pub(crate) fn context(&self) -> Line {
        self.context.clone()
    }

    /// How the proxy in front of `workload` stands.
    pub(crate) fn standing(&self, workload: &WorkloadId) -> Standing {
        let instance = self.mesh.instances.get(workload);
        match self.proxies.get(&workload.to_string()) {
            Some(standing) => *standing,
            None if self.left.contains(&workload.to_string()) => Standing::Left,
            None if instance.is_some_and(|instance| instance.tunnel.is_some()) => Standing::Away,
            None => Standing::None,
        }
    }
}
