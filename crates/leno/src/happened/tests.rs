//! Stories: each file of `tests/stories` has what was written at some revisions, what proxies recorded of
//! a call, and what is told of it. `UPDATE_CASES=1 cargo test -p leno` writes the last part anew.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use leno_admin::{At, Configuration, InForce, ProxyState, Recorded, Status, Story};
use leno_model::view::Generation;

use super::{Past, Then, story};
use crate::render::story::story_lines;

/// The revisions of one story.
#[derive(Default)]
struct Revisions {
    written: BTreeMap<u64, Vec<InForce>>,
    proxies: Vec<ProxyState>,
    /// Whether a watched folder has changed since.
    has_moved: bool,
}

impl Past for Revisions {
    fn at(&mut self, at: Option<At>) -> Option<Rc<Then>> {
        let newest = *self.written.keys().next_back()?;
        let revision = match at {
            None => newest,
            Some(At::Revision(revision)) => revision,
            Some(At::Generation(told)) => {
                let told: Generation = told.parse().ok()?;
                *told.positions.get("store")?
            }
        };
        Then::of(Configuration {
            status: status(newest),
            version: None,
            revision,
            exact: revision == newest || !self.has_moved,
            mesh: None,
            trust_domain: None,
            files: self.written.get(&revision)?.clone(),
            running: Vec::new(),
            pods: Vec::new(),
            addresses: Vec::new(),
            tunnels: Vec::new(),
            left: Vec::new(),
            revoked: Vec::new(),
            overrides: Vec::new(),
            proxies: self.proxies.clone(),
        })
        .map(Rc::new)
    }
}

fn status(revision: u64) -> Status {
    Status {
        context: "shop.local".into(),
        now: "2026-11-20T02:53:00.000Z".into(),
        revision,
        proxies: 2,
        objects: 9,
        problems: 0,
        overrides: 0,
        watches: 0,
        cluster: None,
    }
}

/// A proxy before some workloads, given by their names.
fn proxy(workloads: &str) -> ProxyState {
    let proxy = serde_json::json!({
        "name": workloads, "identity": "", "address": "", "tunnel": null,
        "workloads": workloads.split(' ').collect::<Vec<_>>(), "not_entitled": [],
        "generation": "", "current": true, "refused": null, "since": "", "ends": "",
    });
    serde_json::from_value(proxy).unwrap()
}

/// The parts of a file: `=== revision 417 payments.yaml`, `=== moved` (a watched folder has changed),
/// `=== recorded`, `=== told`, each with what follows it. What a later revision does not say again of a file stays as it was.
fn told(text: &str) -> Story {
    let mut revisions = Revisions::default();
    let mut records = Vec::<Recorded>::new();
    for part in text.split("=== ").skip(1) {
        let (title, body) = part.split_once('\n').unwrap();
        let words = title.split(' ').collect::<Vec<_>>();
        match *words.as_slice() {
            ["revision", number, file] => {
                let number = number.parse().unwrap();
                let before = revisions.written.range(..=number).next_back();
                let mut files = before.map(|(_, files)| files.clone()).unwrap_or_default();
                files.retain(|known| known.path != file);
                files.push(InForce {
                    path: file.to_owned(),
                    namespace: "shop".to_owned(),
                    text: body.to_owned(),
                });
                revisions.written.insert(number, files);
            }
            ["proxy", ..] => revisions.proxies.push(proxy(&words[1..].join(" "))),
            ["moved"] => revisions.has_moved = true,
            ["recorded"] => records.extend(
                body.lines()
                    .filter(|line| !line.is_empty())
                    .map(|line| serde_json::from_str::<Recorded>(line).unwrap()),
            ),
            ["told"] => {}
            _ => panic!("{title}?"),
        }
    }
    story(&records, &mut revisions).unwrap()
}

/// A story as people see it.
fn shown(story: &Story) -> String {
    let lines = story_lines(story).into_iter().map(|line| {
        let line = line.to_string();
        anstream::adapter::strip_str(&line).to_string()
    });
    lines
        .map(|line| line.trim_end().to_owned() + "\n")
        .collect()
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test asks its environment whether to update"
)]
fn what_was_recorded_is_told() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stories");
    let files = fs::read_dir(folder).unwrap();
    let files = files.map(|entry| entry.unwrap().path());
    let is_case = |file: &PathBuf| file.extension().is_some_and(|ending| ending == "txt");
    let mut files = files.filter(is_case).collect::<Vec<_>>();
    files.sort();
    let update = std::env::var("UPDATE_CASES").is_ok();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let (given, expected) = text.split_once("=== told\n").unwrap();
        let story = told(given);
        let told = shown(&story);
        // One of them stands for how all look to programs: fields are added, never renamed.
        let json = file.with_extension("json");
        if json.exists() {
            let told = serde_json::to_string_pretty(&story).unwrap() + "\n";
            if update {
                fs::write(&json, &told).unwrap();
            }
            assert_eq!(told, fs::read_to_string(&json).unwrap());
        }
        if update {
            fs::write(&file, format!("{given}=== told\n{told}")).unwrap();
        } else {
            assert_eq!(told, expected, "{}", file.display());
        }
    }
}

#[test]
fn a_path_that_was_cut_is_not_decided_again() {
    let denied = include_str!("../../tests/stories/denied.txt");
    let (given, _) = denied.split_once("=== told\n").unwrap();
    let check = |path: &str, expect: Option<&str>| {
        let story = told(&given.replace("/charge", path));
        assert_eq!(story.not_compared.as_deref(), expect, "{path}");
    };
    let not_known =
        "what another revision would do is not known: only the begin of its path was kept";
    check("/charge", None);
    check("/charge...", None);
    check(&format!("/{}...", "a".repeat(1023)), Some(not_known));
}
