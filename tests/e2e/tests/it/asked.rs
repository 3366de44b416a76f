//! Who asks by a socket what is not for everybody: it is told of, also where it is refused.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use leno_e2e::{ended, until};

use crate::control::{Control, PAIR};

const MESH: &str = "{mtls: Strict, default: Allow}";

/// Lets another user ask at a socket whose file somebody has opened to all; what it is told. It takes root to
/// be another user: nothing without.
fn ask_as_another(socket: &Path) -> Option<String> {
    for path in socket.ancestors().take(3) {
        fs::set_permissions(path, Permissions::from_mode(0o777)).ok();
    }
    let mut other = Command::new("setpriv");
    other.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    other.args([
        "curl",
        "-s",
        "--http0.9",
        "--max-time",
        "30",
        "--unix-socket",
    ]);
    let told = ended(other.arg(socket).arg("http://socket/")).expect("it ends in time");
    (!told.err.contains("Operation not permitted")).then_some(told.out)
}

#[test]
fn who_asks_a_proxy_by_its_socket_stands_in_what_it_prints_and_in_the_audit_log() {
    let control = Control::start(&[], MESH, PAIR);
    let web = control.joined("web", &[]);
    web.until_says(&["adopted view"]);
    // Where no control plane answers, the proxies of this host do.
    let nobody = control.path("nobody.sock").display().to_string();
    let socket = control.path("web/proxy.sock");
    until("the proxy is asked", || {
        let mut tap = control.world.command(&["tap", "--last", "1"]);
        ended(tap.env("LENO_CONTEXT", &nobody))?;
        web.log()
            .contains(" asks: kept the last 1 calls")
            .then_some(())
    });
    let audit = |parts: &[&str]| {
        until("the control plane is told", || {
            let audit = control.ask(&["history", "--audit"]);
            let mut rows = audit.lines();
            rows.any(|row| parts.iter().all(|part| row.contains(part)))
                .then_some(())
        });
    };
    audit(&["proxy of shop/web", "kept the last 1 calls", "done"]);
    let Some(told) = ask_as_another(&socket) else {
        return;
    };
    assert!(told.contains("user 65534 may not ask"), "{told}");
    audit(&["user 65534", "proxy of shop/web", "ask", "refused S016"]);
    web.until_says(&["S016 no-administrator", "user 65534 asks, and may not"]);
}

#[test]
fn another_user_at_the_control_planes_socket_stands_in_the_audit_log() {
    let control = Control::start(&[], MESH, PAIR);
    let Some(told) = ask_as_another(&control.path("control.sock")) else {
        return;
    };
    assert!(told.contains("user 65534 may not ask"), "{told}");
    // It is written down before it is told so.
    let audit = control.ask(&["history", "--audit"]);
    let row = audit.lines().find(|row| row.contains("refused S016"));
    let row = row.unwrap_or_else(|| panic!("{audit}"));
    assert!(row.contains("socket"), "{audit}");
}
