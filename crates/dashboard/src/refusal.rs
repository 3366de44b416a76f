//! Why a request is not answered with what it asks for, in words for whoever reads them.

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
    /// It wants something to be done; here things are only shown.
    Method,
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

impl Refusal {
    /// The status of the answer.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Malformed(refused) => refused.status,
            Self::TooSlow => 408,
            Self::ForeignHost | Self::NoServices => 421,
            Self::ForeignOrigin
            | Self::SpentLink
            | Self::NoVisit
            | Self::Unproven
            | Self::Detour => 403,
            Self::NotAsked => 503,
            Self::Method => 405,
            Self::NotFound => 404,
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
            Self::Method => "Nothing is changed here. Changes are made at the command line.",
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
            | Self::Detour
            | Self::NotFound => None,
        }
    }
}
