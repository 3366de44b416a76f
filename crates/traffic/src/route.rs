//! Where a request goes: the first route that matches, one of its backends, and what changes on
//! the way.

use core::fmt;
use core::time::Duration;

use leno_model::view::route::Part;
use leno_model::view::{HeaderChanges, Route, Rule};
use leno_model::{Mono, Roll};
use leno_protocol::{NewPath, Request};

use crate::attempts::Attempts;
use crate::policy::{Admitted, AdmittedStream};
use crate::table::Port;

/// What becomes of an admitted request.
#[derive(Debug)]
pub enum Routed<'a> {
    /// It goes on.
    Forward(Forward<'a>),
    /// The caller is sent elsewhere.
    Redirect(Redirected<'a>),
}

/// An admitted request that goes on, and how.
#[derive(Debug)]
pub struct Forward<'a> {
    admitted: Admitted<'a>,
    called: &'a Port,
    to: &'a Port,
    route: Option<(&'a Route, &'a Rule)>,
    part: Option<(&'a Part, Roll)>,
}

impl<'a> Forward<'a> {
    /// The request as it came.
    pub fn request(&self) -> &Request<'a> {
        self.admitted.request()
    }

    /// The permission it goes on by.
    pub fn admitted(&self) -> &Admitted<'a> {
        &self.admitted
    }

    /// Whose endpoints take it.
    pub fn port(&self) -> &'a Port {
        self.to
    }

    /// The match that took it and the rule it leads to; `None` for a service without routes.
    pub fn route(&self) -> Option<(&'a Route, &'a Rule)> {
        self.route
    }

    /// The share it fell to, and the roll that chose it.
    pub fn part(&self) -> Option<(&'a Part, Roll)> {
        self.part
    }

    /// The `Host` it goes on with, if not its own.
    pub fn host(&self) -> Option<&'a str> {
        unimplemented!("the door comes first")
    }

    /// The path it goes on with, if not its own.
    pub fn path(&self) -> Option<NewPath<'_>> {
        unimplemented!("the door comes first")
    }

    /// Changes to the request's headers: the rule's, then the backend's.
    pub fn request_headers(&self) -> [&'a HeaderChanges; 2] {
        unimplemented!("the door comes first")
    }

    /// Changes to the response's headers: the backend's, then the rule's.
    pub fn response_headers(&self) -> [&'a HeaderChanges; 2] {
        unimplemented!("the door comes first")
    }

    /// How long the whole exchange may take; `None` is no limit.
    pub fn request_timeout(&self) -> Option<Duration> {
        unimplemented!("the door comes first")
    }

    /// How long one attempt to connect may take.
    pub fn connect_timeout(&self) -> Duration {
        self.to.tuning().connect_timeout
    }

    /// Begins the first attempt, and counts the request in the retry budget.
    pub fn attempts(&self, _now: Mono) -> Attempts<'a> {
        unimplemented!("the door comes first")
    }
}

/// An answer that sends the caller elsewhere.
#[derive(Debug)]
pub struct Redirected<'a> {
    admitted: Admitted<'a>,
    route: &'a Route,
    rule: &'a Rule,
}

impl<'a> Redirected<'a> {
    /// 301, 302, 303, 307 or 308.
    pub fn status(&self) -> u16 {
        unimplemented!("the door comes first")
    }

    /// The value of `Location`.
    pub fn location(&self) -> impl fmt::Display {
        ""
    }

    /// The request as it came.
    pub fn request(&self) -> &Request<'a> {
        self.admitted.request()
    }

    /// The match that took it and the rule it leads to.
    pub fn route(&self) -> (&'a Route, &'a Rule) {
        (self.route, self.rule)
    }

    /// Changes to the response's headers.
    pub fn response_headers(&self) -> &'a HeaderChanges {
        &self.rule.response_headers
    }
}

/// An admitted stream of bytes, and whose endpoints take it.
#[derive(Clone, Copy, Debug)]
pub struct ForwardStream<'a> {
    admitted: AdmittedStream<'a>,
    to: &'a Port,
}

impl<'a> ForwardStream<'a> {
    /// The permission it goes on by.
    pub fn admitted(&self) -> AdmittedStream<'a> {
        self.admitted
    }

    /// Whose endpoints take it.
    pub fn port(&self) -> &'a Port {
        self.to
    }

    /// Begins the first attempt to connect.
    pub fn attempts(&self, _now: Mono) -> Attempts<'a> {
        unimplemented!("the door comes first")
    }
}
