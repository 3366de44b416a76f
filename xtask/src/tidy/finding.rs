//! What a rule found: where, what, and what to do, in the form of a compiler's error.

use std::fmt;

/// Something that a rule forbids.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Finding {
    /// The file, relative to the root.
    pub(crate) file: String,
    /// Counted from 1; absent where it is about the file as a whole.
    pub(crate) line: Option<usize>,
    /// What is there and should not be, or the other way round.
    pub(crate) what: String,
    /// What to do.
    pub(crate) help: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            what,
            help,
        } = self;
        writeln!(f, "error: {what}")?;
        match line {
            Some(line) => writeln!(f, "  --> {file}:{line}")?,
            None => writeln!(f, "  --> {file}")?,
        }
        write!(f, "  help: {help}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_reads_like_a_compiler_error() {
        let finding = Finding {
            file: "crates/proxy/Cargo.toml".to_owned(),
            line: Some(14),
            what: "`proxy` depends on `compile`".to_owned(),
            help: "pass the view in".to_owned(),
        };
        assert_eq!(
            finding.to_string(),
            "error: `proxy` depends on `compile`\n  --> crates/proxy/Cargo.toml:14\n  help: pass the view in"
        );
    }
}
