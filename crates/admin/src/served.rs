//! What is so of one service: where its calls go, who answers them, and what policies say of them.

use serde::{Deserialize, Serialize};

use crate::answer::Status;
use crate::held::Item;

/// All services.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Services {
    /// How the control plane is.
    pub status: Status,
    /// The services, by name.
    pub services: Vec<ServiceLine>,
}

/// A service in a line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ServiceLine {
    /// Which: `shop/cart`.
    pub service: String,
    /// Where it is written; absent if a workload implies it.
    pub place: Option<String>,
    /// Its ports, with what is spoken there: `80 HTTP`.
    pub ports: Vec<String>,
    /// How many rules its routes have.
    pub rules: u64,
    /// How many answer for it.
    pub endpoints: u64,
    /// How many of these are as they should be.
    pub ready: u64,
}

/// A service as it is in force.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Served {
    /// How the control plane is.
    pub status: Status,
    /// Which: `shop/cart`.
    pub service: String,
    /// Where it is written: `cart.yaml:1`.
    pub place: Option<String>,
    /// The addresses that mean it.
    pub addresses: Vec<String>,
    /// Its ports, by number.
    pub ports: Vec<ServedPort>,
}

/// One port of a service.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ServedPort {
    /// Its number.
    pub port: u16,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// What callers speak: `HTTP`, `TCP`.
    pub protocol: String,
    /// The rules of its routes, in the order in which they were written; where there are none, calls
    /// go to its own endpoints.
    pub rules: Vec<ServedRule>,
    /// Who answers for it.
    pub endpoints: Vec<ServedEndpoint>,
    /// How long calls may take and what is tried again, where a rule says nothing.
    pub limits: Vec<Item>,
    /// Who may call those who answer.
    pub access: Vec<ServedAccess>,
}

/// A rule of a route.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ServedRule {
    /// It by the name by which traffic tells it: `HTTPRoute shop/cart rule 2`.
    pub route: String,
    /// The name that it was given.
    pub name: Option<String>,
    /// Where it is written: `routes/cart.yaml:14`.
    pub place: String,
    /// The namespace whose callers it is for, if it is not for all.
    pub callers: Option<String>,
    /// The requests that it takes, and who said so.
    pub matches: Vec<Item>,
    /// What becomes of them: `→ shop/cart-v1:80 9 of 10, shop/cart-v2:80 1 of 10`, `redirect 301`.
    pub action: String,
    /// Where they go, by weight; empty if they go nowhere.
    pub shares: Vec<Share>,
    /// How long they may take and what is tried again, as far as the rule says so.
    pub limits: Vec<Item>,
}

/// A share of a rule's requests.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Share {
    /// The service whose endpoints get it: `shop/cart-v2`; absent if nobody does.
    pub backend: Option<String>,
    /// The port of that service.
    pub port: Option<u16>,
    /// Its weight.
    pub weight: u32,
    /// The sum of all weights.
    pub of: u32,
    /// Where it is written.
    pub place: Option<String>,
    /// Why nobody gets it: `C113 backend-not-found`. Its callers are answered 500.
    pub wrong: Option<String>,
}

/// One that answers for a port of a service.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ServedEndpoint {
    /// Which workload: `shop/cart-1`.
    pub workload: String,
    /// Where it listens; absent while that is not known.
    pub address: Option<String>,
    /// How it is.
    pub state: EndpointState,
    /// Why, in words.
    pub why: String,
    /// Since when, in RFC 3339, where that is known.
    pub since: Option<String>,
    /// Who it proves to be; absent where it is called in plain.
    pub identity: Option<String>,
    /// Where it runs: region, zone and machine, as far as that is known.
    pub locality: Option<String>,
}

/// How one that answers for a service is, as far as a control plane knows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EndpointState {
    /// It is called.
    Ready,
    /// It is called if nobody is ready: it ends and still serves, or nobody hears of its node.
    Spare,
    /// It is called, and its proxy is not connected.
    Away,
    /// It is not called: nobody knows where it is.
    Unplaced,
    /// It is not called: its identity is refused.
    Revoked,
}

/// Who may call some of those who answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ServedAccess {
    /// Whom: workloads that all say the same.
    pub workloads: Vec<String>,
    /// The port on which they listen.
    pub port: u16,
    /// Whether callers must prove themselves, each rule, and what holds for all others.
    pub rules: Vec<Item>,
}
