//! What people read of whether packet rules lead what pods of a node send to its proxy.

use std::collections::BTreeMap;

use leno_model::Code;
use leno_model::view::WorkloadId;
use leno_telemetry::capture::{Captures, Tried};

use crate::command::joined::node::Said;

/// Why pods are not captured, as was told last.
#[derive(Default)]
pub(super) struct Proofs(BTreeMap<WorkloadId, String>);

impl Proofs {
    /// What is to be told of what is known: each loss, and its end.
    pub(super) fn told(&mut self, known: &Captures) -> Vec<Said> {
        let mut said = Vec::new();
        let (code, slug) = (Code::H007, Code::H007.slug());
        for (id, captured) in known {
            match &captured.tried {
                Tried::NotYet => {}
                Tried::Proven => {
                    if self.0.remove(id).is_some() {
                        let line = format!("{id}: what it sends comes here again");
                        said.push(Said::Good(line));
                    }
                }
                Tried::Lost { why, .. } => {
                    let told = self.0.insert(id.clone(), why.clone());
                    if told.as_ref() != Some(why) {
                        said.push(Said::Bad(format!("{id}: {code} {slug}: {why}")));
                    }
                }
            }
        }
        self.0.retain(|id, _| known.contains_key(id));
        said
    }
}
