//! External authorization: about which requests whom to ask, and what follows from an answer or from none.

use alloc::{
    boxed::Box,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use core::fmt;
use core::time::Duration;

use leno_authorizer::{self as authorizer, Answer, Garbled};
use leno_model::SpiffeId;
use leno_model::view::access::{ExternalAuth, OnFailure};
use leno_model::view::{AccessRule, Effect, Except, HeaderChanges, PortRef};

use crate::caller::{Consent, Missing};
use crate::policy::gate::Gate;
use crate::policy::meets::{Call, Mismatch, Open, Ready, is_named};
use crate::policy::{Admitted, Allowed, Denied};

/// Somebody who is asked about requests to a port, ready.
#[derive(Debug)]
pub(crate) struct Authorizer {
    auth: Arc<ExternalAuth>,
    /// As a rule that speaks of the requests that it is asked about.
    about: Ready,
}

impl Authorizer {
    pub(crate) fn new(auth: Arc<ExternalAuth>) -> Self {
        let about = AccessRule {
            origin: auth.origin.clone(),
            effect: Effect::Deny,
            callers: Vec::new(),
            within: auth.within.clone(),
            requests: auth.requests.clone(),
            except: Except {
                callers: Vec::new(),
                requests: auth.except.clone(),
            },
            when: None,
        };
        Self {
            about: Ready::new(Arc::new(about)),
            auth,
        }
    }

    pub(crate) fn auth(&self) -> &Arc<ExternalAuth> {
        &self.auth
    }

    pub(crate) fn about(&self) -> &Ready {
        &self.about
    }

    /// Whether it is asked about a request: also where it cannot be told whether it is to be.
    pub(super) fn is_asked(&self, call: Call<'_>) -> Result<bool, Missing> {
        match self.about.mismatch(call) {
            None | Some(Mismatch::Open(Open::Unclear(_))) => Ok(true),
            Some(Mismatch::Open(Open::Lacks(missing))) => Err(missing),
            Some(_) => Ok(false),
        }
    }
}

impl Gate {
    /// Whether what external authorizers say, or that nobody can ask them, denies a call; `Some` if it
    /// hangs on what is not known.
    pub(super) fn consent(&self, call: Call<'_>) -> Result<Option<Missing>, Denied> {
        let Some(first) = self.authorizers().first() else {
            return Ok(None);
        };
        if call.asked.is_none() {
            return Err(Denied::BytesNotAsked(first.auth.clone()));
        }
        let mut missing = None;
        for authorizer in self.authorizers() {
            let auth = &authorizer.auth;
            let is_asked = match call.claim.consent {
                Consent::Given => return Ok(None),
                Consent::Of(_) | Consent::Withheld | Consent::Unknown => authorizer.is_asked(call),
            };
            match (is_asked, call.claim.consent) {
                (Ok(false), _) => {}
                (Ok(true), Consent::Of(asked)) if asked.iter().any(|it| is_same(it, auth)) => {}
                (Ok(true), Consent::Of(_)) => return Err(Denied::NotAsked(auth.clone())),
                (Ok(true), Consent::Withheld) => {
                    return Err(Denied::ByAuthorizer(Box::new(Dissent {
                        by: auth.clone(),
                        answer: authorizer::Refused::forbidden(),
                    })));
                }
                (Ok(true), _) => {
                    let name = auth.to.to_string();
                    missing = missing.or(Some(Missing::Consent(name.into())));
                }
                (Err(lacks), _) => missing = missing.or(Some(lacks)),
            }
        }
        Ok(missing)
    }
}

/// Whether one is asked in the name of the other: the same policy has the same one asked.
fn is_same(one: &ExternalAuth, other: &ExternalAuth) -> bool {
    one.origin.object == other.origin.object && one.to == other.to
}

/// A request that the rules let in, and about which others may have to be asked.
#[derive(Debug)]
pub struct Examined<'a> {
    admitted: Admitted<'a>,
    /// The last one first.
    left: Vec<&'a Arc<ExternalAuth>>,
}

impl<'a> Examined<'a> {
    pub(super) fn new(admitted: Admitted<'a>, mut asked: Vec<&'a Arc<ExternalAuth>>) -> Self {
        asked.reverse();
        Self {
            admitted,
            left: asked,
        }
    }

