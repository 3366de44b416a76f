//! A compressed archive of files, as `tar -xz` reads it.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

/// An archive that is being written.
pub(in crate::command) struct Archive(GzEncoder<File>);

/// The size in which an archive counts.
const BLOCK: usize = 512;

/// The longest name of a file in it.
const LONGEST_NAME: usize = 100;

impl Archive {
    /// Begins one at `path`, where there must be nothing.
    pub(in crate::command) fn create(path: &Path) -> io::Result<Self> {
        let file = File::options().write(true).create_new(true).open(path)?;
        Ok(Self(GzEncoder::new(file, Compression::default())))
    }

    /// Adds a file.
    pub(in crate::command) fn add(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(&head(name, bytes.len())?)?;
        self.0.write_all(bytes)?;
        let rest = bytes.len().next_multiple_of(BLOCK) - bytes.len();
        self.0.write_all(&[0; BLOCK][..rest])
    }

    /// Ends it.
    pub(in crate::command) fn finish(mut self) -> io::Result<()> {
        //= POSIX.1-2024 pax, ustar Interchange Format: "At the end of the archive file there shall be
        //= two 512-octet logical records filled with binary zeros"
        self.0.write_all(&[0; 2 * BLOCK])?;
        self.0.finish()?.sync_all()
    }
}

/// The header of a file: its fields are ASCII, numbers in octal.
fn head(name: &str, size: usize) -> io::Result<[u8; BLOCK]> {
    if name.len() > LONGEST_NAME {
        return Err(io::ErrorKind::InvalidFilename.into());
    }
    let mut head = [0; BLOCK];
    let mut put = |at: usize, text: &[u8]| {
        if let Some(field) = head.get_mut(at..at + text.len()) {
            field.copy_from_slice(text);
        }
    };
    put(0, name.as_bytes());
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{size:011o}\0").as_bytes());
    put(136, b"00000000000\0");
    // While the sum is made, its own field is blank.
    put(148, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
    if let Some(field) = head.get_mut(148..156) {
        field.copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    Ok(head)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn an_archive_reads_as_it_was_written() {
        let folder = std::env::temp_dir().join(format!("leno-archive-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("a.tar.gz");
        let long = "x".repeat(1000);
        let mut archive = Archive::create(&path).unwrap();
        archive.add("a/one.txt", b"one\n").unwrap();
        archive.add("a/b/empty", b"").unwrap();
        archive.add("a/long", long.as_bytes()).unwrap();
        assert!(archive.add(&long, b"").is_err());
        archive.finish().unwrap();
        let tar = |arguments: &[&str]| {
            let mut tar = Command::new("tar");
            let output = tar
                .arg("-xzOf")
                .arg(&path)
                .args(arguments)
                .output()
                .unwrap();
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stdout).unwrap()
        };
        assert_eq!(tar(&["a/one.txt"]), "one\n");
        assert_eq!(tar(&["a/b/empty"]), "");
        assert_eq!(tar(&["a/long"]), long);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
