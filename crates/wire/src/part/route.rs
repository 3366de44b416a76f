//! Routes. A rule that is not understood answers 500.

mod cors;
mod mirror;

use alloc::{collections::BTreeMap, string::String, string::ToString, sync::Arc, vec::Vec};
use core::time::Duration;

use leno_model::view::route::Part;
use leno_model::view::{
    Action, Backend, Cors, HeaderChanges, HeaderMatch, HostMatch, HttpMatch, PathMatch,
    PathRewrite, PortRef, Redirect, Retry, Rewrite, Route, Routes, Rule, Split, Telemetry,
    TextMatch,
};
use leno_model::{Code, Origin, PathTemplate, Pattern};
use prost::{Message, Oneof};

use crate::carried::{
    Carried, Misfit, from_list, from_option, from_shared, port, required, to_list, to_shared,
};
use crate::part::route::cors::CorsMessage;
use crate::part::route::mirror::MirrorMessage;
use crate::part::telemetry::TelemetryMessage;
use crate::part::word::{OriginMessage, PortRefMessage, SpanMessage};
use crate::part::{feature, lacks};

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RoutesMessage {
    #[prost(message, repeated, tag = "1")]
    routes: Vec<RouteMessage>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) rules: Vec<RuleMessage>,
    #[prost(btree_map = "uint32, message", tag = "3")]
    telemetry: BTreeMap<u32, TelemetryMessage>,
}

impl RoutesMessage {
    /// The features that its rules need.
    pub(crate) fn needs(&self) -> impl Iterator<Item = &String> {
        self.rules.iter().flat_map(|rule| &rule.needs)
    }
}

impl Carried for Routes {
    type Message = RoutesMessage;

    fn to_message(&self) -> RoutesMessage {
        RoutesMessage {
            routes: to_list(&self.routes),
            rules: to_shared(&self.rules),
            telemetry: self
                .telemetry
                .iter()
                .filter_map(|(rule, it)| Some((u32::try_from(*rule).ok()?, it.to_message())))
                .collect(),
        }
    }

