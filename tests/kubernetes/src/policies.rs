//! A network that holds NetworkPolicies, on the first node of a cluster.

use crate::sandbox::Component;
use crate::{Cluster, Failure};

impl Cluster {
    /// Lets the first node's network hold NetworkPolicies from now on, which it does not by itself.
    pub fn hold_policies(&mut self) -> Result<(), Failure> {
        let component = Component {
            name: NAME.to_owned(),
            program: self.programs.kube.clone(),
            arguments: vec![
                NAME.to_owned(),
                format!("--kubeconfig={}", self.kubeconfig().display()),
            ],
        };
        self.first.sandbox.run(&component)?;
        self.until("the network holds policies", || {
            let list = ["list", "table", "inet", NAME];
            let listed = self.inside("nft").args(list).output().ok()?;
            listed.status.success().then_some(())
        })
    }
}

/// What it is called, and its table in the kernel.
const NAME: &str = "policies";
