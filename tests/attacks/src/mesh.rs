//! The meshes in which conversations are played: between client and server is one proxy, or two with a
//! tunnel between them.

use leno_e2e::{Process, World};

use crate::stage::Stage;

/// A mesh with one client, `web`, and one server, `cart`.
#[derive(Debug)]
pub struct Mesh {
    /// Its addresses and its folder.
    pub world: World,
    /// The proxies, the client's first.
    pub proxies: Vec<Process>,
}

impl Mesh {
    /// The client's proxy calls the server in plain.
    pub fn hop() -> Self {
        let world = World::new("mtls: Permissive, default: Allow")
            .workload("web", "")
            .unproxied("cart", PORTS);
        let proxies = vec![world.proxy("web").upstream("cart", 8080).start()];
        Self { world, proxies }
    }

    /// Both have a proxy, and the proxies trust nobody unproven.
    pub fn pair() -> Self {
        let world = World::pair();
        let cart = world.proxy("cart").start();
        let web = world.proxy("web").upstream("cart", 8080).start();
        let proxies = vec![web, cart];
        Self { world, proxies }
    }

    /// The ends of its conversations.
    pub fn stage(&self) -> Stage {
        Stage::new(self.world.at("web", 8080), self.world.at("cart", 8080))
    }
}

const PORTS: &str = "{port: 8080, protocol: HTTP}";
