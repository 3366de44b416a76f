//! Lines on the administration socket.

use leno_admin::{Failure, Reply, answer_in_lines, ask_in_line, read_answer};
use leno_admin::{Question, StatusOf};
use tokio::runtime;

use super::Target;

pub(super) const TARGET: Target = Target {
    name: "admin-line",
    holds: "a line is a question that is asked again as the same, or is answered by why it is none",
    seeds,
    words: &[
        "{",
        "}",
        "\"version\":1",
        "\"ask\":",
        "\"status\"",
        "null",
        "[[[[",
        "1e999",
        "\\ud800",
    ],
    check,
};

fn seeds() -> Vec<Vec<u8>> {
    let asked = [
        "status",
        "history",
        "proxies",
        "trust",
        "tokens",
        "configuration",
        "overview",
        "traffic",
        "services",
        "kept",
        "tap",
        "probe",
        "view",
        "apply",
        "rollback",
        "create-token",
        "revoke",
        "recover",
    ];
    let lines = asked.map(|ask| format!("{{\"version\":1,\"ask\":\"{ask}\"}}").into_bytes());
    lines
        .into_iter()
        .chain([ask_in_line(StatusOf {})])
        .collect()
}

fn check(input: &[u8]) -> bool {
    let runtime = runtime::Builder::new_current_thread().build();
    runtime.expect("a thread can be waited on").block_on(async {
        let mut asked = None;
        let mut lines = answer_in_lines(input, |question: Question| {
            asked = Some(question);
            async { Err::<Reply, _>(Failure::plain("nobody answers")) }
        });
        let line = lines.recv().await.expect("each question has an answer");
        assert!(!line.contains(&b'\n') && lines.recv().await.is_none());
        assert!(read_answer::<()>(&line).is_err());
        let Some(question) = asked else {
            return false;
        };
        let again = ask_in_line(question);
        let mut same = None;
        drop(answer_in_lines(&again, |question: Question| {
            same = Some(ask_in_line(question));
            async { Err::<Reply, _>(Failure::plain("nobody answers")) }
        }));
        assert_eq!(same, Some(again));
        true
    })
}
