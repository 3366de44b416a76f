//! Programs that tests make for themselves, each once: it is kept in the user's cache, outside the tree, for as long as
//! neither its sources nor the command that makes it change.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

/// Stands in a [`Recipe`]'s command for the file that it writes.
pub const OUTPUT: &str = "OUTPUT";

/// How a program is made.
#[derive(Clone, Copy, Debug)]
pub struct Recipe<'a> {
    /// What it is called.
    pub name: &'a str,
    /// The folder where the command runs. What decides is every file in it, and none in a folder below.
    pub sources: &'a Path,
    /// The command and its arguments, of which one is [`OUTPUT`].
    pub command: &'a [&'a str],
}

impl Recipe<'_> {
    /// Where the program is kept, after it was made unless it had been. Whoever else makes the same one meanwhile is
    /// waited for. [`io::ErrorKind::NotFound`] tells that what makes it is not installed.
    #[expect(clippy::print_stderr, reason = "who waits for long wants to know why")]
    pub fn make(&self) -> io::Result<PathBuf> {
        let cache = cache()?;
        fs::create_dir_all(&cache)?;
        let program = cache.join(format!("{}-{}", self.name, self.fingerprint()?));
        if program.is_file() {
            return Ok(program);
        }
        let lock = File::create(cache.join(format!("{}.lock", self.name)))?;
        lock.lock()?;
        if program.is_file() {
            return Ok(program);
        }
        let unfinished = program.with_added_extension("unfinished");
        eprintln!(
            "Making {}, once: it is kept in {}.",
            self.name,
            cache.display()
        );
        self.run(&unfinished)?;
        fs::rename(unfinished, &program)?;
        Ok(program)
    }

    fn run(&self, output: &Path) -> io::Result<()> {
        let mut words = self.command.iter();
        let mut command = Command::new(words.next().unwrap_or(&""));
        for word in words {
            if *word == OUTPUT {
                command.arg(output);
            } else {
                command.arg(word);
            }
        }
        // A program that needs no library of its host runs in a container, too.
        let status = command
            .env("CGO_ENABLED", "0")
            .current_dir(self.sources)
            .status()?;
        if status.success() {
            return Ok(());
        }
        let (name, sources) = (self.name, self.sources.display());
        Err(io::Error::other(format!(
            "{name} does not build ({status}): {command:?} in {sources}"
        )))
    }

    /// Sixteen hex digits of a hash of everything that decides.
    fn fingerprint(&self) -> io::Result<String> {
        let entries = fs::read_dir(self.sources)?.map(|entry| Ok(entry?.path()));
        let mut files = entries.collect::<io::Result<Vec<_>>>()?;
        files.retain(|path| path.is_file());
        files.sort();
        let mut hash = Sha256::new();
        for word in self.command {
            hash.update(word);
            hash.update([0]);
        }
        for file in files {
            let bytes = fs::read(&file)?;
            hash.update(file.file_name().unwrap_or_default().as_encoded_bytes());
            hash.update([0]);
            hash.update(bytes.len().to_be_bytes());
            hash.update(bytes);
        }
        let mut digits = String::new();
        for byte in hash.finalize().iter().take(8) {
            write!(digits, "{byte:02x}").map_err(io::Error::other)?;
        }
        Ok(digits)
    }
}

/// `leno/programs` in the user's cache.
#[expect(
    clippy::disallowed_methods,
    reason = "the environment says where caches are"
)]
fn cache() -> io::Result<PathBuf> {
    let folder = |name| std::env::var_os(name).map(PathBuf::from);
    let cache = folder("XDG_CACHE_HOME").filter(|cache| cache.is_absolute());
    let cache = cache.or_else(|| Some(folder("HOME")?.join(".cache")));
    let cache = cache.ok_or_else(|| io::Error::other("$HOME is not set, where programs are kept"));
    Ok(cache?.join("leno/programs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_made_anew_where_what_decides_has_changed() {
        let folder = std::env::temp_dir().join(format!("leno-made-{}", std::process::id()));
        fs::create_dir_all(folder.join("another")).unwrap();
        let fingerprint = |command| {
            let sources = &folder;
            let name = "program";
            Recipe {
                name,
                sources,
                command,
            }
            .fingerprint()
            .unwrap()
        };
        let command = ["cc", "-o", OUTPUT];
        fs::write(folder.join("main.c"), "one").unwrap();
        let first = fingerprint(&command);
        assert_eq!(first.len(), 16);
        fs::write(folder.join("another/main.c"), "one").unwrap();
        assert_eq!(fingerprint(&command), first);
        assert_ne!(fingerprint(&["cc", "-O2", "-o", OUTPUT]), first);
        fs::write(folder.join("main.c"), "two").unwrap();
        assert_ne!(fingerprint(&command), first);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_makes_a_program_is_named_if_it_fails() {
        let run = |command| {
            let sources = Path::new(env!("CARGO_MANIFEST_DIR"));
            let name = "never";
            let recipe = Recipe {
                name,
                sources,
                command,
            };
            recipe.run(Path::new("/nowhere")).unwrap_err()
        };
        let failed = run(&["false", OUTPUT]).to_string();
        let expect = "never does not build (exit status: 1): ";
        assert!(failed.starts_with(expect), "{failed}");
        assert_eq!(run(&["no-such-compiler"]).kind(), io::ErrorKind::NotFound);
    }
}