    /// Who is to be asked next; `None` if that was everyone.
    pub fn asks(&self) -> Option<&'a Arc<ExternalAuth>> {
        self.left.last().copied()
    }

    /// Who made the request, if anybody was proven.
    pub fn caller(&self) -> Option<&'a SpiffeId> {
        self.admitted.caller()
    }

    /// Why the rules let it in.
    pub fn allowed(&self) -> Allowed<'a> {
        self.admitted.allowed()
    }

    /// What becomes of its headers by its token: as the application gets it an authorizer is told of it.
    pub fn told_of_token(&self) -> Option<HeaderChanges> {
        self.admitted.told_of_token()
    }

    /// What becomes of its headers by those who were asked before: no authorizer is told either what clients
    /// say under names that only authorizers may set.
    pub fn told_of_authorizers(&self) -> Option<HeaderChanges> {
        self.admitted.told_of_authorizers()
    }

    /// Takes the answer of whom it asked, or why there is none.
    pub fn answered(&mut self, answer: Result<Answer, NoAnswer>) -> Result<(), Denied> {
        let Some(auth) = self.left.pop() else {
            return Ok(());
        };
        let consents = self.admitted.consents.get_or_insert_default();
        match answer {
            Ok(Answer::Allowed(allowed)) => consents.take(auth, allowed),
            Ok(Answer::Refused(refused)) => {
                return Err(Denied::ByAuthorizer(Box::new(Dissent {
                    by: auth.clone(),
                    answer: refused,
                })));
            }
            // No policy lets in what its caller keeps from being asked about.
            Err(NoAnswer::NotTold) => return Err(Denied::NotTold(auth.clone())),
            Err(why) if auth.on_failure == OnFailure::Deny || why.is_no() => {
                let by = auth.clone();
                return Err(Denied::NoAnswer(Box::new(Silence { by, why })));
            }
            Err(_silent) => {}
        }
        consents.of.push(auth.clone());
        Ok(())
    }

    /// The request, if nobody is left to be asked.
    pub fn admitted(self) -> Result<Admitted<'a>, Denied> {
        match self.asks() {
            Some(auth) => Err(Denied::NotAsked(auth.clone())),
            None => Ok(self.admitted),
        }
    }
}

/// What those said who were asked about a request.
#[derive(Debug, Default)]
pub(super) struct Consents {
    /// Who they are.
    pub(super) of: Vec<Arc<ExternalAuth>>,
    /// What becomes of the request's headers.
    request: HeaderChanges,
    /// What becomes of the answer's.
    answer: HeaderChanges,
}

impl Consents {
    /// Of one header, the most special one decides, who was asked first.
    fn take(&mut self, by: &ExternalAuth, allowed: authorizer::Allowed) {
        let authorizer::Allowed {
            set,
            remove,
            to_client,
        } = allowed;
        let may_set = |name: &str| by.sets.iter().any(|it| **it == *name);
        let set = set.into_iter().filter(|(name, _)| may_set(name));
        put(&mut self.request.set, set);
        let remove = remove.into_iter().map(Arc::from);
        self.request.remove.extend(remove);
        put(&mut self.answer.set, to_client.into_iter());
    }
}

fn put(known: &mut Vec<(Arc<str>, Arc<str>)>, more: impl Iterator<Item = (String, String)>) {
    for (name, value) in more {
        if !known.iter().any(|(it, _)| **it == *name) {
            known.push((name.into(), value.into()));
        }
    }
}

impl Admitted<'_> {
    /// What becomes of its headers on the way to the application, where others are asked about requests: no
    /// client says what only they may, and what they said is told.
    pub fn told_of_authorizers(&self) -> Option<HeaderChanges> {
        let gate = self.gate.filter(|gate| !gate.authorizers().is_empty())?;
        let mut changes = HeaderChanges::default();
        if let Some(consents) = &self.consents {
            changes.set = consents.request.set.clone();
        }
        let removed = self.consents.iter().flat_map(|it| &it.request.remove);
        let sets = gate.authorizers().iter().flat_map(|it| &it.auth.sets);
        let is_taken = |name: &str| {
            let mut names = removed.clone();
            names.any(|it| name.eq_ignore_ascii_case(it))
                || sets.clone().any(|it| is_named(name, it))
        };
        for header in self.request.headers {
            // Whatever else stood there is replaced.
            let is_set = |(name, _): &(Arc<str>, Arc<str>)| header.name.eq_ignore_ascii_case(name);
            if is_taken(header.name) && !changes.set.iter().any(is_set) {
                let name = header.name.to_ascii_lowercase();
                changes.remove.push(name.into());
            }
        }
        Some(changes)
    }

    /// What they want the client to be told beside the application's answer.
    pub fn answered_by_authorizers(&self) -> Option<&HeaderChanges> {
        let consents = self.consents.as_ref();
        consents.map(|consents| &consents.answer)
    }
}

/// An authorizer that denies a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dissent {
    /// Who.
    pub by: Arc<ExternalAuth>,
    /// What the client is told.
    pub answer: authorizer::Refused,
}

/// An authorizer that gave no answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Silence {
    /// Who.
    pub by: Arc<ExternalAuth>,
    /// Why there is none.
    pub why: NoAnswer,
}

/// `authorizer shop/authz:9000 gave no answer: it did not answer within 1s`
impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} gave no answer: {}", self.by, self.why)
    }
}

impl NoAnswer {
    /// Whether so much was heard that it is a no.
    fn is_no(&self) -> bool {
        matches!(self, Self::Garbled(Garbled::Denial(_)))
    }
}

/// Why there is no answer of an external authorizer.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoAnswer {
    /// It was not reached, or broke off.
    #[error("{0}")]
    Away(Box<str>),
    /// It took too long.
    #[error("it did not answer within {0:?}")]
    Late(Duration),
    /// What it answered does not count.
    #[error("{0}")]
    Garbled(Garbled),
    /// As many are asked as may be.
    #[error("{0} questions to authorizers are under way, and there may be no more")]
    TooMany(usize),
    /// It is asked as much at once as it may be.
    #[error("{0} questions to it are under way, and there may be no more")]
    Busy(usize),
    /// The view does not hold it.
    #[error("{0} is not known here")]
    Unknown(PortRef),
    /// The request has a form in which it cannot be asked about: that is the caller's doing.
    #[error("it cannot be asked about a request of this form")]
    NotTold,
}
