//! What comes on standard input: the network configuration, and what the plugins before have made.

use std::borrow::Cow;
use std::net::IpAddr;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::ended::{Failure, Kind};
use crate::{Options, place};

/// The versions of CNI that are spoken, the oldest first.
pub(crate) const VERSIONS: [&str; 4] = ["0.3.1", "0.4.0", "1.0.0", "1.1.0"];

/// The first version that knows `CHECK`.
const CHECKS: &str = "0.4.0";

/// A configuration that is understood.
#[derive(Debug)]
pub(crate) struct Given<'a> {
    /// The version that the runtime speaks.
    pub(crate) version: &'static str,
    /// What is said to the plugin itself.
    pub(crate) options: Options,
    /// What the plugins before have made.
    pub(crate) previous: Previous<'a>,
}

/// What the plugins before have made.
#[derive(Debug)]
pub(crate) struct Previous<'a> {
    text: &'a str,
    names_version: bool,
    version: &'static str,
    /// The addresses that the pod has got.
    pub(crate) addresses: Vec<IpAddr>,
}

/// Whether there is anything that was made before.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Chained {
    prev_result: Option<IgnoredAny>,
}

impl<'a> Given<'a> {
    /// Reads a configuration with what the plugins before have made.
    pub(crate) fn read(text: &'a str) -> Result<Self, Failure> {
        let version = version(text)?;
        let options = serde_json::from_str(text).map_err(|why| {
            Failure::misfit(
                Kind::Configuration,
                format!("its configuration cannot be used: {why}"),
            )
        })?;
        let chained: Chained = decoded(text)?;
        let previous = chained
            .prev_result
            .and_then(|_| text.get(place::field(text, "prevResult")?));
        let previous = previous.ok_or_else(|| {
            let why =
                "it stands first in its list of plugins, and there is no network yet (no prevResult)";
            Failure::misfit(Kind::Configuration, why)
        })?;
        Ok(Self {
            version,
            options,
            previous: Previous::read(previous, version)?,
        })
    }

    /// Whether its version knows `CHECK`.
    pub(crate) fn can_be_checked(&self) -> bool {
        position(self.version) >= position(CHECKS)
    }
}

impl<'a> Previous<'a> {
    fn read(text: &'a str, version: &'static str) -> Result<Self, Failure> {
        #[derive(Deserialize)]
        struct Made {
            #[serde(default, rename = "cniVersion")]
            version: Option<String>,
            #[serde(default)]
            interfaces: Vec<Interface>,
            #[serde(default)]
            ips: Vec<Address>,
        }
        #[derive(Deserialize)]
        struct Interface {
            #[serde(default)]
            sandbox: String,
        }
        #[derive(Deserialize)]
        struct Address {
            address: String,
            #[serde(default)]
            interface: Option<usize>,
        }
        let made: Made = decoded(text)?;
        if let Some(other) = made.version.as_deref().filter(|other| *other != version) {
            let why = format!("a result of version {other:.32?} in a configuration of {version}");
            return Err(Failure::misfit(Kind::Version, why));
        }
        if made.version.is_none() && place::field(text, "cniVersion").is_some() {
            let why = "the version of the result is none";
            return Err(Failure::misfit(Kind::Undecoded, why));
        }
        let is_inside = |address: &&Address| {
            let interface = address.interface.and_then(|at| made.interfaces.get(at));
            interface.is_none_or(|interface| !interface.sandbox.is_empty())
        };
        let addresses = made.ips.iter().filter(is_inside).map(|address| {
            let (host, _) = address
                .address
                .split_once('/')
                .unwrap_or((&address.address, ""));
            host.parse().map_err(|_| {
                let why = format!("{:.64?} is no address", address.address);
                Failure::misfit(Kind::Undecoded, why)
            })
        });
        Ok(Self {
            text,
            names_version: made.version.is_some(),
            version,
            addresses: addresses.collect::<Result<_, _>>()?,
        })
    }

    /// The same, as the result of this plugin.
    pub(crate) fn passed_on(&self) -> String {
        //= CNI 1.1.0, ADD Success: "cniVersion: The same value supplied on input"
        match self.names_version {
            true => self.text.to_owned(),
            false => {
                let rest = self.text.trim_start_matches(['{', ' ', '\t', '\r', '\n']);
                let comma = if rest == "}" { "" } else { "," };
                format!("{{\"cniVersion\":\"{}\"{comma}{rest}", self.version)
            }
        }
    }
}

/// The version of a configuration, if it is spoken here.
pub(crate) fn version(text: &str) -> Result<&'static str, Failure> {
    let said = said_version(text)?;
    let spoken = VERSIONS
        .iter()
        .find(|known| said.as_deref() == Some(**known));
    spoken.copied().ok_or_else(|| {
        let said = said.as_deref().unwrap_or("none, which is 0.1.0");
        Failure::misfit(
            Kind::Version,
            format!("the configuration's version is {said:.32}"),
        )
    })
}

/// What a configuration says of its version.
pub(crate) fn said_version(text: &str) -> Result<Option<Cow<'_, str>>, Failure> {
    #[derive(Deserialize)]
    struct Said<'a> {
        #[serde(borrow, default, rename = "cniVersion")]
        version: Option<Cow<'a, str>>,
    }
    Ok(decoded::<Said<'_>>(text)?.version)
}

fn decoded<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Failure> {
    serde_json::from_str(text).map_err(|why| {
        let why = format!("what came cannot be read: {why}");
        Failure::misfit(Kind::Undecoded, why)
    })
}

/// How late a version came.
pub(crate) fn position(version: &str) -> Option<usize> {
    VERSIONS.iter().position(|known| *known == version)
}
