//! `leno demo`: a small shop of real services, and what their calls look like.

use crate::arguments::Shop;
use crate::command::Answer;

/// Runs one program of the shop until it is ended.
pub(crate) fn run_shop(options: &Shop) -> anyhow::Result<Answer> {
    options.face.run()?;
    Ok(Answer::Fine)
}
