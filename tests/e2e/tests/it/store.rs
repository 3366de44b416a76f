//! What a control plane does with a store that it cannot trust: it says so, and touches nothing.

use std::fs;
use std::path::{Path, PathBuf};

use leno_e2e::{Process, World};

/// A control plane over a folder, whose store has seen a revision.
struct Stored {
    world: World,
    folder: PathBuf,
}

impl Stored {
    fn new() -> Self {
        let world = World::pair();
        let folder = world.folder().join("store");
        let stored = Self { world, folder };
        let mut control = stored.start();
        control.until_says(&["listening on"]);
        stored.ask(&["apply", "-f", "mesh.yaml", "-n", "shop", "-m", "the first"]);
        control.kill();
        stored
    }

    fn start(&self) -> Process {
        let at = self.world.at("control", 15012).to_string();
        let mut command = self
            .world
            .command(&["control", "--listen", &at, "--advertise", &at]);
        command.arg("--data").arg(&self.folder);
        command.arg("--socket").arg(self.socket());
        self.world.process("control", &mut command)
    }

    fn ask(&self, arguments: &[&str]) -> String {
        let mut command = self.world.command(arguments);
        leno_e2e::run(command.env("LENO_CONTEXT", self.socket()))
    }

    fn socket(&self) -> PathBuf {
        self.world.folder().join("socket")
    }

    /// It does not start, says why, and leaves every file as it was.
    fn is_refused(&self, words: &[&str]) {
        let before = files(&self.folder);
        let control = self.start();
        assert_eq!(control.ended().code(), Some(3), "{}", control.log());
        for word in words {
            assert!(control.log().contains(word), "{word}: {}", control.log());
        }
        let after = files(&self.folder);
        let names = |files: &[(PathBuf, Vec<u8>)]| {
            let names = files.iter().map(|(path, _)| path.display().to_string());
            names.collect::<Vec<_>>()
        };
        assert_eq!(names(&after), names(&before));
        assert!(after == before, "what is in them was touched");
    }
}

/// What is in a folder, by name. The lock says only who has it open.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let paths = paths.filter(|path| path.is_file() && !path.ends_with("store.lock"));
    let mut files: Vec<_> = paths
        .map(|path| (path.clone(), fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn a_store_that_is_truncated_or_of_a_newer_version_is_left_alone() {
    let stored = Stored::new();
    let file = stored.folder.join("store.db");
    let whole = files(&stored.folder);
    // Nothing is left beside it that could stand in for what is cut.
    for (path, _) in &whole {
        if path != &file {
            fs::remove_file(path).unwrap();
        }
    }
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    stored.is_refused(&["S002", "backup"]);

    for (path, bytes) in &whole {
        fs::write(path, bytes).unwrap();
    }
    let newer = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); \
                 c.execute('pragma user_version = 7'); c.commit(); c.close()";
    let mut python = std::process::Command::new("python3");
    leno_e2e::run(python.args(["-c", newer]).arg(&file));
    stored.is_refused(&["S001", "newer Leno"]);

    // As it was, it is good.
    for (path, _) in files(&stored.folder) {
        fs::remove_file(path).unwrap();
    }
    for (path, bytes) in &whole {
        fs::write(path, bytes).unwrap();
    }
    let control = stored.start();
    control.until_says(&["listening on"]);
    assert!(stored.ask(&["history"]).contains("the first"));
}
