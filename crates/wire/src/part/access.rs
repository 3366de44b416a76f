//! Access rules. What is not understood denies.

use alloc::{string::String, string::ToString, sync::Arc, vec, vec::Vec};
use core::net::IpAddr;

use leno_condition::{Condition, Fact};
use leno_model::view::access::{ExternalAuth, IpBlock, Jwt, TokenPlace};
use leno_model::view::{
    Access, AccessRule, CallerMatch, ClaimMatch, Effect, Except, FieldMatch, FieldValue, HostMatch,
    Mtls, Outbound, OutboundRule, PathMatch, RequestMatch, Stance, Within,
};
use leno_model::{Name, Namespace, Origin, TrustDomain};
use prost::{Message, Oneof};

use crate::carried::{
    Carried, Misfit, carried_enum, from_list, from_option, from_shared, port, required, to_list,
    to_shared,
};
use crate::part::external::{Asked, ExternalMessage};
use crate::part::jwt::JwtMessage;
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
    pub(crate) audits: Vec<AccessRuleMessage>,
    #[prost(message, optional, tag = "7")]
    pub(crate) jwt: Option<JwtMessage>,
}

carried_enum!(MtlsMessage for Mtls, "mtls" { Strict = 1, Permissive = 2 });
carried_enum!(StanceMessage for Stance, "stance" { Allow = 1, Deny = 2 });

/// Whoever does not know `also` leaves others out, as it was before anybody said it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum EffectMessage {
    Unset = 0,
    Allow = 1,
    Deny = 2,
    NotUnderstood = 3,
    Audit = 4,
    /// Somebody is asked. Who does not know it takes it for a rule that is not understood.
    Ask = 5,
    /// Nothing follows for who knows what it needs; who does not takes it for such a rule, too.
    Needs = 6,
    /// Whoever would have to be asked is in a ring. Who does not know it takes it for the same.
    Ring = 7,
}

fn effect_message(effect: Effect) -> EffectMessage {
    match effect {
        Effect::Allow | Effect::AllowAlso => EffectMessage::Allow,
        Effect::Deny => EffectMessage::Deny,
        Effect::NotUnderstood => EffectMessage::NotUnderstood,
        Effect::Ring => EffectMessage::Ring,
        Effect::Audit => EffectMessage::Audit,
    }
}

