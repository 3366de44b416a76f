//! Why a request is not answered with what it asks for, in words for whoever reads them.

use leno_admin::Failure;
use leno_protocol::Refused;

/// Why a request is not answered with what it asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    /// It is no request, or one that could be read in two ways.
    Malformed(Refused),
    /// Its head did not come in time.
    TooSlow,
    /// It names a host that this address is not.
    ForeignHost,
    /// It names a service, and none is published here by name.
    NoServices,
    /// A page of somebody else sent it.
    ForeignOrigin,
    /// Nobody has asked yet: a browser is ahead of its user.
    NotAsked,
    /// It is asked in a way that leads nowhere here.
    Method,
    /// It is a question, and its body is none of the page's.
    NoQuestion(NoQuestion),
    /// The link was followed before, or was never given, or is too old.
    SpentLink,
    /// It is not of a visit that began with a link.
    NoVisit,
    /// It is for a page, and nothing in it proves the visit.
    Unproven,
    /// The same, and it comes by a link on another page: the browser kept what proves the visit to
    /// itself, and brings it when our own page asks.
    Detour,
    /// There is no such page.
    NotFound,
}

/// Why the body of a request is no question.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NoQuestion {
    /// Nobody says how long it is.
    Endless,
    /// It is longer than any question.
    TooLong,
    /// It is not said to be JSON.
    NotJson,
}

impl Refusal {
    /// The status of the answer.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Malformed(refused) => refused.status,
            Self::TooSlow => 408,
            Self::ForeignHost | Self::NoServices => 421,
            Self::ForeignOrigin => 403,
            Self::SpentLink | Self::NoVisit | Self::Unproven | Self::Detour => 401,
            Self::NotAsked => 503,
            Self::Method => 405,
            Self::NoQuestion(NoQuestion::Endless) => 411,
            Self::NoQuestion(NoQuestion::TooLong) => 413,
            Self::NoQuestion(NoQuestion::NotJson) => 415,
            Self::NotFound => 404,
        }
    }

    /// Whether somebody is kept out by it who may be up to no good. What our own page asks for again by
    /// itself is none of that, nor is what nobody could be let in by.
    pub(crate) fn keeps_out(&self) -> bool {
        match self {
            Self::ForeignHost
            | Self::ForeignOrigin
            | Self::SpentLink
            | Self::NoVisit
            | Self::Unproven => true,
            Self::Malformed(_)
            | Self::TooSlow
            | Self::NoServices
            | Self::NotAsked
            | Self::Method
            | Self::NoQuestion(_)
            | Self::Detour
            | Self::NotFound => false,
        }
    }

    /// What is the matter, in a line.
    pub(crate) fn title(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "This is not a request that can be read",
            Self::TooSlow => "The request did not come in time",
            Self::ForeignHost => "This address goes by other names",
            Self::NoServices => "No service is published here",
            Self::ForeignOrigin => "Another page asked for this one",
            Self::NotAsked => "Not before somebody asks",
            Self::Method => "Pages can only be read",
            Self::NoQuestion(_) => "This is no question",
            Self::SpentLink => "This link has been used, or is too old",
            Self::NoVisit => "This page opens by a link",
            Self::Unproven => "This visit has ended",
            Self::Detour => "One moment",
            Self::NotFound => "There is no such page",
        }
    }

    /// What to do about it, in a sentence or two.
    pub(crate) fn advice(&self) -> String {
        let advice = match self {
            Self::Malformed(refused) => return format!("{refused}. ({})", refused.code),
            Self::TooSlow => "Ask again.",
            Self::ForeignHost => {
                "It answers to localhost, 127.0.0.1 and [::1] with its own port, and to no other \
                 name: a page elsewhere could give its own name this address, to read along."
            }
            Self::NoServices => {
                "Names under localhost lead to the services of a mesh on this machine: leno up."
            }
            Self::ForeignOrigin => {
                "What this address shows is for a browser's own window, not for the pages of others."
            }
            Self::NotAsked => "A link is good once. Open it when you want to look.",
            Self::Method => "A page is read by GET. What is on it asks by POST.",
            Self::NoQuestion(_) => "A question is one object of JSON, and its length is known.",
            Self::SpentLink | Self::NoVisit => {
                "Each link is good once, so that nobody else can look. For another one, run:"
            }
            Self::Unproven => "A visit lasts a day. For another one, run:",
            Self::Detour => "You came by a link on another page, and are let in by our own.",
            Self::NotFound => "Go back to where you came from.",
        };
        advice.to_owned()
    }

    /// The command that helps.
    pub(crate) fn command(&self) -> Option<&'static str> {
        match self {
            Self::SpentLink | Self::NoVisit | Self::Unproven => Some("leno dashboard"),
            Self::Malformed(_)
            | Self::TooSlow
            | Self::ForeignHost
            | Self::NoServices
            | Self::ForeignOrigin
            | Self::NotAsked
            | Self::Method
            | Self::NoQuestion(_)
            | Self::Detour
            | Self::NotFound => None,
        }
    }

    /// The same for a page that asked.
    pub(crate) fn failure(&self) -> Failure {
        let advice = match self.command() {
            Some(command) => format!("{} {command}", self.advice()),
            None => self.advice(),
        };
        Failure {
            advice: Some(advice),
            ..Failure::plain(self.title())
        }
    }
}
