//! Hostile peers, and honest ones with unusual manners, beside a real proxy: conversations that anybody can
//! read and add to (`corpus/*.txt`), and what plays them.

mod conversation;
mod escapes;
mod hostile;
mod mesh;
mod server;
mod stage;
mod told;

pub use leno_e2e::frames;

pub use conversation::{Conversation, play, read, written};
pub use hostile::{Hostile, Taken};
pub use mesh::Mesh;
pub use server::{Line, Server};
pub use stage::Stage;
