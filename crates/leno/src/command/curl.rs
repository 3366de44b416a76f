//! `leno curl`: a request as a workload would make it, from inside an enclosure like its own: names,
//! capture, routes and policies are the workload's.

use std::ffi::OsString;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use leno_protocol::{Asked, BodyFraming, BodyReader, Fields, HeadReader, Limits, Piece, Response};

use crate::arguments;
use crate::authority::authority;
use crate::command::Answer;
use crate::command::run::run_as;
use crate::terminal::Terminal;
use crate::up::{Client, Guest, Place, meant};

/// How long to wait for the next bytes of an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Makes the request. The answer is bad if its status is 400 or above.
pub(crate) fn run(options: &arguments::Curl, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let url = Url::read(&options.url)?;
    if options.here {
        return request(&url, options, terminal);
    }
    let of = meant(&options.source)?;
    let client = Client::require(&Place::here()?)?;
    let guest = Guest {
        of,
        ports: Vec::new(),
        calls_only: true,
        explicit: None,
        typed: format!("leno curl {}", options.url),
    };
    let mut command = vec![
        OsString::from("/proc/self/exe"),
        "curl".into(),
        "--here".into(),
    ];
    command.extend(std::env::args_os().skip(2));
    run_as(client, &guest, command, terminal)
}

/// The parts of a URL that a request is made of.
struct Url {
    host: String,
    port: u16,
    /// As it is written, for the request: with the port if it is written.
    authority: String,
    target: String,
}

impl Url {
    fn read(text: &str) -> anyhow::Result<Self> {
        let rest = match text.split_once("://") {
            Some(("http", rest)) => rest,
            Some((scheme, _)) => bail!("{scheme}:// is not spoken here, only http://"),
            None => text,
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                let port = port
                    .parse()
                    .with_context(|| format!("{authority:?}: the port"))?;
                (host, port)
            }
            _ => (authority, 80),
        };
        if host.is_empty() || target.chars().any(|char| char.is_control() || char == ' ') {
            bail!("{text:?} is not a URL");
        }
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
            authority: authority.to_owned(),
            target: match target.starts_with('/') {
                true => target.to_owned(),
                false => format!("/{target}"),
            },
        })
    }
}

/// Makes the request from where this process is.
fn request(
    url: &Url,
    options: &arguments::Curl,
    terminal: &mut Terminal,
) -> anyhow::Result<Answer> {
    let proxy = proxy();
    let to = proxy
        .clone()
        .unwrap_or_else(|| authority(&url.host, url.port));
    let mut stream = TcpStream::connect(&to).with_context(|| format!("cannot reach {to}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(head(url, proxy.is_some(), options)?.as_bytes())?;
    let mut answer = Incoming::new(stream);
    let (status, body) = answer.head(options, terminal)?;
    answer.body(body)?;
    Ok(if status < 400 {
        Answer::Fine
    } else {
        Answer::Bad
    })
}

/// The proxy that a workload which is not captured is told of.
#[expect(
    clippy::disallowed_methods,
    reason = "it stands for a program of a workload, which goes by its environment"
)]
pub(super) fn proxy() -> Option<String> {
    let told = std::env::var("http_proxy").ok()?;
    let proxy = told.strip_prefix("http://")?.trim_end_matches('/');
    (!proxy.is_empty()).then(|| proxy.to_owned())
}

fn head(url: &Url, to_proxy: bool, options: &arguments::Curl) -> anyhow::Result<String> {
    let method = match (&options.method, &options.data) {
        (Some(method), _) => method.as_str(),
        (None, Some(_)) => "POST",
        (None, None) => "GET",
    };
    let origin = match to_proxy {
        true => format!("http://{}", url.authority),
        false => String::new(),
    };
    let mut head = format!("{method} {origin}{} HTTP/1.1\r\n", url.target);
    let is_given = |name: &str| {
        let mut names = options
            .headers
            .iter()
            .filter_map(|header| header.split_once(':'));
        names.any(|(given, _)| given.eq_ignore_ascii_case(name))
    };
    let mut add = |name: &str, value: &str| {
        if !is_given(name) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
    };
    add("Host", &url.authority);
    add("User-Agent", "leno");
    add("Accept", "*/*");
    add("Connection", "close");
    if let Some(data) = &options.data {
        add("Content-Length", &data.len().to_string());
    }
    for header in &options.headers {
        if header.contains(['\r', '\n']) || !header.contains(':') {
            bail!("{header:?} is not a header");
        }
        head.push_str(&format!("{header}\r\n"));
    }
    head.push_str("\r\n");
    head.push_str(options.data.as_deref().unwrap_or_default());
    Ok(head)
}

