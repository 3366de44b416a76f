//! What texts must look like: the few forms that Gateway API's patterns have, as named checks.

use core::net::{IpAddr, Ipv6Addr};

use leno_model::TrustDomain;

/// Checks a text; the error says what it must be, as half a sentence.
pub(crate) type Form = fn(&str) -> Result<(), &'static str>;

/// `[a-z0-9]([-a-z0-9]*[a-z0-9])?` with dots between.
pub(crate) fn subdomain(text: &str) -> Result<(), &'static str> {
    let why = "a DNS name: lower-case letters, digits and hyphens, with dots between";
    if text.split('.').all(is_label) {
        Ok(())
    } else {
        Err(why)
    }
}

/// `[a-z0-9]([-a-z0-9]*[a-z0-9])?`.
pub(crate) fn label(text: &str) -> Result<(), &'static str> {
    if is_label(text) {
        Ok(())
    } else {
        Err("a DNS label: lower-case letters, digits and hyphens")
    }
}

/// A subdomain, or nothing: the core group of Kubernetes.
pub(crate) fn group(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        Ok(())
    } else {
        subdomain(text)
    }
}

/// A subdomain, or one below `*.`, and no address.
//= Hostname: "IPs are not allowed."
pub(crate) fn hostname(text: &str) -> Result<(), &'static str> {
    let why = "a DNS name, or *. and a DNS name: lower-case letters, digits and hyphens, with dots between";
    let name = text.strip_prefix("*.").unwrap_or(text);
    match name.parse::<IpAddr>() {
        Ok(_) => Err("a DNS name but an address"),
        Err(_) => subdomain(name).map_err(|_| why),
    }
}

/// The same, in full: of one label are only services of the mesh.
pub(crate) fn host_outside(text: &str) -> Result<(), &'static str> {
    hostname(text)?;
    match text.contains('.') {
        true => Ok(()),
        false => Err("a DNS name in full: one label names a service of the mesh"),
    }
}

/// `[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?`.
pub(crate) fn kind(text: &str) -> Result<(), &'static str> {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let good = text
        .bytes()
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic())
        && text.bytes().all(inner)
        && !text.ends_with('-');
    if good {
        Ok(())
    } else {
        Err("a kind: a letter, then letters, digits and hyphens")
    }
}

/// A token of RFC 9110 section 5.6.2: header names.
pub(crate) fn token(text: &str) -> Result<(), &'static str> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if !text.is_empty() && text.bytes().all(good) {
        Ok(())
    } else {
        Err("a token: letters, digits and !#$%&'*+-.^_`|~")
    }
}

/// A service of gRPC: identifiers with dots between.
pub(crate) fn grpc_service(text: &str) -> Result<(), &'static str> {
    match text.split('.').all(is_identifier) {
        true => Ok(()),
        false => Err("a service of gRPC, like shop.v1.Cart"),
    }
}

/// A method of gRPC: an identifier.
pub(crate) fn grpc_method(text: &str) -> Result<(), &'static str> {
    match is_identifier(text) {
        true => Ok(()),
        false => Err("a method of gRPC, like GetItem"),
    }
}

/// A letter or `_`, then letters, digits and `_`.
fn is_identifier(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.bytes().all(inner)
        && !text.starts_with(|first: char| first.is_ascii_digit())
        && !text.is_empty()
}

/// A path that every server reads in one way.
pub(crate) fn plain_path(text: &str) -> Result<(), &'static str> {
    let visible = text.bytes().all(|byte| (0x21..0x7f).contains(&byte));
    let plain = !text.contains(['?', '#', '%', ';', '\\']) && !text.contains("//");
    let mut segments = text.split('/');
    let whole = segments.all(|segment| segment != "." && segment != "..");
    if text.starts_with('/') && visible && plain && whole {
        Ok(())
    } else {
        Err("a path like /healthz, with nothing that can be read in two ways")
    }
}

/// The path of a file from the root on, as the kernel says it.
pub(crate) fn absolute_path(text: &str) -> Result<(), &'static str> {
    let is_plain = |step: &str| !matches!(step, "" | "." | "..");
    match text.strip_prefix('/') {
        Some(steps) if steps.split('/').all(is_plain) => Ok(()),
        Some(_) | None => Err("a path from the root on, without . and .."),
    }
}

/// The path of a file within a folder that somebody else names.
pub(crate) fn path_within(text: &str) -> Result<(), &'static str> {
    let is_plain = |step: &str| !matches!(step, "" | "." | "..");
    match text.split('/').all(is_plain) {
        true => Ok(()),
        false => Err("a path within the folder of keys, without . and .."),
    }
}

/// Hexadecimal digits in lower case.
pub(crate) fn hexadecimal(text: &str) -> Result<(), &'static str> {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    match text.bytes().all(is_digit) {
        true => Ok(()),
        false => Err("hexadecimal digits in lower case, as sha256sum prints them"),
    }
}

/// `*`, or `http://` or `https://` with a host that may begin with `*.` or be `*`, and a port.
pub(crate) fn cors_origin(text: &str) -> Result<(), &'static str> {
    let good = text == "*"
        || text
            .strip_prefix("https://")
            .or_else(|| text.strip_prefix("http://"))
            .is_some_and(is_authority);
    if good {
        Ok(())
    } else {
        Err("* or http(s)://host, where the first part of the host may be *")
    }
}

/// The path of a mount: words of letters, digits, `-`, `_` and `.`, with slashes between them.
pub(crate) fn plain_words(text: &str) -> Result<(), &'static str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let is_word = |word: &str| !word.is_empty() && word != "." && word != "..";
    let mut words = text.split('/');
    if words.all(|word| is_word(word) && word.bytes().all(is_plain)) {
        Ok(())
    } else {
        Err("words like pki or teams/shop-pki")
    }
}

/// `http://` or `https://`, a host or an address, and perhaps a port and a path.
pub(crate) fn http_url(text: &str) -> Result<(), &'static str> {
    let why = "a URL like http://otel:4317";
    let rest = text.strip_prefix("https://");
    let rest = rest.or_else(|| text.strip_prefix("http://")).ok_or(why)?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let visible = |text: &str| text.bytes().all(|byte| (0x21..0x7f).contains(&byte));
    let good_path = visible(path) && !path.contains(['?', '#']);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        Some(_) | None => (authority, None),
    };
    let good_port = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    let address = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    let good_host = match address {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => subdomain(host).is_ok(),
    };
    if good_host && good_port && good_path {
        Ok(())
    } else {
        Err(why)
    }
}

/// A SPIFFE ID, whoever forms its path.
pub(crate) fn spiffe_id(text: &str) -> Result<(), &'static str> {
    match TrustDomain::of_id(text) {
        Some(_) => Ok(()),
        None => Err("a SPIFFE ID like spiffe://bank.example/ns/leno-system/sa/leno-control"),
    }
}

fn is_authority(text: &str) -> bool {
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let port_fits = port.is_none_or(|port| {
        (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit())
    });
    let part = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    port_fits && (host == "*" || host.strip_prefix("*.").unwrap_or(host).split('.').all(part))
}

fn is_label(text: &str) -> bool {
    let alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.first().is_some_and(alphanumeric)
        && bytes.last().is_some_and(alphanumeric)
        && bytes.iter().all(|byte| alphanumeric(byte) || *byte == b'-')
}
