use leno_model::Dice;

use super::*;

fn readings(raw: &str) -> Vec<String> {
    let mut readings: Vec<String> = Path::new(raw)
        .unwrap()
        .readings()
        .map(str::to_owned)
        .collect();
    assert_eq!(readings.remove(0), raw);
    readings.sort();
    readings
}

/// What else `raw` can be read as.
fn check(raw: &str, others: &[&str]) {
    let mut others = others.to_vec();
    others.sort_unstable();
    assert_eq!(readings(raw), others, "{raw}");
}

#[test]
fn an_ordinary_path_has_one_reading() {
    for raw in [
        "/",
        "/items",
        "/items/7",
        "/a.b/c..d/...e",
        "/index.html",
        "/a/b/",
        "/~me/x_y-z",
        "/a+b,c@d:e!$&'()*=",
        "/käse",
        "*",
        "",
        "/.well-known/x",
        "/..a",
        "/...",
    ] {
        check(raw, &[]);
    }
}

#[test]
fn each_step_makes_a_reading() {
    check("/%61dmin", &["/admin"]);
    check("/a%20b", &["/a b"]);
    check("/k%c3%a4se", &["/k%C3%A4se", "/käse"]);
    check("/a%2Fb", &["/a/b"]);
    check("/a%2fb", &["/a%2Fb", "/a/b"]);
    check("/a//b", &["/a/b"]);
    check("//a/b", &["/a/b", "/b"]);
    check("//a", &["/a", "/"]);
    check("/a\\b", &["/a/b"]);
    check("/a;v=1/b", &["/a/b"]);
    check("/a/../b", &["/b"]);
    check("/a/./b", &["/a/b"]);
    check("/a/..", &["/"]);
    check("/a/b/.", &["/a/b/"]);
    check("/../../b", &["/b"]);
}

#[test]
fn steps_follow_on_each_other() {
    check("/a/%2e%2E/b", &["/a/../b", "/b"]);
    check("/a/..;x=1/b", &["/a/../b", "/b"]);
    check("/a%2f..%2fb", &["/a%2F..%2Fb", "/a/../b", "/b"]);
    check("/a/..%5Cb", &["/a/..\\b", "/a/../b", "/b"]);
    check(
        "/a/%2e%2e%3b/b",
        &["/a/..%3B/b", "/a/..;/b", "/a/../b", "/b"],
    );
    check("/\\a/b", &["//a/b", "/a/b", "/b"]);
    check("/a//../b", &["/a/../b", "/a/b", "/b"]);
}

#[test]
fn escapes_are_decoded_once() {
    check("/%252e%252e/b", &["/%2e%2e/b"]);
    check("/a%252Fb", &["/a%2Fb"]);
    check("/%25%32%46", &["/%252F", "/%2F"]);
}

#[test]
fn what_is_not_text_stays_an_escape() {
    check("/caf%E9", &[]);
    check("/caf%e9%20", &["/caf%E9 ", "/caf%E9%20"]);
    check("/%C0%41", &["/%C0A"]);
}

#[test]
fn what_no_server_should_read_is_refused() {
    for (raw, flaw) in [
        ("/%", Flaw::TargetEscape),
        ("/%2", Flaw::TargetEscape),
        ("/%zz", Flaw::TargetEscape),
        ("/%u002f", Flaw::TargetEscape),
        ("/%%32e", Flaw::TargetEscape),
        ("/a%00", Flaw::TargetOctet),
        ("/%c0%af", Flaw::TargetUtf8),
        ("/%c1%9c", Flaw::TargetUtf8),
        ("/%e0%80%af", Flaw::TargetUtf8),
        ("/%f0%80%80%af", Flaw::TargetUtf8),
    ] {
        assert_eq!(Path::new(raw), Err(flaw), "{raw}");
    }
}

#[test]
fn readings_have_a_bound() {
    let many = "/a%2F..%5C;x/%2e//b\\%2e%2E;y=%3B//c%2f/./d";
    assert_eq!(Path::new(many), Err(Flaw::TooManyReadings { limit: 32 }));
    let long = format!("/{}%2F//b;c", "a".repeat(16_000));
    assert_eq!(
        Path::new(&long).err(),
        Some(Flaw::ReadingsTooLong { limit: 65_536 })
    );
    let long = format!("/{}%20", "a".repeat(16_000));
    assert_eq!(Path::new(&long).unwrap().readings().count(), 2);
}

/// How servers read paths, each written as plainly as possible; `None` where it refuses.
mod servers {
    fn unescape(text: &str, keep_slash: bool) -> Option<String> {
        let (mut out, mut rest) = (Vec::new(), text.as_bytes());
        while let Some((first, behind)) = rest.split_first() {
            rest = behind;
            let digits = behind.get(..2).filter(|_| *first == b'%');
            match digits
                .and_then(|digits| u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok())
            {
                Some(b'/') if keep_slash => out.push(b'%'),
                Some(octet) => {
                    out.push(octet);
                    rest = &behind[2..];
                }
                None => out.push(*first),
            }
        }
        String::from_utf8(out).ok()
    }

