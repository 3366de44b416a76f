//! Sets of keys that others give: as much of a file as one may have, and whether a set proves anything.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use leno_jwt::{Keys, Purpose};

/// What a file holds, or one byte more of it than a set of keys may have.
pub(crate) async fn of_file(path: &str) -> Result<Vec<u8>, String> {
    let path = PathBuf::from(path);
    blocking(move || read_file(&path)).await
}

/// What a file of a folder holds, however it is reached from there.
pub(crate) async fn of_file_in(folder: &Path, path: &str) -> Result<Vec<u8>, String> {
    let (folder, path) = (folder.to_owned(), folder.join(path));
    let read = move || {
        let path = path.canonicalize()?;
        match path.starts_with(folder.canonicalize()?) {
            true => read_file(&path),
            false => Err(io::Error::other("it is not in the folder of keys")),
        }
    };
    blocking(read).await
}

async fn blocking(
    read: impl FnOnce() -> io::Result<Vec<u8>> + Send + 'static,
) -> Result<Vec<u8>, String> {
    let read = tokio::task::spawn_blocking(read).await;
    let read = read.map_err(|_| "reading it panicked".to_owned())?;
    read.map_err(|why| why.to_string())
}

/// The keys of a set, if one of them can prove a token.
pub(crate) fn usable(bytes: &[u8]) -> Result<Keys, String> {
    let (keys, skipped) = Keys::read(bytes, Purpose::Tokens).map_err(|why| why.to_string())?;
    if keys.is_empty() {
        let first = skipped.first().map(ToString::to_string);
        let first = first.unwrap_or_else(|| "it has none".to_owned());
        return Err(format!("no key in it can prove a token: {first}"));
    }
    Ok(keys)
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    // A pipe without a writer would keep whoever opens it.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut bytes = Vec::new();
    let most = Keys::MOST_BYTES as u64 + 1;
    File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_no_file_is_not_read() {
        for path in ["/dev/zero", "/proc/self", "/nowhere/keys.json"] {
            assert!(of_file(path).await.is_err(), "{path}");
        }
    }

    #[tokio::test]
    async fn a_folder_gives_no_more_than_is_in_it() {
        let place = std::env::temp_dir().join(format!("leno-keyset-{}", std::process::id()));
        let folder = place.join("keys/of");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(place.join("secret"), "secret").unwrap();
        std::fs::write(folder.join("one.json"), "{}").unwrap();
        std::os::unix::fs::symlink("one.json", folder.join("same.json")).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", folder.join("out.json")).unwrap();
        for (path, is_there) in [
            ("one.json", true),
            ("../of/one.json", true),
            ("../../secret", false),
            ("/etc/hostname", false),
            ("out.json", false),
            ("same.json", true),
        ] {
            assert_eq!(of_file_in(&folder, path).await.is_ok(), is_there, "{path}");
        }
        std::fs::remove_dir_all(&place).unwrap();
    }

    #[test]
    fn a_set_without_a_key_that_proves_anything_is_none() {
        let why = usable(br#"{"keys": []}"#).unwrap_err();
        assert_eq!(why, "no key in it can prove a token: it has none");
        assert!(usable(b"[]").is_err());
    }
}
