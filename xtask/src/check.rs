//! `cargo xtask check`: what can be said about the code without running it.

use crate::{Outcome, dashboard, generate, shell, tidy};

/// Format, clippy, tidy, generated files, the page, docs; the first that finds something ends it.
pub(crate) fn run(_arguments: &[String]) -> Outcome {
    shell::run("cargo", &["fmt", "--all", "--", "--check"], &[])?;
    let clippy = "clippy --workspace --all-targets --locked -- -D warnings";
    shell::run("cargo", &clippy.split(' ').collect::<Vec<_>>(), &[])?;
    println!("==> tidy");
    tidy::run(&[])?;
    generate::run(&["--check".to_owned()])?;
    dashboard::run(&["--check".to_owned()])?;
    let doc = "doc --workspace --no-deps --document-private-items --locked";
    shell::run(
        "cargo",
        &doc.split(' ').collect::<Vec<_>>(),
        &[("RUSTDOCFLAGS", "-D warnings")],
    )
}
