//! The least mesh there is: one who calls, and one who is called.

use leno_e2e::{Answer, Application, Client, Process, World, curl};

/// `web` calls `cart` through its own proxy and cart's.
pub(crate) struct Pair {
    pub(crate) world: World,
    pub(crate) application: Application,
    pub(crate) web: Process,
    pub(crate) cart: Process,
}

impl Pair {
    /// In a strict mesh where everybody may call.
    pub(crate) fn start() -> Self {
        Self::of(World::pair())
    }

    /// In a world that has both.
    pub(crate) fn of(world: World) -> Self {
        Self {
            application: Application::start(world.at("cart", 8080), "cart"),
            cart: world.proxy("cart").start(),
            web: world.proxy("web").upstream("cart", 8080).start(),
            world,
        }
    }

    /// Asks with curl, through both.
    pub(crate) fn curl(&self, path: &str, arguments: &[&str]) -> Answer {
        let url = self.world.url("web", 8080, path);
        curl(&[&[url.as_str()], arguments].concat())
    }

    /// A connection to web's proxy.
    pub(crate) fn client(&self) -> Client {
        Client::to(self.world.at("web", 8080))
    }
}