    fn from_message(message: RoutesMessage) -> Result<Self, Misfit> {
        let routes: Vec<Route> = from_list(message.routes)?;
        let rules = from_shared(message.rules)?;
        if routes.iter().any(|route| route.rule >= rules.len()) {
            return Err(Misfit::new("route", "it leads to a rule that is not there"));
        }
        let telemetry = message.telemetry.into_iter().map(|(rule, message)| {
            let rule = usize::try_from(rule).map_err(|error| Misfit::new("rule", error))?;
            Ok((rule, Arc::new(Telemetry::from_message(message)?)))
        });
        Ok(Self {
            telemetry: telemetry.collect::<Result<_, _>>()?,
            routes,
            rules,
        })
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RouteMessage {
    #[prost(message, optional, tag = "1")]
    host: Option<HostMessage>,
    #[prost(message, optional, tag = "2")]
    matches: Option<MatchMessage>,
    #[prost(uint64, tag = "3")]
    rule: u64,
    #[prost(message, optional, tag = "4")]
    origin: Option<OriginMessage>,
}

impl Carried for Route {
    type Message = RouteMessage;

    fn to_message(&self) -> RouteMessage {
        RouteMessage {
            host: Some(self.host.to_message()),
            matches: Some(self.matches.to_message()),
            rule: u64::try_from(self.rule).unwrap_or(u64::MAX),
            origin: Some(self.origin.to_message()),
        }
    }

    fn from_message(message: RouteMessage) -> Result<Self, Misfit> {
        Ok(Self {
            host: required(message.host, "host of a route")?,
            matches: required(message.matches, "match of a route")?,
            rule: usize::try_from(message.rule).map_err(|error| Misfit::new("rule", error))?,
            origin: required(message.origin, "origin of a route")?,
        })
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct HostMessage {
    #[prost(oneof = "HostKind", tags = "1, 2, 3")]
    kind: Option<HostKind>,
}

#[derive(Clone, PartialEq, Oneof)]
enum HostKind {
    #[prost(message, tag = "1")]
    Any(()),
    #[prost(string, tag = "2")]
    Exact(String),
    #[prost(string, tag = "3")]
    Suffix(String),
}

impl Carried for HostMatch {
    type Message = HostMessage;

    fn to_message(&self) -> HostMessage {
        HostMessage {
            kind: Some(match self {
                Self::Any => HostKind::Any(()),
                Self::Exact(host) => HostKind::Exact(host.to_string()),
                Self::Suffix(suffix) => HostKind::Suffix(suffix.to_string()),
            }),
        }
    }

    fn from_message(message: HostMessage) -> Result<Self, Misfit> {
        Ok(
            match message.kind.ok_or_else(|| Misfit::missing("host match"))? {
                HostKind::Any(()) => Self::Any,
                HostKind::Exact(host) => Self::Exact(host.into()),
                HostKind::Suffix(suffix) => Self::Suffix(suffix.into()),
            },
        )
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct MatchMessage {
    #[prost(message, optional, tag = "1")]
    path: Option<PathMessage>,
    #[prost(string, optional, tag = "2")]
    method: Option<String>,
    #[prost(message, repeated, tag = "3")]
    headers: Vec<ValueMessage>,
    #[prost(message, repeated, tag = "4")]
    query: Vec<ValueMessage>,
}

impl Carried for HttpMatch {
    type Message = MatchMessage;

    fn to_message(&self) -> MatchMessage {
        MatchMessage {
            path: Some(self.path.to_message()),
            method: self.method.as_ref().map(ToString::to_string),
            headers: to_list(&self.headers),
            query: to_list(&self.query),
        }
    }

    fn from_message(message: MatchMessage) -> Result<Self, Misfit> {
        Ok(Self {
            path: required(message.path, "path match")?,
            method: message.method.map(Into::into),
            headers: from_list(message.headers)?,
            query: from_list(message.query)?,
        })
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct PathMessage {
    #[prost(oneof = "PathKind", tags = "1, 2, 3, 4")]
    pub(crate) kind: Option<PathKind>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum PathKind {
    #[prost(string, tag = "1")]
    Exact(String),
    #[prost(string, tag = "2")]
    Prefix(String),
    #[prost(string, tag = "3")]
    Regex(String),
    #[prost(string, tag = "4")]
    Template(String),
}

impl Carried for PathMatch {
    type Message = PathMessage;

    fn to_message(&self) -> PathMessage {
        PathMessage {
            kind: Some(match self {
                Self::Exact(path) => PathKind::Exact(path.to_string()),
                Self::Prefix(path) => PathKind::Prefix(path.to_string()),
                Self::Regex(pattern) => PathKind::Regex(pattern.to_message()),
                Self::Template(template) => PathKind::Template(template.to_string()),
            }),
        }
    }

    fn from_message(message: PathMessage) -> Result<Self, Misfit> {
        Ok(
            match message.kind.ok_or_else(|| Misfit::missing("path match"))? {
                PathKind::Exact(path) => Self::Exact(path.into()),
                PathKind::Prefix(path) => Self::Prefix(path.into()),
                PathKind::Regex(text) => Self::Regex(pattern(&text)?),
                PathKind::Template(text) => Self::Template(
                    PathTemplate::new(&text).map_err(|bad| Misfit::new("path template", bad))?,
                ),
            },
        )
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ValueMessage {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(oneof = "ValueKind", tags = "2, 3")]
    kind: Option<ValueKind>,
}

#[derive(Clone, PartialEq, Oneof)]
enum ValueKind {
    #[prost(string, tag = "2")]
    Exact(String),
    #[prost(string, tag = "3")]
    Regex(String),
}

impl Carried for HeaderMatch {
    type Message = ValueMessage;

    fn to_message(&self) -> ValueMessage {
        ValueMessage {
            name: self.name.to_string(),
            kind: Some(match &self.value {
                TextMatch::Exact(text) => ValueKind::Exact(text.to_string()),
                TextMatch::Regex(pattern) => ValueKind::Regex(pattern.to_message()),
            }),
        }
    }

    fn from_message(message: ValueMessage) -> Result<Self, Misfit> {
        Ok(Self {
            name: message.name.into(),
            value: match message.kind.ok_or_else(|| Misfit::missing("value match"))? {
                ValueKind::Exact(text) => TextMatch::Exact(text.into()),
                ValueKind::Regex(text) => TextMatch::Regex(pattern(&text)?),
            },
        })
    }
}

pub(crate) fn pattern(text: &str) -> Result<Pattern, Misfit> {
    Pattern::new(text).map_err(|bad| Misfit::new("pattern", bad))
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RuleMessage {
    #[prost(message, optional, tag = "1")]
    origin: Option<OriginMessage>,
    #[prost(string, optional, tag = "2")]
    name: Option<String>,
    #[prost(oneof = "ActionMessage", tags = "3, 4, 5")]
    pub(crate) action: Option<ActionMessage>,
    #[prost(message, optional, tag = "6")]
    request_headers: Option<HeadersMessage>,
    #[prost(message, optional, tag = "7")]
    response_headers: Option<HeadersMessage>,
    #[prost(message, optional, tag = "8")]
    rewrite: Option<RewriteMessage>,
    #[prost(message, optional, tag = "9")]
    request_timeout: Option<SpanMessage>,
    #[prost(message, optional, tag = "10")]
    pub(crate) retry: Option<RetryMessage>,
    #[prost(message, repeated, tag = "11")]
    pub(crate) mirrors: Vec<MirrorMessage>,
    #[prost(message, optional, tag = "12")]
    pub(crate) cors: Option<CorsMessage>,
    #[prost(message, optional, tag = "13")]
    pub(crate) attempt_timeout: Option<SpanMessage>,
    /// Features without which the rule means something else than it says.
    #[prost(string, repeated, tag = "15")]
    pub(crate) needs: Vec<String>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum ActionMessage {
    #[prost(message, tag = "3")]
    Forward(SplitMessage),
    #[prost(message, tag = "4")]
    Redirect(RedirectMessage),
    #[prost(message, tag = "5")]
    Refuse(RefuseMessage),
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RefuseMessage {
    #[prost(string, tag = "1")]
    code: String,
    #[prost(message, optional, tag = "2")]
    origin: Option<OriginMessage>,
}

impl Carried for Rule {
    type Message = RuleMessage;

    fn to_message(&self) -> RuleMessage {
        RuleMessage {
            origin: Some(self.origin.to_message()),
            name: self.name.as_ref().map(ToString::to_string),
            action: Some(match &self.action {
                Action::Forward(split) => ActionMessage::Forward(split.to_message()),
                Action::Redirect(redirect) => ActionMessage::Redirect(redirect.to_message()),
                Action::Refuse(code, origin) => ActionMessage::Refuse(RefuseMessage {
                    code: code.to_message(),
                    origin: Some(origin.to_message()),
                }),
            }),
            request_headers: Some(self.request_headers.to_message()),
            response_headers: Some(self.response_headers.to_message()),
            rewrite: self.rewrite.as_ref().map(Rewrite::to_message),
            request_timeout: self.request_timeout.as_ref().map(Duration::to_message),
            retry: self.retry.as_ref().map(Retry::to_message),
            mirrors: to_list(&self.mirrors),
            cors: self.cors.as_ref().map(Cors::to_message),
            attempt_timeout: self.attempt_timeout.as_ref().map(Duration::to_message),
            needs: needs(self),
        }
    }

    fn from_message(message: RuleMessage) -> Result<Self, Misfit> {
        let origin: Origin = required(message.origin, "origin of a rule")?;
        let action = match message.action {
            Some(_) if lacks(&message.needs) => Action::Refuse(Code::R011, origin.clone()),
            None => Action::Refuse(Code::R011, origin.clone()),
            Some(ActionMessage::Forward(split)) => Action::Forward(Split::from_message(split)?),
            Some(ActionMessage::Redirect(to)) => Action::Redirect(Redirect::from_message(to)?),
            Some(ActionMessage::Refuse(refuse)) => Action::Refuse(
                Code::from_message(refuse.code).unwrap_or(Code::R011),
                required(refuse.origin, "origin of a refusal")?,
            ),
        };
        Ok(Self {
            origin,
            name: message.name.map(Into::into),
            action,
            request_headers: from_option(message.request_headers)?.unwrap_or_default(),
            response_headers: from_option(message.response_headers)?.unwrap_or_default(),
            rewrite: from_option(message.rewrite)?,
            mirrors: mirror::from_messages(message.mirrors)?,
            cors: from_option(message.cors)?,
            request_timeout: from_option(message.request_timeout)?,
            attempt_timeout: from_option(message.attempt_timeout)?,
            retry: from_option(message.retry)?,
        })
    }
}

/// The features without which a reader would take the rule for something else.
fn needs(rule: &Rule) -> Vec<String> {
    let parts = match &rule.action {
        Action::Forward(split) => split.parts(),
        Action::Redirect(_) | Action::Refuse(..) => &[],
    };
    let mut mirrors = parts.iter().flat_map(|part| &part.mirrors);
    let unanswered = |retry: &Retry| retry.unanswered;
    let features = [
        (feature::ATTEMPT_TIMEOUT, rule.attempt_timeout.is_some()),
        (
            feature::BACKEND_REWRITE,
            parts.iter().any(|part| part.rewrite.is_some()),
        ),
        (feature::CORS, rule.cors.is_some()),
        (
            feature::MIRROR,
            !rule.mirrors.is_empty() || mirrors.next().is_some(),
        ),
        (
            feature::RETRY_UNANSWERED,
            rule.retry.as_ref().is_some_and(unanswered),
        ),
    ];
    let needed = features.iter().filter(|(_, needed)| *needed);
    needed.map(|(feature, _)| feature.to_string()).collect()
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SplitMessage {
    #[prost(message, repeated, tag = "1")]
    pub(crate) parts: Vec<PartMessage>,
}

impl Carried for Split {
    type Message = SplitMessage;

    fn to_message(&self) -> SplitMessage {
        SplitMessage {
            parts: to_list(self.parts()),
        }
    }

    fn from_message(message: SplitMessage) -> Result<Self, Misfit> {
        Self::new(from_list(message.parts)?)
            .ok_or_else(|| Misfit::new("split", "no weight is above zero, or they are too many"))
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct PartMessage {
    #[prost(uint32, tag = "1")]
    weight: u32,
    #[prost(oneof = "BackendMessage", tags = "2, 3")]
    backend: Option<BackendMessage>,
    #[prost(message, optional, tag = "4")]
    origin: Option<OriginMessage>,
    #[prost(message, optional, tag = "5")]
    request_headers: Option<HeadersMessage>,
    #[prost(message, optional, tag = "6")]
    response_headers: Option<HeadersMessage>,
    #[prost(message, optional, tag = "7")]
    pub(crate) rewrite: Option<RewriteMessage>,
    #[prost(message, repeated, tag = "8")]
    pub(crate) mirrors: Vec<MirrorMessage>,
}

#[derive(Clone, PartialEq, Oneof)]
enum BackendMessage {
    #[prost(message, tag = "2")]
    Service(PortRefMessage),
    #[prost(string, tag = "3")]
    Invalid(String),
}

impl Carried for Part {
    type Message = PartMessage;

    fn to_message(&self) -> PartMessage {
        PartMessage {
            weight: self.weight,
            backend: Some(match &self.backend {
                Backend::Service(port) => BackendMessage::Service(port.to_message()),
                Backend::Invalid(code) => BackendMessage::Invalid(code.to_message()),
            }),
            origin: self.origin.as_ref().map(Origin::to_message),
            request_headers: Some(self.request_headers.to_message()),
            response_headers: Some(self.response_headers.to_message()),
            rewrite: self.rewrite.as_ref().map(Rewrite::to_message),
            mirrors: to_list(&self.mirrors),
        }
    }

    fn from_message(message: PartMessage) -> Result<Self, Misfit> {
        Ok(Self {
            weight: message.weight,
            backend: match message.backend {
                Some(BackendMessage::Service(port)) => {
                    Backend::Service(PortRef::from_message(port)?)
                }
                Some(BackendMessage::Invalid(code)) => {
                    Backend::Invalid(Code::from_message(code).unwrap_or(Code::R012))
                }
                None => Backend::Invalid(Code::R012),
            },
            origin: from_option(message.origin)?,
            request_headers: from_option(message.request_headers)?.unwrap_or_default(),
            response_headers: from_option(message.response_headers)?.unwrap_or_default(),
            rewrite: from_option(message.rewrite)?,
            mirrors: mirror::from_messages(message.mirrors)?,
        })
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct HeadersMessage {
    #[prost(message, repeated, tag = "1")]
    set: Vec<HeaderMessage>,
    #[prost(message, repeated, tag = "2")]
    add: Vec<HeaderMessage>,
    #[prost(string, repeated, tag = "3")]
    remove: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct HeaderMessage {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

impl Carried for HeaderChanges {
    type Message = HeadersMessage;

    fn to_message(&self) -> HeadersMessage {
        let list = |headers: &[(Arc<str>, Arc<str>)]| {
            headers
                .iter()
                .map(|(name, value)| HeaderMessage {
                    name: name.to_string(),
                    value: value.to_string(),
                })
                .collect()
        };
        HeadersMessage {
            set: list(&self.set),
            add: list(&self.add),
            remove: self.remove.iter().map(ToString::to_string).collect(),
        }
    }

    fn from_message(message: HeadersMessage) -> Result<Self, Misfit> {
        let list = |headers: Vec<HeaderMessage>| {
            headers
                .into_iter()
                .map(|header| (header.name.into(), header.value.into()))
                .collect()
        };
        Ok(Self {
            set: list(message.set),
            add: list(message.add),
            remove: message.remove.into_iter().map(Into::into).collect(),
        })
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RewriteMessage {
    #[prost(string, optional, tag = "1")]
    host: Option<String>,
    #[prost(message, optional, tag = "2")]
    path: Option<PathRewriteMessage>,
}

impl Carried for Rewrite {
    type Message = RewriteMessage;

    fn to_message(&self) -> RewriteMessage {
        RewriteMessage {
            host: self.host.as_ref().map(ToString::to_string),
            path: self.path.as_ref().map(PathRewrite::to_message),
        }
    }

    fn from_message(message: RewriteMessage) -> Result<Self, Misfit> {
        Ok(Self {
            host: message.host.map(Into::into),
            path: from_option(message.path)?,
        })
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct PathRewriteMessage {
    #[prost(oneof = "PathRewriteKind", tags = "1, 2")]
    kind: Option<PathRewriteKind>,
}

#[derive(Clone, PartialEq, Oneof)]
enum PathRewriteKind {
    #[prost(string, tag = "1")]
    Full(String),
    #[prost(string, tag = "2")]
    Prefix(String),
}

impl Carried for PathRewrite {
    type Message = PathRewriteMessage;

    fn to_message(&self) -> PathRewriteMessage {
        PathRewriteMessage {
            kind: Some(match self {
                Self::Full(path) => PathRewriteKind::Full(path.to_string()),
                Self::Prefix(path) => PathRewriteKind::Prefix(path.to_string()),
            }),
        }
    }

    fn from_message(message: PathRewriteMessage) -> Result<Self, Misfit> {
        Ok(
            match message
                .kind
                .ok_or_else(|| Misfit::missing("path rewrite"))?
            {
                PathRewriteKind::Full(path) => Self::Full(path.into()),
                PathRewriteKind::Prefix(path) => Self::Prefix(path.into()),
            },
        )
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RedirectMessage {
    #[prost(string, optional, tag = "1")]
    scheme: Option<String>,
    #[prost(string, optional, tag = "2")]
    host: Option<String>,
    #[prost(uint32, optional, tag = "3")]
    port: Option<u32>,
    #[prost(message, optional, tag = "4")]
    path: Option<PathRewriteMessage>,
    #[prost(uint32, tag = "5")]
    status: u32,
}

impl Carried for Redirect {
    type Message = RedirectMessage;

    fn to_message(&self) -> RedirectMessage {
        RedirectMessage {
            scheme: self.scheme.as_ref().map(ToString::to_string),
            host: self.host.as_ref().map(ToString::to_string),
            port: self.port.map(u32::from),
            path: self.path.as_ref().map(PathRewrite::to_message),
            status: self.status.into(),
        }
    }

    fn from_message(message: RedirectMessage) -> Result<Self, Misfit> {
        let status = u16::try_from(message.status).ok();
        Ok(Self {
            scheme: message.scheme.map(Into::into),
            host: message.host.map(Into::into),
            port: message.port.map(port).transpose()?,
            path: from_option(message.path)?,
            status: status
                .filter(|status| matches!(status, 301 | 302 | 303 | 307 | 308))
                .ok_or_else(|| Misfit::new("redirect", "its status is none of a redirect"))?,
        })
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RetryMessage {
    #[prost(uint32, tag = "1")]
    attempts: u32,
    #[prost(uint32, repeated, tag = "2")]
    codes: Vec<u32>,
    #[prost(message, optional, tag = "3")]
    backoff: Option<SpanMessage>,
    #[prost(bool, tag = "4")]
    pub(crate) unanswered: bool,
}

impl Carried for Retry {
    type Message = RetryMessage;

    fn to_message(&self) -> RetryMessage {
        RetryMessage {
            attempts: self.attempts.into(),
            codes: self.codes.iter().copied().map(u32::from).collect(),
            backoff: Some(self.backoff.to_message()),
            unanswered: self.unanswered,
        }
    }

    fn from_message(message: RetryMessage) -> Result<Self, Misfit> {
        let misfit = |error| Misfit::new("retry", error);
        Ok(Self {
            attempts: u8::try_from(message.attempts).map_err(misfit)?,
            codes: message
                .codes
                .into_iter()
                .map(|code| u16::try_from(code).map_err(misfit))
                .collect::<Result<_, _>>()?,
            unanswered: message.unanswered,
            backoff: required(message.backoff, "backoff of a retry")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use core::num::NonZeroU32;

    use leno_model::view::Mirror;
    use leno_model::{Name, Namespace, ServiceName};

    use super::*;
    use crate::part::word::some_origin;

    #[test]
    fn a_rule_that_needs_what_we_lack_answers_500() {
        let rule = |needs: &[&str], action| {
            let message = RuleMessage {
                origin: Some(some_origin()),
                action,
                needs: needs.iter().map(ToString::to_string).collect(),
                ..RuleMessage::default()
            };
            Rule::from_message(message).unwrap().action
        };
        let redirect = || {
            Some(ActionMessage::Redirect(RedirectMessage {
                status: 302,
                ..RedirectMessage::default()
            }))
        };
        assert!(matches!(rule(&[], redirect()), Action::Redirect(_)));
        assert!(matches!(
            rule(&["teleport"], redirect()),
            Action::Refuse(Code::R011, _)
        ));
        assert!(matches!(rule(&[], None), Action::Refuse(Code::R011, _)));
    }

    #[test]
    fn what_an_older_reader_would_not_see_is_named() {
        let plain = RuleMessage {
            origin: Some(some_origin()),
            ..RuleMessage::default()
        };
        let named = |change: &dyn Fn(&mut Rule)| {
            let mut rule = Rule::from_message(plain.clone()).unwrap();
            change(&mut rule);
            rule.to_message().needs
        };
        let mirror = || Mirror {
            to: PortRef {
                service: ServiceName::new(
                    Namespace::new("shop").unwrap(),
                    Name::new("cart").unwrap(),
                ),
                port: 80,
            },
            share: 1,
            of: NonZeroU32::MIN,
            origin: Origin::from_message(some_origin()).unwrap(),
        };
        assert!(named(&|_| {}).is_empty());
        assert_eq!(named(&|rule| rule.mirrors.push(mirror())), ["mirror"]);
        assert_eq!(
            named(&|rule| rule.attempt_timeout = Some(Duration::ZERO)),
            ["attempt-timeout"]
        );
        let to_part = |change: &dyn Fn(&mut Part)| {
            named(&|rule| {
                let mut part = Part {
                    backend: Backend::Invalid(Code::C113),
                    weight: 1,
                    origin: None,
                    request_headers: HeaderChanges::default(),
                    response_headers: HeaderChanges::default(),
                    rewrite: None,
                    mirrors: Vec::new(),
                };
                change(&mut part);
                rule.action = Action::Forward(Split::new([part].into()).unwrap());
            })
        };
        assert_eq!(to_part(&|part| part.mirrors.push(mirror())), ["mirror"]);
        let rewrite = Rewrite {
            host: None,
            path: None,
        };
        assert_eq!(
            to_part(&|part| part.rewrite = Some(rewrite.clone())),
            ["backend-rewrite"]
        );
        let retry = |unanswered| {
            named(&|rule| {
                rule.retry = Some(Retry {
                    unanswered,
                    ..Retry::default()
                });
            })
        };
        assert!(retry(false).is_empty());
        assert_eq!(retry(true), ["retry-unanswered"]);
    }

    #[test]
    fn there_are_no_more_mirrors_than_may_stand_in_one_place() {
        let mirrors = |count| mirror::from_messages(vec![MirrorMessage::default(); count]);
        let too_many = mirrors(Mirror::MOST + 1).unwrap_err();
        assert_eq!(too_many.to_string(), "mirrors: they are too many");
        assert!(mirrors(0).unwrap().is_empty());
    }
}
