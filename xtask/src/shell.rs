//! Running other programs: each is printed before it runs, and a failure names it.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::Outcome;

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies in the root of the repository")
        .to_owned()
}

/// Where cargo builds: this program lies in `debug/` there.
pub(crate) fn target() -> Result<PathBuf, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let target = program.ancestors().nth(2).map(Path::to_owned);
    target.ok_or_else(|| format!("{} lies in no target folder", program.display()))
}

/// Prints and runs `program` in the root, with `settings` added to its environment.
pub(crate) fn run(program: &str, arguments: &[&str], settings: &[(&str, &str)]) -> Outcome {
    let line = line(program, arguments, settings);
    println!("==> {line}");
    let status = Command::new(program)
        .args(arguments)
        .envs(settings.iter().copied())
        .current_dir(root())
        .status()
        .map_err(|error| format!("`{program}` cannot be started: {error}"))?;
    if !status.success() {
        return Err(format!("`{line}` failed ({status})").into());
    }
    Ok(())
}

/// Whether `program` can be started and ends well; it prints nothing.
pub(crate) fn succeeds(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The command as a person would type it.
fn line(program: &str, arguments: &[&str], settings: &[(&str, &str)]) -> String {
    let mut words = Vec::new();
    for (name, value) in settings {
        words.push(format!("{name}={}", quoted(value)));
    }
    words.push(program.to_owned());
    words.extend(arguments.iter().map(|argument| quoted(argument)));
    words.join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:@,+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_command_can_be_pasted() {
        let line = line(
            "cargo",
            &["test", "it's slow"],
            &[("RUSTDOCFLAGS", "-D warnings")],
        );
        assert_eq!(
            line,
            r"RUSTDOCFLAGS='-D warnings' cargo test 'it'\''s slow'"
        );
    }

    #[test]
    fn a_failure_names_the_command() {
        let error = run("false", &[], &[]).unwrap_err().to_string();
        assert!(error.starts_with("`false` failed"), "{error}");
        assert!(run("no-such-program", &[], &[]).is_err());
        assert!(!succeeds("no-such-program", &[]));
    }
}
