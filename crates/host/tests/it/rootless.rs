//! The same tests as a user without any rights.

use std::{
    env, fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    process::Command,
};

use crate::world::stage;

#[test]
fn everything_works_without_root() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    // The directory where the tests were built may be closed to others.
    let copies = env::temp_dir().join(format!("leno-host-{}", std::process::id()));
    fs::create_dir(&copies).unwrap();
    fs::set_permissions(&copies, fs::Permissions::from_mode(0o755)).unwrap();
    let tests = copies.join("it");
    fs::copy(env::current_exe().unwrap(), &tests).unwrap();
    fs::copy(stage(), copies.join("leno-host-stage")).unwrap();
    let output = Command::new(&tests)
        .args(["--skip", "rootless::"])
        .current_dir("/")
        .uid(NOBODY)
        .gid(NOBODY)
        .output();
    fs::remove_dir_all(&copies).unwrap();
    let output = output.unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

const NOBODY: u32 = 65534;
