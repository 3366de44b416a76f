//! What a proxy says to be wrong and no call tells: a collector does not get what it sends, its host's clocks go wrong, what a
//! workload sends does not come to it.

use alloc::{string::String, sync::Arc, vec::Vec};
use core::time::Duration;

use leno_model::{Code, Wall};
use prost::Message;

use crate::carried::Misfit;

/// Something that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trouble {
    /// What kind of failure.
    pub code: Code,
    /// With what: the collector's URL; `host`; the workload, as `namespace/name`.
    pub about: Arc<str>,
    /// The failure in words.
    pub why: String,
    /// When it began.
    pub since: Wall,
}

/// All that is wrong at a proxy; what it said before and is not here is over.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Troubles(pub Vec<Trouble>);

impl Troubles {
    /// How many a proxy may tell of.
    pub const MOST: usize = 16;

    /// The longest text, in bytes.
    pub const LONGEST_TEXT: usize = 4096;

    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let troubles = self.0.iter().map(|trouble| TroubleMessage {
            code: trouble.code.as_str().into(),
            about: String::from(&*trouble.about),
            why: trouble.why.clone(),
            since_ms: u64::try_from(trouble.since.elapsed_since_epoch().as_millis())
                .unwrap_or(u64::MAX),
        });
        let troubles = troubles.collect();
        TroublesMessage { troubles }.encode_to_vec()
    }

    /// Reads what a proxy sent. A code that this program does not know is left out.
    pub fn decode(bytes: &[u8]) -> Result<Self, Misfit> {
        let bad = |why: &'static str| Misfit::new("troubles", why);
        let message =
            TroublesMessage::decode(bytes).map_err(|error| Misfit::new("troubles", error))?;
        if message.troubles.len() > Self::MOST {
            return Err(bad("there are too many"));
        }
        let long = |text: &String| text.len() > Self::LONGEST_TEXT;
        if message
            .troubles
            .iter()
            .any(|one| long(&one.about) || long(&one.why))
        {
            return Err(bad("a text of one is too long"));
        }
        let troubles = message.troubles.into_iter().filter_map(|one| {
            Some(Trouble {
                code: one.code.parse().ok()?,
                about: one.about.into(),
                why: one.why,
                since: Wall::since_epoch(Duration::from_millis(one.since_ms)),
            })
        });
        Ok(Self(troubles.collect()))
    }
}

#[derive(Clone, PartialEq, Message)]
struct TroublesMessage {
    #[prost(message, repeated, tag = "1")]
    troubles: Vec<TroubleMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct TroubleMessage {
    #[prost(string, tag = "1")]
    code: String,
    #[prost(string, tag = "2")]
    about: String,
    #[prost(string, tag = "3")]
    why: String,
    #[prost(uint64, tag = "4")]
    since_ms: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trouble(why: &str) -> Trouble {
        Trouble {
            code: Code::X001,
            about: "http://otel:4317".into(),
            why: why.into(),
            since: Wall::since_epoch(Duration::from_secs(7)),
        }
    }

    #[test]
    fn what_is_told_is_read_and_bounded() {
        let told = Troubles(alloc::vec![trouble("refused"), trouble("late")]);
        assert_eq!(Troubles::decode(&told.encode()), Ok(told));
        assert_eq!(Troubles::decode(&[]), Ok(Troubles::default()));
        let many = Troubles(alloc::vec![trouble("refused"); Troubles::MOST + 1]);
        assert!(Troubles::decode(&many.encode()).is_err());
        let long = Troubles(alloc::vec![trouble(
            &"a".repeat(Troubles::LONGEST_TEXT + 1)
        )]);
        assert!(Troubles::decode(&long.encode()).is_err());
        assert!(Troubles::decode(&[0xff]).is_err());
    }

    #[test]
    fn what_a_later_proxy_calls_otherwise_is_left_out() {
        let mut message =
            TroublesMessage::decode(&*Troubles(alloc::vec![trouble("new")]).encode()).unwrap();
        let first = message.troubles.first_mut().unwrap();
        first.code = "X999".into();
        assert_eq!(
            Troubles::decode(&message.encode_to_vec()),
            Ok(Troubles::default())
        );
    }
}
