//! What a proxy keeps on disk of its stream, so that after a restart it serves its last view, with
//! or without a control plane, and is then sent only what differs.

use alloc::{collections::BTreeMap, string::String, string::ToString, vec::Vec};

use leno_model::Subscription;
use leno_model::view::{Generation, View};
use prost::Message;

use crate::carried::{Carried, Misfit};
use crate::client::{Client, Kept};
use crate::delta::GenerationMessage;
use crate::part::{Part, Version, assemble};

/// The form of what is saved; any other is not read.
const FORM: u32 = 1;

impl Client {
    /// What was adopted, with subscriptions and answers, as bytes that prove themselves whole. What
    /// is under way is not part of it.
    pub fn save(&self) -> Vec<u8> {
        let kept = self.kept();
        let names = |wanted: bool| {
            let known = kept
                .known
                .iter()
                .filter(move |(_, exists)| **exists == wanted);
            known.map(|(name, _)| name.to_string()).collect()
        };
        let message = SavedMessage {
            form: FORM,
            generation: Some(kept.generation.to_message()),
            parts: kept
                .held
                .values()
                .map(|(version, part)| SavedPart {
                    version: version.to_string(),
                    bytes: part.encode(),
                })
                .collect(),
            subscriptions: kept.subscriptions.iter().map(ToString::to_string).collect(),
            exist: names(true),
            absent: names(false),
        };
        let body = message.encode_to_vec();
        let mut bytes = Version::of(&body).to_string().into_bytes();
        bytes.extend(body);
        bytes
    }

    /// Takes up what was saved under the name of `proxy`: the client as it was, and the view it
    /// had adopted.
    pub fn restore(proxy: &str, bytes: &[u8]) -> Result<(Self, View), Misfit> {
        let damaged = || Misfit::new("saved view", "it is damaged");
        let (version, body) = bytes.split_at_checked(32).ok_or_else(damaged)?;
        if version != Version::of(body).to_string().as_bytes() {
            return Err(damaged());
        }
        let message =
            SavedMessage::decode(body).map_err(|error| Misfit::new("saved view", error))?;
        if message.form != FORM {
            return Err(Misfit::new(
                "saved view",
                "another version of Leno wrote it",
            ));
        }
        let generation = message.generation.ok_or_else(damaged)?;
        let generation = Generation::from_message(generation)?;
        let mut held = BTreeMap::new();
        for SavedPart { version, bytes } in message.parts {
            let part = Part::decode(&bytes)?;
            let version = Version::parse(&version).ok_or_else(damaged)?;
            held.insert(part.name(), (version, part));
        }
        let parts = held.values().map(|(_, part)| part.clone());
        let view = assemble(generation.clone(), parts)?;
        let mut known = BTreeMap::new();
        for (names, exists) in [(message.exist, true), (message.absent, false)] {
            for name in names {
                known.insert(Subscription::from_message(name)?, exists);
            }
        }
        let subscriptions = message.subscriptions.into_iter();
        let kept = Kept {
            held,
            generation,
            subscriptions: subscriptions
                .map(Subscription::from_message)
                .collect::<Result<_, _>>()?,
            known,
        };
        Ok((Self::with(proxy, kept), view))
    }
}

#[derive(Clone, PartialEq, Message)]
struct SavedMessage {
    #[prost(uint32, tag = "1")]
    form: u32,
    #[prost(message, optional, tag = "2")]
    generation: Option<GenerationMessage>,
    #[prost(message, repeated, tag = "3")]
    parts: Vec<SavedPart>,
    #[prost(string, repeated, tag = "4")]
    subscriptions: Vec<String>,
    #[prost(string, repeated, tag = "5")]
    exist: Vec<String>,
    #[prost(string, repeated, tag = "6")]
    absent: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct SavedPart {
    /// Of the bytes that were sent, which may hold more than this build understands.
    #[prost(string, tag = "1")]
    version: String,
    #[prost(bytes = "vec", tag = "2")]
    bytes: Vec<u8>,
}
