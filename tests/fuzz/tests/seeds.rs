//! What must hold of every parser, tried with the seeds of each target and some changes.

use leno_fuzz::{TARGETS, Target, run};

/// Enough to see that a target is alive; `cargo xtask fuzz` tries as many as one likes.
const INPUTS: u64 = 1000;

#[test]
fn everything_holds() {
    for target in TARGETS {
        let ran = run(target, 1, INPUTS);
        let ran = ran.unwrap_or_else(|finding| {
            let escaped = finding.input.escape_ascii();
            panic!("{}: b\"{escaped}\": {}", target.name, finding.said)
        });
        // A target that understands nothing proves nothing.
        assert!(ran.understood * 50 > ran.inputs, "{}: {ran:?}", target.name);
    }
}

#[test]
fn targets_are_listed_in_order() {
    let names: Vec<_> = TARGETS.iter().map(|Target { name, .. }| name).collect();
    assert!(names.is_sorted(), "{names:?}");
}

#[test]
fn cargo_fuzz_finds_every_target() {
    let manifest = include_str!("../libfuzzer/Cargo.toml");
    let names = manifest
        .lines()
        .filter_map(|line| line.strip_prefix("name = \""));
    let names: Vec<_> = names
        .map(|name| name.trim_end_matches('"'))
        .skip(1)
        .collect();
    let targets: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(names, targets);
}
