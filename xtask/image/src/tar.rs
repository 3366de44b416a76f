//! Tar archives in which nothing depends on who writes them and when.

use std::io::{self, Write};

/// Writes an archive entry by entry: POSIX ustar, owned by root, of the beginning of 1970.
pub(crate) struct Tar<W> {
    out: W,
}

/// How long a block is: a head is one, and a file takes so many whole ones.
const BLOCK: usize = 512;

impl<W: Write> Tar<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out }
    }

    /// Adds a directory; `path` is relative, without `/` at its end.
    pub(crate) fn directory(&mut self, path: &str, mode: u32) -> io::Result<()> {
        let head = head(&format!("{path}/"), mode, 0, b'5')?;
        self.out.write_all(&head)
    }

    /// Adds a file.
    pub(crate) fn file(&mut self, path: &str, mode: u32, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(&head(path, mode, bytes.len(), b'0')?)?;
        self.out.write_all(bytes)?;
        let beyond = bytes.len() % BLOCK;
        if beyond != 0 {
            self.out.write_all(&[0; BLOCK][beyond..])?;
        }
        Ok(())
    }

    /// Ends the archive; what it was written to.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&[0; 2 * BLOCK])?;
        Ok(self.out)
    }
}

/// The head of an entry. A path or a size that has no room in it is refused.
fn head(path: &str, mode: u32, size: usize, kind: u8) -> io::Result<[u8; BLOCK]> {
    let mut head = [0; BLOCK];
    let mut fields = [
        (0, 100, path.to_owned()),
        (100, 8, format!("{mode:07o}")),
        (108, 8, "0000000".to_owned()),
        (116, 8, "0000000".to_owned()),
        (124, 12, format!("{size:011o}")),
        (136, 12, "00000000000".to_owned()),
        // The sum is made as if it were spaces.
        (148, 8, " ".repeat(8)),
        (156, 1, char::from(kind).to_string()),
        (257, 8, "ustar\x0000".to_owned()),
    ];
    put(&mut head, &fields)?;
    let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
    fields[6].2 = format!("{sum:06o}\0 ");
    put(&mut head, &fields)?;
    Ok(head)
}

fn put(head: &mut [u8; BLOCK], fields: &[(usize, usize, String)]) -> io::Result<()> {
    for (at, length, text) in fields {
        let (field, text) = (&mut head[*at..at + length], text.as_bytes());
        let Some(room) = field.get_mut(..text.len()) else {
            let text = String::from_utf8_lossy(text);
            return Err(io::Error::other(format!(
                "no room in {length} bytes for {text}"
            )));
        };
        room.copy_from_slice(text);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn tar_reads_what_was_written() {
        let file = std::env::temp_dir().join(format!("leno-tar-{}", std::process::id()));
        let mut tar = Tar::new(Vec::new());
        tar.directory("bin", 0o755).unwrap();
        tar.file("bin/hello", 0o755, b"hello\n").unwrap();
        tar.file("empty", 0o600, b"").unwrap();
        tar.file("block", 0o644, &[b'x'; BLOCK]).unwrap();
        std::fs::write(&file, tar.finish().unwrap()).unwrap();
        let mut list = Command::new("tar");
        let listed = list.args(["--utc", "--numeric-owner", "-tvf"]).arg(&file);
        let listed = listed.output().unwrap();
        assert_eq!(
            String::from_utf8(listed.stdout).unwrap(),
            "drwxr-xr-x 0/0               0 1970-01-01 00:00 bin/\n\
             -rwxr-xr-x 0/0               6 1970-01-01 00:00 bin/hello\n\
             -rw------- 0/0               0 1970-01-01 00:00 empty\n\
             -rw-r--r-- 0/0             512 1970-01-01 00:00 block\n"
        );
        std::fs::remove_file(file).unwrap();
    }

    #[test]
    fn what_has_no_room_is_refused() {
        let mut tar = Tar::new(Vec::new());
        assert!(tar.file(&"a".repeat(100), 0o644, b"").is_ok());
        assert!(tar.file(&"a".repeat(101), 0o644, b"").is_err());
    }
}
