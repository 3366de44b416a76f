//! Headers that an authorizer says.

use alloc::string::String;

use crate::answer::Garbled;

/// A header: its name in lower case, and its value.
pub type Field = (String, String);

/// A header as it was said; `None` for one that is not the authorizer's to say.
pub(crate) fn field(name: &str, value: &[u8]) -> Result<Option<Field>, Garbled> {
    let name = name_of(name)?;
    if is_kept(&name) {
        return Ok(None);
    }
    let value = str::from_utf8(value).map_err(|_not_text| Garbled::Header(name.clone()))?;
    // What ends a line would begin another header.
    if value.chars().any(|it| it.is_control() && it != '\t') {
        return Err(Garbled::Header(name));
    }
    Ok(Some((name, value.trim().into())))
}

/// The name of a header, in lower case.
pub(crate) fn name_of(name: &str) -> Result<String, Garbled> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    match !name.is_empty() && name.len() <= LONGEST_NAME && name.bytes().all(is_token) {
        true => Ok(name.to_ascii_lowercase()),
        false => Err(Garbled::Header(name.chars().take(32).collect())),
    }
}

/// Whether a header is none of an authorizer's: it concerns one connection, says where a message ends, or is
/// what proxies tell each other and applications of a caller. One of which servers cannot tell that it is
/// another counts as that.
pub(crate) fn is_kept(name: &str) -> bool {
    let name = name.replace('_', "-");
    KEPT.contains(&&*name) || name.starts_with("leno-") || name.starts_with("proxy-")
}

const KEPT: [&str; 10] = [
    "connection",
    "content-encoding",
    "content-length",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-forwarded-client-cert",
];

const LONGEST_NAME: usize = 256;
