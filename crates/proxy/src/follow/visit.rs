//! Calls to a control plane of somebody who joined and follows nothing: a person, or a program that
//! administers the mesh.

use std::sync::Arc;
use std::time::Duration;

use leno_channel::grpc::{Line, open_line};
use leno_channel::{Clocks, Keyring};
use leno_identity::{Trust, Validity};
use leno_model::{Dice, SpiffeId, Wall};
use tokio::time::timeout;

use crate::follow::certify::{Certificates, issued};
use crate::follow::folder::{Folder, Joined, NotJoinedYet};
use crate::follow::stream::EndWith;

/// How long a certificate may take to be renewed, before the one that is held is used.
const PATIENCE: Duration = Duration::from_secs(5);

/// Somebody who joined in a folder.
#[derive(Debug)]
pub struct Member {
    folder: Folder,
    joined: Joined,
    validity: Validity,
}

/// A connection to the control plane, which ends with this.
#[derive(Debug)]
pub struct Visit {
    line: Line,
    run: EndWith,
}

impl Member {
    /// Takes up what a join has left in `folder`.
    pub fn of(folder: Folder) -> Result<Self, NotJoinedYet> {
        let joined = folder.joined()?;
        Ok(Self {
            validity: validity(&folder, &joined)?,
            folder,
            joined,
        })
    }

    /// Who it proves to be.
    pub fn identity(&self) -> &SpiffeId {
        &self.joined.own
    }

    /// Host and port of the control plane.
    pub fn address(&self) -> &str {
        &self.joined.address
    }

    /// Since when and until when its certificate is good.
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// Connects to the control plane. A certificate that is past half of its life is renewed by the
    /// way; while that fails, the one that is held is used.
    pub async fn visit(&self, clocks: &Clocks) -> Result<Visit, NotVisited> {
        if let Some(told) = self.folder.time() {
            clocks.take_up(told);
        }
        let now = clocks.now().wall;
        if now >= self.validity.ends {
            return Err(NotVisited::Ended(self.validity));
        }
        let keyring = Keyring::new(clocks.clock());
        Certificates::of(&self.folder, &keyring, &mut Dice::new(0))?;
        let own = &self.joined.own;
        let bundle = Arc::new(self.joined.roots.clone());
        let (trust, _) = Trust::new(&[(own.trust_domain.clone(), bundle)].into(), Arc::default());
        keyring.judge_by(Arc::new(trust));
        let opened = open_line(&keyring, own, &self.joined.address).await;
        let (line, _, run) = opened.map_err(NotVisited::Away)?;
        let visit = Visit {
            line,
            run: EndWith(run),
        };
        if is_due(self.validity, now) {
            // What is held is good for as long again.
            drop(timeout(PATIENCE, self.renew(&visit.line, now)).await);
        }
        Ok(visit)
    }

    /// Keeps another certificate, and the roots that go with it, unless another command does so or has
    /// done: two that write by turns would leave a key beside the chain of the other.
    async fn renew(&self, line: &Line, now: Wall) -> Result<(), String> {
        let held = self.folder.hold().map_err(|error| error.to_string())?;
        let Some(_held) = held else {
            return Ok(());
        };
        let kept = validity(&self.folder, &self.joined).map_err(|error| error.to_string())?;
        if !is_due(kept, now) {
            return Ok(());
        }
        let (credential, roots) = issued(line, &self.joined.own).await?;
        let kept = self.folder.keep(&credential);
        let kept = kept.and_then(|()| self.folder.keep_bundle(&roots));
        kept.map_err(|error| error.to_string())
    }
}

/// Since when and until when the certificate in a folder is good.
fn validity(folder: &Folder, joined: &Joined) -> Result<Validity, NotJoinedYet> {
    let kept = folder.credentials()?;
    let own = kept.iter().find(|one| *one.id() == joined.own);
    let own = own.ok_or_else(|| NotJoinedYet::Damaged(folder.path().to_owned()))?;
    Ok(own.validity())
}

/// Whether half of a certificate's life is over.
fn is_due(Validity { begins, ends }: Validity, now: Wall) -> bool {
    now.since(begins) >= ends.since(begins) / 2
}

impl Visit {
    /// The connection, and what must be held for as long as it is used.
    pub fn open(self) -> (Line, impl Send) {
        (self.line, self.run)
    }
}

/// Why a control plane was not visited.
#[derive(Debug, thiserror::Error)]
pub enum NotVisited {
    /// The certificate has ended.
    #[error("the certificate ended at {}: join again with another token", .0.ends)]
    Ended(Validity),
    /// What is kept cannot be used.
    #[error(transparent)]
    Folder(#[from] NotJoinedYet),
    /// The control plane cannot be reached, or is another one.
    #[error("{0}")]
    Away(String),
}
