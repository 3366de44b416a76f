//! What somebody may do who administers a mesh from another host, and with what of it.

use alloc::{collections::BTreeSet, vec::Vec};

use crate::name::{Name, Namespace, ServiceName};
use crate::spiffe::{SpiffeId, TrustDomain};

/// What somebody may do. Each role may do all that those before it may.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Role {
    /// Look at it.
    Viewer,
    /// Change its configuration.
    Editor,
    /// Decide who belongs to it and who is trusted.
    Admin,
}

impl Role {
    /// The word that people write for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "Viewer",
            Self::Editor => "Editor",
            Self::Admin => "Admin",
        }
    }
}

/// A role, and what it is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Grant {
    /// What may be done.
    pub role: Role,
    /// With what.
    pub reach: Reach,
    /// Whether headers of calls may be looked at, too; an admin may.
    pub headers: bool,
}

/// What of a mesh a role is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reach {
    /// All of it.
    Mesh,
    /// What is in these namespaces, and nothing that belongs to the whole mesh.
    Namespaces(BTreeSet<Namespace>),
}

/// All that one identity may do: as much as any of its grants allows.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Warrant(Vec<Grant>);

impl Warrant {
    /// That of whoever runs the process.
    pub fn whole() -> Self {
        let mut warrant = Self::default();
        warrant.add(Grant {
            role: Role::Admin,
            reach: Reach::Mesh,
            headers: true,
        });
        warrant
    }

    /// Allows this too.
    pub fn add(&mut self, grant: Grant) {
        self.0.push(grant);
    }

    /// The highest role that it has for anything; none if it allows nothing.
    pub fn highest(&self) -> Option<Role> {
        self.0.iter().map(|grant| grant.role).max()
    }

    /// Whether it has `role` for the whole mesh.
    pub fn covers_mesh(&self, role: Role) -> bool {
        self.any(|grant| grant.role >= role && grant.reach == Reach::Mesh)
    }

    /// Whether it has `role` for what is in `namespace`.
    pub fn covers(&self, role: Role, namespace: &Namespace) -> bool {
        self.any(|grant| grant.role >= role && grant.reach.has(namespace))
    }

    /// Whether headers of calls from or to `namespace` may be looked at.
    pub fn shows_headers_of(&self, namespace: &Namespace) -> bool {
        let may = |grant: &Grant| grant.headers || grant.role == Role::Admin;
        self.any(|grant| may(grant) && grant.reach.has(namespace))
    }

    /// The namespaces that it is for, where it is not for the whole mesh.
    pub fn namespaces(&self) -> BTreeSet<&Namespace> {
        let named = self.0.iter().filter_map(|grant| match &grant.reach {
            Reach::Namespaces(named) => Some(named),
            Reach::Mesh => None,
        });
        named.flatten().collect()
    }

    fn any(&self, is_enough: impl Fn(&Grant) -> bool) -> bool {
        self.0.iter().any(is_enough)
    }
}

impl Reach {
    fn has(&self, namespace: &Namespace) -> bool {
        match self {
            Self::Mesh => true,
            Self::Namespaces(named) => named.contains(namespace),
        }
    }
}

/// The namespace of people: nothing runs in it, and nobody stands in front of it.
pub const PEOPLE: &str = "leno-people";

/// The namespace whose owners govern the whole mesh.
pub const SYSTEM: &str = "leno-system";

/// The account of the control plane there, and its Service.
pub const CONTROL_PLANE: &str = "leno-control";

impl ServiceName {
    /// Whether it is the control plane's own Service: who is behind it is called by proxies themselves.
    pub fn is_control_plane(&self) -> bool {
        self.namespace.as_str() == SYSTEM && self.name.as_str() == CONTROL_PLANE
    }
}

impl SpiffeId {
    /// The control plane of `trust_domain`. Nobody else is given this identity.
    pub fn control_plane(trust_domain: &TrustDomain) -> Self {
        Self {
            trust_domain: trust_domain.clone(),
            namespace: Namespace::new(SYSTEM).expect("a constant that is a label"),
            service_account: Name::new(CONTROL_PLANE).expect("a constant that is a name"),
        }
    }

    /// Whether it is the control plane of its trust domain.
    pub fn is_control_plane(&self) -> bool {
        self.namespace.as_str() == SYSTEM && self.service_account.as_str() == CONTROL_PLANE
    }

    /// A person, whom `trust_domain` vouches for.
    pub fn person(trust_domain: &TrustDomain, name: &Name) -> Self {
        Self {
            trust_domain: trust_domain.clone(),
            namespace: Namespace::new(PEOPLE).expect("a constant that is a label"),
            service_account: name.clone(),
        }
    }

    /// Whether it is a person.
    pub fn is_person(&self) -> bool {
        self.namespace.as_str() == PEOPLE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warrant_allows_what_one_of_its_grants_does() {
        let namespace = |name: &str| Namespace::new(name).unwrap();
        let (shop, bank) = (namespace("shop"), namespace("bank"));
        let mut warrant = Warrant::default();
        assert_eq!(warrant.highest(), None);
        assert!(!warrant.covers(Role::Viewer, &shop));
        warrant.add(Grant {
            role: Role::Viewer,
            reach: Reach::Mesh,
            headers: false,
        });
        warrant.add(Grant {
            role: Role::Editor,
            reach: Reach::Namespaces([shop.clone()].into()),
            headers: true,
        });
        assert_eq!(warrant.highest(), Some(Role::Editor));
        for (role, of, allowed) in [
            (Role::Viewer, Some(&bank), true),
            (Role::Editor, Some(&shop), true),
            (Role::Editor, Some(&bank), false),
            (Role::Admin, Some(&shop), false),
            (Role::Viewer, None, true),
            (Role::Editor, None, false),
        ] {
            let answered = of.map_or(warrant.covers_mesh(role), |of| warrant.covers(role, of));
            assert_eq!(answered, allowed, "{role:?} of {of:?}");
        }
        assert!(warrant.shows_headers_of(&shop) && !warrant.shows_headers_of(&bank));
        assert!(Warrant::whole().covers_mesh(Role::Admin));
    }
}
