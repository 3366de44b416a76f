//! The mesh's own authority: a root and an intermediate in `.leno/ca`, and what it signs for the
//! workloads that run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use leno_channel::{Keyring, files, generate_key};
use leno_identity::{
    Credential, INTERMEDIATE_LIFE, Intermediate, LEAF_LIFE, ROOT_LIFE, Renewal, Root, Validity,
};
use leno_model::{Dice, Mono, Now, SpiffeId, TrustDomain};

/// Signs for one trust domain, and renews what it has signed.
pub(crate) struct Authority {
    folder: PathBuf,
    root: Root,
    intermediate: Intermediate,
    keyring: Arc<Keyring>,
    renewals: BTreeMap<SpiffeId, Renewal>,
    dice: Dice,
}

impl Authority {
    /// The authority of `domain` in `folder`; one is established if there is none that still stands
    /// long enough.
    pub(crate) fn open(
        folder: &Path,
        domain: &TrustDomain,
        keyring: Arc<Keyring>,
        now: Now,
        mut dice: Dice,
    ) -> anyhow::Result<Self> {
        let root = match read_root(folder) {
            Some(root) if root.domain() == domain && stands(root.validity(), now) => root,
            _ => establish(folder, domain, now, &mut dice)?,
        };
        let intermediate = match read_intermediate(folder, &root) {
            Some(intermediate) if stands(intermediate.validity(), now) => intermediate,
            _ => sign_intermediate(folder, &root, now, &mut dice)?,
        };
        Ok(Self {
            folder: folder.to_owned(),
            root,
            intermediate,
            keyring,
            renewals: BTreeMap::new(),
            dice,
        })
    }

    /// What proves everyone whom it signs for.
    pub(crate) fn roots(&self) -> Vec<Vec<u8>> {
        vec![self.root.certificate().to_vec()]
    }

    /// Lets the keyring prove `id` from here on, with a certificate of this `life`.
    pub(crate) fn prove(&mut self, id: &SpiffeId, life: Duration, now: Now) -> anyhow::Result<()> {
        if !self.renewals.contains_key(id) {
            let validity = self.issue(id, life, now)?;
            let renewal = Renewal::new(validity, &mut self.dice);
            self.renewals.insert(id.clone(), renewal);
        }
        Ok(())
    }

    /// When [`Self::renew`] wants to be called next.
    pub(crate) fn poll_timeout(&self, now: Now) -> Option<Mono> {
        let renewals = self.renewals.values();
        renewals.map(|renewal| renewal.poll_timeout(now)).min()
    }

    /// Renews what is due; says what could not be.
    pub(crate) fn renew(&mut self, life: Duration, now: Now) -> Vec<String> {
        let mut due = Vec::new();
        for (id, renewal) in &mut self.renewals {
            if renewal.handle_timeout(now, &mut self.dice) {
                due.push(id.clone());
            }
        }
        let mut trouble = Vec::new();
        for id in due {
            let issued = self.issue(&id, life, now);
            let Some(renewal) = self.renewals.get_mut(&id) else {
                continue;
            };
            match issued {
                Ok(validity) => renewal.handle_renewed(validity, &mut self.dice),
                Err(error) => {
                    renewal.handle_failed(format!("{error:#}"), now, &mut self.dice);
                    let told = renewal
                        .trouble()
                        .map(|why| format!("{id}: {} {why}", why.code()));
                    trouble.extend(told);
                }
            }
        }
        trouble
    }

    fn issue(&mut self, id: &SpiffeId, life: Duration, now: Now) -> anyhow::Result<Validity> {
        if !stands(self.intermediate.validity(), now) {
            self.intermediate = sign_intermediate(&self.folder, &self.root, now, &mut self.dice)?;
        }
        let key = generate_key();
        let chain =
            self.intermediate
                .sign_leaf(&key.public(), id, life, now.wall, &mut self.dice)?;
        let credential = Credential::new(chain, key)?;
        self.keyring.install(&credential)?;
        Ok(credential.validity())
    }
}

/// Whether an authority stands long enough for what it signs.
fn stands(validity: Validity, now: Now) -> bool {
    validity.begins <= now.wall && validity.left(now.wall) > 2 * LEAF_LIFE
}

fn read_root(folder: &Path) -> Option<Root> {
    let certificate = files::read_certificates(&folder.join(ROOT)).ok()?;
    let key = files::read_key(&folder.join(ROOT_KEY)).ok()?;
    Root::restore(certificate.into_iter().next()?, key).ok()
}

fn establish(
    folder: &Path,
    domain: &TrustDomain,
    now: Now,
    dice: &mut Dice,
) -> anyhow::Result<Root> {
    let key = generate_key();
    let root = Root::establish(domain, key.clone(), ROOT_LIFE, now.wall, dice)?;
    files::write_key(&folder.join(ROOT_KEY), &key)?;
    files::write_certificates(&folder.join(ROOT), &[root.certificate().to_vec()])?;
    Ok(root)
}

/// The intermediate that is kept, if the root of today has signed it.
fn read_intermediate(folder: &Path, root: &Root) -> Option<Intermediate> {
    let chain = files::read_certificates(&folder.join(INTERMEDIATE)).ok()?;
    let [certificate, above] = chain.try_into().ok()?;
    if above != root.certificate() {
        return None;
    }
    let key = files::read_key(&folder.join(INTERMEDIATE_KEY)).ok()?;
    Intermediate::restore(certificate, key).ok()
}

fn sign_intermediate(
    folder: &Path,
    root: &Root,
    now: Now,
    dice: &mut Dice,
) -> anyhow::Result<Intermediate> {
    let key = generate_key();
    let certificate = root.sign_intermediate(&key.public(), INTERMEDIATE_LIFE, now.wall, dice)?;
    files::write_key(&folder.join(INTERMEDIATE_KEY), &key)?;
    let chain = [certificate.clone(), root.certificate().to_vec()];
    files::write_certificates(&folder.join(INTERMEDIATE), &chain)?;
    Ok(Intermediate::restore(certificate, key)?)
}

const ROOT: &str = "root.pem";
const ROOT_KEY: &str = "root.key";
const INTERMEDIATE: &str = "intermediate.pem";
const INTERMEDIATE_KEY: &str = "intermediate.key";
