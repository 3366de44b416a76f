//! A process that is killed at any moment loses nothing that it acknowledged.

use std::io::Read;
use std::num::NonZeroU32;
use std::path::Path;

use leno_model::Dice;
use leno_store::{Object, Revision, Settings, Store};

use crate::child::Process;
use crate::folder::{Folder, apply};

#[test]
fn no_kill_loses_an_acknowledged_revision() {
    let folder = Folder::new();
    let mut dice = Dice::new(2026);
    let mut acknowledged = 0;
    for round in 0..20 {
        let mut process = Process::run("crash::child_that_applies", folder.path());
        let lives_for = dice.roll(NonZeroU32::new(40).unwrap()).value;
        let mut numbers = process
            .lines
            .by_ref()
            .filter_map(|line| line.unwrap().parse().ok());
        let before = numbers.nth(lives_for as usize);
        assert!(before.is_some(), "the child ended by itself");
        acknowledged = before.unwrap();
        process.kill();
        let rest = process.lines.by_ref();
        let numbers = rest.filter_map(|line| line.unwrap().parse().ok());
        acknowledged = numbers.last().unwrap_or(acknowledged);

        let store = folder.open_keeping(50);
        let head = store.head().revision.0;
        assert!(
            (acknowledged..=acknowledged + 1).contains(&head),
            "round {round}: {acknowledged} was acknowledged, {head} is there"
        );
        for entry in store.history(usize::MAX, None).unwrap() {
            let objects = store.at(entry.revision).unwrap();
            assert_eq!(texts(&objects), expected(entry.revision.0), "round {round}");
        }
    }
    assert!(acknowledged > 50, "so that compaction was killed as well");
}

/// Each revision changes one of five objects; which and how follows from its number.
fn state(revision: u64) -> (String, String) {
    (format!("s{}", revision % 5), format!("text {revision}"))
}

fn expected(revision: u64) -> Vec<String> {
    let mut latest: Vec<_> = (1..=revision).rev().take(5).map(state).collect();
    latest.sort();
    latest.into_iter().map(|(_, text)| text).collect()
}

fn texts(objects: &[Object]) -> Vec<String> {
    objects
        .iter()
        .map(|object| object.text.to_string())
        .collect()
}

#[test]
#[ignore = "the process that the test above kills"]
fn child_that_applies() {
    let keep = std::num::NonZeroU64::new(50).unwrap();
    let store = Store::open(Path::new("."), Settings { keep }).unwrap();
    println!();
    loop {
        let Revision(next) = store.head().revision.next();
        let (name, text) = state(next);
        apply(&store, &[(&name, &text)]);
        println!("{next}");
    }
}

#[test]
fn a_second_process_is_told_who_has_the_store() {
    let folder = Folder::new();
    let mut process = Process::run("crash::child_that_waits", folder.path());
    assert!(process.lines.any(|line| line.unwrap() == "open"));
    let refused = Store::open(folder.path(), Settings::default()).unwrap_err();
    let path = folder.path().display();
    let id = process.id();
    assert_eq!(refused.code().as_str(), "S008");
    assert_eq!(
        refused.to_string(),
        format!("{path} is in use by process {id}")
    );
    assert_eq!(refused.advice(), format!("Stop process {id}, or use it."));
    process.kill();
    folder.open();
}

#[test]
#[ignore = "the process that holds the store in the test above"]
fn child_that_waits() {
    let _store = Store::open(Path::new("."), Settings::default()).unwrap();
    println!("\nopen");
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}
