//! The hosts that are a cluster's nodes: what lies on their disks, what they are given, and the wire between them.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use leno_e2e::Block;
use leno_image::Image;

use crate::cluster::{said, write};
use crate::component::Plan;
use crate::families::Families;
use crate::node::Node;
use crate::runtime::Engine;
use crate::sandbox::Sandbox;
use crate::{Failure, images};

/// A host that runs. Its sandbox ends before its folder goes.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) sandbox: Sandbox,
    pub(crate) block: Block,
}

impl Host {
    /// Makes an image known to its node.
    pub(crate) fn import(&self, engine: &Engine, image: &Image) -> Result<(), Failure> {
        let file = images::write(image, self.block.folder())?;
        for mut import in engine.imports(&self.sandbox, self.block.folder(), image, &file) {
            said(&mut import)?;
        }
        fs::remove_file(&file).map_err(Failure::of(file.display().to_string()))
    }

    /// Starts what runs pods, and nothing that ends where what it asks is not there yet.
    pub(crate) fn run(&mut self, plan: &Plan<'_>) -> Result<(), Failure> {
        let engine = plan.engine();
        let component = engine.component(plan.folder);
        self.sandbox.run(&component)?;
        let answers = format!("{} answers", component.name);
        self.sandbox.until(&component.name, &answers, || {
            said(&mut engine.asks(&self.sandbox)).ok()
        })?;
        self.sandbox.run(&plan.proxy())?;
        self.sandbox.run(&plan.kubelet())
    }
}

/// Writes what components find on a node's disk.
pub(crate) fn lay_out(plan: &Plan<'_>) -> Result<(), Failure> {
    for (name, text) in plan.files() {
        write(&plan.folder.join(name), &text)?;
    }
    let plugins = plan.engine().plugins();
    link_plugins(&plan.folder.join(format!("upper{plugins}")))
}

/// Gives a node's host its addresses.
pub(crate) fn address(host: &Sandbox, node: Node, families: Families) -> Result<(), Failure> {
    let v4 = ("-4", format!("{}/24", node.ip()), "172.30.0.1");
    let v6 = ("-6", format!("{}/64", node.ip6()), "fd00:30::1");
    for (family, own, nobody) in families.of(v4, v6) {
        let at_once = (family == "-6").then_some("nodad");
        let add = ["address", "add", &own, "dev", UPLINK].into_iter();
        ip(host, &add.chain(at_once).collect::<Vec<_>>())?;
        // It leads nowhere. Without one, the kernel refuses a Service's address before kube-proxy's rules are asked.
        let default = ["route", "add", "default", "via", nobody, "dev", UPLINK];
        ip(host, &[&[family], &default[..]].concat())?;
    }
    Ok(())
}

/// Lays a wire between the hosts of the two nodes, and tells each the way to the pods of the other.
pub(crate) fn wire(first: &Sandbox, second: &Sandbox, families: Families) -> Result<(), Failure> {
    let [here, there] = Node::ALL.map(Node::name);
    let mut lay = Command::new("ip");
    lay.args(["link", "add", there, "netns", &first.first().to_string()]);
    lay.args(["type", "veth", "peer", "name", here]);
    said(lay.args(["netns", &second.first().to_string()]))?;
    plug_in(first, Node::Second, families)?;
    plug_in(second, Node::First, families)
}

/// Takes away the wire that leads to the first node's host.
pub(crate) fn unwire(first: &Sandbox) -> Result<(), Failure> {
    ip(first, &["link", "delete", Node::Second.name()])
}

/// Plugs the wire to another node into a host's network.
fn plug_in(host: &Sandbox, far: Node, families: Families) -> Result<(), Failure> {
    ip(host, &["link", "set", far.name(), "master", UPLINK, "up"])?;
    let (v4, v6) = ((far.pods(), far.ip()), (far.pods6(), far.ip6()));
    for (block, by) in families.of(v4, v6) {
        ip(host, &["route", "replace", block, "via", by])?;
    }
    Ok(())
}

/// Lets `ip` do something in a host's network.
fn ip(host: &Sandbox, arguments: &[&str]) -> Result<(), Failure> {
    said(host.enter(Path::new("ip")).args(arguments)).map(drop)
}

/// Lets a node find the plugins of Debian where it looks, and where others may be put beside them.
fn link_plugins(folder: &Path) -> Result<(), Failure> {
    let link = || -> io::Result<()> {
        fs::create_dir_all(folder)?;
        for plugin in fs::read_dir(PLUGINS)? {
            let plugin = plugin?;
            std::os::unix::fs::symlink(plugin.path(), folder.join(plugin.file_name()))?;
        }
        Ok(())
    };
    link().map_err(Failure::of(PLUGINS))
}

/// The device by which a host is on the nodes' network.
pub(crate) const UPLINK: &str = "uplink";

/// Where Debian has the plugins that connect pods.
const PLUGINS: &str = "/usr/lib/cni";
