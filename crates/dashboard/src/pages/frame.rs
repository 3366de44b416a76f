//! What stands around every page.

use std::fmt::Display;

use crate::html::Html;

/// Whether a page goes with the time.
#[derive(Clone, Copy)]
pub(crate) enum Life {
    /// It is looked at anew every few seconds.
    Live,
    /// It stays as it is.
    Still,
    /// It asks once more, at once.
    Again,
}

/// A whole document with this body.
pub(crate) fn page(title: impl Display, life: Life, body: Html) -> String {
    let mut html = Html::default();
    html.raw("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    html.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    html.raw("<title>").text(title).raw(" · Leno</title>\n");
    html.raw("<link rel=\"stylesheet\" href=\"/style.css\">\n");
    html.raw("<link rel=\"icon\" href=\"/icon.svg\" type=\"image/svg+xml\">\n");
    html.raw(match life {
        Life::Live => "<meta http-equiv=\"refresh\" content=\"10\">\n",
        Life::Still => "",
        Life::Again => "<meta http-equiv=\"refresh\" content=\"0\">\n",
    });
    html.raw("</head>\n<body>\n");
    html.part(body).raw("\n</body>\n</html>\n");
    html.into_string()
}
