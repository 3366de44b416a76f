//! The keys that prove tokens, where they do not stand in a policy: from where, and given to whom.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use leno_model::view::Access;
use leno_model::view::access::{JwtIssuer, KeySource};
use leno_model::{ObjectRef, Wall};

use super::{Instance, Mesh};

impl Mesh {
    /// Where the keys come from that prove tokens, with how often they are looked at again and for how
    /// long they are good; each with the policies that say so.
    pub fn key_sources(&self) -> BTreeMap<KeySource, BTreeSet<Arc<ObjectRef>>> {
        let accesses = self.instances.values().flat_map(|it| accesses(it));
        let mut sources = BTreeMap::<_, BTreeSet<_>>::new();
        for issuer in accesses.flat_map(|access| issuers(access)) {
            if let Some(source) = &issuer.keys.source {
                let policies = sources.entry(source.clone()).or_default();
                policies.insert(issuer.origin.object.clone());
            }
        }
        sources
    }

    /// Gives the keys that each source has, a JWK Set, and until when they are good, wherever they prove
    /// tokens.
    pub fn give_keys(&mut self, keys: &BTreeMap<KeySource, (Arc<str>, Wall)>) {
        if keys.is_empty() {
            return;
        }
        // Equal values stay one.
        let mut given = BTreeMap::<_, (Arc<Access>, Arc<Access>)>::new();
        for instance in Arc::make_mut(&mut self.instances).values_mut() {
            if !accesses(instance).any(|access| wants_keys(access)) {
                continue;
            }
            let workload = Arc::make_mut(&mut Arc::make_mut(instance).workload);
            let ports = workload.ports.values_mut().map(|port| &mut port.access);
            for access in ports.chain([&mut workload.other_ports]) {
                if wants_keys(access) {
                    let (_, with) = given.entry(Arc::as_ptr(access)).or_insert_with(|| {
                        let with = Arc::new(with_keys(access, keys));
                        (access.clone(), with)
                    });
                    *access = with.clone();
                }
            }
        }
    }
}

fn accesses(instance: &Instance) -> impl Iterator<Item = &Arc<Access>> {
    let workload = &instance.workload;
    let ports = workload.ports.values().map(|port| &port.access);
    ports.chain([&workload.other_ports])
}

fn issuers(access: &Access) -> impl Iterator<Item = &JwtIssuer> {
    access.jwt.iter().flat_map(|jwt| &jwt.issuers)
}

fn wants_keys(access: &Access) -> bool {
    issuers(access).any(|issuer| issuer.keys.source.is_some())
}

fn with_keys(access: &Access, keys: &BTreeMap<KeySource, (Arc<str>, Wall)>) -> Access {
    let mut access = access.clone();
    let jwt = access.jwt.iter_mut().map(Arc::make_mut);
    for issuer in jwt.flat_map(|jwt| &mut jwt.issuers) {
        let source = issuer.keys.source.as_ref();
        if let Some((jwks, until)) = source.and_then(|source| keys.get(source)) {
            issuer.keys.jwks = Some(jwks.clone());
            issuer.keys.until = Some(*until);
        }
    }
    access
}
