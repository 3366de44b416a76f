//! Paths, and what rewrites make of them.

use std::collections::BTreeSet;

use leno_protocol::{NewPath, Path};

use super::Target;

pub(super) const TARGET: Target = Target {
    name: "path",
    holds: "the readings of a path are few and short, each is one once, and a reading has no dot segment left that \
            the path did not need; a rewritten path is one path",
    seeds,
    words: &[
        "/../",
        "/./",
        "//",
        "/;/",
        "%2e%2e",
        "%2F",
        "%5c",
        "\\",
        ";a=b",
        "%25",
        "%c0%ae",
        "%e2%82%ac",
        "?",
        "#",
    ],
    check,
};

fn seeds() -> Vec<Vec<u8>> {
    let seeds = [
        "/",
        "/items/7",
        "/items/../admin",
        "/items/%2e%2e/admin",
        "//admin",
        "/items;a=b/../admin",
        "/a%2Fb\\c",
        "/%41%7e%2D",
        "/käse/%c3%a4",
        "/a/./b/",
    ];
    seeds.iter().map(|seed| seed.as_bytes().to_vec()).collect()
}

fn check(input: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(input) else {
        return false;
    };
    check_rewritten(text);
    let Ok(path) = Path::new(text) else {
        return false;
    };
    let readings: Vec<_> = path.readings().collect();
    assert_eq!(readings.first(), Some(&text));
    assert!(readings.len() <= 33, "{} readings", readings.len());
    let bytes: usize = readings.iter().skip(1).map(|reading| reading.len()).sum();
    assert!(bytes <= 64 * 1024, "{bytes} bytes of readings");
    let once: BTreeSet<_> = readings.iter().collect();
    assert_eq!(once.len(), readings.len(), "{readings:?}");
    // Some reading is the plainest one: where nothing is left to resolve.
    let is_plain = |reading: &str| {
        let mut segments = reading.split('/');
        segments.all(|segment| !matches!(segment, "." | "..")) && !reading.contains(['\\', ';'])
    };
    if text.starts_with('/') {
        assert!(
            readings.iter().any(|reading| is_plain(reading)),
            "{readings:?}"
        );
    }
    true
}

/// Nothing in a path that is put together ends it early.
fn check_rewritten(text: &str) {
    let rest = if text.starts_with('/') { text } else { "/" };
    let sent = |rest: &str| {
        rest.bytes()
            .all(|byte| byte > b' ' && !b"?#\x7f".contains(&byte))
    };
    for new in [NewPath::full(text), NewPath::prefix(rest, "/items", text)] {
        let told = new.to_string();
        assert!(told.starts_with('/'), "{told:?}");
        assert!(!sent(rest) || sent(&told), "{told:?}");
    }
}
