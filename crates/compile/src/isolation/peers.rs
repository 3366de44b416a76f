//! Callers that a `NetworkPolicy` names, as a proxy can tell them apart: by who they prove to be, and where several who
//! act as one account are not all meant, by where they come from.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    vec::Vec,
};
use core::net::IpAddr;

use leno_model::view::{AddressBlock, At, Peers};
use leno_model::{Name, Namespace, SpiffeId, TrustDomain};
use leno_resources::network_policy::{LabelSelector, NetworkPeer};
use leno_resources::{List, Resources, network_policy};

use crate::workloads::Workload;

type Labels = BTreeMap<Arc<str>, Arc<str>>;

/// Who may call: all workloads and namespaces of the own trust domain.
pub(super) struct Callers<'w> {
    namespaces: BTreeMap<Namespace, Labels>,
    workloads: BTreeMap<&'w Namespace, Vec<&'w Workload<'w>>>,
    /// The workloads that act as each account.
    acting: BTreeMap<(Namespace, Name), Vec<&'w Workload<'w>>>,
    own: TrustDomain,
    /// The identities of which some are meant somewhere and others not.
    split: BTreeSet<SpiffeId>,
}

/// The label that every namespace of a cluster has.
const NAME: &str = "kubernetes.io/metadata.name";

