//! What Prometheus itself says of a scrape.

use std::io::{ErrorKind, Write};
use std::process::{Command, Stdio};

use crate::scrape::everything;
use crate::world::scrape;

#[test]
fn promtool_finds_nothing_wrong() {
    let mut promtool = Command::new("promtool");
    promtool
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut promtool = match promtool.spawn() {
        Ok(child) => child,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            eprintln!(
                "not checked: there is no promtool here (Debian has it in the package prometheus)"
            );
            return;
        }
        Err(error) => panic!("promtool: {error}"),
    };
    let text = scrape(&everything());
    promtool
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.is_empty(), "{said}");
}
