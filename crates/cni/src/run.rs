//! A call of the plugin, from what the runtime says to what it is answered. Whom it asks is passed in.

use std::io::Read;

use crate::ended::{Ended, Failure, Kind};
use crate::given::{self, Given, VERSIONS};
use crate::{Answer, NotAsked, Options, Pod, Question, WhileAway};

/// The longest configuration that is read, in bytes.
const LONGEST: u64 = 1 << 20;

/// What the runtime says in the environment.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Called {
    /// `CNI_COMMAND`: what is to be done.
    pub command: Option<String>,
    /// `CNI_NETNS`: the file of the pod's network namespace.
    pub netns: Option<String>,
    /// `CNI_ARGS`: whose it is.
    pub arguments: Option<String>,
}

/// Answers one call. `ask` is asked at most once.
pub fn run(
    called: &Called,
    input: impl Read,
    ask: impl FnOnce(&Options, &Question) -> Result<Answer, NotAsked>,
) -> Ended {
    let text = read(input);
    let known = text.as_deref().unwrap_or_default();
    let version = given::version(known).unwrap_or(LATEST);
    let done = match called.command.as_deref() {
        // Nothing that fails keeps a pod from going: what served it ends with its network namespace.
        Some("DEL" | "GC") => Ok(Ended::with(String::new())),
        // Always well: a node that is not ready starts no pods, and the node's proxy is one.
        Some("STATUS") => Ok(Ended::with(String::new())),
        Some("VERSION") => Ok(versions(known)),
        Some("ADD") => text.and_then(|text| add(called, &text, ask)),
        Some("CHECK") => text.and_then(|text| check(called, &text, ask)),
        other => {
            let why = format!("CNI_COMMAND is {:.32?}", other.unwrap_or_default());
            Err(Failure::misfit(Kind::Environment, why))
        }
    };
    done.unwrap_or_else(|failure| Ended::failed(&failure, version))
}

/// In what whoever speaks no version that is known here is answered.
const LATEST: &str = VERSIONS[VERSIONS.len() - 1];

fn read(input: impl Read) -> Result<String, Failure> {
    let mut text = String::new();
    let read = input.take(LONGEST + 1).read_to_string(&mut text);
    let read = read.map_err(|why| {
        Failure::misfit(
            Kind::Input,
            format!("the configuration cannot be read: {why}"),
        )
    })?;
    if u64::try_from(read).is_ok_and(|read| read <= LONGEST) {
        return Ok(text);
    }
    let why = format!("the configuration is longer than {LONGEST} bytes");
    Err(Failure::misfit(Kind::Input, why))
}

fn versions(text: &str) -> Ended {
    //= CNI 1.1.0, VERSION Success: "cniVersion: The value of cniVersion specified on input"
    let said = given::said_version(text).ok().flatten();
    let said = said.as_deref().unwrap_or(LATEST);
    let told = serde_json::json!({"cniVersion": said, "supportedVersions": VERSIONS});
    Ended::with(told.to_string())
}

fn add(
    called: &Called,
    text: &str,
    ask: impl FnOnce(&Options, &Question) -> Result<Answer, NotAsked>,
) -> Result<Ended, Failure> {
    let given = Given::read(text)?;
    let passed_on = given.previous.passed_on();
    let Some(pod) = pod(called, &given)? else {
        return Ok(Ended::with(passed_on));
    };
    let note = settled(&given.options, ask(&given.options, &Question::Add(pod)))?;
    Ok(Ended {
        note,
        ..Ended::with(passed_on)
    })
}

fn check(
    called: &Called,
    text: &str,
    ask: impl FnOnce(&Options, &Question) -> Result<Answer, NotAsked>,
) -> Result<Ended, Failure> {
    let given = Given::read(text)?;
    if !given.can_be_checked() {
        let why = format!("CHECK is not of version {}", given.version);
        return Err(Failure::misfit(Kind::Version, why));
    }
    let Some(pod) = pod(called, &given)? else {
        return Ok(Ended::with(String::new()));
    };
    let note = settled(&given.options, ask(&given.options, &Question::Check(pod)))?;
    Ok(Ended {
        note,
        ..Ended::with(String::new())
    })
}

/// The pod that somebody is to be asked about. There is none behind a container that Kubernetes does not know, nor in
/// a namespace that is left out.
fn pod(called: &Called, given: &Given<'_>) -> Result<Option<Pod>, Failure> {
    let (Some(namespace), Some(name)) = (
        called.argument("K8S_POD_NAMESPACE"),
        called.argument("K8S_POD_NAME"),
    ) else {
        return Ok(None);
    };
    let mut excluded = given.options.exclude_namespaces.iter();
    if excluded.any(|excluded| excluded == namespace) {
        return Ok(None);
    }
    let netns = called.netns.as_deref().filter(|path| path.starts_with('/'));
    let netns = netns.ok_or_else(|| {
        let why = "CNI_NETNS names no network namespace";
        Failure::misfit(Kind::Environment, why)
    })?;
    Ok(Some(Pod {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        uid: called.argument("K8S_POD_UID").map(str::to_owned),
        netns: netns.to_owned(),
        addresses: given.previous.addresses.clone(),
    }))
}

impl Called {
    /// One of the values that stand in `CNI_ARGS`, if it says something.
    fn argument(&self, name: &str) -> Option<&str> {
        let mut pairs = self.arguments.as_deref()?.split(';');
        let value = pairs.find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        value.filter(|value| !value.is_empty())
    }
}

/// Whether the pod may start after that answer; with a note, if it does so without one.
fn settled(options: &Options, answer: Result<Answer, NotAsked>) -> Result<Option<String>, Failure> {
    let (why, failure) = match answer {
        Ok(Answer::Served(_)) => return Ok(None),
        Ok(Answer::Refused { code, why }) => return Err(Failure::refused(&code, &why)),
        // The control plane is away.
        Ok(Answer::Undecided { code, why }) => {
            (format!("{code}: {why}"), Failure::refused(&code, &why))
        }
        // Somebody is there.
        Err(why @ NotAsked::Misread { .. }) => return Err(Failure::away(why.to_string())),
        Err(why) => (why.to_string(), Failure::away(why.to_string())),
    };
    match options.while_away {
        WhileAway::Closed => Err(failure),
        WhileAway::Open => Ok(Some(format!(
            "leno-cni: {why}; whileAway is Open: the pod starts uncaptured"
        ))),
    }
}
