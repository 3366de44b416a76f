//! What proves who somebody is that has no certificate yet. Each kind of evidence answers one question,
//! whom it lets its bearer be; all that follows is the same for each of them.

mod account;
mod oidc;
mod process;
mod token;

use std::collections::BTreeSet;

use leno_channel::grpc::{Status, StatusCode};
use leno_model::{BadName, Code, Name, Namespace, SpiffeId};
use leno_store::Failed;
use leno_wire::certificates;

use crate::center::Center;
use crate::holders::PodRef;

pub(crate) use oidc::OidcToken;
pub(crate) use process::Process;
pub(crate) use token::Token;

/// One kind of evidence.
pub(crate) trait Evidence {
    /// It in words for those who read what happened, without a secret.
    fn shown(&self) -> String;

    /// Whom it lets its bearer be, in the words of `wanted` where it leaves a choice. Blocks on nothing
    /// but the disk.
    fn attest(&self, center: &Center, wanted: &Wanted) -> Result<Attested, NotAttested>;
}

/// Whom evidence lets its bearer be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Attested {
    pub(crate) identity: SpiffeId,
    /// The pod that the evidence is bound to.
    pub(crate) pod: Option<PodRef>,
}

impl From<SpiffeId> for Attested {
    fn from(identity: SpiffeId) -> Self {
        Self {
            identity,
            pod: None,
        }
    }
}

/// Whom somebody wants to be, as far as it says so.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) namespace: Option<Namespace>,
    pub(crate) account: Option<Name>,
}

/// Why evidence lets its bearer be nobody.
#[derive(Debug)]
pub(crate) struct NotAttested {
    pub(crate) code: Code,
    /// For those who run the control plane.
    pub(crate) why: String,
    /// For whoever showed it.
    told: Status,
}

impl Wanted {
    pub(crate) fn of(join: &certificates::Join) -> Result<Self, BadName> {
        let namespace = join.namespace.as_deref().map(Namespace::new);
        let account = join.service_account.as_deref().map(Name::new);
        Ok(Self {
            namespace: namespace.transpose()?,
            account: account.transpose()?,
        })
    }

    /// Whether `id` is whom it wants to be.
    fn takes(&self, id: &SpiffeId) -> bool {
        let (namespace, account) = (&self.namespace, &self.account);
        namespace.as_ref().is_none_or(|it| *it == id.namespace)
            && account.as_ref().is_none_or(|it| *it == id.service_account)
    }

    /// The one of `ids` that is wanted. `nobody` says why there is none.
    fn choose(
        &self,
        ids: BTreeSet<SpiffeId>,
        nobody: impl FnOnce() -> String,
    ) -> Result<SpiffeId, NotAttested> {
        let mut fitting = ids.iter().filter(|id| self.takes(id));
        match (fitting.next(), fitting.next()) {
            (Some(only), None) => Ok(only.clone()),
            (Some(_), Some(_)) => Err(NotAttested::for_lack_of_choice(&ids)),
            (None, _) if ids.is_empty() => Err(NotAttested::refused(nobody())),
            (None, _) => {
                let why = format!("it may act as {} and nobody else", listed(&ids));
                Err(NotAttested::refused(why))
            }
        }
    }
}

impl NotAttested {
    /// It proves nobody; whoever showed it may know why.
    fn refused(why: impl ToString) -> Self {
        let (code, why) = (Code::T021, why.to_string());
        let told = format!("{code} {}: {why}", code.slug());
        Self {
            code,
            why,
            told: Status::new(StatusCode::PermissionDenied, told),
        }
    }

    fn for_lack_of_choice(ids: &BTreeSet<SpiffeId>) -> Self {
        Self::refused(format!(
            "it may act as {}: say as whom (leno join --account NAMESPACE/ACCOUNT)",
            listed(ids)
        ))
    }

    /// The store could not be asked.
    fn failed(failed: &Failed) -> Self {
        Self {
            code: failed.code(),
            why: failed.to_string(),
            told: Status::new(StatusCode::Unavailable, "the store failed"),
        }
    }
}

impl From<NotAttested> for Status {
    fn from(why: NotAttested) -> Self {
        why.told
    }
}

/// How many identities are listed.
const MOST_LISTED: usize = 5;

fn listed(ids: &BTreeSet<SpiffeId>) -> String {
    let short = |id: &SpiffeId| format!("{}/{}", id.namespace, id.service_account);
    let mut listed: Vec<_> = ids.iter().take(MOST_LISTED).map(short).collect();
    if ids.len() > MOST_LISTED {
        listed.push(format!("{} more", ids.len() - MOST_LISTED));
    }
    listed.join(", ")
}
