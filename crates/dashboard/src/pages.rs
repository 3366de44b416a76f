//! What there is to be seen: the page, which asks for all that it shows, what it is made of, and what
//! stands in its place where somebody may not see it.

use crate::access::Visitor;
use crate::answer::Answer;
use crate::built;
use crate::html::Html;
use crate::refusal::Refusal;

/// The page, for whoever has a visit.
pub(crate) fn page(_: Visitor) -> Answer {
    Answer::page(built::SHELL.into())
}

/// What pages refer to. It is the same for everyone and says nothing of any mesh.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Asset {
    /// What the page does.
    Script,
    /// How it looks.
    Style,
    /// How what stands in its place looks.
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
    let mut html = Html::default();
    html.raw("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    html.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>");
    html.text(refusal.title()).raw(" · Leno</title>\n");
    html.raw("<link rel=\"stylesheet\" href=\"/style.css\">\n");
    html.raw("<link rel=\"icon\" href=\"/icon.svg\" type=\"image/svg+xml\">\n");
    if *refusal == Refusal::Detour {
        html.raw("<meta http-equiv=\"refresh\" content=\"0\">\n");
    }
    html.raw("</head>\n<body>\n<p class=\"brand\">Leno</p>\n<h1>");
    html.text(refusal.title()).raw("</h1>\n<p>");
    html.text(refusal.advice()).raw("</p>\n");
    if let Some(command) = refusal.command() {
        html.raw("<p><code class=\"command\">").text(command);
        html.raw("</code></p>\n");
    }
    html.raw("</body>\n</html>\n");
    html.into_string()
}
