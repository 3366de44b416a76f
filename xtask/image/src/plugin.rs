//! The network plugin of nodes, for the image of Leno: each node runs it itself, so that it is linked to nothing.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::NotMade;
use crate::leno::said;

/// What it is called: the program, its package, and its file in an image.
pub(crate) const PLUGIN: &str = "leno-cni";

/// Builds it by a profile of Cargo's, in a folder of its own below `target`, and says where it is.
pub fn plugin(profile: &str, target: &Path) -> Result<PathBuf, NotMade> {
    let target = target.join("static");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    cargo.args(["rustc", "--locked", "--package", PLUGIN, "--bin", PLUGIN]);
    cargo
        .args(["--profile", profile, "--target-dir"])
        .arg(&target);
    cargo.args(["--", "-Ctarget-feature=+crt-static"]);
    said(&mut cargo)?;
    Ok(target.join(folder(profile)).join(PLUGIN))
}

/// Cargo's own word for the folder of a profile.
pub fn folder(profile: &str) -> &str {
    match profile {
        "dev" => "debug",
        profile => profile,
    }
}
