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
    /// The client's proxy calls the server in plain, in the version of HTTP that the client speaks.
    pub fn hop() -> Self {
        Self::hop_to("HTTP")
    }

    /// The client's proxy calls the server in plain, in what is declared for it; an honest one of
    /// HTTP/1.1 listens beside it, at port 8081.
    pub fn hop_to(protocol: &str) -> Self {
        Self::hop_with(protocol, "")
    }

    /// The same, with a proxy that waits only a second for a peer that takes nothing.
    pub fn impatient_hop_to(protocol: &str) -> Self {
        Self::hop_with(protocol, "limits: {stalled: 1s}")
    }

    fn hop_with(protocol: &str, lines: &str) -> Self {
        let ports =
            format!("{{port: 8080, protocol: {protocol}}}, {{port: 8081, protocol: HTTP1}}");
        let world = World::new("mtls: Permissive, default: Allow")
            .workload("web", "")
            .unproxied("cart", &ports);
        let web = world
            .proxy("web")
            .upstream("cart", 8080)
            .upstream("cart", 8081);
        let web = web.with("metrics: @web:15020").with(lines);
        let proxies = vec![web.start()];
        Self { world, proxies }
    }

    /// Both have a proxy, and the proxies trust nobody unproven.
    pub fn pair() -> Self {
        let world = World::pair();
        let cart = world.proxy("cart").with("metrics: @cart:15020").start();
        let web = world.proxy("web").upstream("cart", 8080).start();
        let proxies = vec![web, cart];
        Self { world, proxies }
    }

    /// The ends of its conversations.
    pub fn stage(&self) -> Stage {
        Stage::new(self.world.at("web", 8080), self.world.at("cart", 8080))
    }
}
