//! The default control plane of the mesh, which has the root's key: it gives whoever stands beside it an intermediate.

use std::sync::{Arc, Mutex, PoisonError};

use leno_identity::{Fingerprint, Validity, intermediate_is_due};

use super::{Asking, NotOffered, Offer, Outside, Wanted};
use crate::center::Center;
use crate::principal::{Principal, active};

/// The default control plane, and what it gave.
pub(super) struct OfPrincipal {
    center: Arc<Center>,
    given: Mutex<Option<Given>>,
}

#[derive(Clone)]
struct Given {
    offer: Offer,
    root: Fingerprint,
    validity: Validity,
}

impl OfPrincipal {
    pub(super) fn new(center: Arc<Center>) -> Self {
        Self {
            center,
            given: Mutex::default(),
        }
    }

    async fn offer(&self, wanted: Wanted) -> Result<Offer, NotOffered> {
        let principal = self.center.principal.as_ref();
        let principal = principal
            .ok_or_else(|| NotOffered::Unusable("this is the default control plane".to_owned()))?;
        // Also while nothing is due: what it says of roots and revocations is to be known.
        principal.line().map_err(NotOffered::Away)?;
        match self.still_good(principal) {
            Some(offer) => Ok(offer),
            None => self.ask_anew(principal, wanted).await,
        }
    }

    /// What was given before, if nothing better is to be had.
    fn still_good(&self, principal: &Principal) -> Option<Offer> {
        let given = self.lock().clone()?;
        let lead = principal.lead()?;
        let of_active = lead
            .roots
            .iter()
            .find(|root| Fingerprint::of(root) == active(&lead));
        let above = Validity::of(of_active?)?;
        let leaf = self.center.edition().mesh.lifetimes.leaf;
        let now = self.center.clocks.now().wall;
        let is_of_active = given.root == active(&lead);
        let is_due = intermediate_is_due(given.validity, is_of_active, above, leaf, now);
        (!is_due).then_some(given.offer)
    }

    async fn ask_anew(&self, principal: &Principal, wanted: Wanted) -> Result<Offer, NotOffered> {
        let request = wanted.key.authority_request(&wanted.domain);
        let chain = principal.endorse(request).await;
        let offer = Offer {
            chain: chain.map_err(NotOffered::Refused)?,
            key: wanted.key,
        };
        let unread = || NotOffered::Refused("it gave what is no chain to a root".to_owned());
        let (first, root) = offer
            .chain
            .first()
            .zip(offer.chain.last())
            .ok_or_else(unread)?;
        let given = Given {
            root: Fingerprint::of(root),
            validity: Validity::of(first).ok_or_else(unread)?,
            offer: offer.clone(),
        };
        *self.lock() = Some(given);
        Ok(offer)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Given>> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outside for OfPrincipal {
    fn ask(&self, wanted: Wanted) -> Asking<'_> {
        Box::pin(self.offer(wanted))
    }

    fn is_watched(&self) -> bool {
        true
    }
}
