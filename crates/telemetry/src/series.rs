//! What events are counted under: names that configuration gives, and words from short lists.
//!
//! A [`Key`] borrows them from an event, to look a series up without allocating; [`Labels`] own them.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use leno_model::origin::RouteName;
use leno_model::{Fault, Origin};

use crate::event::{Call, Edge, Flow, Party, Reporter, Security, Stream};

/// What stands in a label for all that went over the budget of series.
pub(crate) const OTHER: &str = "other";
/// What stands in a label where there is nothing to tell.
pub(crate) const NONE: &str = "none";

/// What one series is about.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Labels {
    /// Who called: `shop/web`, `unknown`, or `other`.
    pub source: Arc<str>,
    /// What was called: `shop/cart`, `unknown`, or `other`.
    pub destination: Arc<str>,
    /// The rule that took the calls (`HTTPRoute shop/cart rule 2`), `none`, or `other`.
    pub route: Arc<str>,
    /// The rest, which has few values.
    pub traits: Traits,
}

/// The labels whose values are few: they are told apart however many series there are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Traits {
    /// Which proxy counted.
    pub reporter: Reporter,
    /// What was counted.
    pub what: What,
    /// How the connection between the two proxies was secured.
    pub security: Security,
    /// Whose fault it was, if it failed.
    pub fault: Option<Fault>,
}

/// What a series counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum What {
    /// Requests answered with a status of this class.
    Calls(StatusClass),
    /// Copies of requests that a mirror answered with a status of this class.
    Copies(StatusClass),
    /// Streams of bytes.
    Streams,
}

/// The first digit of a status: `2xx`; `none` if no answer could be sent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct StatusClass(u8);

impl StatusClass {
    /// The class of a status.
    pub fn of(status: u16) -> Self {
        match status {
            100..200 => Self(1),
            200..300 => Self(2),
            300..400 => Self(3),
            400..500 => Self(4),
            500..600 => Self(5),
            _ => Self(0),
        }
    }

    /// The word in metrics.
    pub fn as_str(self) -> &'static str {
        ["1xx", "2xx", "3xx", "4xx", "5xx"]
            .get(usize::from(self.0).wrapping_sub(1))
            .unwrap_or(&NONE)
    }
}

/// What one event is counted under, borrowed from it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key<'a> {
    pub(crate) source: Party<'a>,
    pub(crate) destination: Party<'a>,
    pub(crate) route: Option<&'a Origin>,
    pub(crate) traits: Traits,
}

impl<'a> Key<'a> {
    pub(crate) fn of_call(call: &Call<'a>) -> Self {
        let class = StatusClass::of(call.status);
        let what = match call.copy_of {
            None => What::Calls(class),
            Some(_) => What::Copies(class),
        };
        Self::new(&call.edge, call.route, what, call.fault())
    }

    pub(crate) fn of_stream(stream: &Stream<'a>) -> Self {
        Self::new(&stream.edge, stream.route, What::Streams, stream.fault())
    }

    /// What a stream counts under while nothing has failed.
    pub(crate) fn of_open(stream: &Stream<'a>) -> Self {
        Self::new(&stream.edge, stream.route, What::Streams, None)
    }

    /// What bytes count under while nobody knows how it ends.
    pub(crate) fn of_flow(flow: &Flow<'a>) -> Self {
        let (what, fault) = match flow.status {
            Some(status) => {
                let fault = (status >= 500).then_some(Fault::Service);
                (What::Calls(StatusClass::of(status)), fault)
            }
            None => (What::Streams, None),
        };
        Self::new(&flow.edge, flow.route, what, fault)
    }

    fn new(edge: &Edge<'a>, route: Option<&'a Origin>, what: What, fault: Option<Fault>) -> Self {
        Self {
            source: edge.source,
            destination: edge.destination,
            route,
            traits: Traits {
                reporter: edge.reporter,
                what,
                security: edge.security,
                fault,
            },
        }
    }

    pub(crate) fn labels(&self) -> Labels {
        let route = self.route.map(|origin| RouteName(origin).to_string());
        Labels {
            source: self.source.to_string().into(),
            destination: self.destination.to_string().into(),
            route: route.as_deref().unwrap_or(NONE).into(),
            traits: self.traits,
        }
    }

    /// Whether `labels` are those of this key, where `route` is the origin they were made of.
    pub(crate) fn is(&self, labels: &Labels, route: Option<&Origin>) -> bool {
        self.traits == labels.traits
            && self.source.is(&labels.source)
            && self.destination.is(&labels.destination)
            && self.route.map(rule) == route.map(rule)
    }
}

impl Labels {
    /// What is counted for all that went over the budget and has these traits.
    pub(crate) fn folded(traits: Traits) -> Self {
        let other: Arc<str> = OTHER.into();
        Self {
            source: other.clone(),
            destination: other.clone(),
            route: other,
            traits,
        }
    }
}

impl Hash for Key<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.source.hash(state);
        self.destination.hash(state);
        self.route.map(rule).hash(state);
        self.traits.hash(state);
    }
}

/// A rule by its object and field. Its line may move without making another rule of it.
fn rule(origin: &Origin) -> (&leno_model::ObjectRef, &str) {
    (&origin.object, &origin.pointer)
}

/// Several rules, with commas between.
pub(crate) struct RuleNames<'a>(pub(crate) &'a [Origin]);

impl fmt::Display for RuleNames<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = "";
        self.0.iter().try_for_each(|rule| {
            write!(f, "{between}{}", RouteName(rule))?;
            between = ", ";
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use leno_model::{Name, Namespace, ObjectRef, Place};

    use super::*;

    fn origin(pointer: &str, line: u32) -> Origin {
        Origin {
            object: Arc::new(ObjectRef {
                kind: "HTTPRoute".into(),
                namespace: Some(Namespace::new("shop").unwrap()),
                name: Name::new("cart").unwrap(),
            }),
            pointer: pointer.into(),
            place: Some(Place {
                file: "cart.yaml".into(),
                line,
                column: 1,
            }),
        }
    }

    #[test]
    fn a_key_is_found_again_among_labels() {
        let party = |namespace, name| Party::Known { namespace, name };
        let traits = Traits {
            reporter: Reporter::Source,
            what: What::Calls(StatusClass::of(204)),
            security: Security::Mtls,
            fault: None,
        };
        let (first, moved, second) = (
            origin("/spec/rules/0", 7),
            origin("/spec/rules/0", 9),
            origin("/spec/rules/1", 7),
        );
        let key = Key {
            source: party("shop", "web"),
            destination: Party::Unknown,
            route: Some(&first),
            traits,
        };
        let labels = key.labels();
        assert!(key.is(&labels, Some(&moved)));
        assert!(!key.is(&labels, Some(&second)));
        assert!(!key.is(&labels, None));
        for source in [party("shop", "webs"), party("sho", "p/web"), Party::Unknown] {
            assert!(!Key { source, ..key }.is(&labels, Some(&first)), "{source}");
        }
        let none = Traits {
            security: Security::None,
            ..traits
        };
        assert!(
            !Key {
                traits: none,
                ..key
            }
            .is(&labels, Some(&first))
        );
    }

    #[test]
    fn a_status_has_a_class() {
        let classes =
            [0, 99, 101, 204, 308, 404, 503, 600].map(|status| StatusClass::of(status).as_str());
        assert_eq!(
            classes,
            ["none", "none", "1xx", "2xx", "3xx", "4xx", "5xx", "none"]
        );
    }
}
