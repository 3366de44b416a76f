//! Access rules. What is not understood denies.

use alloc::{string::String, string::ToString, sync::Arc, vec::Vec};
use core::net::IpAddr;

use leno_model::view::access::IpBlock;
use leno_model::view::{
    Access, AccessRule, CallerMatch, Effect, Except, FieldMatch, FieldValue, HostMatch, Mtls,
    PathMatch, RequestMatch, Stance,
};
use leno_model::{Name, Namespace, Origin, TrustDomain};
use prost::{Message, Oneof};

use crate::carried::{
    Carried, Misfit, carried_enum, from_list, from_option, from_shared, port, required, to_list,
    to_shared,
};
use crate::part::route::{HostMessage, PathMessage, pattern};
use crate::part::word::OriginMessage;
use crate::part::{feature, lacks};

#[derive(Clone, PartialEq, Message)]
pub(crate) struct AccessMessage {
    #[prost(enumeration = "MtlsMessage", tag = "1")]
    mtls: i32,
    #[prost(message, optional, tag = "2")]
    mtls_origin: Option<OriginMessage>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) rules: Vec<AccessRuleMessage>,
    #[prost(enumeration = "StanceMessage", tag = "4")]
    stance: i32,
    #[prost(message, optional, tag = "5")]
    stance_origin: Option<OriginMessage>,
    /// Apart from those that decide: who does not know them decides the same.
    #[prost(message, repeated, tag = "6")]
    audits: Vec<AccessRuleMessage>,
}

carried_enum!(MtlsMessage for Mtls, "mtls" { Strict = 1, Permissive = 2 });
carried_enum!(StanceMessage for Stance, "stance" { Allow = 1, Deny = 2 });
carried_enum!(EffectMessage for Effect, "effect" { Allow = 1, Deny = 2, NotUnderstood = 3, Audit = 4 });

impl AccessMessage {
    /// The features that its rules need.
    pub(crate) fn needs(&self) -> impl Iterator<Item = &String> {
        let rules = self.rules.iter().chain(&self.audits);
        rules.flat_map(|rule| &rule.needs)
    }
}

impl Carried for Access {
    type Message = AccessMessage;

    fn to_message(&self) -> AccessMessage {
        AccessMessage {
            mtls: self.mtls.to_message(),
            mtls_origin: self.mtls_origin.as_ref().map(Origin::to_message),
            rules: to_shared(&self.rules),
            stance: self.stance.to_message(),
            stance_origin: self.stance_origin.as_ref().map(Origin::to_message),
            audits: to_shared(&self.audits),
        }
    }

