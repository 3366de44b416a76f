//! The `leno` binary: read the arguments, choose the command, run it, answer with its exit code.
//!
//! 0: fine. 1: the answer is bad (a finding, a refused request, a failing test). 2: usage.
//! 3: it could not be found out.

mod arguments;
mod authority;
mod command;
mod dashboard;
mod demo;
mod folder;
mod happened;
mod hosted;
mod imagine;
mod live;
mod neighbours;
mod offline;
#[cfg(feature = "older")]
mod older;
mod render;
mod signals;
mod stories;
mod terminal;
mod up;
mod upkeep;

use std::process::ExitCode;

use clap::FromArgMatches as _;
use leno_admin::NotAsked;

use crate::arguments::{Arguments, Command};
use crate::command::Answer;
use crate::terminal::Terminal;

/// A worker of a proxy keeps small blocks that it frees.
#[global_allocator]
static BLOCKS: leno_host::Blocks = leno_host::Blocks;

fn main() -> ExitCode {
    if let Some(code) = leno_host::run_if_called() {
        return code;
    }
    #[cfg(feature = "older")]
    if let Err(why) = older::begin() {
        Terminal::of_process().error(&why);
        return ExitCode::from(2);
    }
    let read = arguments::command().try_get_matches();
    let arguments = match read.and_then(|read| Arguments::from_arg_matches(&read)) {
        Ok(arguments) => arguments,
        Err(help) => return terminal::print_help(&help),
    };
    let mut terminal = Terminal::of_process();
    match run(&arguments.command, &mut terminal) {
        Ok(Answer::Fine) => ExitCode::SUCCESS,
        Ok(Answer::Bad) => ExitCode::from(1),
        Ok(Answer::Exit(code)) => ExitCode::from(code),
        Err(error) => {
            terminal.error(&error);
            // Who asked was answered, by a refusal.
            let is_refused = matches!(error.downcast_ref(), Some(NotAsked::Refused(_)));
            ExitCode::from(if is_refused { 1 } else { 3 })
        }
    }
}

fn run(command: &Command, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    match command {
        Command::Check(options) => command::check::run(options, terminal),
        Command::Why(options) => command::why::run(options, terminal),
        Command::Test(options) => command::test::run(options, terminal),
        Command::Explain(options) => command::explain::run(options, terminal),
        Command::Certs(options) => command::certs::run(options, terminal),
        Command::Capture(options) => command::capture::run(options, terminal),
        Command::Proxy(options) => command::proxy::run(options, terminal),
        Command::Up(options) => command::up::run(options, terminal),
        Command::Init(options) => command::init::run(options, terminal),
        Command::Down(options) => command::down::run(options, terminal),
        Command::Run(options) => command::run::run(options, terminal),
        Command::Ps(options) => command::ps::run(options, terminal),
        Command::Logs(options) => command::logs::run(options, terminal),
        Command::Restart(options) => command::restart::run(options, terminal),
        Command::Curl(options) => command::curl::run(options, terminal),
        Command::Stat(options) => command::stat::run(options, terminal),
        Command::Probe(options) => command::probe::run(options, terminal),
        Command::Top(options) => command::top::run(options, terminal),
        Command::Bundle(options) => command::bundle::run(options, terminal),
        Command::Tap(options) => command::tap::run(options, terminal),
        Command::Demo(options) => command::demo::run(options, terminal),
        Command::Fleet(command) => command::fleet::run(command, terminal),
        Command::Install(options) => command::install::run(options, terminal),
        Command::Upgrade(options) => command::upgrade::run(options, terminal),
        Command::Uninstall(options) => command::uninstall::run(options, terminal),
        Command::NodeRemove(options) => command::node_remove::run(options, terminal),
        Command::Version => {
            terminal.line(concat!("leno ", env!("CARGO_PKG_VERSION")))?;
            Ok(Answer::Fine)
        }
        Command::Completion(options) => command::completion::run(options, terminal),
        Command::Relay => command::relay::run(),
        Command::Shop(options) => command::demo::run_shop(options),
    }
}
