//! What measures of an emergency change of what is written, for as long as they hold.

use alloc::{collections::BTreeMap, sync::Arc};

use leno_model::view::route::Part;
use leno_model::view::{Action, Backend, Split};
use leno_model::{Measure, Origin, Override, RequestFact, ServiceName};
use leno_resources::Object;
use leno_resources::policy::AccessPolicySpec;

use crate::finding;
use crate::mesh::Mesh;
use crate::routes::Attached;

/// The measures that hold.
#[derive(Clone, Copy)]
pub(crate) struct Measures<'a>(pub(crate) &'a [Override]);

impl Measures<'_> {
    /// Whether a policy only audits.
    pub(crate) fn audit(&self, policy: &Object<AccessPolicySpec>) -> bool {
        let is_meant = |it: &Override| match &it.measure {
            Measure::Audit(namespace, name) => {
                *namespace == finding::namespace(policy) && *name == policy.meta.name
            }
            Measure::Eject(_)
            | Measure::AllTo { .. }
            | Measure::Record { .. }
            | Measure::Hold(_) => false,
        };
        self.0.iter().any(is_meant)
    }

    /// Sends calls to the backends that are to have all of them.
    pub(crate) fn steer(&self, attached: &mut Attached) {
        for it in self.0 {
            let Measure::AllTo { service, backend } = &it.measure else {
                continue;
            };
            let of_service = attached
                .iter_mut()
                .filter(|(port, _)| port.service == *service);
            for routes in of_service.flat_map(|(_, by_callers)| by_callers.values_mut()) {
                for rule in &mut Arc::make_mut(routes).rules {
                    let Action::Forward(split) = &rule.action else {
                        continue;
                    };
                    if let Some(steered) = all_to(split, backend, it) {
                        Arc::make_mut(rule).action = Action::Forward(steered);
                    }
                }
            }
        }
    }

    /// What is recorded of calls to these services whether a rule asks for it or not.
    pub(crate) fn records<'s>(
        &self,
        services: impl IntoIterator<Item = &'s ServiceName>,
    ) -> BTreeMap<RequestFact, Origin> {
        let mut records = BTreeMap::new();
        for name in services {
            for it in self.0 {
                if let Measure::Record { service, facts } = &it.measure
                    && service == name
                {
                    let facts = facts.iter().cloned();
                    records.extend(facts.map(|fact| (fact, it.origin())));
                }
            }
        }
        records
    }

    /// Lets instances answer for nothing.
    pub(crate) fn eject(&self, mesh: &mut Mesh) {
        for it in self.0 {
            if let Measure::Eject(instance) = &it.measure {
                mesh.leave(&[instance.clone()].into());
            }
        }
    }
}

/// The split with all calls for the parts that are of `backend`; `None` if none is.
fn all_to(split: &Split, backend: &ServiceName, by: &Override) -> Option<Split> {
    let is_meant = |part: &&Part| match &part.backend {
        Backend::Service(port) => port.service == *backend,
        Backend::Invalid(_) => false,
    };
    let meant = split.parts().iter().filter(is_meant);
    // One that got nothing gets its whole share.
    let meant = meant.map(|part| Part {
        weight: part.weight.max(1),
        origin: Some(by.origin()),
        ..part.clone()
    });
    Split::new(meant.collect())
}
