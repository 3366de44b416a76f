//! What a proxy keeps on disk of its stream, so that after a restart it serves its last view, with
//! or without a control plane, and is then sent only what differs. The control plane has signed all
//! of it for this proxy.

use alloc::{collections::BTreeMap, string::String, string::ToString, vec::Vec};

use leno_identity::{BrokenSeal, Trust};
use leno_model::view::View;
use leno_model::{Code, SpiffeId, Subscription};
use prost::Message;

use crate::carried::{Carried, Misfit, required};
use crate::certificates::control_plane;
use crate::client::{Client, Kept};
use crate::delta::{Commit, CommitMessage, Holder, known_version, list_version};
use crate::part::{Encoded, Part, assemble};

/// The form of what is saved; any other is not read.
const FORM: u32 = 2;

impl Client {
    /// What was adopted, with the answers and the control plane's signature, as bytes for `holder`
    /// alone. `None` if what is held is not signed. What is under way is not part of it.
    pub fn save(&self, holder: &Holder) -> Option<Vec<u8>> {
        let kept = self.kept();
        let commit = kept.commit.as_ref()?;
        let names = |wanted: bool| {
            let known = kept.known.iter();
            let known = known.filter(move |(_, exists)| **exists == wanted);
            known.map(|(name, _)| name.to_string()).collect()
        };
        let parts = kept.held.values();
        let message = SavedMessage {
            form: FORM,
            proxy: holder.proxy.clone(),
            identity: holder.identity.to_message(),
            commit: Some(commit.to_message()),
            parts: parts.map(|(part, _)| part.bytes().to_vec()).collect(),
            exist: names(true),
            absent: names(false),
        };
        Some(message.encode_to_vec())
    }

    /// Takes up what was saved, if the control plane of the holder's trust domain signed it for
    /// `holder`, whenever that was: the client as it was, and the view it had adopted.
    pub fn restore(
        holder: &Holder,
        bytes: &[u8],
        trust: &Trust,
    ) -> Result<(Self, View), NotRestored> {
        let message =
            SavedMessage::decode(bytes).map_err(|error| Misfit::new("saved view", error))?;
        if message.form != FORM {
            let why = "another version of Leno wrote it";
            return Err(Misfit::new("saved view", why).into());
        }
        // There is one way to write it, and whatever differs from that was not written by us.
        if message.encode_to_vec() != bytes {
            return Err(BrokenSeal::Signature.into());
        }
        let identity = SpiffeId::from_message(message.identity)?;
        if message.proxy != holder.proxy || identity != holder.identity {
            let proxy = message.proxy;
            return Err(NotRestored::OfAnother(Holder { proxy, identity }));
        }
        let commit: Commit = required(message.commit, "commit")?;
        let seal = commit.seal.as_ref().ok_or(BrokenSeal::Signature)?;
        let signer = seal.verify(&commit.statement(holder), trust)?;
        if *signer.id() != control_plane(&identity.trust_domain) {
            return Err(NotRestored::SignedBy(signer.id().clone()));
        }
        let kept = Kept::of(message.parts, message.exist, message.absent, commit)?;
        let parts = kept.held.values().map(|(_, part)| part.clone());
        let view = assemble(kept.generation.clone(), parts)?;
        Ok((Self::with(&holder.proxy, kept), view))
    }
}

impl Kept {
    /// Puts together what `commit` names, and nothing else.
    fn of(
        parts: Vec<Vec<u8>>,
        exist: Vec<String>,
        absent: Vec<String>,
        commit: Commit,
    ) -> Result<Self, NotRestored> {
        let (mut held, mut lacks) = (BTreeMap::new(), BTreeMap::new());
        for bytes in parts {
            let (part, lacked) = Part::decode_with_lacks(&bytes)?;
            if !lacked.is_empty() {
                lacks.insert(part.name(), lacked);
            }
            held.insert(part.name(), (Encoded::new(bytes), part));
        }
        let mut known = BTreeMap::new();
        for (names, exists) in [(exist, true), (absent, false)] {
            for name in names {
                known.insert(Subscription::from_message(name)?, exists);
            }
        }
        let list = list_version(held.iter().map(|(name, (part, _))| (name, part.version())));
        let is_whole = u64::try_from(held.len()) == Ok(commit.count) && list == commit.list;
        if !is_whole || known_version(&known) != commit.known {
            return Err(BrokenSeal::Signature.into());
        }
        Ok(Self {
            held,
            generation: commit.generation.clone(),
            subscriptions: known.keys().cloned().collect(),
            known,
            lacks,
            commit: Some(commit),
        })
    }
}

/// Why what was saved is not taken up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotRestored {
    /// It cannot be read.
    #[error(transparent)]
    Misfit(#[from] Misfit),
    /// It is of another proxy.
    #[error("it is the view of {} ({})", .0.proxy, .0.identity)]
    OfAnother(Holder),
    /// Its signature proves nothing.
    #[error(transparent)]
    Broken(#[from] BrokenSeal),
    /// It is signed by somebody else than the control plane.
    #[error("it is signed by {0}, who is not the control plane")]
    SignedBy(SpiffeId),
}

impl NotRestored {
    /// The code under which people find it.
    pub fn code(&self) -> Code {
        match self {
            Self::Misfit(_) | Self::OfAnother(_) | Self::SignedBy(_) => Code::T014,
            Self::Broken(seal) => seal.code(),
        }
    }
}

#[derive(Clone, PartialEq, Message)]
struct SavedMessage {
    #[prost(uint32, tag = "1")]
    form: u32,
    #[prost(string, tag = "2")]
    proxy: String,
    #[prost(string, tag = "3")]
    identity: String,
    #[prost(message, optional, tag = "4")]
    commit: Option<CommitMessage>,
    /// Each as it was sent: it may hold more than this build understands.
    #[prost(bytes = "vec", repeated, tag = "5")]
    parts: Vec<Vec<u8>>,
    #[prost(string, repeated, tag = "6")]
    exist: Vec<String>,
    #[prost(string, repeated, tag = "7")]
    absent: Vec<String>,
}
