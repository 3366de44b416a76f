//! Says what resources mean: [`compile`] makes a [`Mesh`] of them, and a note of everything that
//! does not hold as it was written; [`Mesh::view`] cuts out what one proxy needs.
//!
//! Understanding never fails as a whole, and one bad resource never hides another. The same
//! resources in any order mean the same mesh.
#![cfg_attr(not(test), no_std)]
#![warn(clippy::wildcard_enum_match_arm)]

extern crate alloc;

mod access;
mod addresses;
mod answers;
mod attested;
mod backends;
mod ca;
mod conflicts;
mod cors;
mod everywhere;
mod filters;
mod finding;
mod instances;
mod isolation;
mod layers;
mod matches;
mod measures;
mod mesh;
mod parents;
mod peers;
mod placement;
mod pods;
mod precedence;
mod reports;
mod route;
mod routes;
mod rules;
mod served;
mod services;
mod shadow;
mod slices;
mod spoken;
mod status;
mod suggest;
mod targets;
mod telemetry;
mod tuning;
mod turnover;
mod uncaptured;
mod unfit;
mod weighed;
mod workloads;

use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};

use leno_model::view::Settings;
use leno_model::{Network, Notes};
use leno_resources::Resources;

use crate::layers::Layers;
use crate::placement::Modes;

pub use access::Special;
pub use attested::{ClaimMatch, KeysFrom, TokenIssuer, TokenMatch};
pub use ca::{By, Ca, Login, Outside, Vault};
pub use isolation::{Shut, shut};
pub use mesh::{
    AddressOwner, Administration, Answer, Called, Destination, Instance, Known, Lifetimes, Mesh,
    NotFound, Sidecars, ViewOf,
};
pub use peers::{BundlePlace, Peer};
pub use reports::{Report, Says, reports};
pub use route::{Route, routes};
pub use status::{Condition, ConditionKind, conditions};
pub use turnover::{differing, with_pods};
pub use uncaptured::uncaptured;
pub use unfit::unfit;
pub use weighed::{Weighed, weigh};

/// Says what the resources mean. What cannot be used is left out, or refuses what it would have
/// taken, and is noted.
///
/// Time grows with n log n in the number of objects, and beside that with what they say of each other: with
/// the workloads that have the rarest label of a selector, and the policies over each workload.
pub fn compile(resources: &Resources) -> (Mesh, Notes) {
    let mut notes = Notes::default();
    let everywhere = everywhere::everywhere(resources, &mut notes);
    let trust_domain = &everywhere.settings.trust_domain;
    let network = Network::new(NETWORK).expect("a constant that is a label");

    let peers = peers::peers(resources, trust_domain, &mut notes);
    let workloads = workloads::workloads(resources, &everywhere, &peers, &mut notes);
    let slices = slices::Slices::read(resources, &workloads, trust_domain, &mut notes);
    let everybody = || workloads.iter().chain(&slices.workloads);
    let mut services = services::services(resources, &workloads, &mut notes);
    let unready = answers::Unready::of(everybody(), services.values());
    let mut addresses = addresses::addresses(services.values(), &workloads, &network, &mut notes);
    addresses::add(&mut addresses, &slices.workloads);
    let labelled = answers::Labelled::new(&workloads);
    let mut answers = BTreeMap::new();
    for service in services.values() {
        answers.extend(answers::answers(service, &labelled, &mut notes));
        answers.extend(slices.answers(service));
    }
    services::complete(&mut services, everybody(), &answers);

    let unopened = services::unopened(&workloads, &services);
    let scope = targets::Scope {
        mesh: everywhere.name.as_ref(),
        services: &services,
        unopened: &unopened,
        workloads: targets::declared(&workloads),
        http_routes: targets::names(resources.http_routes.iter()),
        grpc_routes: targets::names(resources.grpc_routes.iter()),
        peers: &peers,
    };
    let tunings = Layers::read(resources.traffic_policies.iter(), &scope, &mut notes);
    let ruled = services.keys().map(|name| {
        let protocols = tuning::protocols(&tunings, name);
        (name.clone(), protocols)
    });
    let routed = parents::Routed::new(&services, &unopened, ruled.collect(), resources);
    let grants = backends::Grants::new(resources);
    let surroundings = rules::Surroundings {
        routed: &routed,
        grants: &grants,
    };
    let mut attached = routes::routes(resources, surroundings, &mut notes);
    let measures = measures::Measures(&resources.overrides);
    let told = telemetry::read(&resources.telemetry_policies, &scope, measures, &mut notes);
    told.say_in(&mut attached);
    let taken = access::Taken::new(&attached);
    let mut policies = Vec::new();
    for policy in resources.access_policies.iter() {
        let means = access::Means {
            trust_domain,
            scope: &scope,
            taken: &taken,
            surroundings,
        };
        let mut policy = access::read(policy, &means, &mut notes);
        if measures.audit(policy.object()) {
            policy.only_audits();
        }
        policies.push(policy);
    }
    measures.steer(&mut attached);
    let policies = access::Policies::new(&everywhere, &policies);
    policies.note_overlaps(&mut notes);

    let mut isolations =
        isolation::Isolations::read(resources, &workloads, trust_domain, &mut notes);
    let targeted = instances::targeted(everybody(), &answers, &routed);
    let mut blind = access::Blind::default();
    let mut instances = BTreeMap::new();
    for workload in everybody() {
        instances.extend(instances::instances(
            workload,
            &targeted,
            &policies,
            &mut isolations,
            &told,
            &tunings,
            &mut blind,
        ));
    }
    policies.note_blind(&blind, &mut notes);
    policies.break_rings(&mut instances, &answers, &mut notes);

    let service = |service: &services::Service<'_>| {
        let said = services::Said {
            tuning: Arc::new(tuning::tuning(&tunings, &service.name)),
            telemetry: told.of_service(&service.name),
        };
        Arc::new(services::view(service, &routed, &attached, &said, &network))
    };
    let unaddressed = services.values().filter(|it| it.wants_address());
    let unaddressed = unaddressed.map(|it| it.name.clone()).collect();
    let services = services
        .iter()
        .map(|(name, it)| (name.clone(), service(it)))
        .collect();
    let nodes = instances::by_node(&instances);
    let settings = Settings {
        telemetry: told.everywhere(),
        ..everywhere.settings.clone()
    };
    let (by_address, by_block) = isolations.into_by_address();
    let mut mesh = Mesh {
        settings: Arc::new(settings),
        lifetimes: everywhere.lifetimes,
        token_issuers: everywhere.token_issuers,
        administration: Arc::new(everywhere.administration.clone()),
        ca: everywhere.ca,
        peers,
        services: Arc::new(services),
        instances: Arc::new(instances),
        nodes: Arc::new(nodes),
        sidecars: Arc::new(placement::sidecars(&resources.pods)),
        taking_part: Arc::new(Modes::of(resources).taking_part(&resources.pods)),
        answers: Arc::new(answers),
        addresses: Arc::new(addresses),
        unaddressed,
        by_address: Arc::new(by_address),
        by_block: Arc::new(by_block),
        revoked: Arc::default(),
    };
    unready.leave(&mut mesh);
    measures.eject(&mut mesh);
    pods::note(resources, &resources.pods, &mut notes);
    (mesh, notes)
}

/// The network of everything that names none.
const NETWORK: &str = "default";
