//! The dashboard's page in a real browser, over a real `leno demo`. What a visitor does and sees is
//! written in JavaScript (`crates/dashboard/page/tests/NAME.mjs`, one visit each); here a mesh is
//! brought up for it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use leno_e2e::{Process, binary, run, run_within};

/// A demo that runs for as long as this is there, alone: two at a time would wait for each other.
#[derive(Debug)]
pub struct Demo {
    process: Process,
    /// Where its programs write, removed with it.
    home: PathBuf,
    /// The folder whose `leno.yaml` may be changed.
    pub folder: PathBuf,
    _alone: MutexGuard<'static, ()>,
}

impl Demo {
    /// Brings it up, and waits for its first call.
    pub fn start() -> Self {
        static ALONE: Mutex<()> = Mutex::new(());
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let home = env::temp_dir().join(format!("leno-browser-{}-{number}", std::process::id()));
        fs::create_dir_all(&home).expect("the folder for temporary files takes folders");
        let mut command = leno(&home);
        command.arg("demo").env("TMPDIR", &home);
        let process = Process::start(&mut command, &home.join("log"));
        let line = process.until_says(&["Try", "cd "]);
        let folder = line.split_whitespace().nth(2).expect("a folder follows");
        Self {
            folder: folder.into(),
            process,
            home,
            _alone: alone,
        }
    }

    /// Runs `leno` in its folder, and gives what it printed.
    pub fn leno(&self, arguments: &[&str]) -> String {
        let mut command = leno(&self.home);
        run(command.args(arguments).current_dir(&self.folder))
    }

    /// Writes something else in its `leno.yaml`, which is looked at.
    pub fn edit(&self, this: &str, that: &str) {
        let file = self.folder.join("leno.yaml");
        let text = fs::read_to_string(&file).expect("it is there");
        assert!(text.contains(this), "{this} is not in {text}");
        fs::write(&file, text.replace(this, that)).expect("it can be written");
    }

    /// Has a browser visit the page as `NAME.mjs` says; fails with what that says where something is
    /// not as it expects.
    pub fn visit(&self, name: &str) {
        let link = self.leno(&["dashboard"]);
        let link = link
            .split_whitespace()
            .find(|word| word.starts_with("http"));
        run_within(VISIT, script(name).arg(link.expect("it prints a link")));
    }
}

/// How long a visit may take: longer than it waits by itself for one thing, so that it can say for what.
const VISIT: Duration = Duration::from_secs(300);

/// `leno`, which finds no proxies but those that were started by it with this home.
fn leno(home: &Path) -> Command {
    let mut leno = Command::new(binary());
    leno.env("LENO_PROXIES", home.join("proxies"));
    leno
}

/// `NAME.mjs` beside the page, as a command.
pub fn script(name: &str) -> Command {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../crates/dashboard/page/tests")
        .join(format!("{name}.mjs"));
    let mut node = Command::new("node");
    node.arg(path);
    node
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.process.signal("TERM");
        self.process.ended();
        // Where that fails there are a few files too many, in a folder for temporary ones.
        drop(fs::remove_dir_all(&self.home));
    }
}
