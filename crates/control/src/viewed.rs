//! What proxies hold, as this control plane knows: what it sent them and they have adopted, beside
//! what is in force for them.

use std::collections::BTreeMap;

use leno_admin::{Failure, ProxyView, ViewOf, Viewed, differences};
use leno_model::Code;
use leno_model::view::WorkloadId;
use leno_wire::{Encoded, Holds, Part, PartName, Target};

use crate::administer::status;
use crate::center::Center;
use crate::fleet::Member;
use crate::items::items_of;

/// What the proxies hold that are called so, or stand in front of a workload that is.
pub(crate) fn viewed(center: &Center, ask: &ViewOf) -> Result<Viewed, Failure> {
    let workload = match ask.name.contains('/') {
        true => ask.name.clone(),
        false => format!("{}/{}", ask.namespace, ask.name),
    };
    let edition = center.edition();
    let is_instance = |id: &WorkloadId| {
        let instance = edition.mesh().instances.get(id);
        let of = instance.map(|instance| format!("{}/{}", id.namespace, instance.of));
        id.to_string() == workload || of.as_ref() == Some(&workload)
    };
    let is_meant = |member: &Member| {
        member.name == ask.name
            || member.name == workload
            || member.workloads.iter().any(is_instance)
    };
    let members = center.fleet.members();
    let meant = members.iter().filter(|(_, member)| is_meant(member));
    let proxies = meant.map(|(_, member)| view(center, member, ask.diff));
    let proxies = proxies.collect::<Result<Vec<_>, _>>()?;
    if proxies.is_empty() {
        let message = format!(
            "no proxy of that name or workload is connected: {}",
            ask.name
        );
        return Err(Failure {
            advice: Some("leno proxies".to_owned()),
            ..Failure::plain(message)
        });
    }
    Ok(Viewed {
        status: status(center),
        proxies,
    })
}

fn view(center: &Center, member: &Member, diff: bool) -> Result<ProxyView, Failure> {
    let edition = center.edition();
    let in_force = edition.target(&member.workloads, member.node.as_deref(), &member.wants);
    let Known { parts, unknown } = Known::of(&member.holds, &in_force);
    let held = items_of(decoded(&parts)?);
    let differences = match diff {
        true => Some(differences(&held, &items_of(decoded(in_force.parts())?))),
        false => None,
    };
    Ok(ProxyView {
        proxy: member.name.clone(),
        identity: member.identity.to_string(),
        generation: member.adopted.to_string(),
        current: member.current,
        refused: member.refused.as_ref().map(|(_, why)| why.clone()),
        lacks: member.lacks.iter().cloned().collect(),
        items: held,
        unknown: unknown.iter().map(PartName::to_string).collect(),
        differences,
    })
}

/// What a proxy holds, as far as its bytes are known here.
struct Known {
    parts: BTreeMap<PartName, Encoded>,
    unknown: Vec<PartName>,
}

impl Known {
    /// Of parts that a proxy had before it connected, those are known that are in force as they are.
    fn of(holds: &Holds, in_force: &Target) -> Self {
        let versions = match holds {
            Holds::Adopted(target) => {
                return Self {
                    parts: target.parts().clone(),
                    unknown: Vec::new(),
                };
            }
            Holds::Said(versions) => versions,
        };
        let (mut parts, mut unknown) = (BTreeMap::new(), Vec::new());
        for (name, version) in versions.iter() {
            match in_force.parts().get(name) {
                Some(part) if part.version() == *version => {
                    parts.insert(name.clone(), part.clone());
                }
                Some(_) | None => unknown.push(name.clone()),
            }
        }
        Self { parts, unknown }
    }
}

fn decoded(parts: &BTreeMap<PartName, Encoded>) -> Result<Vec<Part>, Failure> {
    let read = parts.values().map(|part| Part::decode(part.bytes()));
    let read = read.collect::<Result<_, _>>();
    read.map_err(|misfit| Failure::coded(Code::D002, misfit))
}
