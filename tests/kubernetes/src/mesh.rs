//! A node with Leno on it, put there by its own command.

use std::fs;
use std::os::unix::fs::chown;
use std::process::{Command, Stdio};
use std::time::Duration;

use leno_e2e::ended_within;

use crate::cluster::said_by;
use crate::images::{LENO, of_leno};
use crate::node::Node;
use crate::{Cluster, Failure, Nodes, Tier};

/// So long a control plane may take to come up beside other work.
const PATIENCE: Duration = Duration::from_secs(300);

/// Whom the control plane's pod runs as.
const USER: u32 = 65532;

/// Where the mesh's proxies are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Placement {
    /// One in each pod.
    Sidecar,
    /// One on each node.
    Node,
}

impl Placement {
    /// Its name, as the label of a namespace says it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sidecar => "sidecar",
            Self::Node => "node",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Sidecar, Self::Node]
            .into_iter()
            .find(|one| one.name() == name)
    }
}

impl Cluster {
    /// A node that has what `leno install` takes: the kinds of Gateway API, Leno's image, and a volume that somebody has
    /// made by hand.
    pub fn for_leno() -> Result<Self, Failure> {
        Self::for_leno_on(Tier::Node)
    }

    /// The same on so many nodes.
    pub fn for_leno_on(tier: Tier) -> Result<Self, Failure> {
        Self::for_leno_with(tier, Nodes::default())
    }

    /// The same with nodes of this kind.
    pub fn for_leno_with(tier: Tier, nodes: impl Into<Nodes>) -> Result<Self, Failure> {
        let cluster = Self::start_with(tier, nodes)?;
        cluster.define_gateway_api()?;
        cluster.import(&of_leno()?)?;
        cluster.add_volume("disk")?;
        Ok(cluster)
    }

    /// A volume for the state of a control plane, which somebody has made by hand on the first node.
    pub fn add_volume(&self, name: &str) -> Result<(), Failure> {
        let state = self.folder().join(format!("state-{name}"));
        // Nobody gives such a volume to whom a pod runs as.
        let made = fs::create_dir(&state).and_then(|()| chown(&state, Some(USER), Some(USER)));
        made.map_err(Failure::of(state.display().to_string()))?;
        self.apply(&format!(
            "{{apiVersion: v1, kind: PersistentVolume, metadata: {{name: {name}}}, spec: {{\
             capacity: {{storage: 2Gi}}, accessModes: [ReadWriteOnce], hostPath: {{path: '{}'}}, \
             nodeAffinity: {{required: {{nodeSelectorTerms: [{{matchExpressions: [\
             {{key: kubernetes.io/hostname, operator: In, values: [{}]}}]}}]}}}}}}}}",
            state.display(),
            Node::First.name()
        ))?;
        Ok(())
    }

    /// `leno`, for this cluster.
    pub fn leno(&self, arguments: &[&str]) -> Command {
        let program = leno_e2e::built("leno");
        let mut command = self.command(&program.display().to_string());
        command.args(arguments);
        command
    }

    /// Where this cluster's nodes have network plugins.
    pub fn plugins(&self) -> &'static str {
        self.programs.engine.plugins()
    }

    /// What `leno install` is told for a proxy on each node of this cluster.
    pub fn with_nodes(&self) -> [&'static str; 3] {
        ["--node", "--cni-bin", self.plugins()]
    }

    /// What `leno install` says, which waits until all that it puts there is ready.
    pub fn install_leno(&self, placement: Placement) -> Result<String, Failure> {
        let mut install = self.leno(&["install", "--yes", "--image", LENO]);
        if placement == Placement::Node {
            install.args(self.with_nodes());
        }
        let ended = ended_within(PATIENCE, install.stdin(Stdio::null()));
        said_by(&install, ended)
    }
}
