//! The folder in which what is measured runs: objects, certificates for both ends, the control plane's socket.

use std::{error::Error, fs, path::Path, process::Command};

use crate::rig::{make::MESH, process::said};

/// Makes the folder anew, with what `leno` issues.
pub(crate) fn prepare(folder: &Path, leno: &Path) -> Result<(), Box<dyn Error>> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    fs::write(folder.join("mesh.yaml"), MESH)?;
    let certs = folder.join("certs");
    let mut issue = Command::new(leno);
    issue.args(["certs", "issue", "--trust-domain", "shop.local", "--into"]);
    said(issue.arg(&certs).args(["shop/web", "shop/cart"]))?;
    for name in ["web", "cart"] {
        let read = |kind: &str| fs::read_to_string(certs.join(format!("{name}.{kind}")));
        fs::write(
            certs.join(format!("{name}.both")),
            read("key")? + &read("pem")?,
        )?;
    }
    Ok(())
}

/// `leno` in the folder of a control plane that answers at its `socket`.
pub(crate) fn asking(folder: &Path, leno: &Path) -> Command {
    let mut command = Command::new(leno);
    let socket = folder.join("socket");
    command.current_dir(folder).env("LENO_CONTEXT", socket);
    command
}
