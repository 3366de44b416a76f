//! `leno join`: makes this host's proxy part of a mesh.

use std::path::Path;

use leno_model::Name;
use leno_proxy::{Clocks, follow};
use leno_wire::JoinToken;

use crate::arguments::fleet;
use crate::command::{Answer, host};
use crate::terminal::{Line, Terminal};

/// Shows the token and keeps what it is answered.
pub(crate) fn run(options: &fleet::Join, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let token: JoinToken = options.token.parse()?;
    let account = options.account.as_deref().map(Name::new).transpose()?;
    let folder = options.state.clone().map_or_else(host::identity, Ok)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let joined = follow::join(&token, account.as_ref(), &folder, Clocks::start());
    match runtime.block_on(joined) {
        Ok(identity) => {
            let line = Line::new().good("joined ").strong(&token.trust_domain);
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
