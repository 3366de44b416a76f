//! Measures of an emergency: they hold over what is written until they end.

use alloc::{borrow::ToOwned, collections::BTreeSet, string::String, sync::Arc};
use core::fmt;
use core::str::FromStr;

use crate::name::{Name, Namespace, ServiceName};
use crate::origin::{ObjectRef, Origin};
use crate::request_fact::RequestFact;
use crate::view::WorkloadId;

/// A measure that holds for now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Override {
    /// What it is called.
    pub id: Name,
    /// What is done.
    pub measure: Measure,
}

impl Override {
    /// Where what it says comes from.
    pub fn origin(&self) -> Origin {
        Origin {
            object: Arc::new(ObjectRef {
                kind: "Override".into(),
                namespace: None,
                name: self.id.clone(),
            }),
            pointer: "".into(),
            place: None,
        }
    }
}

/// What is done. It is written in the words by which people ask for it: `audit shop/payments`,
/// `eject shop/cart-v1-0`, `all-to shop/cart shop/cart-v1`, `record shop/cart header:x-role claim:sub`, `hold 416`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Measure {
    /// An `AccessPolicy` refuses nobody: it allows whom it allows, what it denies is told, and what it says
    /// of mTLS and of the default holds only as far as it lets calls in.
    Audit(Namespace, Name),
    /// An instance answers for no service.
    Eject(WorkloadId),
    /// Each rule of a service's routes that can send calls to a backend sends all of them there.
    AllTo {
        /// Whose routes.
        service: ServiceName,
        /// Who gets the calls.
        backend: ServiceName,
    },
    /// Of calls to a service, what went keeps this too, whether a rule asks for it or not.
    Record {
        /// Whose calls.
        service: ServiceName,
        /// What is kept: something, and at most [`Measure::MOST_FACTS`].
        facts: BTreeSet<RequestFact>,
    },
    /// What others own than the control plane, as a cluster does, is served as a revision had it.
    Hold(u64),
}

impl Measure {
    /// How much of a request one measure records at most.
    pub const MOST_FACTS: usize = 16;

    /// The namespace of what it changes; `None` if that is the whole mesh.
    pub fn namespace(&self) -> Option<&Namespace> {
        match self {
            Self::Audit(namespace, _) => Some(namespace),
            Self::Eject(instance) => Some(&instance.namespace),
            Self::AllTo { service, .. } | Self::Record { service, .. } => Some(&service.namespace),
            Self::Hold(_) => None,
        }
    }

    /// The revision that is held, if that is what is done.
    pub fn held(&self) -> Option<u64> {
        match self {
            Self::Hold(revision) => Some(*revision),
            Self::Audit(..) | Self::Eject(_) | Self::AllTo { .. } | Self::Record { .. } => None,
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Audit(namespace, name) => write!(f, "audit {namespace}/{name}"),
            Self::Eject(instance) => write!(f, "eject {instance}"),
            Self::AllTo { service, backend } => write!(f, "all-to {service} {backend}"),
            Self::Record { service, facts } => {
                write!(f, "record {service}")?;
                facts.iter().try_for_each(|fact| write!(f, " {fact}"))
            }
            Self::Hold(revision) => write!(f, "hold {revision}"),
        }
    }
}

/// Why a text is no measure.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "{0:?} is no measure: audit NAMESPACE/POLICY, eject NAMESPACE/INSTANCE, all-to NAMESPACE/SERVICE NAMESPACE/SERVICE, hold REVISION, or record NAMESPACE/SERVICE and 1 to {most} of host, header:NAME, query:NAME, claim:NAME",
    most = Measure::MOST_FACTS
)]
pub struct NoMeasure(String);

impl FromStr for Measure {
    type Err = NoMeasure;

    fn from_str(text: &str) -> Result<Self, NoMeasure> {
        let named = |word: Option<&str>| {
            let (namespace, name) = word?.split_once('/')?;
            Some((Namespace::new(namespace).ok()?, Name::new(name).ok()?))
        };
        let service = |word| named(word).map(|(namespace, name)| ServiceName::new(namespace, name));
        let mut words = text.split(' ');
        let measure = match words.next() {
            Some("audit") => named(words.next()).map(|(space, name)| Self::Audit(space, name)),
            Some("eject") => named(words.next())
                .map(|(namespace, name)| Self::Eject(WorkloadId { namespace, name })),
            Some("all-to") => service(words.next())
                .zip(service(words.next()))
                .map(|(service, backend)| Self::AllTo { service, backend }),
            Some("record") => service(words.next()).and_then(|service| {
                let facts = words.by_ref().map(str::parse);
                let facts = facts.collect::<Result<BTreeSet<_>, _>>().ok()?;
                let fits = (1..=Self::MOST_FACTS).contains(&facts.len());
                fits.then_some(Self::Record { service, facts })
            }),
            Some("hold") => words
                .next()
                .and_then(|word| Some(Self::Hold(word.parse().ok()?))),
            Some(_) | None => None,
        };
        let measure = measure.filter(|_| words.next().is_none());
        measure.ok_or_else(|| NoMeasure(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn measures_read_as_they_are_written() {
        for text in [
            "audit shop/payments",
            "eject shop/cart-v1-0",
            "all-to shop/cart shop/cart-v1",
            "record shop/cart host header:x-role claim:sub",
            "hold 416",
        ] {
            assert_eq!(text.parse::<Measure>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "audit",
            "audit payments",
            "eject a/b c",
            "all-to a/b",
            "stop a/b",
            "hold",
            "hold now",
            "record a/b",
            "record a/b x-role",
        ] {
            assert!(text.parse::<Measure>().is_err(), "{text}");
        }
        let many = |count: usize| {
            let facts = (0..count).map(|number| alloc::format!(" query:{number}"));
            alloc::format!("record a/b{}", facts.collect::<String>())
        };
        assert!(many(Measure::MOST_FACTS).parse::<Measure>().is_ok());
        assert!(many(Measure::MOST_FACTS + 1).parse::<Measure>().is_err());
    }
}
