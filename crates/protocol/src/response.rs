//! A response's head.

use crate::framing::{BodyFraming, Version};
use crate::request::Header;

/// What a server answers, as far as it goes to the client.
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    /// 100 to 599.
    pub status: u16,
    /// The words behind the status, as sent; perhaps empty, perhaps not UTF-8.
    pub reason: &'a [u8],
    /// The headers that go to the other end, in order, names and values as sent, without those
    /// that concern one connection only.
    pub headers: &'a [Header<'a>],
}

impl<'a> Response<'a> {
    /// Every value of one header, in order. `name` is compared without regard to ASCII case.
    pub fn header(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.headers
            .iter()
            .filter(move |header| header.name.eq_ignore_ascii_case(name))
            .map(|header| header.value)
    }

    /// Whether another response to the same request follows this one: 1xx but 101.
    pub fn is_interim(&self) -> bool {
        self.status < 200 && self.status != 101
    }
}

/// A response and what the connection must know to carry it.
#[derive(Clone, Copy, Debug)]
pub struct ResponseHead<'a> {
    /// What goes to the client.
    pub response: Response<'a>,
    /// What the server speaks.
    pub version: Version,
    /// How the body ends.
    pub body: BodyFraming,
    /// Whether the server will take another request on the connection once this exchange is done.
    pub keep_alive: bool,
    /// How many bytes the head took. Another head may follow at once (1xx, then the final one):
    /// what is left over is parsed before more is read.
    pub length: usize,
}
