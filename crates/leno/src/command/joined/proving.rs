//! What people read of whether packet rules lead what a workload sends to its proxy.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::pending;

use leno_model::Code;
use leno_model::view::WorkloadId;
use leno_telemetry::capture::{Capture, Captured, Tried};

use crate::terminal::{Line, Terminal};

/// Tells whenever what is known of `workload` changes.
pub(super) async fn tell(
    workload: &WorkloadId,
    capture: &Capture,
    terminal: &RefCell<&mut Terminal>,
) -> Infallible {
    let mut known = capture.known();
    while known.changed().await.is_ok() {
        let captured = known.borrow_and_update().get(workload).cloned();
        if let Some(line) = captured.and_then(told) {
            terminal.borrow_mut().tell(line);
        }
    }
    pending().await
}

fn told(captured: Captured) -> Option<Line> {
    let (code, slug) = (Code::H007, Code::H007.slug());
    match captured.tried {
        Tried::NotYet => None,
        Tried::Proven => Some(
            Line::new()
                .good("captured")
                .plain("  what is sent comes here"),
        ),
        Tried::Lost { why, .. } => {
            let line = Line::new().bad("not captured");
            Some(line.plain(format_args!("  {code} {slug}: {why}; not ready")))
        }
    }
}
