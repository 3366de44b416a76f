//! Reaching a socket whose path is longer than an address can hold.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

/// A way to `socket` that is short: through its folder, for as long as that is held open.
pub fn through_folder(socket: &Path) -> io::Result<(File, PathBuf)> {
    let folder = match socket.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    };
    let folder = File::open(folder)?;
    let name = socket.file_name().unwrap_or_default();
    let path = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string());
    let path = path.join(name);
    Ok((folder, path))
}
