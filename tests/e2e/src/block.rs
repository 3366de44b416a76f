//! Loopback addresses that nobody else uses, and a folder for whoever lives there.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A block of addresses, one for each name that is asked for, and a folder, which is gone with it
/// unless its test has failed.
#[derive(Debug)]
pub struct Block {
    folder: PathBuf,
    /// What the addresses have in common, after 127.
    prefix: [u8; 2],
    /// Held while the block is: nobody else claims it.
    _claim: TcpListener,
    names: RefCell<Vec<String>>,
}

impl Block {
    /// Claims one by a listener on its first address. No test gets one that another had: its
    /// applications may listen there for as long as the process lives.
    pub fn claim() -> Self {
        let (prefix, claim) = claim();
        let [one, two] = prefix;
        let folder = std::env::temp_dir().join(format!("leno-e2e-{one}-{two}"));
        // What a test left that was killed.
        drop(fs::remove_dir_all(&folder));
        fs::create_dir_all(&folder).expect("a folder can be made");
        Self {
            folder,
            prefix,
            _claim: claim,
            names: RefCell::default(),
        }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The address of a name.
    pub fn ip(&self, name: &str) -> Ipv4Addr {
        let mut names = self.names.borrow_mut();
        let place = names
            .iter()
            .position(|known| known == name)
            .unwrap_or_else(|| {
                names.push(name.to_owned());
                names.len() - 1
            });
        let [one, two] = self.prefix;
        let last = u8::try_from(place + 10).expect("a test has few names");
        Ipv4Addr::new(127, one, two, last)
    }

    /// A text with an address in the place of each `@name`.
    pub fn filled(&self, text: &str) -> String {
        let mut parts = text.split('@');
        let mut filled = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
            let end = part.find(|letter| !is_name(letter)).unwrap_or(part.len());
            let (name, rest) = part.split_at(end);
            write!(filled, "{}{rest}", self.ip(name)).expect("a string takes any text");
        }
        filled
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            drop(fs::remove_dir_all(&self.folder));
        }
    }
}

/// What nobody else claims.
fn claim() -> ([u8; 2], TcpListener) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_mul(64);
    loop {
        let block = first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % (254 * 256);
        let [_, _, one, two] = (block + 256).to_be_bytes();
        if let Ok(claim) = TcpListener::bind((Ipv4Addr::new(127, one, two, 1), 1024)) {
            return ([one, two], claim);
        }
    }
}
