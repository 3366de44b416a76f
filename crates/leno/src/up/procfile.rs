//! A `Procfile`: one process a line, `name: command`.

use anyhow::bail;
use leno_model::Code;
use serde_json::json;

/// One process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Process {
    /// What it is called.
    pub(crate) name: String,
    /// A line for the shell.
    pub(crate) command: String,
    /// Where it stands, counted from 1.
    pub(crate) line: usize,
}

/// The processes of `text`, in order, or the first line that is none. Empty lines and comments are
/// passed over.
pub(crate) fn read(text: &str) -> anyhow::Result<Vec<Process>> {
    let mut processes = Vec::new();
    for (line, written) in (1..).zip(text.lines()) {
        let written = written.trim();
        if written.is_empty() || written.starts_with('#') {
            continue;
        }
        let Some(process) = process(written, line) else {
            let (code, slug) = (Code::U004, Code::U004.slug());
            bail!("Procfile:{line}: expected `name: command`, not {written:?} ({code} {slug})");
        };
        processes.push(process);
    }
    Ok(processes)
}

fn process(written: &str, line: usize) -> Option<Process> {
    let (name, command) = written.split_once(':')?;
    let is_part = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_');
    let (name, command) = (name.trim(), command.trim());
    if name.is_empty() || !name.chars().all(is_part) || command.is_empty() {
        return None;
    }
    Some(Process {
        // Names of workloads are DNS labels.
        name: name.to_ascii_lowercase().replace('_', "-"),
        command: command.to_owned(),
        line,
    })
}

/// The objects that a Procfile stands for, each on the line of its process, so that findings point
/// to where it was written.
pub(crate) fn as_objects(processes: &[Process]) -> String {
    let mut text = String::new();
    let mut line = 1;
    for (index, process) in processes.iter().enumerate() {
        while line < process.line {
            text.push('\n');
            line += 1;
        }
        let mut run = json!({ "command": process.command });
        if let Some(port) = port_for(process, index) {
            run["env"] = json!({ "PORT": port });
        }
        let object = json!({
            "apiVersion": "leno.dev/v1alpha1",
            "kind": "MeshWorkload",
            "metadata": { "name": process.name },
            "spec": { "run": run },
        });
        text.push_str(&format!("--- {object}\n"));
        line += 1;
    }
    text
}

/// The same as a person would write it, with the mesh that `leno up` would make up.
pub(crate) fn as_file(processes: &[Process], mesh: &str) -> String {
    let mut text = format!(
        "# What `leno up` runs here.\n\
         apiVersion: leno.dev/v1alpha1\nkind: Mesh\nmetadata:\n  name: {mesh}\nspec:\n  \
         mtls: Strict\n  default: Allow\n  unknownDestinations: Allow\n"
    );
    for (index, process) in processes.iter().enumerate() {
        let command = json!(process.command);
        text.push_str(&format!(
            "---\napiVersion: leno.dev/v1alpha1\nkind: MeshWorkload\nmetadata:\n  name: {}\n\
             spec:\n  run:\n    command: {command}\n",
            process.name
        ));
        match port_for(process, index) {
            Some(port) => text.push_str(&format!(
                "    env:\n      PORT: \"{port}\"\n  ports:\n  - port: {port}\n    protocol: HTTP\n"
            )),
            None => text.push_str(
                "  # Without ports, those that it opens are found.\n  \
                 # ports:\n  # - port: 8080\n  #   protocol: HTTP\n",
            ),
        }
    }
    text
}

/// The port that a process is told to listen on, if it asks for one: 5000 for the first, 5100 for
/// the second, as the tools do from which the format comes.
fn port_for(process: &Process, index: usize) -> Option<usize> {
    let asks = process.command.contains("$PORT") || process.command.contains("${PORT");
    asks.then_some(5000 + 100 * index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_a_line() {
        let text = "web: npm run dev\n\n# nothing\n Cart_2 :go run ./cart -p $PORT # all of it\n";
        let processes = read(text).unwrap();
        let told = processes
            .iter()
            .map(|process| format!("{} {} {}", process.line, process.name, process.command));
        assert_eq!(
            told.collect::<Vec<_>>(),
            [
                "1 web npm run dev",
                "4 cart-2 go run ./cart -p $PORT # all of it"
            ]
        );
        let objects = as_objects(&processes);
        let lines = objects.lines().collect::<Vec<_>>();
        assert!(lines[0].contains("npm run dev"));
        assert_eq!(lines[1..3], ["", ""]);
        assert!(lines[3].contains(r#""env":{"PORT":5100}"#));
    }

    #[test]
    fn what_is_no_process_is_told_with_its_line() {
        for wrong in ["web", "web:", ": npm", "we b: npm"] {
            let error = read(&format!("\n{wrong}\n")).unwrap_err().to_string();
            assert!(error.starts_with("Procfile:2: "), "{error}");
        }
    }
}
