//! The certificates of all who run here: signed by the mesh's own CA, and kept young.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use leno_channel::Keyring;
use leno_control::Attendance;
use leno_identity::{Renewal, Validity};
use leno_model::{Dice, Mono, Now, SpiffeId};

/// Keeps a keyring supplied.
pub(crate) struct Certificates {
    attendance: Arc<Attendance>,
    keyring: Arc<Keyring>,
    renewals: BTreeMap<SpiffeId, Renewal>,
    /// Who has none, which was told.
    lacking: BTreeSet<SpiffeId>,
    dice: Dice,
}

impl Certificates {
    /// Certificates for `keyring`, of nobody yet.
    pub(crate) fn new(attendance: Arc<Attendance>, keyring: Arc<Keyring>, dice: Dice) -> Self {
        Self {
            attendance,
            keyring,
            renewals: BTreeMap::new(),
            lacking: BTreeSet::new(),
            dice,
        }
    }

    /// Lets the keyring prove `id` from here on. Says once why it cannot.
    pub(crate) fn prove(&mut self, id: &SpiffeId) -> Option<String> {
        if self.renewals.contains_key(id) {
            return None;
        }
        match self.issue(id) {
            Ok(validity) => {
                let renewal = Renewal::new(validity, &mut self.dice);
                self.renewals.insert(id.clone(), renewal);
                self.lacking.remove(id);
                None
            }
            Err(why) => self
                .lacking
                .insert(id.clone())
                .then(|| format!("{id} has no certificate: {why:#}")),
        }
    }

    /// When [`Self::renew`] wants to be called next.
    pub(crate) fn poll_timeout(&self, now: Now) -> Option<Mono> {
        let renewals = self.renewals.values();
        renewals.map(|renewal| renewal.poll_timeout(now)).min()
    }

    /// Renews what is due; says what could not be.
    pub(crate) fn renew(&mut self, now: Now) -> Vec<String> {
        let mut due = Vec::new();
        for (id, renewal) in &mut self.renewals {
            if renewal.handle_timeout(now, &mut self.dice) {
                due.push(id.clone());
            }
        }
        due.iter()
            .filter_map(|id| self.renew_one(id, now))
            .collect()
    }

    /// Renews that of `id`, due or not; says why it could not.
    pub(crate) fn renew_one(&mut self, id: &SpiffeId, now: Now) -> Option<String> {
        let issued = self.issue(id);
        let renewal = self.renewals.get_mut(id)?;
        match issued {
            Ok(validity) => {
                renewal.handle_renewed(validity, &mut self.dice);
                None
            }
            Err(error) => {
                renewal.handle_failed(format!("{error:#}"), now, &mut self.dice);
                let told = renewal.trouble();
                told.map(|why| format!("{id}: {} {why}", why.code()))
            }
        }
    }

    fn issue(&self, id: &SpiffeId) -> anyhow::Result<Validity> {
        let credential = self.attendance.credential(id)?;
        self.keyring.install(&credential)?;
        Ok(credential.validity())
    }
}
