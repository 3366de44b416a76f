//! Cookies of a request (RFC 6265 section 4.2): those that carry tokens are found, and taken out.

use alloc::{string::String, vec::Vec};

use leno_protocol::Header;

/// The values of the cookies of this name, wherever they stand.
pub(super) fn named<'h>(
    headers: &'h [Header<'h>],
    name: &'h str,
) -> impl Iterator<Item = &'h [u8]> {
    let pairs = fields(headers).flat_map(pairs);
    pairs.filter_map(move |pair| {
        let (other, value) = parted(pair)?;
        (other == name.as_bytes()).then(|| unquoted(value))
    })
}

/// All cookies but those of these names and those that are no text, in one field; empty if that is none. `None`
/// if there is none of these names.
pub(super) fn without(headers: &[Header<'_>], names: &[&str]) -> Option<String> {
    let is_named = |pair: &&[u8]| {
        parted(pair).is_some_and(|(name, _)| names.iter().any(|other| other.as_bytes() == name))
    };
    let all = || fields(headers).flat_map(pairs);
    all().find(is_named)?;
    let others = all().filter(|pair| !is_named(pair));
    let others = others.filter_map(|pair| str::from_utf8(pair).ok());
    Some(others.collect::<Vec<_>>().join("; "))
}

/// The header of cookies. HTTP/2 lets it come in several fields (RFC 9113 section 8.2.3).
pub(super) const HEADER: &str = "cookie";

fn fields<'h>(headers: &'h [Header<'h>]) -> impl Iterator<Item = &'h [u8]> {
    let named = headers
        .iter()
        .filter(|header| header.name.eq_ignore_ascii_case(HEADER));
    named.map(|header| header.value)
}

fn pairs(field: &[u8]) -> impl Iterator<Item = &[u8]> {
    let pairs = field.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    pairs.filter(|pair| !pair.is_empty())
}

fn parted(pair: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut parts = pair.splitn(2, |byte| *byte == b'=');
    Some((parts.next()?.trim_ascii(), parts.next()?.trim_ascii()))
}

fn unquoted(value: &[u8]) -> &[u8] {
    let inner = value.strip_prefix(b"\"");
    inner.and_then(|it| it.strip_suffix(b"\"")).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_that_is_no_text_takes_none_of_the_others_along() {
        let check = |fields: &[&[u8]], expect: Option<&str>| {
            let headers = fields.iter().map(|value| Header {
                name: "Cookie",
                value,
            });
            let headers: Vec<_> = headers.collect();
            assert_eq!(without(&headers, &["session"]).as_deref(), expect);
        };
        check(&[b"a=1; name=J\xfcrg; session=x; b=2"], Some("a=1; b=2"));
        check(&[b"name=J\xfcrg", b"session=x", b"b=2"], Some("b=2"));
        check(&[b"name=J\xfcrg; session=x"], Some(""));
        check(
            &[b"a=1; session=\xfc; name=J\xc3\xbcrg"],
            Some("a=1; name=J\u{fc}rg"),
        );
        check(&[b"a=1; name=J\xfcrg"], None);
    }
}