    fn resolve(text: &str, is_dot: fn(&str) -> bool, is_up: fn(&str) -> bool) -> String {
        let (mut out, segments) = (Vec::new(), text.split('/').skip(1).collect::<Vec<_>>());
        for (at, segment) in segments.iter().enumerate() {
            let last = at + 1 == segments.len();
            if is_up(segment) {
                out.pop();
            }
            if !is_dot(segment) && !is_up(segment) {
                out.push(*segment);
            } else if last {
                out.push("");
            }
        }
        format!("/{}", out.join("/"))
    }

    fn plain_dots(text: &str) -> String {
        resolve(text, |segment| segment == ".", |segment| segment == "..")
    }

    fn merge(text: &str) -> String {
        let mut text = text.to_owned();
        while text.contains("//") {
            text = text.replace("//", "/");
        }
        text
    }

    fn cut(text: &str) -> String {
        text.split('/')
            .map(|segment| segment.split(';').next().unwrap())
            .collect::<Vec<_>>()
            .join("/")
    }

    /// Decodes, merges, resolves.
    pub(super) fn nginx(raw: &str) -> Option<String> {
        Some(plain_dots(&merge(&unescape(raw, false)?)))
    }

    /// Cuts parameters, decodes, turns backslashes, merges, resolves.
    pub(super) fn tomcat(raw: &str) -> Option<String> {
        Some(plain_dots(&merge(
            &unescape(&cut(raw), false)?.replace('\\', "/"),
        )))
    }

    /// The same with encoded slashes passed through.
    pub(super) fn tomcat_passing_slashes(raw: &str) -> Option<String> {
        Some(plain_dots(&merge(&unescape(&cut(raw), true)?)))
    }

    /// Decodes and hands it to the application as it is.
    pub(super) fn go(raw: &str) -> Option<String> {
        unescape(raw, false)
    }

    /// Resolves segments that are dots or escaped dots, turns backslashes, decodes nothing. What follows
    /// several slashes in front is a host.
    pub(super) fn whatwg(raw: &str) -> Option<String> {
        let mut path = raw.replace('\\', "/");
        if path.starts_with("//") {
            let host = path.trim_start_matches('/');
            path = host[host.find('/').unwrap_or(host.len())..].to_owned();
        }
        Some(resolve(
            &path,
            |segment| segment.to_lowercase().replace("%2e", ".") == ".",
            |segment| segment.to_lowercase().replace("%2e", ".") == "..",
        ))
    }

    /// Decodes, then cuts parameters, then resolves.
    pub(super) fn spring(raw: &str) -> Option<String> {
        Some(plain_dots(&cut(&unescape(raw, false)?)))
    }

    /// Resolves before it merges.
    pub(super) fn iis(raw: &str) -> Option<String> {
        Some(merge(&plain_dots(
            &unescape(raw, false)?.replace('\\', "/"),
        )))
    }
}

#[test]
fn every_server_reads_one_of_the_readings() {
    let pieces = [
        "/", "/", "/", "a", "b", ".", "..", "%2e", "%2E", "%2F", "%2f", "%5C", "%41", "%20", "%3b",
        "%25", ";", ";a=b", "\\", "%c3%a4",
    ];
    let servers = [
        servers::nginx,
        servers::tomcat,
        servers::tomcat_passing_slashes,
        servers::go,
        servers::whatwg,
        servers::spring,
        servers::iis,
    ];
    let mut dice = Dice::new(11);
    let mut compared = 0;
    for _ in 0..20_000 {
        let mut roll = |sides: usize| {
            dice.roll(u32::try_from(sides).unwrap().try_into().unwrap())
                .value as usize
        };
        let raw: String = (0..=roll(9)).map(|_| pieces[roll(pieces.len())]).collect();
        let raw = format!("/{raw}");
        let Ok(path) = Path::new(&raw) else { continue };
        for server in servers {
            if let Some(read) = server(&raw) {
                compared += 1;
                assert!(
                    path.readings().any(|reading| reading == read),
                    "{raw} read as {read}"
                );
            }
        }
    }
    assert!(compared > 100_000, "{compared}");
}

#[test]
fn a_prefix_is_replaced_by_whole_segments() {
    for (path, prefix, with, expect) in [
        ("/foo/bar", "/foo", "/xyz", "/xyz/bar"),
        ("/foo/bar", "/foo", "/xyz/", "/xyz/bar"),
        ("/foo/bar", "/foo/", "/xyz", "/xyz/bar"),
        ("/foo/bar", "/foo/", "/xyz/", "/xyz/bar"),
        ("/foo", "/foo", "/xyz", "/xyz"),
        ("/foo/", "/foo", "/xyz", "/xyz/"),
        ("/foo/bar", "/foo", "", "/bar"),
        ("/foo/", "/foo", "", "/"),
        ("/foo", "/foo", "", "/"),
        ("/foo/", "/foo", "/", "/"),
        ("/foo", "/foo", "/", "/"),
        ("/foo", "", "/xyz", "/xyz/foo"),
        ("/", "", "/xyz", "/xyz/"),
    ] {
        assert_eq!(
            NewPath::prefix(path, prefix, with).to_string(),
            expect,
            "{path} {prefix} {with}"
        );
    }
    for (path, expect) in [
        ("", "/"),
        ("/a", "/a"),
        ("a", "/a"),
        ("/a b?c#d\r\n", "/a%20b%3Fc%23d%0D%0A"),
        ("/k\u{e4}se%20", "/k\u{e4}se%20"),
    ] {
        assert_eq!(NewPath::full(path).to_string(), expect);
    }
}
