//! `leno why`: what would become of a call, and why.

use anyhow::anyhow;

use crate::arguments::{Output, Why};
use crate::command::Answer;
use crate::imagine::{Asked, End, Source, imagine};
use crate::offline::Offline;
use crate::render;
use crate::terminal::Terminal;

/// Imagines the call and tells every step.
pub(crate) fn run(options: &Why, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let offline = Offline::read(&options.input)?;
    let source = source(&offline, &options.source)?;
    let headers = options.headers.iter().map(|header| {
        let (name, value) = header
            .split_once(':')
            .ok_or_else(|| anyhow!("{header:?} is no header: NAME: VALUE"))?;
        Ok((name.to_owned(), value.trim().to_owned()))
    });
    let headers = headers.collect::<anyhow::Result<Vec<_>>>()?;
    let asked = Asked::new(&options.method, &options.url, headers)?;
    let imagined = imagine(&offline.mesh, &offline.namespace, &source, &asked)?;
    if options.output == Output::Json {
        let json = render::story::json(&imagined);
        terminal.text(&serde_json::to_string_pretty(&json)?)?;
    } else {
        terminal.line(offline.context())?;
        render::story::print(&imagined, terminal)?;
    }
    let refused = !render::story::codes(&imagined.end).is_empty();
    let redirected = matches!(imagined.end, End::Redirected { .. });
    Ok(if refused && !redirected {
        Answer::Bad
    } else {
        Answer::Fine
    })
}

/// Who calls: a workload among the files, or `outside`.
fn source(offline: &Offline, text: &str) -> anyhow::Result<Source> {
    if text == "outside" {
        return Ok(Source::Outside(None));
    }
    let found = offline.mesh.workload(text, &offline.namespace);
    found
        .cloned()
        .map(Source::Workload)
        .map_err(|missing| match &missing.suggestion {
            Some(suggestion) => anyhow!("{missing}; {suggestion}"),
            None => anyhow!("{missing}"),
        })
}