/// A head that was read.
struct Heard {
    status: u16,
    body: BodyFraming,
    length: usize,
    is_final: bool,
}

/// An answer that is coming in.
struct Incoming {
    stream: TcpStream,
    bytes: Vec<u8>,
}

impl Incoming {
    fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            bytes: Vec::new(),
        }
    }

    /// Reads the final head, and prints it if that is asked for.
    fn head(
        &mut self,
        options: &arguments::Curl,
        terminal: &mut Terminal,
    ) -> anyhow::Result<(u16, BodyReader)> {
        let asked = Asked {
            head: options.method.as_deref() == Some("HEAD"),
            connect: false,
            upgrade: false,
        };
        let mut reader = HeadReader::new(Limits::default());
        loop {
            let Some(heard) = self.hear(&mut reader, asked, options, terminal)? else {
                if self.more()? == 0 {
                    bail!("the connection was closed before an answer came");
                }
                continue;
            };
            self.bytes.drain(..heard.length);
            if heard.is_final {
                return Ok((heard.status, BodyReader::new(heard.body)));
            }
        }
    }

    /// The head at the front of what has come, if it is whole.
    fn hear(
        &self,
        reader: &mut HeadReader,
        asked: Asked,
        options: &arguments::Curl,
        terminal: &mut Terminal,
    ) -> anyhow::Result<Option<Heard>> {
        let mut fields = Fields::new();
        let head = reader.response(&self.bytes, &mut fields, asked);
        let Some(head) = head.map_err(|refused| anyhow!("the answer is not HTTP: {refused:?}"))?
        else {
            return Ok(None);
        };
        let is_final = !head.response.is_interim();
        if is_final && (options.include || asked.head) {
            print_head(&head.response, terminal)?;
        }
        Ok(Some(Heard {
            status: head.response.status,
            body: head.body,
            length: head.length,
            is_final,
        }))
    }

    /// Prints the body as it comes, without what only frames it.
    fn body(&mut self, mut body: BodyReader) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        loop {
            let piece = body.next(&self.bytes);
            match piece.map_err(|flaw| anyhow!("the answer is malformed: {flaw}"))? {
                Piece::Data(length) => {
                    out.write_all(self.bytes.get(..length).unwrap_or_default())?;
                    self.bytes.drain(..length);
                }
                Piece::Framing(length) | Piece::Trailer(length) => {
                    self.bytes.drain(..length);
                }
                Piece::Wait => {
                    if self.more()? == 0 {
                        let cut = body.finish();
                        cut.map_err(|_| anyhow!("the answer was cut off"))?;
                        return Ok(out.flush()?);
                    }
                }
                Piece::End => return Ok(out.flush()?),
            }
        }
    }

    fn more(&mut self) -> io::Result<usize> {
        let mut bytes = [0; 16 * 1024];
        let count = self.stream.read(&mut bytes)?;
        self.bytes
            .extend_from_slice(bytes.get(..count).unwrap_or_default());
        Ok(count)
    }
}

fn print_head(response: &Response<'_>, terminal: &mut Terminal) -> io::Result<()> {
    let reason = String::from_utf8_lossy(response.reason);
    terminal.line(format!("HTTP/1.1 {} {reason}", response.status))?;
    for header in response.headers {
        let value = String::from_utf8_lossy(header.value);
        terminal.line(format!("{}: {value}", header.name))?;
    }
    terminal.gap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        let read = |text: &str| {
            let url = Url::read(text).ok()?;
            Some(format!(
                "{} {} {} {}",
                url.host, url.port, url.authority, url.target
            ))
        };
        for (text, expect) in [
            ("http://cart/", "cart 80 cart /"),
            ("cart:8081", "cart 8081 cart:8081 /"),
            (
                "http://cart:8081/items?a=b",
                "cart 8081 cart:8081 /items?a=b",
            ),
            ("http://cart?a=b", "cart 80 cart /?a=b"),
            ("http://[::1]:80/", "::1 80 [::1]:80 /"),
            ("http://[::1]/", "::1 80 [::1] /"),
        ] {
            assert_eq!(read(text).as_deref(), Some(expect), "{text}");
        }
        for text in [
            "https://cart/",
            "http:///",
            "http://cart:x/",
            "http://cart/a b",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
