//! A join token: what it says is what its maker granted.

use aws_lc_rs::digest::{SHA256, digest};
use leno_channel::grpc::{Status, StatusCode};
use leno_model::{Code, Name, SpiffeId};
use leno_store::{Grant, NotSpent};

use super::{Attested, Evidence, NotAttested, Wanted};
use crate::center::Center;
use crate::clock;
use crate::entitled::node;

/// A join token, as its bearer shows it.
pub(crate) struct Token {
    pub(crate) id: String,
    pub(crate) secret: Vec<u8>,
}

impl Evidence for Token {
    fn shown(&self) -> String {
        format!("token {:?}", self.id)
    }

    /// A good token is used once more by this.
    fn attest(&self, center: &Center, wanted: &Wanted) -> Result<Attested, NotAttested> {
        let now = clock::wall();
        let hash = digest(&SHA256, &self.secret);
        let hash = hash.as_ref().try_into().expect("SHA-256 has 32 bytes");
        let grant = center.store.spend_token(&self.id, &hash, now);
        let grant = grant.map_err(|why| match &why {
            NotSpent::Failed(failed) => NotAttested::failed(failed),
            NotSpent::Unknown | NotSpent::WrongSecret | NotSpent::Expired(_) | NotSpent::Spent => {
                NotAttested {
                    code: why.code(),
                    why: why.to_string(),
                    // Which of the reasons it is, is not for somebody who guesses.
                    told: Status::new(StatusCode::Unauthenticated, "the token is not good"),
                }
            }
        })?;
        let account = account(&grant, wanted.account.as_ref())?;
        let told = center.authority.told().ok_or_else(|| NotAttested {
            code: Code::T007,
            why: "there is no CA yet".to_owned(),
            told: Status::new(StatusCode::Unavailable, "there is no CA yet"),
        })?;
        let identity = SpiffeId {
            trust_domain: told.domain,
            namespace: grant.namespace,
            service_account: account,
        };
        Ok(identity.into())
    }
}

/// Whom a grant lets its bearer act as: the one that it names, else the one that is wanted, else a node.
fn account(grant: &Grant, wanted: Option<&Name>) -> Result<Name, NotAttested> {
    match (&grant.service_account, wanted) {
        (Some(granted), Some(wanted)) if granted != wanted => {
            let why = format!("the token is for {granted}, not for {wanted}");
            Err(NotAttested {
                code: Code::T012,
                told: Status::new(StatusCode::PermissionDenied, &why),
                why,
            })
        }
        (Some(granted), _) => Ok(granted.clone()),
        (None, Some(wanted)) => Ok(wanted.clone()),
        (None, None) => Ok(node()),
    }
}
