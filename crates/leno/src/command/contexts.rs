//! `leno context`: control planes of other hosts, and what proves who asks them. Each is a folder like
//! that of a proxy that joined; which one is asked where nothing is named stands beside them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use leno_kubernetes::{Cluster, NotConnected, Where};
use leno_model::control_name::DEFAULT_CONTROL;
use leno_model::{ControlName, Name};
use leno_proxy::Clocks;
use leno_proxy::follow::{self, Folder, Member, NotJoinedYet};
use leno_wire::JoinToken;
use serde::Serialize;

use crate::arguments::Output;
use crate::arguments::fleet::{ContextAdd, ContextCommand, ContextDrop};
use crate::command::{Answer, host};
use crate::render::table::Table;
use crate::terminal::{Line, Terminal};

/// Runs the subcommand.
pub(crate) fn run(command: &ContextCommand, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    match command {
        ContextCommand::Add(options) => add(options, terminal),
        ContextCommand::List(options) => list(options.output, terminal),
        ContextCommand::Use(options) => choose(&options.name, terminal),
        ContextCommand::Drop(options) => forget(options, terminal),
    }
}

/// The context of that name. A path has a slash and is none: what somebody has put into this folder takes
/// the place of no context.
pub(crate) fn find(named: &Path) -> anyhow::Result<Option<(String, Member)>> {
    if named.as_os_str().as_encoded_bytes().contains(&b'/') {
        return Ok(None);
    }
    let name = named.to_str().and_then(|text| Name::new(text).ok());
    let Some(name) = name else {
        let socket = Path::new(".").join(named);
        bail!(
            "{} names no context; a socket is named with a slash: {}",
            named.display(),
            socket.display()
        );
    };
    let folder = Folder::open(&folder_of(name.as_str())?);
    match folder {
        Ok(folder) => Ok(Some((name.to_string(), Member::of(folder)?))),
        Err(NotJoinedYet::Nobody(_)) => {
            bail!(
                "there is no context {name}: leno context list (a socket is named with a slash: ./{name})"
            )
        }
        Err(error) => Err(error.into()),
    }
}

/// A control plane of a cluster that the kubeconfig knows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct InCluster {
    /// The context of the kubeconfig; without one, its current one.
    pub(crate) context: Option<String>,
    /// What it is called, if it is not the default one.
    pub(crate) name: Option<ControlName>,
}

impl InCluster {
    /// Reaches its cluster.
    pub(crate) async fn connect(&self) -> Result<Cluster, NotConnected> {
        let place = Where::Kubeconfig {
            path: None,
            context: self.context.clone(),
        };
        Cluster::connect(&place).await
    }
}

/// What says that a control plane of a cluster is meant: `kubeconfig`, `kubeconfig/NAME` for one beside the default one,
/// and either with `:CONTEXT` behind it for a context that is not the current one. A context of our own is never called
/// so, and no control plane has a colon in its name, as contexts of kubeconfigs have anything in theirs.
pub(crate) fn of_kubeconfig(named: &Path) -> anyhow::Result<Option<InCluster>> {
    let Some(behind) = named.to_str().and_then(|it| it.strip_prefix(KUBECONFIG)) else {
        return Ok(None);
    };
    let (control, context) = match behind.split_once(':') {
        Some((control, context)) => (control, Some(context.to_owned())),
        None => (behind, None),
    };
    let name = match control.strip_prefix('/') {
        Some(DEFAULT_CONTROL) => None,
        Some(name) => Some(ControlName::new(name).with_context(|| {
            format!("{name:?} names no control plane (a socket is named so: ./{KUBECONFIG}/{name})")
        })?),
        None if control.is_empty() => None,
        None => return Ok(None),
    };
    Ok(Some(InCluster { context, name }))
}

/// The word that means the cluster of the kubeconfig.
pub(crate) const KUBECONFIG: &str = "kubeconfig";

/// The one that `leno context use` chose.
pub(crate) fn used() -> anyhow::Result<Option<String>> {
    // A host without a home has no contexts either.
    let Ok(folder) = host::contexts() else {
        return Ok(None);
    };
    match fs::read_to_string(folder.join(USED)) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {USED} of contexts")),
    }
}

/// The file that says which one is used. No context has such a name.
const USED: &str = ".used";

fn folder_of(name: &str) -> anyhow::Result<PathBuf> {
    Ok(host::contexts()?.join(name))
}

fn add(options: &ContextAdd, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let token: JoinToken = options.token.parse()?;
    let folder = folder_of(&options.name)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let shown = follow::Shown::Token(&token);
    let wanted = follow::Wanted::default();
    let joined = follow::join(shown, &wanted, &folder, Clocks::start());
    match runtime.block_on(joined) {
        Ok(identity) => {
            let line = Line::new().good("added ").strong(&options.name);
            let line = line.plain(format_args!("  {} as {identity}", token.address));
            terminal.line(line)?;
            let next = format!(
                "leno status --context {0} · leno context use {0}",
                options.name
            );
            terminal.line(Line::new().dim("Next  ").plain(next))?;
            Ok(Answer::Fine)
        }
        Err(error) => {
            let code = error.code();
            let line = Line::new().bad("✗ ").strong(code).plain(" ");
            terminal.line(line.plain(code.slug()).plain("  ").plain(error))?;
            let next = Line::new().dim("Next  ").plain("leno explain ");
            terminal.line(next.plain(code))?;
            Ok(Answer::Bad)
        }
    }
}

