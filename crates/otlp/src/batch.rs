//! What is sent in one request.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

/// An encoded request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Batch {
    /// Its bytes.
    pub(crate) body: Vec<u8>,
    /// How many points, spans or lines are in it.
    pub(crate) items: u64,
}

impl Batch {
    /// The same, compressed.
    pub(crate) fn packed(self) -> Self {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder
            .write_all(&self.body)
            .and_then(|()| encoder.finish())
            .map(|body| Self {
                body,
                items: self.items,
            })
            .expect("a Vec takes every byte")
    }
}
