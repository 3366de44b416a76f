//! The Debian packages that tests and benchmarks talk to: real clients and servers, unchanged.

use std::{env, fs, os::unix::fs::MetadataExt, path::Path};

use crate::{Outcome, shell};

/// What a package is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Purpose {
    Test,
    Bench,
    /// To build the dashboard's page.
    Page,
}

/// A Debian package, known to be there by the program it brings.
struct Package {
    name: &'static str,
    program: &'static str,
    purposes: &'static [Purpose],
}

#[rustfmt::skip]
const PACKAGES: &[Package] = &[
    Package { name: "chromium", program: "chromium", purposes: &[Purpose::Test, Purpose::Bench] },
    Package { name: "curl", program: "curl", purposes: &[Purpose::Test] },
    Package { name: "iproute2", program: "ip", purposes: &[Purpose::Test, Purpose::Bench] },
    Package { name: "nftables", program: "nft", purposes: &[Purpose::Test, Purpose::Bench] },
    Package { name: "nginx", program: "nginx", purposes: &[Purpose::Test, Purpose::Bench] },
    Package { name: "nodejs", program: "node", purposes: &[Purpose::Test, Purpose::Bench, Purpose::Page] },
    Package { name: "npm", program: "npm", purposes: &[Purpose::Test, Purpose::Bench, Purpose::Page] },
    Package { name: "prometheus", program: "prometheus", purposes: &[Purpose::Test] },
    Package { name: "python3", program: "python3", purposes: &[Purpose::Test] },
    Package { name: "redis-server", program: "redis-server", purposes: &[Purpose::Test] },
    Package { name: "redis-tools", program: "redis-cli", purposes: &[Purpose::Test] },
    Package { name: "haproxy", program: "haproxy", purposes: &[Purpose::Bench] },
    Package { name: "wrk", program: "wrk", purposes: &[Purpose::Bench] },
];

/// Installs what is missing for `purpose` as root, and says so; else names the command that would.
pub(crate) fn install(purpose: Purpose) -> Outcome {
    let missing = missing(purpose, is_there);
    if missing.is_empty() {
        println!("Every program that is talked to is installed.");
        return Ok(());
    }
    println!("Not installed: {}", missing.join(", "));
    let words = [
        &["install", "--yes", "--no-install-recommends"],
        &missing[..],
    ]
    .concat();
    if !is_root() || !is_there("apt-get") {
        let command = words.join(" ");
        return Err(format!("install them first, on Debian by: sudo apt-get {command}").into());
    }
    let quiet = [("DEBIAN_FRONTEND", "noninteractive")];
    shell::run("apt-get", &["update", "--quiet=2"], &quiet)?;
    shell::run("apt-get", &words, &quiet)
}

fn missing(purpose: Purpose, is_there: impl Fn(&str) -> bool) -> Vec<&'static str> {
    PACKAGES
        .iter()
        .filter(|package| package.purposes.contains(&purpose) && !is_there(package.program))
        .map(|package| package.name)
        .collect()
}

/// Looks where root's programs lie too: they need not be on everyone's `PATH`.
#[expect(clippy::disallowed_methods, reason = "programs are found by PATH")]
fn is_there(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .any(|folder| folder.join(program).is_file())
}

fn is_root() -> bool {
    fs::metadata(Path::new("/proc/self")).is_ok_and(|process| process.uid() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_told_by_their_programs() {
        let missing = |there: &'static [&'static str]| {
            missing(Purpose::Test, move |program| there.contains(&program))
        };
        assert!(missing(&[]).contains(&"redis-tools"));
        assert!(!missing(&["redis-cli"]).contains(&"redis-tools"));
        assert!(!missing(&[]).contains(&"wrk"));
        assert!(is_there("sh"));
    }
}
