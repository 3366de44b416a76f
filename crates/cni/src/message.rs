//! What the plugin asks the node's proxy, and what it is answered: a line of JSON each, over a Unix socket.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// The longest line of either side, in bytes.
pub const MOST: usize = 64 << 10;

/// What is asked. The same may be asked again, where an answer was lost.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Question {
    /// This pod has its network now, and nothing of it runs yet.
    Add(Pod),
    /// Is it as it was left?
    Check(Pod),
}

/// A pod, as the runtime knows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Pod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    #[serde(rename = "pod")]
    pub name: String,
    /// What tells it from others of its name; older runtimes do not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// The file of its network namespace, as whoever asks sees it: an absolute path.
    pub netns: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

/// What the node's proxy answers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    /// Whether the pod is captured from now on, for this proxy or for one in the pod; one that is not is none of its affair.
    Served(bool),
    /// It should be captured, and cannot be: it is not to start.
    Refused {
        /// What that is called: `H005`.
        code: String,
        /// Why, for people.
        why: String,
    },
    /// Nobody can say whether it should be captured: what becomes of pods while nobody answers becomes of it. A plugin
    /// that does not know this answer lets none start by it.
    Undecided {
        /// What that is called: `H017`.
        code: String,
        /// Why, for people.
        why: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_spelt_as_both_ends_agreed() {
        let pod = Pod {
            namespace: "shop".to_owned(),
            name: "web-1".to_owned(),
            uid: Some("7".to_owned()),
            netns: "/var/run/netns/cni-1".to_owned(),
            addresses: vec!["10.244.0.5".parse().unwrap()],
        };
        let written = serde_json::to_string(&Question::Add(pod)).unwrap();
        let expect = r#"{"add":{"namespace":"shop","pod":"web-1","uid":"7","netns":"/var/run/netns/cni-1","addresses":["10.244.0.5"]}}"#;
        assert_eq!(written, expect);
        let read = |text| serde_json::from_str::<Answer>(text).unwrap();
        assert_eq!(read(r#"{"served": true}"#), Answer::Served(true));
        let refused = read(r#"{"refused": {"code": "H005", "why": "no rules"}}"#);
        let (code, why) = ("H005".to_owned(), "no rules".to_owned());
        assert_eq!(refused, Answer::Refused { code, why });
        let undecided = read(r#"{"undecided": {"code": "H017", "why": "nobody says"}}"#);
        let (code, why) = ("H017".to_owned(), "nobody says".to_owned());
        assert_eq!(undecided, Answer::Undecided { code, why });
    }
}
