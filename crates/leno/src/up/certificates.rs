//! The certificates of all who run here: signed by the mesh's own CA, and kept young.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use leno_channel::Keyring;
use leno_control::Desk;
use leno_identity::{Renewal, Validity};
use leno_model::{Dice, Mono, Now, SpiffeId, Wall};

/// Keeps a keyring supplied.
pub(crate) struct Certificates {
    desk: Desk,
    keyring: Arc<Keyring>,
    held: BTreeMap<SpiffeId, Held>,
    /// Who has none, which was told.
    lacking: BTreeSet<SpiffeId>,
    dice: Dice,
}

struct Held {
    renewal: Renewal,
    ends: Wall,
}

impl Certificates {
    /// Certificates for `keyring`, of nobody yet.
    pub(crate) fn new(desk: Desk, keyring: Arc<Keyring>, dice: Dice) -> Self {
        Self {
            desk,
            keyring,
            held: BTreeMap::new(),
            lacking: BTreeSet::new(),
            dice,
        }
    }

    /// Lets the keyring prove `id` from here on. Says once why it cannot.
    pub(crate) fn prove(&mut self, id: &SpiffeId) -> Option<String> {
        if self.held.contains_key(id) {
            return None;
        }
        match self.issue(id) {
            Ok(validity) => {
                let renewal = Renewal::new(validity, &mut self.dice);
                let ends = validity.ends;
                self.held.insert(id.clone(), Held { renewal, ends });
                self.lacking.remove(id);
                None
            }
            Err(why) => self
                .lacking
                .insert(id.clone())
                .then(|| format!("{id} has no certificate: {why:#}")),
        }
    }

    /// When each of them ends.
    pub(crate) fn ends(&self) -> BTreeMap<SpiffeId, Wall> {
        let held = self.held.iter();
        held.map(|(id, held)| (id.clone(), held.ends)).collect()
    }

    /// When [`Self::renew`] wants to be called next.
    pub(crate) fn poll_timeout(&self, now: Now) -> Option<Mono> {
        let held = self.held.values();
        held.map(|held| held.renewal.poll_timeout(now)).min()
    }

    /// Renews what is due; says what could not be.
    pub(crate) fn renew(&mut self, now: Now) -> Vec<String> {
        let mut due = Vec::new();
        for (id, held) in &mut self.held {
            if held.renewal.handle_timeout(now, &mut self.dice) {
                due.push(id.clone());
            }
        }
        let mut trouble = Vec::new();
        for id in due {
            let issued = self.issue(&id);
            let Some(held) = self.held.get_mut(&id) else {
                continue;
            };
            match issued {
                Ok(validity) => {
                    held.ends = validity.ends;
                    held.renewal.handle_renewed(validity, &mut self.dice);
                }
                Err(error) => {
                    let why = format!("{error:#}");
                    held.renewal.handle_failed(why, now, &mut self.dice);
                    let told = held.renewal.trouble();
                    trouble.extend(told.map(|why| format!("{id}: {} {why}", why.code())));
                }
            }
        }
        trouble
    }

    fn issue(&self, id: &SpiffeId) -> anyhow::Result<Validity> {
        let credential = self.desk.credential(id)?;
        self.keyring.install(&credential)?;
        Ok(credential.validity())
    }
}
