//! Words that belong to one crate, so that what they do is absent from all others.

use super::{
    finding::Finding,
    source::has_word,
    tree::{File, Tree},
};

/// A word of code that only some crates may say.
struct Reserved {
    says: fn(&str) -> bool,
    /// The crates that may.
    owners: &'static [&'static str],
    what: &'static str,
    help: &'static str,
}

const RESERVED: &[Reserved] = &[
    Reserved {
        says: |line| has_word(line, "unsafe"),
        owners: &["host"],
        what: "`unsafe` outside `host`",
        help: "write it safely, or give `host` a safe function that does it",
    },
    Reserved {
        says: |line| line.contains("extern crate std"),
        owners: &[],
        what: "`std` let in through the back door",
        help: "time, chance and bytes are passed in; what needs more belongs into layer 3 or above",
    },
    Reserved {
        says: |line| line.contains("clippy::print_stdout") || line.contains("clippy::print_stderr"),
        owners: &["leno"],
        what: "printing outside `leno`",
        help: "return a value and let `leno` print it",
    },
];

pub(crate) fn find(tree: &Tree) -> Vec<Finding> {
    tree.sources().flat_map(find_in).collect()
}

fn find_in(file: &File) -> Vec<Finding> {
    let Some(name) = file.crate_name() else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    for (line, code) in file.code() {
        let said = RESERVED.iter().filter(|word| (word.says)(&code));
        for word in said.filter(|word| !word.owners.contains(&name)) {
            findings.push(Finding {
                file: file.path.clone(),
                line: Some(line),
                what: word.what.to_owned(),
                help: word.help.to_owned(),
            });
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, text: &str, expect: &[(usize, &str)]) {
        let findings = find(&Tree::of(&[(path, text)]));
        let found: Vec<_> = findings
            .iter()
            .map(|finding| (finding.line.unwrap(), finding.what.as_str()))
            .collect();
        assert_eq!(found, expect);
    }

    #[test]
    fn only_host_is_unsafe() {
        let text = "// unsafe is a word here\nunsafe { fork() }\n";
        check(
            "crates/proxy/src/lib.rs",
            text,
            &[(2, "`unsafe` outside `host`")],
        );
        check("crates/host/src/lib.rs", text, &[]);
        check("crates/proxy/src/lib.rs", "#![forbid(unsafe_code)]", &[]);
    }

    #[test]
    fn only_leno_prints() {
        let text = "#[expect(clippy::print_stdout, reason = \"..\")]\n";
        check(
            "crates/store/src/lib.rs",
            text,
            &[(1, "printing outside `leno`")],
        );
        check("crates/leno/src/main.rs", text, &[]);
    }
}
