//! What there is to be seen, and at which path: the page, which asks for what it shows by itself, and
//! beside it how the mesh is in plain HTML, made anew for each look.

mod frame;
mod status;

use std::time::Duration;

use leno_admin::{Answer as Told, Failure, OverviewOf};

use crate::Mesh;
use crate::access::Visitor;
use crate::answer::Answer;
use crate::built;
use crate::html::Html;
use crate::refusal::Refusal;

/// A page, for whoever has a visit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Page {
    /// The page itself: what it shows it asks for.
    Shell,
    /// How the mesh is, for a browser that runs no scripts.
    Plain,
}

impl Page {
    /// The page at a path below the folder of pages.
    pub(crate) fn at(path: &str) -> Option<Self> {
        match path {
            "" => Some(Self::Shell),
            "plain" => Some(Self::Plain),
            _ => None,
        }
    }

    /// The page as it is at this moment.
    pub(crate) async fn show(self, _: Visitor, mesh: &impl Mesh) -> Answer {
        match self {
            Self::Shell => Answer::page(built::SHELL.into()),
            Self::Plain => plain(mesh).await,
        }
    }
}

async fn plain(mesh: &impl Mesh) -> Answer {
    let asked = mesh.ask(OverviewOf {}.into());
    let seen = match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(Told::Overview(overview))) => Ok(overview),
        Ok(Err(failure)) => Err(failure),
        Ok(Ok(_)) | Err(_) => Err(Failure::plain("the mesh does not answer in time")),
    };
    Answer::page(match seen {
        Ok(overview) => status::page(&overview),
        Err(failure) => status::unknown(&failure),
    })
}

/// How long the mesh may take to say how it is.
const PATIENCE: Duration = Duration::from_secs(5);

/// What pages refer to. It is the same for everyone and says nothing of any mesh.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Asset {
    /// What the page does.
    Script,
    /// How it looks.
    Style,
    /// How what is plain looks.
    PlainStyle,
    /// The icon.
    Icon,
}

/// An asset as it is sent.
pub(crate) struct Content {
    /// Its media type.
    pub(crate) media: &'static str,
    /// Its bytes.
    pub(crate) bytes: &'static [u8],
    /// Whether these are compressed, and its name says what it is, so that it may be kept for ever.
    pub(crate) is_built: bool,
}

impl Asset {
    /// What is at a path.
    pub(crate) fn at(path: &str) -> Option<Self> {
        match path {
            built::SCRIPT_PATH => Some(Self::Script),
            built::STYLE_PATH => Some(Self::Style),
            "/style.css" => Some(Self::PlainStyle),
            "/icon.svg" => Some(Self::Icon),
            _ => None,
        }
    }

    /// What it is.
    pub(crate) fn content(self) -> Content {
        let (media, bytes, is_built): (_, &[u8], _) = match self {
            Self::Script => ("text/javascript; charset=utf-8", built::SCRIPT, true),
            Self::Style => (CSS, built::STYLE, true),
            Self::PlainStyle => (CSS, include_bytes!("../assets/style.css"), false),
            Self::Icon => ("image/svg+xml", include_bytes!("../assets/icon.svg"), false),
        };
        Content {
            media,
            bytes,
            is_built,
        }
    }
}

const CSS: &str = "text/css; charset=utf-8";

/// The page that says why there is nothing else to see.
pub(crate) fn refused(refusal: &Refusal) -> String {
    let mut body = Html::default();
    body.raw("<header><p class=\"brand\">Leno</p><h1>");
    body.text(refusal.title()).raw("</h1></header><main><p>");
    body.text(refusal.advice()).raw("</p>");
    if let Some(command) = refusal.command() {
        body.raw("<p><code class=\"command\">").text(command);
        body.raw("</code></p>");
    }
    body.raw("</main>");
    let life = match refusal {
        Refusal::Detour => frame::Life::Again,
        _ => frame::Life::Still,
    };
    frame::page(refusal.title(), life, body)
}
