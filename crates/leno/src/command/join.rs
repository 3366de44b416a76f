//! `leno join`: makes this host's proxy part of a mesh.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};
use leno_model::{Name, Namespace};
use leno_proxy::{Clocks, follow};
use leno_wire::{JoinToken, MeshAddress};

use crate::arguments::fleet;
use crate::command::{Answer, host};
use crate::terminal::{Line, Terminal};

/// Shows what proves this host's proxy and keeps what it is answered.
pub(crate) fn run(options: &fleet::Join, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let shown = Showing::read(options)?;
    let wanted = options
        .account
        .as_deref()
        .map_or_else(|| Ok(follow::Wanted::default()), wanted)?;
    let folder = options.state.clone().map_or_else(host::identity, Ok)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let joined = follow::join(shown.shown(), &wanted, &folder, Clocks::start());
    match runtime.block_on(joined) {
        Ok(identity) => {
            let line = Line::new().good("joined ").strong(&identity.trust_domain);
            terminal.line(line.plain(format_args!("  as {identity}")))?;
            terminal.line(Line::new().dim(format_args!("kept in {}", folder.display())))?;
            let state = options.state.as_deref().map(Path::display);
            let state = state.map_or_else(String::new, |state| format!(" --state {state}"));
            let next = Line::new().dim("Next  ").plain("leno proxy --joined");
            terminal.line(next.plain(state).plain(" --workload NAME --tunnel ADDRESS"))?;
            Ok(Answer::Fine)
        }
        Err(error) => {
            let code = error.code();
            let line = Line::new()
                .bad("✗ ")
                .strong(code)
                .plain(" ")
                .plain(code.slug());
            terminal.line(line.plain("  ").plain(error))?;
            let next = Line::new().dim("Next  ").plain("leno explain ");
            terminal.line(next.plain(code))?;
            Ok(Answer::Bad)
        }
    }
}

/// What is shown, and to whom.
enum Showing<'a> {
    Token(JoinToken),
    Jwt(MeshAddress, String),
    Process(&'a Path),
}

impl<'a> Showing<'a> {
    fn read(options: &'a fleet::Join) -> anyhow::Result<Self> {
        let fleet::Join {
            token,
            oidc_token,
            socket,
            ..
        } = options;
        match (token, oidc_token, socket) {
            (Some(mesh), Some(file), _) => {
                let token = fs::read_to_string(file);
                let token = token.with_context(|| format!("cannot read {}", file.display()))?;
                Ok(Self::Jwt(mesh.parse()?, token.trim().to_owned()))
            }
            (Some(token), None, _) => {
                let is_address = token.starts_with(MeshAddress::SCHEME);
                let read = token.parse().map_err(anyhow::Error::from);
                Ok(Self::Token(read.with_context(|| match is_address {
                    true => "this leads to a mesh and lets nobody in: add --oidc-token FILE",
                    false => "TOKEN",
                })?))
            }
            (None, _, Some(socket)) => Ok(Self::Process(socket)),
            (None, _, None) => bail!("a token, or --socket, is missing"),
        }
    }

    fn shown(&self) -> follow::Shown<'_> {
        match self {
            Self::Token(token) => follow::Shown::Token(token),
            Self::Jwt(mesh, token) => follow::Shown::Jwt(mesh, token),
            Self::Process(socket) => follow::Shown::Process(socket),
        }
    }
}

/// `cart`, or `shop/cart`.
fn wanted(text: &str) -> anyhow::Result<follow::Wanted> {
    let (namespace, account) = match text.split_once('/') {
        Some((namespace, account)) => (Some(Namespace::new(namespace)?), account),
        None => (None, text),
    };
    Ok(follow::Wanted {
        namespace,
        account: Some(Name::new(account)?),
    })
}