impl<'w> Callers<'w> {
    pub(super) fn of(resources: &Resources, all: &'w [Workload<'w>], own: &TrustDomain) -> Self {
        let calls = |it: &&Workload<'_>| it.takes_proxy && it.identity.trust_domain == *own;
        let named = |namespace: &Namespace, labels: &Labels| {
            let mut labels = labels.clone();
            let name = namespace.as_str().into();
            labels.entry(NAME.into()).or_insert(name);
            (namespace.clone(), labels)
        };
        let none = Labels::new();
        let running = all.iter().map(|it| named(&it.namespace, &none));
        let written = resources.namespaces.iter().filter_map(|object| {
            let namespace = Namespace::new(object.meta.name.as_str()).ok()?;
            Some(named(&namespace, &object.meta.labels))
        });
        let (mut workloads, mut acting) =
            (BTreeMap::<_, Vec<_>>::new(), BTreeMap::<_, Vec<_>>::new());
        for workload in all.iter().filter(calls) {
            workloads
                .entry(&workload.namespace)
                .or_default()
                .push(workload);
            let acting = acting.entry(account(workload)).or_default();
            acting.push(workload);
        }
        Self {
            namespaces: running.chain(written).collect(),
            workloads,
            acting,
            own: own.clone(),
            split: BTreeSet::new(),
        }
    }

    /// The workloads of a namespace.
    pub(super) fn within(&self, namespace: &Namespace) -> &[&'w Workload<'w>] {
        self.workloads.get(namespace).map_or(&[], Vec::as_slice)
    }

    /// Those whom a rule of a policy of `namespace` names; `None` is everybody. Of what cannot be read nobody is.
    pub(super) fn among(
        &mut self,
        from: &List<NetworkPeer>,
        namespace: &Namespace,
    ) -> Option<Arc<Peers>> {
        if from.is_empty() {
            return None;
        }
        let mut peers = Peers::default();
        for peer in from.iter().filter_map(|peer| peer.sound()) {
            match &peer.ip_block {
                Some(block) => peers.blocks.extend(addresses(block)),
                None => self.add_pods(peer, namespace, &mut peers),
            }
        }
        // Nobody's addresses are looked at in whose namespace everybody is meant.
        let Peers {
            namespaces,
            accounts,
            ..
        } = &mut peers;
        accounts.retain(|(namespace, _), _| !namespaces.contains(namespace));
        self.tell_apart(&peers);
        Some(Arc::new(peers))
    }

    /// Just these workloads. Who acts as one of their accounts from nobody knows where is one of them.
    pub(super) fn only(&mut self, workloads: &[&Workload<'_>]) -> Peers {
        let mut meant = BTreeMap::<_, Vec<&Workload<'_>>>::new();
        for workload in workloads {
            meant.entry(account(workload)).or_default().push(workload);
        }
        let accounts = meant.into_iter().map(|(account, meant)| {
            let acting = self.acting.get(&account).map_or(&[][..], Vec::as_slice);
            let is_meant = |it: &&&Workload<'_>| meant.iter().any(|one| core::ptr::eq(*one, **it));
            let others = acting.iter().filter(|it| !is_meant(it)).copied();
            let own = known_addresses(meant.iter().copied());
            let at = match acting.len() == meant.len() {
                true => At::Anywhere,
                false => At::Others(known_addresses(others).difference(&own).copied().collect()),
            };
            (account, at)
        });
        let peers = Peers {
            accounts: accounts.collect(),
            ..Peers::default()
        };
        self.tell_apart(&peers);
        peers
    }

    fn tell_apart(&mut self, peers: &Peers) {
        let apart = peers.accounts.iter().filter(|(_, at)| **at != At::Anywhere);
        let apart = apart.map(|((namespace, account), _)| SpiffeId {
            trust_domain: self.own.clone(),
            namespace: namespace.clone(),
            service_account: account.clone(),
        });
        self.split.extend(apart);
    }

    /// The identities that were told apart by addresses.
    pub(super) fn into_split(self) -> BTreeSet<SpiffeId> {
        self.split
    }

    //= NetworkPolicyPeer podSelector: "If namespaceSelector is also set, then the NetworkPolicyPeer as a whole selects the
    //= pods matching podSelector in the Namespaces selected by NamespaceSelector. Otherwise it selects the pods matching
    //= podSelector in the policy's own namespace."
    fn add_pods(&self, peer: &NetworkPeer, own: &Namespace, peers: &mut Peers) {
        let within = self.namespaces(peer, own);
        match peer.pod_selector.as_ref().filter(|it| !it.is_empty()) {
            None => peers.namespaces.extend(within.cloned()),
            Some(selector) => self.add_selected(selector, within, peers),
        }
    }

    /// The namespaces whose pods a policy of the namespace `own` names.
    pub(super) fn namespaces<'s>(
        &'s self,
        peer: &NetworkPeer,
        own: &Namespace,
    ) -> impl Iterator<Item = &'s Namespace> {
        let is_meant =
            move |(namespace, labels): &(&Namespace, &Labels)| match &peer.namespace_selector {
                None => *namespace == own,
                Some(selector) => selector.matches(labels) == Some(true),
            };
        let within = self.namespaces.iter().filter(is_meant);
        within.map(|(namespace, _)| namespace)
    }

    fn add_selected<'n>(
        &self,
        selector: &LabelSelector,
        within: impl Iterator<Item = &'n Namespace>,
        peers: &mut Peers,
    ) {
        let mut meant = BTreeMap::<_, Vec<&Workload<'_>>>::new();
        for workload in within.flat_map(|namespace| self.within(namespace)) {
            if selector.matches(&workload.outline.meta.labels) == Some(true) {
                meant.entry(account(workload)).or_default().push(workload);
            }
        }
        for (account, workloads) in meant {
            let is_all = self.acting.get(&account).map(Vec::len) == Some(workloads.len());
            let at = match is_all {
                true => At::Anywhere,
                false => At::Addresses(known_addresses(workloads.into_iter())),
            };
            peers.add(account, at);
        }
    }
}

fn known_addresses<'w>(workloads: impl Iterator<Item = &'w Workload<'w>>) -> BTreeSet<IpAddr> {
    let instances = workloads.flat_map(|it| &it.instances);
    let all = instances.flat_map(|it| &it.addresses);
    all.map(|address| address.to_canonical()).collect()
}

fn account(workload: &Workload<'_>) -> (Namespace, Name) {
    let identity = &workload.identity;
    (identity.namespace.clone(), identity.service_account.clone())
}

/// A block of addresses; `None` where it cannot be read what of it is not meant.
pub(super) fn addresses(block: &network_policy::AddressBlock) -> Option<AddressBlock> {
    Some(AddressBlock {
        block: block.cidr,
        except: block.except.sound()?.into_iter().copied().collect(),
    })
}
