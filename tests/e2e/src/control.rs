//! A control plane on addresses of its own, and those who ask it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::process::{Ended, Process, ended, run};
use crate::world::World;

/// `web`, and `cart` as a workload and as a service of HTTP. `@name` stands for the address of a name.
pub const PAIR: &str = "\
apiVersion: leno.dev/v1alpha1
kind: MeshWorkload
metadata: {name: web}
spec: {instances: [{address: @web}]}
---
apiVersion: leno.dev/v1alpha1
kind: MeshWorkload
metadata: {name: cart, labels: {app: cart}}
spec: {ports: [{port: 8080, protocol: HTTP}], instances: [{address: @cart}]}
---
apiVersion: v1
kind: Service
metadata: {name: cart}
spec: {selector: {app: cart}, ports: [{port: 80, targetPort: 8080, appProtocol: http}]}
";

/// A control plane of the mesh `shop`.
#[derive(Debug)]
pub struct Control {
    /// Where it is, and those who ask it.
    pub world: World,
    /// The one that runs.
    pub process: Process,
}

impl Control {
    /// One that runs with further arguments, by these objects beside a `Mesh` with these fields.
    pub fn start(arguments: &[&str], mesh: &str, objects: &str) -> Self {
        Self::start_in(World::new(""), arguments, mesh, objects)
    }

    /// The same in a world that is there.
    pub fn start_in(world: World, arguments: &[&str], mesh: &str, objects: &str) -> Self {
        let process = running(&world, arguments);
        let control = Self { world, process };
        control.apply(mesh, objects);
        control
    }

    /// Ends it, as a host does that fails, and gives what remains of it until it is started again.
    pub fn fail(self) -> Failed {
        Failed { world: self.world }
    }

    /// Applies a `Mesh` with these fields, and these objects. `@name` stands for the address of a name.
    pub fn apply(&self, mesh: &str, objects: &str) {
        let mesh = format!(
            "apiVersion: leno.dev/v1alpha1\nkind: Mesh\nmetadata: {{name: shop}}\nspec: {mesh}\n---\n"
        );
        let objects = self.world.filled(&format!("{mesh}{objects}"));
        fs::write(self.path("shop.yaml"), objects).expect("the folder takes files");
        self.ask(&["apply", "-f", "shop.yaml", "-n", "shop"]);
    }

    /// What `leno` says at its end.
    pub fn ask(&self, arguments: &[&str]) -> String {
        run(&mut self.command(arguments))
    }

    /// How `leno` ends, however that is.
    pub fn told(&self, arguments: &[&str]) -> Ended {
        told(&self.world, arguments)
    }

    /// The proxy of a workload of the shop, which has joined by a token and runs with further arguments.
    pub fn joined(&self, name: &str, more: &[&str]) -> Process {
        joined(&self.world, |arguments| self.ask(arguments), name, more)
    }

    /// A file of its folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.world.folder().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        command(&self.world, arguments)
    }
}

/// A control plane that does not run.
#[derive(Debug)]
pub struct Failed {
    /// Where it was.
    pub world: World,
}

impl Failed {
    /// How `leno` ends that would ask it.
    pub fn told(&self, arguments: &[&str]) -> Ended {
        told(&self.world, arguments)
    }

    /// Starts it with what it had.
    pub fn start_again(self) -> Control {
        let process = running(&self.world, &[]);
        Control {
            world: self.world,
            process,
        }
    }
}

/// `leno`, which asks the control plane of this world.
fn command(world: &World, arguments: &[&str]) -> Command {
    let mut command = world.command(arguments);
    command.env("LENO_CONTEXT", world.folder().join("control.sock"));
    command
}

fn told(world: &World, arguments: &[&str]) -> Ended {
    ended(&mut command(world, arguments)).expect("it ends in time")
}

fn running(world: &World, arguments: &[&str]) -> Process {
    let at = world.at("control", 15012).to_string();
    // What cannot be written fails, and does not end it.
    let mut command = world.through(&["env", "--ignore-signal=XFSZ"]);
    let process = world.process(
        "control",
        command
            .args(["control", "--listen", &at, "--advertise", &at])
            .args(["--data", "store", "--socket", "control.sock"])
            .args(arguments),
    );
    process.until_says(&["listening on"]);
    process
}

/// The proxy of a workload of the shop, which has joined whoever `ask` asks by a token.
pub fn joined(
    world: &World,
    ask: impl Fn(&[&str]) -> String,
    name: &str,
    more: &[&str],
) -> Process {
    let token = ask(&["token", "create", &format!("shop/{name}")]);
    let token = token.split_whitespace().last().expect("a token");
    ask(&["join", token, "--state", name]);
    world.process(name, &mut proxy(world, name, more))
}

/// The command of a proxy that has joined.
pub fn proxy(world: &World, name: &str, more: &[&str]) -> Command {
    let tunnel = world.at(name, 15008).to_string();
    let mut command = world.command(&["proxy", "--joined"]);
    command.args(["-n", "shop", "--state", name, "--workload", name]);
    command.args(["--tunnel", &tunnel]).args(more);
    command
}

/// A `MeshWorkload` of this name that is attested so.
pub fn workload(name: &str, attestation: &str) -> String {
    format!(
        "apiVersion: leno.dev/v1alpha1\nkind: MeshWorkload\nmetadata: {{name: {name}}}\n\
         spec:\n  instances: [{{address: 10.0.0.7}}]\n  attestation: {attestation}\n---\n"
    )
}
