//! `leno why`: what would become of a call, or what became of it, and why.

pub(super) mod happened;
mod since;

use anyhow::{Context as _, anyhow, bail};
use leno_admin::{ConfigurationOf, NotAsked};
use leno_model::{Code, Namespace};
use leno_traffic::Token;
use serde_json::json;

use crate::arguments::{Explain, Output, Why};
use crate::command::asking::instead;
use crate::command::context::Context;
use crate::command::tap::silent;
use crate::command::{Answer, explain, fleet};
use crate::hosted::Hosted;
use crate::imagine::{Asked, End, Ground, Proxies, Source, imagine, token};
use crate::live::Live;
use crate::offline::Offline;
use crate::render;
use crate::render::story::Standings;
use crate::terminal::{Line, Terminal};

/// Who calls from where no proxy is.
const OUTSIDE: &str = "outside";

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
        let scene = Scene {
            head: vec![offline.context()],
            ground: Ground::from(&offline.mesh),
            namespace: &offline.namespace,
            standings: None,
            told_by: None,
        };
        return scene.tell(options, url, terminal);
    }
    let asked = &options.subject.context;
    let control = Context::choose(asked.context.as_deref())?;
    let told = match control.try_ask(ConfigurationOf { at: None })? {
        Ok(told) => told,
        Err(NotAsked::Refused(failure)) => {
            return fleet::refused(&failure, asked.output == Output::Json, terminal);
        }
        Err(away @ NotAsked::Away { .. }) => {
            return by_neighbours(options, url, &away, &control, terminal);
        }
        Err(misfit @ NotAsked::Misfit(_)) => return Err(misfit.into()),
    };
    let live = Live::of(&told, &options.namespace)?;
    let standing = |workload: &_| live.standing(workload);
    let scene = Scene {
        head: vec![live.context()],
        ground: Ground {
            proxies: Proxies::Reported,
            ..Ground::from(&live.mesh)
        },
        namespace: &live.namespace,
        standings: Some(&standing),
        told_by: None,
    };
    scene.tell(options, url, terminal)
}

/// Imagines the call by what the proxies of this host hold, because no control plane answers.
fn by_neighbours(
    options: &Why,
    url: &str,
    away: &NotAsked,
    control: &Context,
    terminal: &mut Terminal,
) -> anyhow::Result<Answer> {
    let namespace = Namespace::new(&options.namespace).context("-n")?;
    let caller = Some(options.source.as_str()).filter(|source| *source != OUTSIDE);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let Some(hosted) = runtime.block_on(Hosted::ask(caller, &namespace))? else {
        bail!("{away}; {}", control.advice());
    };
    let scene = Scene {
        head: instead(away.to_string(), control.advice()),
        ground: Ground {
            unasked: &hosted.known.unasked,
            proxies: Proxies::Reported,
            ..Ground::from(&hosted.known.mesh)
        },
        namespace: &namespace,
        standings: None,
        told_by: Some(&hosted),
    };
    let told = scene.tell(options, url, terminal);
    told.map_err(|why| hosted.explain(&why))
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
struct Scene<'a> {
    /// The first lines: who knows.
    head: Vec<Line>,
    ground: Ground<'a>,
    namespace: &'a Namespace,
    /// How the proxies stand, where there are some.
    standings: Option<Standings<'a>>,
    /// Who told of it, if that is no control plane.
    told_by: Option<&'a Hosted>,
}

impl Scene<'_> {
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
        let claims = token::written(&options.claims)?;
        let ground = Ground {
            token: claims.as_ref().map_or(self.ground.token, Token::Known),
            ..self.ground
        };
        let imagined = imagine(ground, self.namespace, &source, &asked)?;
        if options.subject.context.output == Output::Json {
            let mut json = render::story::json(&imagined, self.standings);
            if let Some(hosted) = self.told_by {
                json["asked"] = json!(hosted.asked);
                json["silent"] = json!(hosted.silent);
            }
            terminal.text(&serde_json::to_string_pretty(&json)?)?;
        } else {
            for line in self.head {
                terminal.line(line)?;
            }
            render::story::print(&imagined, self.standings, terminal)?;
            for line in self.told_by.iter().flat_map(|by| silent(&by.silent)) {
                terminal.line(line)?;
            }
        }
        let refused = !render::story::codes(&imagined.end).is_empty();
        Ok(match &imagined.end {
            End::Redirected { .. } => Answer::Fine,
            _ if refused => Answer::Bad,
            End::Reached(branches) if !render::story::is_known(branches) => Answer::Exit(3),
            _ => Answer::Fine,
        })
    }

    /// Who calls: a workload of the mesh, or `outside`.
    fn source(&self, text: &str) -> anyhow::Result<Source> {
        if text == OUTSIDE {
            return Ok(Source::Outside(None));
        }
        let found = self.ground.mesh.workload(text, self.namespace);
        found
            .cloned()
            .map(Source::Workload)
            .map_err(|missing| match &missing.suggestion {
                Some(suggestion) => anyhow!("{missing}; {suggestion}"),
                None => anyhow!("{missing}"),
            })
    }
}
