//! `tests/cases/NAME.yaml` is compiled, and what came of it is told in `NAME.txt` beside it.
//! `UPDATE_CASES=1 cargo test -p leno-compile` writes the stories anew.

use std::fs;
use std::path::{Path, PathBuf};

use leno_compile::compile;
use leno_model::{Name, Namespace, Notes, Override};
use leno_resources::Resources;

use crate::story;

#[test]
fn every_case_means_what_is_told() {
    #[expect(clippy::disallowed_methods, reason = "the one setting of this test")]
    let update = std::env::var_os("UPDATE_CASES").is_some();
    for path in paths() {
        let told = story::of(
            &path.file_name().unwrap().to_string_lossy(),
            &fs::read(&path).unwrap(),
        );
        let expected = path.with_extension("txt");
        if update {
            fs::write(&expected, told).unwrap();
            continue;
        }
        let expect = fs::read_to_string(&expected).unwrap_or_default();
        assert_eq!(told, expect, "{}: see tests/it/cases.rs", path.display());
    }
}

/// The resources of all cases, in order.
pub(crate) fn paths() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut paths = entries
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .collect::<Vec<_>>();
    paths.sort();
    assert!(!paths.is_empty());
    paths
}

/// The measures of a file: `# override a1: audit shop/payments`.
fn overrides(bytes: &[u8]) -> Vec<Override> {
    let text = String::from_utf8_lossy(bytes);
    let lines = text
        .lines()
        .filter_map(|line| line.strip_prefix("# override "));
    let read = |line: &str| {
        let (id, measure) = line.split_once(": ")?;
        Some(Override {
            id: Name::new(id).ok()?,
            measure: measure.parse().ok()?,
        })
    };
    lines.filter_map(read).collect()
}

/// Reads and compiles one file, whose objects are of the namespace `shop` if they name none.
pub(crate) fn compiled(name: &str, bytes: &[u8]) -> (Resources, leno_compile::Mesh, Notes) {
    let shop = Namespace::new("shop").unwrap();
    let (mut resources, mut notes) = Resources::read([(name, bytes.to_vec())], &shop);
    resources.overrides = overrides(bytes);
    let (mesh, found) = compile(&resources);
    notes.extend(found);
    (resources, mesh, notes)
}
