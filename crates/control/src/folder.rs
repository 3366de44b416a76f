//! Folders that are watched: what stands in them is configuration that nobody applied.
//!
//! They are looked at every half second, and what has changed is read once it has stayed the same
//! for one look, so that a file is not read while it is being written. A folder that cannot be read
//! keeps what it had.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::found::Found;

/// How often folders are looked at.
pub(crate) const LOOK: Duration = Duration::from_millis(500);

/// A folder, and what was last seen and read of it.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// What the last look saw.
    seen: Vec<Seen>,
    /// What stood there when it was read.
    read: Option<Vec<Seen>>,
    found: Found,
}

/// How one file looked.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Seen {
    path: PathBuf,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

const MOST_FILES: usize = 10_000;
const MOST_BYTES: u64 = 64 << 20;
const DEEPEST: usize = 16;

impl Folder {
    pub(crate) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            seen: Vec::new(),
            read: None,
            found: Found {
                source: format!("watched folder {}", path.display()).into(),
                ..Found::default()
            },
        }
    }

    /// Looks at the folder; says whether something else is to be found there than before.
    pub(crate) fn look(&mut self) -> bool {
        let seen = match see(&self.path) {
            Ok(seen) => seen,
            Err(error) => return self.fail(&error),
        };
        let steady = self.seen == seen || self.read.is_none();
        self.seen = seen;
        if !steady {
            return false;
        }
        if self.read.as_ref() == Some(&self.seen) {
            return self.found.trouble.take().is_some();
        }
        let read = |file: &Seen| {
            let path: Arc<str> = file.path.display().to_string().into();
            fs::read(&file.path).map(|bytes| (path, bytes.into()))
        };
        match self.seen.iter().map(read).collect::<io::Result<Vec<_>>>() {
            Ok(files) => {
                self.read = Some(self.seen.clone());
                self.found.files = Arc::new(files);
                self.found.trouble = None;
                true
            }
            Err(error) => self.fail(&error),
        }
    }

    /// What stands in the folder.
    pub(crate) fn found(&self) -> &Found {
        &self.found
    }

    fn fail(&mut self, error: &io::Error) -> bool {
        let trouble = Some(error.to_string().into());
        if self.found.trouble == trouble {
            return false;
        }
        self.found.trouble = trouble;
        true
    }
}

/// Every file of configuration below `folder`, in order. Links are followed: a ConfigMap is one.
fn see(folder: &Path) -> io::Result<Vec<Seen>> {
    let mut seen = Vec::new();
    let mut bytes = 0;
    walk(folder, 0, &mut |path, metadata| {
        bytes += metadata.len();
        if seen.len() >= MOST_FILES || bytes > MOST_BYTES {
            let message = format!("more than {MOST_FILES} files or {MOST_BYTES} bytes");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
        }
        seen.push(Seen {
            path,
            inode: metadata.ino(),
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        });
        Ok(())
    })?;
    seen.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(seen)
}

fn walk(
    folder: &Path,
    depth: usize,
    tell: &mut impl FnMut(PathBuf, &Metadata) -> io::Result<()>,
) -> io::Result<()> {
    if depth > DEEPEST {
        return Err(io::Error::other(format!(
            "folders are nested deeper than {DEEPEST}"
        )));
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = entry.path();
        let metadata = match fs::metadata(&path) {
            Ok(metadata) => metadata,
            // Taken away since it was listed; the next look will tell.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let ends = |end: &str| {
            entry
                .file_name()
                .as_encoded_bytes()
                .ends_with(end.as_bytes())
        };
        // Tests stand beside what they test.
        let is_test = [".test.yaml", ".test.yml"].into_iter().any(ends);
        let named = !is_test && [".yaml", ".yml", ".json"].into_iter().any(ends);
        if metadata.is_dir() {
            walk(&path, depth + 1, tell)?;
        } else if metadata.is_file() && named {
            tell(path, &metadata)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(folder: &Folder) -> Vec<String> {
        let root = folder.path.display().to_string();
        let names = folder.found().files.iter();
        names.map(|(path, _)| path.replace(&root, "")).collect()
    }

    /// A folder of this test's own, which is gone when it is dropped.
    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("leno-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn write(&self, name: &str, text: &str) {
            let path = self.0.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn what_has_changed_is_read_once_it_stays_the_same() {
        let place = Place::new("watched");
        place.write("b.yaml", "b: 1");
        place.write("deep/a.yml", "a: 1");
        place.write(".hidden.yaml", "h: 1");
        place.write("notes.txt", "n");
        place.write("b.test.yaml", "- from: web");
        let mut folder = Folder::new(&place.0);
        assert!(folder.look());
        assert_eq!(paths(&folder), ["/b.yaml", "/deep/a.yml"]);
        assert!(!folder.look());

        place.write("c.json", "{}");
        assert!(!folder.look(), "it may still be written");
        place.write("c.json", "{\"a\": 1}");
        assert!(!folder.look());
        assert!(folder.look());
        assert_eq!(paths(&folder), ["/b.yaml", "/c.json", "/deep/a.yml"]);
    }

    #[test]
    fn a_folder_that_is_gone_keeps_what_it_had_and_says_so() {
        let place = Place::new("gone");
        place.write("a.yaml", "a: 1");
        let mut folder = Folder::new(&place.0);
        assert!(folder.look());
        let away = place.0.with_extension("away");
        fs::rename(&place.0, &away).unwrap();
        assert!(folder.look());
        assert!(!folder.look());
        assert_eq!(paths(&folder), ["/a.yaml"]);
        assert!(folder.found().trouble.is_some());
        fs::rename(&away, &place.0).unwrap();
        assert!(folder.look(), "it can be read again");
        assert!(folder.found().trouble.is_none());
        assert!(!folder.look(), "what stands there is what was read");
    }
}
