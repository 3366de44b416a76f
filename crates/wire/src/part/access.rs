//! Access rules. What is not understood denies.

use alloc::{string::String, string::ToString, vec::Vec};
use core::net::IpAddr;

use leno_model::view::access::IpBlock;
use leno_model::view::{
    Access, AccessRule, CallerMatch, Effect, HostMatch, Mtls, PathMatch, RequestMatch, Stance,
};
use leno_model::{Name, Namespace, Origin, TrustDomain};
use prost::Message;

use crate::carried::{
    Carried, Misfit, carried_enum, from_list, from_option, from_shared, port, required, to_list,
    to_shared,
};
use crate::part::lacks;
use crate::part::route::{HostMessage, PathMessage};
use crate::part::word::OriginMessage;

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
}

carried_enum!(MtlsMessage for Mtls, "mtls" { Strict = 1, Permissive = 2 });
carried_enum!(StanceMessage for Stance, "stance" { Allow = 1, Deny = 2 });
carried_enum!(EffectMessage for Effect, "effect" { Allow = 1, Deny = 2, NotUnderstood = 3 });

impl AccessMessage {
    /// The features that its rules need.
    pub(crate) fn needs(&self) -> impl Iterator<Item = &String> {
        self.rules.iter().flat_map(|rule| &rule.needs)
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
        }
    }

    fn from_message(message: AccessMessage) -> Result<Self, Misfit> {
        Ok(Self {
            mtls: Mtls::from_message(message.mtls)?,
            mtls_origin: from_option(message.mtls_origin)?,
            rules: from_shared(message.rules)?,
            stance: Stance::from_message(message.stance)?,
            stance_origin: from_option(message.stance_origin)?,
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
            needs: Vec::new(),
        }
    }

    /// A rule that asks for more than we know denies what of its match we do know: less is
    /// compared, so it denies no less than it was meant to match.
    fn from_message(message: AccessRuleMessage) -> Result<Self, Misfit> {
        let known = !lacks(&message.needs);
        Ok(Self {
            origin: required(message.origin, "origin of an access rule")?,
            effect: match Effect::from_message(message.effect) {
                Ok(effect) if known => effect,
                Ok(_) | Err(_) => Effect::NotUnderstood,
            },
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
}

impl Carried for RequestMatch {
    type Message = RequestMessage;

    fn to_message(&self) -> RequestMessage {
        RequestMessage {
            ports: self.ports.iter().copied().map(u32::from).collect(),
            methods: self.methods.iter().map(ToString::to_string).collect(),
            hosts: to_list(&self.hosts),
            paths: to_list(&self.paths),
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
