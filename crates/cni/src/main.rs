//! `leno-cni`: the plugin, as the runtime of containers calls it.

use std::env;
use std::io::{self, Write as _};
use std::process::ExitCode;

use leno_cni::{Called, ask, run};

fn main() -> ExitCode {
    let called = Called {
        command: said("CNI_COMMAND"),
        netns: said("CNI_NETNS"),
        arguments: said("CNI_ARGS"),
    };
    let ended = run(&called, io::stdin().lock(), ask);
    if let Some(note) = ended.note {
        // A pod starts whether anybody reads it or not.
        writeln!(io::stderr(), "{note}").ok();
    }
    let told = match ended.out.is_empty() {
        true => Ok(()),
        false => writeln!(io::stdout(), "{}", ended.out),
    };
    match ended.is_fine && told.is_ok() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "CNI passes what it says in the environment"
)]
fn said(name: &str) -> Option<String> {
    env::var_os(name)?.into_string().ok()
}
