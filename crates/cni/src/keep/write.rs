//! Files that others read at any moment: they find the whole of one or the whole of the other.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process;

/// Puts a file of these bytes in the place of another one, or where none is.
pub(super) fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    replace_if(path, bytes, mode, || true).map(drop)
}

/// The same, if that is still wanted once it is written; says whether it was.
pub(super) fn replace_if(
    path: &Path,
    bytes: &[u8],
    mode: u32,
    is_wanted: impl FnOnce() -> bool,
) -> io::Result<bool> {
    let beside = beside(path);
    let placed = write(&beside, bytes, mode).and_then(|()| match is_wanted() {
        true => fs::rename(&beside, path).map(|()| true),
        false => Ok(false),
    });
    if !matches!(placed, Ok(true)) {
        // Where it was not even made there is none.
        fs::remove_file(&beside).ok();
    }
    placed
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.sync_all()
}

/// Beside it, of a name that no runtime takes for a configuration, and no other process for its own.
fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.leno", process::id()))
}