/// A context, as it is told.
#[derive(Serialize)]
struct Told {
    name: String,
    used: bool,
    address: Option<String>,
    identity: Option<String>,
    /// When its certificate ends, in RFC 3339.
    ends: Option<String>,
    /// Why it cannot be used.
    trouble: Option<String>,
}

fn list(output: Output, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let used = used()?;
    let mut told = Vec::new();
    for name in names()? {
        let member = Folder::open(&folder_of(&name)?).and_then(Member::of);
        let trouble = member.as_ref().err().map(ToString::to_string);
        let member = member.ok();
        told.push(Told {
            used: used.as_ref() == Some(&name),
            address: member.as_ref().map(|it| it.address().to_owned()),
            identity: member.as_ref().map(|it| it.identity().to_string()),
            ends: member.as_ref().map(|it| it.validity().ends.to_string()),
            name,
            trouble,
        });
    }
    if output == Output::Json {
        terminal.text(&serde_json::to_string_pretty(&told)?)?;
        return Ok(Answer::Fine);
    }
    if told.is_empty() {
        terminal.line("there is no context yet: leno context add --help")?;
        return Ok(Answer::Fine);
    }
    let mut table = Table::new(&["", "CONTEXT", "ADDRESS", "YOU ARE", "UNTIL"]);
    for one in told {
        let text = |text: Option<String>| Line::new().plain(text.unwrap_or_default());
        table.row([
            Line::new().good(if one.used { "*" } else { "" }),
            Line::new().strong(one.name),
            text(one.address),
            text(one.identity),
            match one.trouble {
                Some(trouble) => Line::new().bad(trouble),
                None => text(one.ends),
            },
        ]);
    }
    table.print(terminal)?;
    Ok(Answer::Fine)
}

fn names() -> anyhow::Result<Vec<String>> {
    let entries = match fs::read_dir(host::contexts()?) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).context("contexts cannot be read"),
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<_> = names.filter(|name| Name::new(name).is_ok()).collect();
    names.sort();
    Ok(names)
}

fn choose(name: &str, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    // One that cannot be used is not chosen.
    Member::of(Folder::open(&folder_of(name)?)?)?;
    let folder = host::contexts()?;
    let beside = folder.join(".used.new");
    let written = fs::write(&beside, format!("{name}\n"));
    let written = written.and_then(|()| fs::rename(&beside, folder.join(USED)));
    written.context("the choice cannot be kept")?;
    let line = Line::new().plain("asked from here on where nothing else is named: ");
    terminal.line(line.strong(name))?;
    Ok(Answer::Fine)
}

fn forget(options: &ContextDrop, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let folder = Folder::open(&folder_of(&options.name)?)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    if let Err(error) = runtime.block_on(follow::leave(&folder, &Clocks::start())) {
        if !options.force {
            bail!("{error}; --force forgets it all the same");
        }
        terminal.line(Line::new().doubtful("! ").plain(error))?;
    }
    folder.remove().context("the context cannot be removed")?;
    if used()?.as_ref() == Some(&options.name) {
        fs::remove_file(host::contexts()?.join(USED)).context("the choice cannot be removed")?;
    }
    terminal.line(format!("{} is forgotten, its key with it", options.name))?;
    Ok(Answer::Fine)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `canary of staging`, where `-` is the default one and the current context.
    fn meant(named: &str) -> String {
        match of_kubeconfig(Path::new(named)) {
            Ok(Some(InCluster { context, name })) => {
                let name = name.map_or("-".to_owned(), |name| name.to_string());
                format!("{name} of {}", context.as_deref().unwrap_or("-"))
            }
            Ok(None) => "no cluster".to_owned(),
            Err(why) => format!("{why:#}"),
        }
    }

    #[test]
    fn a_control_plane_of_a_cluster_is_named_whatever_its_context_is_called() {
        for (named, expect) in [
            ("kubeconfig", "- of -"),
            ("kubeconfig:staging", "- of staging"),
            (
                "kubeconfig:arn:aws:eks:eu:1:cluster/shop",
                "- of arn:aws:eks:eu:1:cluster/shop",
            ),
            ("kubeconfig:anna@shop/x", "- of anna@shop/x"),
            ("kubeconfig/canary", "canary of -"),
            ("kubeconfig/default", "- of -"),
            ("kubeconfig/canary:anna@shop/x", "canary of anna@shop/x"),
            (
                "kubeconfig/Canary",
                "\"Canary\" names no control plane (a socket is named so: ./kubeconfig/Canary): it is no DNS label: lower-case \
                 letters, digits and hyphens, beginning and ending with a letter or a digit",
            ),
            ("kubeconfigs", "no cluster"),
            ("./kubeconfig/canary", "no cluster"),
            ("prod", "no cluster"),
        ] {
            assert_eq!(meant(named), expect, "{named}");
        }
    }
}
