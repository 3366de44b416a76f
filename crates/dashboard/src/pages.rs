//! What there is to be seen, and at which path: a page is made anew for each look.

mod frame;
mod status;

use std::time::Duration;

use leno_admin::{Answer as Told, Failure, OverviewOf};

use crate::Mesh;
use crate::access::Visitor;
use crate::answer::Answer;
use crate::html::Html;
use crate::refusal::Refusal;

/// A page, for whoever has a visit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Page {
    /// How the mesh is.
    Status,
}

impl Page {
    /// The page at a path below the folder of pages.
    pub(crate) fn at(path: &str) -> Option<Self> {
        match path {
            "" => Some(Self::Status),
            _ => None,
        }
    }

    /// The page as it is at this moment.
    pub(crate) async fn show(self, _: Visitor, mesh: &impl Mesh) -> Answer {
        let asked = mesh.ask(OverviewOf {}.into());
        let seen = match tokio::time::timeout(PATIENCE, asked).await {
            Ok(Ok(Told::Overview(overview))) => Ok(overview),
            Ok(Err(failure)) => Err(failure),
            Ok(Ok(_)) | Err(_) => Err(Failure::plain("the mesh does not answer in time")),
        };
        Answer::page(match (self, seen) {
            (Self::Status, Ok(overview)) => status::page(&overview),
            (Self::Status, Err(failure)) => status::unknown(&failure),
        })
    }
}

/// How long the mesh may take to say how it is.
const PATIENCE: Duration = Duration::from_secs(5);

/// What pages refer to. It is the same for everyone and says nothing of any mesh.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Asset {
    /// How the pages look.
    Style,
    /// What keeps them up to date.
    Script,
    /// The icon.
    Icon,
}

impl Asset {
    /// What is at a path.
    pub(crate) fn at(path: &str) -> Option<Self> {
        match path {
            "/style.css" => Some(Self::Style),
            "/live.js" => Some(Self::Script),
            "/icon.svg" => Some(Self::Icon),
            _ => None,
        }
    }

    /// Its media type, and itself.
    pub(crate) fn content(self) -> (&'static str, &'static str) {
        match self {
            Self::Style => (
                "text/css; charset=utf-8",
                include_str!("../assets/style.css"),
            ),
            Self::Script => (
                "text/javascript; charset=utf-8",
                include_str!("../assets/live.js"),
            ),
            Self::Icon => ("image/svg+xml", include_str!("../assets/icon.svg")),
        }
    }
}

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
