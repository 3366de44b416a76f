//! The headers that a file says beside a collector's URL.

use std::fs::File;
use std::io::Read;

use ::http::{HeaderMap, HeaderName, HeaderValue};
use leno_channel::words;
use leno_fetch::NotFetched;

/// The headers of a file: a line `name: value` for each, empty lines aside.
pub(crate) fn of_file(file: Option<&str>) -> Result<HeaderMap, NotFetched> {
    let Some(file) = file else {
        return Ok(HeaderMap::new());
    };
    let unusable = |why: String| NotFetched::Unusable(format!("{file}: {why}"));
    let mut text = String::new();
    File::open(file)
        .and_then(|opened| opened.take(LONGEST_FILE).read_to_string(&mut text))
        .map_err(|error| unusable(words(&error)))?;
    read_headers(&text).map_err(unusable)
}

/// In bytes.
const LONGEST_FILE: u64 = 16 * 1024;

fn read_headers(text: &str) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    let lines = text.lines().enumerate();
    for (index, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
        // What stands there may be a secret.
        let flawed = || format!("line {} is no header `name: value`", index + 1);
        let (name, value) = line.split_once(':').ok_or_else(flawed)?;
        let name: HeaderName = name.trim().parse().map_err(|_| flawed())?;
        let mut value = HeaderValue::from_str(value.trim()).map_err(|_| flawed())?;
        if is_ours(name.as_str()) {
            return Err(format!(
                "line {}: {name} is not for a file to say",
                index + 1
            ));
        }
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Ok(headers)
}

/// Whether a header says how a request is framed or read.
fn is_ours(name: &str) -> bool {
    let framing = [
        "connection",
        "expect",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    framing.contains(&name) || name.starts_with("content-") || name.starts_with("grpc-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_lines_and_say_nothing_of_framing() {
        let check = |text: &str, expect: Result<&[(&str, &str)], &str>| {
            let headers = read_headers(text);
            let told = headers.as_ref().map(|headers| {
                let pairs = headers.iter();
                let pairs = pairs.map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
                pairs.collect::<Vec<_>>()
            });
            let told = told.as_deref().map_err(|why| why.as_str());
            assert_eq!(told, expect, "{text:?}");
        };
        check("", Ok(&[]));
        check(
            "Authorization: Bearer a:b\n\nx-tenant:7\n",
            Ok(&[("authorization", "Bearer a:b"), ("x-tenant", "7")]),
        );
        check("secret", Err("line 1 is no header `name: value`"));
        check("a: b\nc d: e", Err("line 2 is no header `name: value`"));
        check("a: \u{1}", Err("line 1 is no header `name: value`"));
        check("Host: x", Err("line 1: host is not for a file to say"));
        check(
            "content-length: 3",
            Err("line 1: content-length is not for a file to say"),
        );
    }
}
