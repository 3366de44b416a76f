//! `leno relay`: hands a question from standard input to the control plane of this host, and the answer back. It is what
//! `leno` runs in the control plane's pod when it is asked from outside the cluster.

use std::io::{self, BufRead as _, Read as _, Write as _};

use anyhow::bail;
use tokio::sync::mpsc;

use crate::command::Answer;
use crate::command::context::Context;

/// Passes one question on; its answer goes on for as long as standard input is open.
pub(crate) fn run() -> anyhow::Result<Answer> {
    let mut asked = Vec::new();
    let limit = u64::try_from(leno_admin::LONGEST_QUESTION)?;
    io::stdin()
        .lock()
        .take(limit)
        .read_until(b'\n', &mut asked)?;
    if asked.pop() != Some(b'\n') {
        bail!("a question is a line of JSON");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let passed = runtime.block_on(async {
        let end = tokio::task::spawn_blocking(|| io::copy(&mut io::stdin(), &mut io::sink()));
        tokio::select! {
            passed = relay(asked) => passed,
            _ = end => Ok(()),
        }
    });
    // Nobody can end the thread that reads standard input.
    runtime.shutdown_background();
    passed.map(|()| Answer::Fine)
}

async fn relay(asked: Vec<u8>) -> anyhow::Result<()> {
    let client = Context::choose(None)?.client();
    let (sender, mut lines) = mpsc::channel(1);
    let passing = tokio::spawn(async move { client.pass_on(asked, &sender).await });
    let mut is_answered = false;
    while let Some(line) = lines.recv().await {
        let mut output = io::stdout().lock();
        output.write_all(&line)?;
        output.flush()?;
        is_answered = true;
    }
    match is_answered {
        // The end of an answer is that there is no more of it.
        true => Ok(()),
        false => Ok(passing.await??),
    }
}
