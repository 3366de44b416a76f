//! The conversations of `corpus/`: each is the same with one proxy between client and server and with two.
//! `UPDATE_CASES=1 cargo test -p leno-attacks` writes down what came.

use std::fs;
use std::path::Path;
use std::slice;

use leno_attacks::{Mesh, play, read, written};

#[test]
fn one_proxy_between_them() {
    check(&Mesh::hop(), wants_record());
}

#[test]
fn two_proxies_between_them() {
    if wants_record() {
        return;
    }
    check(&Mesh::pair(), false);
}

fn check(mesh: &Mesh, record: bool) {
    let mut stage = mesh.stage();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let files = fs::read_dir(folder).expect("there is a corpus");
    let mut wrong = String::new();
    for file in files.map(|file| file.expect("a file").path()) {
        let text = fs::read_to_string(&file).expect("the corpus is text");
        let expected = read(&text);
        let played = expected.iter().map(|one| play(one, &mut stage, record));
        let played = played.collect::<Vec<_>>();
        if record {
            fs::write(&file, written(&played)).expect("the corpus can be written");
        }
        for (expected, played) in expected.iter().zip(&played) {
            if !record && expected != played {
                let [expected, played] =
                    [expected, played].map(|one| written(slice::from_ref(one)));
                wrong += &format!("{expected}but it was\n\n{played}");
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[expect(
    clippy::disallowed_methods,
    reason = "a person asks for it by this variable"
)]
fn wants_record() -> bool {
    std::env::var_os("UPDATE_CASES").is_some()
}
