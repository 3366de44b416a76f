//! HAProxy: one `listen` section, connections to the next kept for all calls. Without `maxconn` it
//! takes as many connections as its files allow.

use crate::rig::course::{Post, Side, Spoken};

/// What stands in its file.
pub(crate) fn text(post: &Post) -> String {
    let Post {
        name,
        listen,
        takes,
        next,
        gives,
        workers,
        ..
    } = post;
    let (mode, work) = match takes.spoken {
        Spoken::Tcp => ("tcp", "option splice-auto"),
        Spoken::Http1 | Spoken::Http2 | Spoken::Grpc => ("http", HTTP_WORK),
    };
    let (takes, gives) = (words(*takes, "cart"), words(*gives, "web"));
    format!(
        "\
global
  nbthread {workers}
defaults
  mode {mode}
  timeout connect 5s
  timeout client 1h
  timeout server 1h
listen {name}
  bind 127.0.0.1:{listen}{takes}
  {work}
  server next 127.0.0.1:{next}{gives}
"
    )
}

/// How a side is said behind an address; `who` proves itself.
fn words(side: Side, who: &str) -> String {
    let alpn = match side.spoken {
        Spoken::Http1 => " alpn http/1.1",
        Spoken::Http2 | Spoken::Grpc => " alpn h2",
        Spoken::Tcp => "",
    };
    match side {
        Side { secured: true, .. } => format!(
            " ssl crt certs/{who}.both ca-file certs/roots.pem verify required ssl-min-ver TLSv1.3{alpn}"
        ),
        Side {
            spoken: Spoken::Http2 | Spoken::Grpc,
            ..
        } => " proto h2".to_owned(),
        Side { .. } => String::new(),
    }
}

const HTTP_WORK: &str = "\
option forwardfor
  http-request set-header x-request-id 1234567890abcdef
  http-reuse always";
