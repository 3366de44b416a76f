//! What is to be started: the commands that `MeshWorkload`s say.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use leno_model::view::WorkloadId;
use leno_resources::Resources;
use leno_resources::mesh::Command;

/// A command that a `MeshWorkload` says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Program {
    /// Which workload it is: the `MeshWorkload`'s namespace and name.
    pub(crate) id: WorkloadId,
    /// What to start.
    pub(crate) command: Vec<String>,
    /// As a person would type it.
    pub(crate) typed: String,
    /// Where it starts.
    pub(crate) folder: PathBuf,
    /// What it finds in its environment beside what `leno up` has.
    pub(crate) env: BTreeMap<String, String>,
    /// The file and line of the command: `Procfile:3`.
    pub(crate) place: String,
    /// Whether it says on which ports it takes calls.
    pub(crate) declares_ports: bool,
    /// The first of them, which it finds as `PORT` in its environment, captured or not.
    pub(crate) port: Option<u16>,
}

/// What is to be started in `folder`, in the order in which it is written.
pub(crate) fn programs(resources: &Resources, folder: &Path) -> Vec<Program> {
    let mut programs = Vec::new();
    for object in resources.workloads.iter() {
        let Some(spec) = object.spec.partly() else {
            continue;
        };
        let Some(run) = &spec.run else { continue };
        let Some(namespace) = &object.meta.namespace else {
            continue;
        };
        let (command, typed) = match &run.command {
            Command::Shell(line) => (
                vec!["/bin/sh".into(), "-c".into(), line.to_string()],
                line.to_string(),
            ),
            Command::Words(words) => {
                let words = words.iter().map(ToString::to_string);
                let words = words.collect::<Vec<_>>();
                (words.clone(), words.join(" "))
            }
        };
        let below = run.working_directory.as_deref().unwrap_or(".");
        let place = object.origin("/spec/run/command").place;
        let program = Program {
            id: WorkloadId {
                namespace: namespace.clone(),
                name: object.meta.name.clone(),
            },
            command,
            typed,
            folder: folder.join(below),
            env: run
                .env
                .iter()
                .map(|(name, value)| (name.to_string(), value.0.to_string()))
                .collect(),
            place: place.as_ref().map_or_else(String::new, |place| {
                format!("{}:{}", place.file, place.line)
            }),
            declares_ports: !spec.ports.is_empty(),
            port: spec.ports.iter().find_map(|port| Some(port.sound()?.port)),
        };
        programs.push((place.map(|place| (place.file, place.line)), program));
    }
    programs.sort_by(|(one, _), (other, _)| one.cmp(other));
    programs.into_iter().map(|(_, program)| program).collect()
}

impl Program {
    /// What makes it another program than `other`, if something does: whoever runs the one must end
    /// it to run the other.
    pub(crate) fn differs_from(&self, other: &Self) -> Option<&'static str> {
        if self.command != other.command {
            Some("command")
        } else if self.env != other.env {
            Some("env")
        } else if self.folder != other.folder {
            Some("folder")
        } else {
            None
        }
    }
}
