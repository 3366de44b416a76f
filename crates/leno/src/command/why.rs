//! `leno why`: what would become of a call, or what became of it, and why.

pub(super) mod happened;
mod since;

use anyhow::{anyhow, bail};
use leno_admin::ConfigurationOf;
use leno_compile::Mesh;
use leno_model::{Code, Namespace};

use crate::arguments::{Explain, Output, Why};
use crate::command::context::Context;
use crate::command::{Answer, explain, fleet};
use crate::imagine::{Asked, End, Source, imagine};
use crate::live::Live;
use crate::offline::Offline;
use crate::render;
use crate::render::story::Standings;
use crate::terminal::{Line, Terminal};

/// Imagines the call in the mesh of the files, else in the one that runs, and tells every step.
///
/// With one word it tells of a call that happened, or explains a code.
pub(crate) fn run(options: &Why, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    if let Some(since) = options.since {
        return since::run(options, since, terminal);
    }
    let Some(url) = &options.url else {
        return one_word(options, terminal);
    };
    if let Some(input) = options.subject.input(&options.namespace) {
        let offline = Offline::read(&input)?;
        let ground = Ground {
            context: offline.context(),
            mesh: &offline.mesh,
            namespace: &offline.namespace,
            standings: None,
        };
        return ground.tell(options, url, terminal);
    }
    let asked = &options.subject.context;
    let control = Context::choose(asked.context.as_deref())?;
    let told = match control.ask(ConfigurationOf { at: None })? {
        Ok(told) => told,
        Err(failure) => return fleet::refused(&failure, asked.output == Output::Json, terminal),
    };
    let live = Live::of(&told, &options.namespace)?;
    let standing = |workload: &_| live.standing(workload);
    let ground = Ground {
        context: live.context(),
        mesh: &live.mesh,
        namespace: &live.namespace,
        standings: Some(&standing),
    };
    ground.tell(options, url, terminal)
}

fn one_word(options: &Why, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let word = options.source.as_str();
    if word.parse::<Code>().is_ok() {
        let what = Some(word.to_owned());
        return explain::run(&Explain { what }, terminal);
    }
    if is_id(word) {
        return happened::run(word, &options.subject.context, terminal);
    }
    bail!(
        "what does {word} call? leno why {word} http://HOST:PORT/PATH; \
         or why its calls fail: leno why {word} --since 30m"
    );
}

/// Whether a word can only be the id of a call, or its first digits.
pub(super) fn is_id(word: &str) -> bool {
    let is_digit = |letter: u8| letter.is_ascii_digit() || (b'a'..=b'f').contains(&letter);
    (4..=32).contains(&word.len()) && word.bytes().all(is_digit)
}

/// Where a call is imagined.
struct Ground<'a> {
    context: Line,
    mesh: &'a Mesh,
    namespace: &'a Namespace,
    /// How the proxies stand, where there are some.
    standings: Option<Standings<'a>>,
}

impl Ground<'_> {
    fn tell(self, options: &Why, url: &str, terminal: &mut Terminal) -> anyhow::Result<Answer> {
        let source = self.source(&options.source)?;
        let headers = options.headers.iter().map(|header| {
            let (name, value) = header
                .split_once(':')
                .ok_or_else(|| anyhow!("{header:?} is no header: NAME: VALUE"))?;
            Ok((name.to_owned(), value.trim().to_owned()))
        });
        let headers = headers.collect::<anyhow::Result<Vec<_>>>()?;
        let asked = Asked::new(&options.method, url, headers)?;
        let imagined = imagine(self.mesh, self.namespace, &source, &asked)?;
        if options.subject.context.output == Output::Json {
            let json = render::story::json(&imagined, self.standings);
            terminal.text(&serde_json::to_string_pretty(&json)?)?;
        } else {
            terminal.line(self.context)?;
            render::story::print(&imagined, self.standings, terminal)?;
        }
        let refused = !render::story::codes(&imagined.end).is_empty();
        let redirected = matches!(imagined.end, End::Redirected { .. });
        Ok(if refused && !redirected {
            Answer::Bad
        } else {
            Answer::Fine
        })
    }

    /// Who calls: a workload of the mesh, or `outside`.
    fn source(&self, text: &str) -> anyhow::Result<Source> {
        if text == "outside" {
            return Ok(Source::Outside(None));
        }
        let found = self.mesh.workload(text, self.namespace);
        found
            .cloned()
            .map(Source::Workload)
            .map_err(|missing| match &missing.suggestion {
                Some(suggestion) => anyhow!("{missing}; {suggestion}"),
                None => anyhow!("{missing}"),
            })
    }
}
