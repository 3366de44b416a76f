//! Whoever starts a cluster may be killed.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use leno_e2e::{run, until};

use crate::rest;

#[test]
#[ignore = "takes a node of Kubernetes: cargo xtask kubernetes --test"]
fn a_node_ends_with_a_killed_owner_and_the_next_finds_nothing_in_its_way() {
    // As a person does it.
    let mut owner = Command::new(env!("CARGO_BIN_EXE_leno-cluster"));
    let mut owner = owner.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(owner.stdout.take().unwrap()).lines();
    let mut logs = lines.map_while(Result::ok).filter_map(|line| {
        let folder = line.strip_prefix("Logs of its components: ")?;
        Some(PathBuf::from(folder))
    });
    let logs = logs.next().unwrap();
    let folder = logs.parent().unwrap();
    assert!(rest::of(folder).len() > 10);
    owner.kill().unwrap();
    owner.wait().unwrap();
    until("nothing is left", || {
        rest::of(folder).is_empty().then_some(())
    });
    let mut next = Command::new(env!("CARGO_BIN_EXE_leno-cluster"));
    let nodes = run(next.args(["--", "kubectl", "get", "nodes", "--no-headers"]));
    assert!(nodes.starts_with("node-1   Ready "), "{nodes}");
}
