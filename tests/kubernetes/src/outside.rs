//! A control plane outside a cluster that follows it, and what that tells.

use std::path::Path;

use leno_e2e::{Process, World, ended};

/// One that follows the cluster of a kubeconfig, with `more` arguments.
pub fn start(world: &World, kubeconfig: &str, more: &[&str]) -> Process {
    let at = world.at("control", 15012).to_string();
    let control = ["control", "--listen", &at, "--advertise", &at];
    let cluster = ["--kubernetes", "--kubeconfig", kubeconfig];
    let places = ["--data", "store", "--socket", "control.sock"];
    let mut command = world.command(&[&control[..], &cluster, &places, more].concat());
    world.process("control", &mut command)
}

/// What `leno` tells of the mesh, to whom nothing leads to the cluster.
pub fn told(world: &World, arguments: &[&str]) -> String {
    told_by(world, &world.folder().join("none"), arguments)
}

/// The same to whom a kubeconfig leads there.
pub fn told_by(world: &World, kubeconfig: &Path, arguments: &[&str]) -> String {
    let mut command = world.command(arguments);
    command.env("LENO_CONTEXT", world.folder().join("control.sock"));
    command.env("KUBECONFIG", kubeconfig);
    let ended = ended(&mut command).expect("it ends in time");
    ended.out + &ended.err
}
