//! Whoever starts a cluster may be killed.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use leno_e2e::{run, until};

use crate::rest;

#[test]
#[ignore = "takes two nodes of Kubernetes: cargo xtask kubernetes --test"]
fn nodes_end_with_a_killed_owner_and_the_next_finds_nothing_in_its_way() {
    // As a person does it.
    let mut owner = Command::new(env!("CARGO_BIN_EXE_leno-cluster"));
    owner.args(["--nodes", "2"]).stdout(Stdio::piped());
    let mut owner = owner.spawn().unwrap();
    let lines = BufReader::new(owner.stdout.take().unwrap()).lines();
    let logs = lines.map_while(Result::ok).filter_map(|line| {
        let folder = line.strip_prefix("Logs of its components: ")?;
        Some(PathBuf::from(folder))
    });
    let logs: Vec<_> = logs.take(2).collect();
    let folders: Vec<_> = logs.iter().map(|logs| logs.parent().unwrap()).collect();
    assert_eq!(folders.len(), 2);
    for folder in &folders {
        assert!(rest::of(folder).len() > 5, "{}", folder.display());
    }
    owner.kill().unwrap();
    owner.wait().unwrap();
    until("nothing is left", || {
        let all_gone = folders.iter().all(|folder| rest::of(folder).is_empty());
        all_gone.then_some(())
    });
    let mut next = Command::new(env!("CARGO_BIN_EXE_leno-cluster"));
    let nodes = run(next.args(["--", "kubectl", "get", "nodes", "--no-headers"]));
    assert!(nodes.starts_with("node-1   Ready "), "{nodes}");
}