/// `None` for one that is not known.
fn effect(message: i32, also: bool) -> Option<Effect> {
    match EffectMessage::try_from(message).ok()? {
        EffectMessage::Unset | EffectMessage::Ask | EffectMessage::Needs => None,
        EffectMessage::Allow if also => Some(Effect::AllowAlso),
        EffectMessage::Allow => Some(Effect::Allow),
        EffectMessage::Deny => Some(Effect::Deny),
        EffectMessage::NotUnderstood => Some(Effect::NotUnderstood),
        EffectMessage::Ring => Some(Effect::Ring),
        EffectMessage::Audit => Some(Effect::Audit),
    }
}

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
        let asks = self.external.iter().map(|external| external.to_message());
        AccessMessage {
            mtls: self.mtls.to_message(),
            mtls_origin: self.mtls_origin.as_ref().map(Origin::to_message),
            rules: asks
                .chain(
                    self.jwt
                        .iter()
                        .filter_map(|jwt| unless_cookies_are_read(jwt)),
                )
                .chain(to_shared(&self.rules))
                .collect(),
            stance: self.stance.to_message(),
            stance_origin: self.stance_origin.as_ref().map(Origin::to_message),
            audits: to_shared(&self.audits),
            jwt: self.jwt.as_ref().map(|jwt| jwt.to_message()),
        }
    }

    /// A rule that would allow somebody and is not understood still leaves nobody else allowed.
    fn from_message(mut message: AccessMessage) -> Result<Self, Misfit> {
        let is_asked = |rule: &AccessRuleMessage| rule.external.is_some() && !lacks(&rule.needs);
        let is_met = |rule: &AccessRuleMessage| {
            rule.effect == i32::from(EffectMessage::Needs) && !lacks(&rule.needs)
        };
        message.rules.retain(|rule| !is_met(rule));
        let (asks, rules) = message.rules.into_iter().partition(is_asked);
        message.rules = rules;
        let closes = |rule: &&AccessRuleMessage| {
            let effect = effect(rule.effect, rule.also);
            let denies = matches!(
                effect,
                Some(Effect::Deny | Effect::Ring | Effect::NotUnderstood)
            );
            !denies && (effect.is_none() || lacks(&rule.needs))
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
            external: from_shared::<ExternalAuth>(asks)?,
            rules: from_shared(message.rules)?,
            audits: from_shared(audits)?,
            stance: Stance::from_message(stance)?,
            stance_origin: from_option(said_by)?,
            jwt: from_option::<Jwt>(message.jwt)?.map(Arc::new),
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
    pub(crate) requests: Vec<RequestMessage>,
    #[prost(message, optional, tag = "5")]
    pub(crate) except: Option<ExceptMessage>,
    #[prost(string, optional, tag = "6")]
    pub(crate) when: Option<String>,
    #[prost(message, repeated, tag = "7")]
    pub(crate) within: Vec<WithinMessage>,
    /// Whether one that allows leaves others beside.
    #[prost(bool, tag = "8")]
    also: bool,
    /// Who is asked, if that is what follows.
    #[prost(message, optional, tag = "9")]
    pub(crate) external: Option<ExternalMessage>,
    /// Features without which the rule means something else than it says.
    #[prost(string, repeated, tag = "15")]
    pub(crate) needs: Vec<String>,
}

impl AccessRuleMessage {
    /// A rule by which whoever lacks `feature` lets nobody in.
    pub(crate) fn guard(origin: &Origin, feature: &str) -> Self {
        Self {
            origin: Some(origin.to_message()),
            effect: EffectMessage::Needs.into(),
            needs: vec![feature.into()],
            ..Self::default()
        }
    }
}

impl Carried for AccessRule {
    type Message = AccessRuleMessage;

    fn to_message(&self) -> AccessRuleMessage {
        AccessRuleMessage {
            origin: Some(self.origin.to_message()),
            effect: effect_message(self.effect).into(),
            also: self.effect == Effect::AllowAlso,
            callers: to_list(&self.callers),
            requests: to_list(&self.requests),
            within: to_list(&self.within),
            except: (self.except != Except::default()).then(|| self.except.to_message()),
            when: self.when.as_ref().map(ToString::to_string),
            external: None,
            needs: needs(self),
        }
    }

    /// A rule that asks for more than we know denies what of its match we do know: less is
    /// compared and nothing excepted, so it denies no less than it was meant to match.
    fn from_message(message: AccessRuleMessage) -> Result<Self, Misfit> {
        let origin = required(message.origin, "origin of an access rule")?;
        let effect = effect(message.effect, message.also);
        let (Some(effect), false) = (effect, lacks(&message.needs)) else {
            return Ok(Self {
                origin,
                effect: Effect::NotUnderstood,
                callers: all_readable(message.callers),
                within: Vec::new(),
                requests: message.requests.into_iter().map(readable).collect(),
                except: Except::default(),
                when: None,
            });
        };
        Ok(Self {
            origin,
            effect,
            callers: from_list(message.callers)?,
            within: from_list(message.within)?,
            requests: from_list(message.requests)?,
            except: from_option(message.except)?.unwrap_or_default(),
            when: message.when.map(Arc::from),
        })
    }
}

/// As a rule that speaks of the requests that are asked about: so it denies where nobody can ask.
impl Carried for ExternalAuth {
    type Message = AccessRuleMessage;

    fn to_message(&self) -> AccessRuleMessage {
        let rule = AccessRule {
            origin: self.origin.clone(),
            effect: Effect::NotUnderstood,
            callers: Vec::new(),
            within: self.within.clone(),
            requests: self.requests.clone(),
            except: Except {
                callers: Vec::new(),
                requests: self.except.clone(),
            },
            when: None,
        };
        let mut message = rule.to_message();
        message.effect = EffectMessage::Ask.into();
        message.needs.push(feature::ACCESS_EXTERNAL.into());
        message.external = Some(ExternalMessage::of(self));
        message
    }

    fn from_message(message: AccessRuleMessage) -> Result<Self, Misfit> {
        let external = message.external;
        let mut external = external.ok_or_else(|| Misfit::missing("external authorizer"))?;
        let to = external.to.take();
        let Asked {
            protocol,
            timeout,
            on_failure,
            tells,
            sets,
            body,
        } = external.asked()?;
        let except = from_option::<Except>(message.except)?.unwrap_or_default();
        Ok(Self {
            origin: required(message.origin, "origin of an external authorizer")?,
            within: from_list(message.within)?,
            requests: from_list(message.requests)?,
            except: except.requests,
            to: required(to, "external authorizer")?,
            protocol,
            timeout,
            on_failure,
            tells,
            sets,
            body,
        })
    }
}

/// The rule by which nobody is let in where tokens stand in cookies, and nobody looks there.
fn unless_cookies_are_read(jwt: &Jwt) -> Option<AccessRuleMessage> {
    let in_cookie = |place: &TokenPlace| matches!(place, TokenPlace::Cookie(_));
    let mut issuers = jwt.issuers.iter();
    let issuer = issuers.find(|issuer| issuer.from.iter().any(in_cookie))?;
    Some(AccessRuleMessage::guard(
        &issuer.origin,
        feature::ACCESS_TOKEN_COOKIES,
    ))
}

/// Every value of a list; in the place of one that cannot be read, the one that matches all.
fn all_readable<T: Carried + Default>(messages: Vec<T::Message>) -> Vec<T> {
    let read = |message| T::from_message(message).unwrap_or_default();
    messages.into_iter().map(read).collect()
}

/// What can be read of which requests a rule speaks of: a part that cannot is left out, so that no fewer match.
fn readable(message: RequestMessage) -> RequestMatch {
    let ports = message.ports.into_iter().map(port);
    RequestMatch {
        ports: ports.collect::<Result<_, _>>().unwrap_or_default(),
        methods: message.methods.into_iter().map(Into::into).collect(),
        hosts: from_list(message.hosts).unwrap_or_default(),
        paths: from_list(message.paths).unwrap_or_default(),
        headers: from_list(message.headers).unwrap_or_default(),
        claims: from_list(message.claims).unwrap_or_default(),
    }
}

/// Which hosts outside the mesh a workload may call. Who does not know it lets none out
/// ([`crate::part::mesh::SettingsMessage`]).
#[derive(Clone, PartialEq, Message)]
pub(crate) struct OutboundMessage {
    #[prost(message, repeated, tag = "1")]
    pub(crate) rules: Vec<OutboundRuleMessage>,
    #[prost(message, repeated, tag = "2")]
    audits: Vec<OutboundRuleMessage>,
    #[prost(enumeration = "StanceMessage", optional, tag = "3")]
    default: Option<i32>,
    #[prost(message, optional, tag = "4")]
    default_origin: Option<OriginMessage>,
}

impl OutboundMessage {
    /// The features that its rules need.
    pub(crate) fn needs(&self) -> impl Iterator<Item = &String> {
        let rules = self.rules.iter().chain(&self.audits);
        rules.flat_map(|rule| &rule.needs)
    }
}

impl Carried for Outbound {
    type Message = OutboundMessage;

    fn to_message(&self) -> OutboundMessage {
        let default = self.default.as_ref();
        OutboundMessage {
            rules: to_shared(&self.rules),
            audits: to_shared(&self.audits),
            default: default.map(|(stance, _)| stance.to_message()),
            default_origin: default.map(|(_, origin)| origin.to_message()),
        }
    }

    fn from_message(message: OutboundMessage) -> Result<Self, Misfit> {
        let mut audits = message.audits;
        // What cannot be asked can tell nothing.
        audits.retain(|rule| !lacks(&rule.needs));
        Ok(Self {
            rules: from_shared(message.rules)?,
            audits: from_shared(audits)?,
            default: match message.default {
                None => None,
                Some(stance) => Some((
                    Stance::from_message(stance)?,
                    required(message.default_origin, "origin of a default")?,
                )),
            },
        })
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct OutboundRuleMessage {
    #[prost(message, optional, tag = "1")]
    origin: Option<OriginMessage>,
    #[prost(enumeration = "EffectMessage", tag = "2")]
    effect: i32,
    #[prost(message, repeated, tag = "3")]
    hosts: Vec<HostMessage>,
    #[prost(message, repeated, tag = "4")]
    blocks: Vec<IpBlockMessage>,
    #[prost(uint32, repeated, tag = "5")]
    ports: Vec<u32>,
    /// Whether one that allows does so beside others, as all do here.
    #[prost(bool, tag = "8")]
    also: bool,
    /// Features without which the rule means something else than it says.
    #[prost(string, repeated, tag = "15")]
    pub(crate) needs: Vec<String>,
}

impl Carried for OutboundRule {
    type Message = OutboundRuleMessage;

    fn to_message(&self) -> OutboundRuleMessage {
        OutboundRuleMessage {
            origin: Some(self.origin.to_message()),
            effect: effect_message(self.effect).into(),
            hosts: to_list(&self.hosts),
            blocks: to_list(&self.blocks),
            ports: self.ports.iter().copied().map(u32::from).collect(),
            also: self.effect == Effect::AllowAlso,
            needs: Vec::new(),
        }
    }

    /// A rule that asks for more than we know denies what we do know of it.
    fn from_message(message: OutboundRuleMessage) -> Result<Self, Misfit> {
        let effect = effect(message.effect, message.also).filter(|_| !lacks(&message.needs));
        let ports = message.ports.into_iter().map(port);
        Ok(Self {
            origin: required(message.origin, "origin of an outbound rule")?,
            effect: effect.unwrap_or(Effect::NotUnderstood),
            hosts: from_list(message.hosts)?,
            blocks: from_list(message.blocks)?,
            ports: ports.collect::<Result<_, _>>()?,
        })
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct WithinMessage {
    #[prost(message, optional, tag = "1")]
    pub(crate) takes: Option<RequestMessage>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) leaves: Vec<RequestMessage>,
}

impl Carried for Within {
    type Message = WithinMessage;

    fn to_message(&self) -> WithinMessage {
        WithinMessage {
            takes: Some(self.takes.to_message()),
            leaves: to_list(&self.leaves),
        }
    }

    fn from_message(message: WithinMessage) -> Result<Self, Misfit> {
        Ok(Self {
            takes: required(message.takes, "what a policy is about")?,
            leaves: from_list(message.leaves)?,
        })
    }
}

/// The features without which a reader would take the rule for something else.
fn needs(rule: &AccessRule) -> Vec<String> {
    let Except { requests, .. } = &rule.except;
    let within = || rule.within.iter().flat_map(Within::requests);
    let requests = || rule.requests.iter().chain(within()).chain(requests);
    let is_template = |path: &PathMatch| matches!(path, PathMatch::Template(_));
    let features = [
        (feature::ACCESS_CONDITION, rule.when.is_some()),
        (
            feature::ACCESS_CONDITION_CLAIMS,
            rule.when.as_deref().is_some_and(reads_claims),
        ),
        (feature::ACCESS_EXCEPT, rule.except != Except::default()),
        (
            feature::ACCESS_HEADERS,
            requests().any(|request| !request.headers.is_empty()),
        ),
        (
            feature::ACCESS_CLAIMS,
            requests().any(|request| !request.claims.is_empty()),
        ),
        (
            feature::ACCESS_TEMPLATE,
            requests().any(|request| request.paths.iter().any(is_template)),
        ),
        (feature::ACCESS_WITHIN, !rule.within.is_empty()),
    ];
    let needed = features.iter().filter(|(_, needed)| *needed);
    needed.map(|(feature, _)| feature.to_string()).collect()
}

/// Whether a condition looks into the claims of tokens.
fn reads_claims(when: &str) -> bool {
    // Reading one costs more than most have to pay.
    when.contains("jwt")
        && Condition::new(when).is_ok_and(|it| it.reads().facts.contains(&Fact::Claims))
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ExceptMessage {
    #[prost(message, repeated, tag = "1")]
    callers: Vec<CallerMessage>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) requests: Vec<RequestMessage>,
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
    pub(crate) paths: Vec<PathMessage>,
    #[prost(message, repeated, tag = "5")]
    pub(crate) headers: Vec<FieldMessage>,
    #[prost(message, repeated, tag = "6")]
    pub(crate) claims: Vec<FieldMessage>,
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
            claims: to_list(&self.claims),
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
            claims: from_list(message.claims)?,
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
        field(&self.name, &self.value)
    }

    fn from_message(message: FieldMessage) -> Result<Self, Misfit> {
        let (name, value) = message.read("header match")?;
        Ok(Self { name, value })
    }
}

impl Carried for ClaimMatch {
    type Message = FieldMessage;

    fn to_message(&self) -> FieldMessage {
        field(&self.name, &self.value)
    }

    fn from_message(message: FieldMessage) -> Result<Self, Misfit> {
        let (name, value) = message.read("claim match")?;
        Ok(Self { name, value })
    }
}

fn field(name: &Arc<str>, value: &FieldValue) -> FieldMessage {
    FieldMessage {
        name: name.to_string(),
        kind: Some(match value {
            FieldValue::Present => FieldKind::Present(true),
            FieldValue::Exact(text) => FieldKind::Exact(text.to_string()),
            FieldValue::Prefix(text) => FieldKind::Prefix(text.to_string()),
            FieldValue::Regex(pattern) => FieldKind::Regex(pattern.as_str().into()),
        }),
    }
}

impl FieldMessage {
    fn read(self, what: &'static str) -> Result<(Arc<str>, FieldValue), Misfit> {
        let kind = self.kind.ok_or_else(|| Misfit::missing(what))?;
        let value = match kind {
            FieldKind::Present(_) => FieldValue::Present,
            FieldKind::Exact(text) => FieldValue::Exact(text.into()),
            FieldKind::Prefix(text) => FieldValue::Prefix(text.into()),
            FieldKind::Regex(text) => FieldValue::Regex(pattern(&text)?),
        };
        Ok((self.name.into(), value))
    }
}

#[cfg(test)]
mod tests {
    use alloc::borrow::ToOwned;
    use core::time::Duration;

    use leno_model::ServiceName;
    use leno_model::view::PortRef;
    use leno_model::view::access::{AuthProtocol, IssuerKeys, JwtIssuer, OnFailure};

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
    fn who_cannot_ask_an_authorizer_lets_nobody_in() {
        let asked = ExternalAuth {
            origin: Origin::from_message(some_origin()).unwrap(),
            within: vec![Within::default()],
            requests: vec![RequestMatch {
                ports: vec![80],
                ..RequestMatch::default()
            }],
            except: vec![RequestMatch::default()],
            to: PortRef {
                service: ServiceName::new(
                    Namespace::new("shop").unwrap(),
                    Name::new("authz").unwrap(),
                ),
                port: 9000,
            },
            protocol: AuthProtocol::Grpc,
            timeout: Duration::from_secs(1),
            on_failure: OnFailure::Allow,
            tells: None,
            sets: Vec::new(),
            body: None,
        };
        let access = Access {
            external: vec![Arc::new(asked.clone())],
            ..Access::open()
        };
        let mut message = access.to_message();
        let needs: Vec<_> = message.needs().cloned().collect();
        assert!(needs.contains(&"access-external".to_owned()), "{needs:?}");
        assert_eq!(Access::from_message(message.clone()).unwrap(), access);
        // As a proxy reads it to which nobody told what it is to ask.
        let rule = message.rules.first_mut().unwrap();
        rule.external = None;
        let read = Access::from_message(message).unwrap();
        assert_eq!(read.stance, Stance::Deny);
        assert!(read.external.is_empty());
        let rule = read.rules.first().unwrap();
        assert_eq!(rule.effect, Effect::NotUnderstood);
        assert_eq!(rule.requests, asked.requests);
        assert_eq!((rule.within.len(), rule.except.requests.len()), (0, 0));
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
            let known = RequestMatch {
                ports: vec![80],
                ..RequestMatch::default()
            };
            assert_eq!(rule.requests, [known]);
            assert_eq!(rule.except, Except::default());
        }
    }

    #[test]
    fn claims_are_asked_by_who_knows_of_whom_they_are() {
        let claim = ClaimMatch {
            name: "groups".into(),
            value: FieldValue::Exact("admins".into()),
        };
        let rule = AccessRule {
            origin: Origin::from_message(some_origin()).unwrap(),
            effect: Effect::Allow,
            callers: Vec::new(),
            within: Vec::new(),
            requests: [RequestMatch {
                claims: [claim].into(),
                ..RequestMatch::default()
            }]
            .into(),
            except: Except::default(),
            when: None,
        };
        assert_eq!(rule.to_message().needs, ["access-claims"]);
        let needs = |when: &str| {
            let when = Some(when.into());
            let requests = Vec::new();
            let rule = AccessRule {
                when,
                requests,
                ..rule.clone()
            };
            rule.to_message().needs.join(" ")
        };
        assert_eq!(
            needs("'admins' in jwt.claims.groups"),
            "access-condition access-condition-claims"
        );
        assert_eq!(needs("has(request.headers.jwt)"), "access-condition");
    }

    #[test]
    fn who_does_not_look_for_tokens_in_cookies_denies() {
        let origin = Origin::from_message(some_origin()).unwrap();
        let issuer = JwtIssuer {
            origin,
            issuer: "id".into(),
            audiences: None,
            from: vec![TokenPlace::Cookie("session".into())],
            forward: false,
            claims: Vec::new(),
            keys: IssuerKeys {
                source: None,
                jwks: None,
                until: None,
            },
        };
        let jwt = Jwt {
            required: Vec::new(),
            issuers: vec![issuer],
        };
        let access = Access {
            jwt: Some(Arc::new(jwt)),
            ..Access::open()
        };
        let mut message = access.to_message();
        assert!(message.needs().eq(["access-token-cookies"]));
        assert_eq!(Access::from_message(message.clone()).unwrap(), access);
        // As another build reads it, which knows neither the effect nor the feature.
        for rule in &mut message.rules {
            rule.needs = vec!["moon-phase".to_owned()];
        }
        let read = Access::from_message(message).unwrap();
        let read = read.rules.iter().map(|rule| (rule.effect, &*rule.requests));
        assert!(read.eq([(Effect::NotUnderstood, &[][..])]));
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
