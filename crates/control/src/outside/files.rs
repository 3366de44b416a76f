//! An intermediate that somebody put into files, and replaces there.

use std::path::{Path, PathBuf};

use leno_channel::files::{self, BadFile};
use tokio::task::spawn_blocking;

use super::{Asking, NotOffered, Offer, Outside, Wanted};

/// A chain and a key.
pub(super) struct Files {
    chain: PathBuf,
    key: PathBuf,
}

impl Files {
    pub(super) fn new(chain: &str, key: &str) -> Self {
        Self {
            chain: chain.into(),
            key: key.into(),
        }
    }
}

impl Outside for Files {
    fn ask(&self, _: Wanted) -> Asking<'_> {
        let (chain, key) = (self.chain.clone(), self.key.clone());
        Box::pin(async move {
            let read = spawn_blocking(move || read(&chain, &key)).await;
            let read = read.map_err(|_| NotOffered::Refused("reading it met a bug".to_owned()))?;
            read.map_err(|why| NotOffered::Unusable(why.to_string()))
        })
    }

    fn is_watched(&self) -> bool {
        true
    }
}

/// Both files, which somebody may be replacing one after the other: what does not fit together is read
/// again at the next look.
fn read(chain: &Path, key: &Path) -> Result<Offer, BadFile> {
    Ok(Offer {
        chain: files::read_certificates(chain)?,
        key: files::read_key(key)?,
    })
}
