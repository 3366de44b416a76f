//! What a node's network configuration says to the plugin.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::PLUGIN;

/// Where the node's proxy is asked, unless something else is said.
pub const SOCKET: &str = "/run/leno/node.sock";

/// The plugin's own fields in a list of plugins.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Options {
    /// Where the node's proxy is asked, as the node sees it.
    pub socket: PathBuf,
    /// For how long an answer is waited for. A runtime waits for two minutes or longer.
    pub timeout_seconds: u32,
    /// Namespaces whose pods start without anybody being asked, so that a node can come up.
    pub exclude_namespaces: Vec<String>,
    /// What becomes of pods while nobody answers.
    pub while_away: WhileAway,
}

/// What becomes of a pod about which nobody answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum WhileAway {
    /// It does not start; its node tries again.
    #[default]
    Closed,
    /// It starts, and nothing of it is captured.
    Open,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            socket: SOCKET.into(),
            timeout_seconds: 20,
            exclude_namespaces: ["kube-system", "leno-system"].map(str::to_owned).into(),
            while_away: WhileAway::default(),
        }
    }
}

impl Options {
    /// The entry that a list of plugins gets, on one line.
    pub(crate) fn entry(&self) -> String {
        #[derive(Serialize)]
        struct Entry<'a> {
            r#type: &'a str,
            #[serde(flatten)]
            options: &'a Options,
        }
        let entry = Entry {
            r#type: PLUGIN,
            options: self,
        };
        serde_json::to_string(&entry).expect("texts and numbers are JSON")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_as_it_is_by_default() {
        let read = |text| serde_json::from_str::<Options>(text);
        assert_eq!(read(r#"{"type": "leno-cni"}"#).unwrap(), Options::default());
        let open = read(r#"{"whileAway": "Open", "timeoutSeconds": 5}"#).unwrap();
        assert_eq!(open.while_away, WhileAway::Open);
        assert_eq!((open.timeout_seconds, open.socket), (5, SOCKET.into()));
        assert!(read(r#"{"whileAway": "Maybe"}"#).is_err());
        assert_eq!(
            read(&Options::default().entry()).unwrap(),
            Options::default()
        );
    }
}