    /// A rule that would allow somebody and is not understood still leaves nobody else allowed.
    fn from_message(message: AccessMessage) -> Result<Self, Misfit> {
        let closes = |rule: &&AccessRuleMessage| {
            let effect = Effect::from_message(rule.effect);
            let denies = matches!(effect, Ok(Effect::Deny | Effect::NotUnderstood));
            !denies && (effect.is_err() || lacks(&rule.needs))
        };
        let closed_by = message.rules.iter().find(closes);
        let closed_by = closed_by.and_then(|rule| rule.origin.clone());
        let (mut stance, mut said_by) = (message.stance, message.stance_origin);
        if closed_by.is_some() {
            (stance, said_by) = (StanceMessage::Deny.into(), closed_by);
        }
        let mut audits = message.audits;
        // What cannot be asked can tell nothing.
        audits.retain(|rule| !lacks(&rule.needs));
        Ok(Self {
            mtls: Mtls::from_message(message.mtls)?,
            mtls_origin: from_option(message.mtls_origin)?,
            rules: from_shared(message.rules)?,
            audits: from_shared(audits)?,
            stance: Stance::from_message(stance)?,
            stance_origin: from_option(said_by)?,
        })
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct AccessRuleMessage {
    #[prost(message, optional, tag = "1")]
    origin: Option<OriginMessage>,
    #[prost(enumeration = "EffectMessage", tag = "2")]
    pub(crate) effect: i32,
    #[prost(message, repeated, tag = "3")]
    callers: Vec<CallerMessage>,
    #[prost(message, repeated, tag = "4")]
    requests: Vec<RequestMessage>,
    #[prost(message, optional, tag = "5")]
    except: Option<ExceptMessage>,
    #[prost(string, optional, tag = "6")]
    when: Option<String>,
    /// Features without which the rule means something else than it says.
    #[prost(string, repeated, tag = "15")]
    pub(crate) needs: Vec<String>,
}

impl Carried for AccessRule {
    type Message = AccessRuleMessage;

    fn to_message(&self) -> AccessRuleMessage {
        AccessRuleMessage {
            origin: Some(self.origin.to_message()),
            effect: self.effect.to_message(),
            callers: to_list(&self.callers),
            requests: to_list(&self.requests),
            except: (self.except != Except::default()).then(|| self.except.to_message()),
            when: self.when.as_ref().map(ToString::to_string),
            needs: needs(self),
        }
    }

    /// A rule that asks for more than we know denies what of its match we do know: less is
    /// compared and nothing excepted, so it denies no less than it was meant to match.
    fn from_message(message: AccessRuleMessage) -> Result<Self, Misfit> {
        let origin = required(message.origin, "origin of an access rule")?;
        let effect = Effect::from_message(message.effect);
        let (Ok(effect), false) = (effect, lacks(&message.needs)) else {
            return Ok(Self {
                origin,
                effect: Effect::NotUnderstood,
                callers: all_readable(message.callers),
                requests: all_readable(message.requests),
                except: Except::default(),
                when: None,
            });
        };
        Ok(Self {
            origin,
            effect,
            callers: from_list(message.callers)?,
            requests: from_list(message.requests)?,
            except: from_option(message.except)?.unwrap_or_default(),
            when: message.when.map(Arc::from),
        })
    }
}

/// Every value of a list; in the place of one that cannot be read, the one that matches all.
fn all_readable<T: Carried + Default>(messages: Vec<T::Message>) -> Vec<T> {
    let read = |message| T::from_message(message).unwrap_or_default();
    messages.into_iter().map(read).collect()
}

/// The features without which a reader would take the rule for something else.
fn needs(rule: &AccessRule) -> Vec<String> {
    let Except { requests, .. } = &rule.except;
    let requests = || rule.requests.iter().chain(requests);
    let is_template = |path: &PathMatch| matches!(path, PathMatch::Template(_));
    let features = [
        (feature::ACCESS_CONDITION, rule.when.is_some()),
        (feature::ACCESS_EXCEPT, rule.except != Except::default()),
        (
            feature::ACCESS_HEADERS,
            requests().any(|request| !request.headers.is_empty()),
        ),
        (
            feature::ACCESS_TEMPLATE,
            requests().any(|request| request.paths.iter().any(is_template)),
        ),
    ];
    let needed = features.iter().filter(|(_, needed)| *needed);
    needed.map(|(feature, _)| feature.to_string()).collect()
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ExceptMessage {
    #[prost(message, repeated, tag = "1")]
    callers: Vec<CallerMessage>,
    #[prost(message, repeated, tag = "2")]
    requests: Vec<RequestMessage>,
}

impl Carried for Except {
    type Message = ExceptMessage;

    fn to_message(&self) -> ExceptMessage {
        ExceptMessage {
            callers: to_list(&self.callers),
            requests: to_list(&self.requests),
        }
    }

    fn from_message(message: ExceptMessage) -> Result<Self, Misfit> {
        Ok(Self {
            callers: from_list(message.callers)?,
            requests: from_list(message.requests)?,
        })
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct CallerMessage {
    #[prost(string, optional, tag = "1")]
    trust_domain: Option<String>,
    #[prost(string, optional, tag = "2")]
    namespace: Option<String>,
    #[prost(string, optional, tag = "3")]
    service_account: Option<String>,
    #[prost(message, optional, tag = "4")]
    block: Option<IpBlockMessage>,
}

impl Carried for CallerMatch {
    type Message = CallerMessage;

    fn to_message(&self) -> CallerMessage {
        CallerMessage {
            trust_domain: self.trust_domain.as_ref().map(TrustDomain::to_message),
            namespace: self.namespace.as_ref().map(Namespace::to_message),
            service_account: self.service_account.as_ref().map(Name::to_message),
            block: self.block.as_ref().map(IpBlock::to_message),
        }
    }

    fn from_message(message: CallerMessage) -> Result<Self, Misfit> {
        Ok(Self {
            trust_domain: from_option(message.trust_domain)?,
            namespace: from_option(message.namespace)?,
            service_account: from_option(message.service_account)?,
            block: from_option(message.block)?,
        })
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct IpBlockMessage {
    #[prost(bytes = "vec", tag = "1")]
    address: Vec<u8>,
    #[prost(uint32, tag = "2")]
    bits: u32,
}

impl Carried for IpBlock {
    type Message = IpBlockMessage;

    fn to_message(&self) -> IpBlockMessage {
        IpBlockMessage {
            address: self.address().to_message(),
            bits: self.bits().into(),
        }
    }

    fn from_message(message: IpBlockMessage) -> Result<Self, Misfit> {
        let address = IpAddr::from_message(message.address)?;
        u8::try_from(message.bits)
            .ok()
            .and_then(|bits| Self::new(address, bits))
            .ok_or_else(|| Misfit::new("address block", "it has more bits than its address"))
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RequestMessage {
    #[prost(uint32, repeated, tag = "1")]
    ports: Vec<u32>,
    #[prost(string, repeated, tag = "2")]
    methods: Vec<String>,
    #[prost(message, repeated, tag = "3")]
    hosts: Vec<HostMessage>,
    #[prost(message, repeated, tag = "4")]
    paths: Vec<PathMessage>,
    #[prost(message, repeated, tag = "5")]
    headers: Vec<FieldMessage>,
}

impl Carried for RequestMatch {
    type Message = RequestMessage;

    fn to_message(&self) -> RequestMessage {
        RequestMessage {
            ports: self.ports.iter().copied().map(u32::from).collect(),
            methods: self.methods.iter().map(ToString::to_string).collect(),
            hosts: to_list(&self.hosts),
            paths: to_list(&self.paths),
            headers: to_list(&self.headers),
        }
    }

    fn from_message(message: RequestMessage) -> Result<Self, Misfit> {
        Ok(Self {
            ports: message
                .ports
                .into_iter()
                .map(port)
                .collect::<Result<_, _>>()?,
            methods: message.methods.into_iter().map(Into::into).collect(),
            hosts: from_list::<HostMatch>(message.hosts)?,
            paths: from_list::<PathMatch>(message.paths)?,
            headers: from_list(message.headers)?,
        })
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct FieldMessage {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(oneof = "FieldKind", tags = "2, 3, 4, 5")]
    kind: Option<FieldKind>,
}

#[derive(Clone, PartialEq, Oneof)]
enum FieldKind {
    #[prost(bool, tag = "2")]
    Present(bool),
    #[prost(string, tag = "3")]
    Exact(String),
    #[prost(string, tag = "4")]
    Prefix(String),
    #[prost(string, tag = "5")]
    Regex(String),
}

impl Carried for FieldMatch {
    type Message = FieldMessage;

    fn to_message(&self) -> FieldMessage {
        FieldMessage {
            name: self.name.to_string(),
            kind: Some(match &self.value {
                FieldValue::Present => FieldKind::Present(true),
                FieldValue::Exact(text) => FieldKind::Exact(text.to_string()),
                FieldValue::Prefix(text) => FieldKind::Prefix(text.to_string()),
                FieldValue::Regex(pattern) => FieldKind::Regex(pattern.as_str().into()),
            }),
        }
    }

    fn from_message(message: FieldMessage) -> Result<Self, Misfit> {
        let kind = message
            .kind
            .ok_or_else(|| Misfit::missing("header match"))?;
        Ok(Self {
            name: message.name.into(),
            value: match kind {
                FieldKind::Present(_) => FieldValue::Present,
                FieldKind::Exact(text) => FieldValue::Exact(text.into()),
                FieldKind::Prefix(text) => FieldValue::Prefix(text.into()),
                FieldKind::Regex(text) => FieldValue::Regex(pattern(&text)?),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::part::word::some_origin;

    #[test]
    fn a_rule_that_needs_what_we_lack_denies_what_it_matches() {
        let effect = |effect: i32, needs: &[&str]| {
            let rule = AccessRuleMessage {
                origin: Some(some_origin()),
                effect,
                needs: needs.iter().map(ToString::to_string).collect(),
                ..AccessRuleMessage::default()
            };
            AccessRule::from_message(rule).unwrap().effect
        };
        assert_eq!(effect(1, &[]), Effect::Allow);
        assert_eq!(effect(1, &["moon-phase"]), Effect::NotUnderstood);
        assert_eq!(effect(0, &[]), Effect::NotUnderstood);
        assert_eq!(effect(99, &[]), Effect::NotUnderstood);
    }

    #[test]
    fn what_is_not_understood_matches_no_less_and_leaves_nobody_else_allowed() {
        let rule = |effect: i32, needs: &[&str]| AccessRuleMessage {
            origin: Some(some_origin()),
            effect,
            requests: [RequestMessage {
                ports: [80].into(),
                paths: [PathMessage::default()].into(),
                ..RequestMessage::default()
            }]
            .into(),
            except: Some(ExceptMessage {
                callers: [CallerMessage::default()].into(),
                ..ExceptMessage::default()
            }),
            needs: needs.iter().map(ToString::to_string).collect(),
            ..AccessRuleMessage::default()
        };
        let read = |rule: AccessRuleMessage| {
            let access = AccessMessage {
                mtls: 1,
                stance: 1,
                rules: [rule].into(),
                ..AccessMessage::default()
            };
            Access::from_message(access)
        };
        let misfit = read(rule(2, &[])).unwrap_err();
        assert_eq!(misfit.to_string(), "path match: it is missing");
        for (effect, stance) in [(1, Stance::Deny), (2, Stance::Allow), (99, Stance::Deny)] {
            let access = read(rule(effect, &["moon-phase"])).unwrap();
            assert_eq!(access.stance, stance, "{effect}");
            let [rule] = &*access.rules else {
                panic!("one rule")
            };
            assert_eq!(rule.effect, Effect::NotUnderstood);
            assert_eq!(rule.requests, [RequestMatch::default()]);
            assert_eq!(rule.except, Except::default());
        }
    }

    #[test]
    fn a_stance_that_is_not_known_is_a_misfit() {
        let access = AccessMessage {
            mtls: 1,
            stance: 7,
            ..AccessMessage::default()
        };
        assert_eq!(
            Access::from_message(access).unwrap_err().to_string(),
            "stance: 7 is not known"
        );
    }
}
