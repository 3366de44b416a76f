//! Every chore of the repository, in Rust: `cargo xtask` lists them.
//!
//! A chore is one module with a `run` function and one line in [`CHORES`].
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a chore talks to whoever runs it"
)]

mod bench;
mod chance;
mod check;
mod dashboard;
mod deny;
mod fuzz;
mod generate;
mod image;
mod kernel;
mod kubernetes;
mod matrix;
mod packages;
mod rig;
mod shell;
mod soak;
mod test;
mod tidy;

use std::{env, error::Error, process::ExitCode};

/// What a chore ends with: nothing, or one sentence about what went wrong.
type Outcome = Result<(), Box<dyn Error>>;

/// Something one can ask for by name.
struct Chore {
    name: &'static str,
    what: &'static str,
    /// Takes the arguments that follow the name.
    run: fn(&[String]) -> Outcome,
}

#[rustfmt::skip]
const CHORES: &[Chore] = &[
    Chore { name: "bench", what: "what Leno costs and how soon it acts, into docs/benchmarks.md; --only hop --against BINARY ..", run: bench::run },
    Chore { name: "check", what: "format, clippy, tidy and docs, each without a warning", run: check::run },
    Chore { name: "conformance", what: "Gateway API's mesh tests on a real Kubernetes, with Leno in each placement, and without a mesh, where those must fail that need one: [--only node|sidecar|none]", run: kubernetes::run_conformance },
    Chore { name: "dashboard", what: "the dashboard's page from its sources, into the crate; --check: is it current; --pictures: those of the docs", run: dashboard::run },
    Chore { name: "deny", what: "licences, bans and sources of every dependency (cargo-deny)", run: deny::run },
    Chore { name: "fuzz", what: "every parser of bytes from outside, with inputs that nobody wrote: [TARGET] .. [--seed N] [--runs N] [--seeds FOLDER]", run: fuzz::run },
    Chore { name: "generate", what: "Gateway API's structs, metrics' rules, boards and reference; --check: are they current", run: generate::run },
    Chore { name: "image", what: "the image of Leno, as a file that docker load and ctr images import take: [--name NAME:TAG] [--profile PROFILE] [FILE]", run: image::run },
    Chore { name: "kernel", what: "what takes a kernel with control groups of version 2, in a virtual machine that is emulated", run: kernel::run },
    Chore { name: "kubernetes", what: "a real Kubernetes of one node, or of two, for tests and people; --help: how it is used; --test: its own tests", run: kubernetes::run },
    Chore { name: "matrix", what: "proxies and control planes that lack features beside those that have them: is each refused as docs/reference/skew.md says? [FEATURE] ..", run: matrix::run },
    Chore { name: "soak", what: "proxies for ten minutes with closes by chance at both ends: is anything lost or done twice? --for 1m --seed 7 --only bytes; --certificates: do they replace each other while the control plane is mostly away?", run: soak::run },
    Chore { name: "test", what: "every test, after installing what they need; or `test -p leno-model ..` as for cargo", run: test::run },
    Chore { name: "tidy", what: "layers, edges, codes, docs and links, then a mirror of the code's shape", run: tidy::run },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let Some((name, rest)) = arguments.split_first() else {
        print!("{}", table());
        return ExitCode::SUCCESS;
    };
    let Some(chore) = CHORES.iter().find(|chore| chore.name == name) else {
        eprint!("there is no chore `{name}`\n\n{}", table());
        return ExitCode::from(2);
    };
    match (chore.run)(rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo xtask {name}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn table() -> String {
    let mut text = String::from("Usage: cargo xtask CHORE [ARGUMENTS]\n\n");
    for chore in CHORES {
        text += &format!("  {:<11} {}\n", chore.name, chore.what);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chores_are_listed_in_order() {
        assert!(CHORES.is_sorted_by_key(|chore| chore.name));
        assert!(table().contains("  test        every test"));
    }
}
