//! How a call of the plugin ends: what it prints, and whether it has succeeded.

use leno_model::Code;
use serde::Serialize;

/// What a call comes to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ended {
    /// What is printed on standard output: a result, or what has failed.
    pub out: String,
    /// What is worth knowing though it succeeded, for standard error, where runtimes keep it.
    pub note: Option<String>,
    /// Whether it succeeded: the exit status is 0, else 1.
    pub is_fine: bool,
}

impl Ended {
    /// It succeeded, with this result.
    pub(crate) fn with(out: String) -> Self {
        Self {
            out,
            note: None,
            is_fine: true,
        }
    }

    /// It failed. What is wrong is said in the version that the runtime speaks, as far as that is known.
    pub(crate) fn failed(failure: &Failure, version: &str) -> Self {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Said<'a> {
            cni_version: &'a str,
            code: u32,
            msg: String,
            details: &'a str,
        }
        let (code, details) = failure.kind.told();
        let said = Said {
            cni_version: version,
            code,
            msg: failure.message.clone(),
            details,
        };
        Self {
            out: serde_json::to_string(&said).expect("texts and numbers are JSON"),
            note: None,
            is_fine: false,
        }
    }
}

/// Why a pod does not start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Failure {
    kind: Kind,
    message: String,
}

impl Failure {
    /// The runtime's call cannot be answered: which error of CNI that is, and why.
    pub(crate) fn misfit(kind: Kind, why: impl AsRef<str>) -> Self {
        Self::of(Code::H014, kind, why)
    }

    /// Nobody answers at the socket.
    pub(crate) fn away(why: impl AsRef<str>) -> Self {
        Self::of(Code::H013, Kind::Away, why)
    }

    /// The node's proxy says no, for a reason of its own.
    pub(crate) fn refused(code: &str, why: &str) -> Self {
        Self {
            kind: Kind::Refused,
            message: format!("{code}: {why}"),
        }
    }

    fn of(code: Code, kind: Kind, why: impl AsRef<str>) -> Self {
        Self {
            kind,
            message: format!("{code} {}: {}", code.slug(), why.as_ref()),
        }
    }
}

/// The errors that CNI numbers (1 to 99), and ours (from 100 on).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// The version of the configuration is none that is spoken here.
    Version,
    /// A variable of the environment is missing, or cannot be meant.
    Environment,
    /// What came on standard input cannot be read to its end.
    Input,
    /// What came is not JSON, or not of the form that was agreed.
    Undecoded,
    /// The configuration is JSON, and cannot be carried out.
    Configuration,
    /// Nobody answers at the socket.
    Away,
    /// The node's proxy refuses the pod.
    Refused,
}

impl Kind {
    /// Its number, and what to do.
    fn told(self) -> (u32, &'static str) {
        //= CNI 1.1.0, Error: "Plugin-specific errors should use error codes of 100+."
        match self {
            Self::Version => (1, "leno-cni speaks CNI 0.3.1, 0.4.0, 1.0.0 and 1.1.0"),
            Self::Environment => (
                4,
                "a container runtime of Kubernetes says it in the environment",
            ),
            Self::Input => (5, "the network configuration comes on standard input"),
            Self::Undecoded => (6, "look at the files in the node's /etc/cni/net.d"),
            Self::Configuration => (
                7,
                "leno-cni stands last in a list of plugins: see /etc/cni/net.d",
            ),
            Self::Away => (
                113,
                "kubectl get pods -n leno-system -o wide: does leno-node run on this node?",
            ),
            Self::Refused => (
                100,
                "kubectl logs -n leno-system daemonset/leno-node; leno explain CODE",
            ),
        }
    }
}
