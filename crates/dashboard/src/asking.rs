//! What the page asks: the questions of `leno-admin`, in the JSON that its socket takes, as far as
//! they are for a page. The answers are the lines that it gives, and what `-o json` prints.

use std::time::Duration;

use leno_admin::{Answer as Told, Failure, Question};

use crate::Mesh;
use crate::access::Visitor;
use crate::answer::Answer;

/// The longest question, in bytes.
pub(crate) const LONGEST: usize = 64 << 10;

/// Answers the question that a visitor has sent.
pub(crate) async fn answer(_: Visitor, asked: &[u8], mesh: &impl Mesh) -> Answer {
    let told = match read(asked) {
        Ok(question) => ask(question, mesh).await,
        Err(failure) => Err(failure),
    };
    Answer::told(told.as_ref())
}

async fn ask(question: Question, mesh: &impl Mesh) -> Result<Told, Failure> {
    let answered = tokio::time::timeout(PATIENCE, mesh.ask(question)).await;
    answered.unwrap_or_else(|_| Err(Failure::plain("the mesh does not answer in time")))
}

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// The question, if it is one for a page.
fn read(asked: &[u8]) -> Result<Question, Failure> {
    let question = serde_json::from_slice(asked)
        .map_err(|error| Failure::plain(format_args!("the question is not understood: {error}")))?;
    match leave(&question) {
        Leave::Asked => Ok(question),
        Leave::Blind => Err(Failure {
            advice: Some("say which revision was looked at: if_revision".to_owned()),
            ..Failure::plain("a page may be old: it changes only what it has seen")
        }),
        Leave::TooMuch => Err(Failure::plain("that is more than a page shows at once")),
        Leave::Refused => Err(Failure {
            advice: Some("leno --help".to_owned()),
            ..Failure::plain("this is asked at the command line")
        }),
    }
}

/// Whether a page may ask something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Leave {
    /// It may.
    Asked,
    /// It would change what its reader has perhaps not seen.
    Blind,
    /// The answer would be longer than anyone reads.
    TooMuch,
    /// It lets somebody in, changes what the command line should change, tells a secret, or is for
    /// programs.
    Refused,
}

/// The most revisions that a page asks for at once.
const MOST_REVISIONS: u32 = 500;

fn leave(question: &Question) -> Leave {
    match question {
        Question::Status(_)
        | Question::Overview(_)
        | Question::Diff(_)
        | Question::Overrides(_)
        | Question::Watches(_)
        | Question::Services(_)
        | Question::Service(_)
        | Question::Check(_)
        | Question::Proxies(_)
        | Question::View(_)
        | Question::Traffic(_)
        | Question::Failures(_)
        | Question::Kept(_)
        | Question::Story(_)
        | Question::Trust(_) => Leave::Asked,
        Question::History(ask) if ask.limit > MOST_REVISIONS => Leave::TooMuch,
        Question::History(_) => Leave::Asked,
        Question::Rollback(ask) if ask.if_revision.is_none() => Leave::Blind,
        Question::Rollback(_) => Leave::Asked,
        Question::Apply(_)
        | Question::Plan(_)
        | Question::Suggest(_)
        | Question::Delete(_)
        | Question::Weigh(_)
        | Question::Taken(_)
        | Question::AddOverride(_)
        | Question::DropOverride(_)
        | Question::EndWatch(_)
        | Question::Configuration(_)
        | Question::Audit(_)
        | Question::Recover(_)
        | Question::CreateToken(_)
        | Question::Bundle(_)
        | Question::Tokens(_)
        | Question::DropToken(_)
        | Question::OpenDashboard(_)
        | Question::Revoke(_)
        | Question::Renew(_)
        | Question::RotateRoot(_)
        | Question::Readmit(_)
        | Question::Tap(_)
        | Question::Probe(_)
        | Question::Reach(_)
        | Question::Holding(_)
        | Question::Parts(_)
        | Question::End(_)
        | Question::Reinstate(_) => Leave::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of a question.
    #[track_caller]
    fn check(asked: &str, expect: &str) {
        let told = match read(asked.as_bytes()) {
            Ok(question) => format!("{question:?}"),
            Err(failure) => failure.message,
        };
        assert!(told.starts_with(expect), "{asked}: {told}");
    }

    #[test]
    fn a_page_asks_what_the_socket_is_asked() {
        check(r#"{"ask":"status"}"#, "Status(");
        check(
            r#"{"ask":"diff","from":3}"#,
            "Diff(DiffOf { from: 3, to: None })",
        );
        check(r#"{"ask":"history","limit":500}"#, "History(");
        check(r#"{"ask":"history","limit":501}"#, "that is more than");
        check(
            r#"{"ask":"diff","from":-3}"#,
            "the question is not understood",
        );
        check(
            r#"{"ask":"diff","from":3,"of":4}"#,
            "the question is not understood",
        );
        check(r#"{"ask":"fortune"}"#, "the question is not understood");
        check("", "the question is not understood");
        check(
            r#"{"ask":"status"} {"ask":"status"}"#,
            "the question is not understood",
        );
    }

    #[test]
    fn a_page_changes_nothing_but_what_it_has_seen_and_lets_nobody_in() {
        check(r#"{"ask":"rollback","to":3}"#, "a page may be old");
        check(r#"{"ask":"rollback","to":3,"if_revision":4}"#, "Rollback(");
        for refused in [
            r#"{"ask":"open-dashboard"}"#,
            r#"{"ask":"tokens"}"#,
            r#"{"ask":"create-token","namespace":"shop","uses":1,"seconds":60}"#,
            r#"{"ask":"revoke","identity":"shop/web"}"#,
            r#"{"ask":"configuration"}"#,
            r#"{"ask":"end"}"#,
        ] {
            check(refused, "this is asked at the command line");
        }
    }
}
