//! What is sent in one request.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
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

/// As much of an answer as is read.
const LARGEST_ANSWER: u64 = 64 * 1024;

/// What a compressed answer says; what is not whole says what can be read of it.
pub(crate) fn unpacked(bytes: &[u8]) -> Vec<u8> {
    let mut answer = Vec::new();
    let mut decoder = GzDecoder::new(bytes).take(LARGEST_ANSWER);
    // An answer that cannot be read is a yes without words.
    drop(decoder.read_to_end(&mut answer));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_the_same_unpacked() {
        let body = b"leno".repeat(100);
        let packed = Batch {
            body: body.clone(),
            items: 1,
        }
        .packed();
        assert!(packed.body.len() < body.len());
        assert_eq!(unpacked(&packed.body), body);
        assert_eq!(unpacked(b"no gzip"), b"");
    }

    #[test]
    fn an_answer_that_grows_without_end_is_cut() {
        let bomb = Batch {
            body: vec![0; 8 << 20],
            items: 1,
        }
        .packed();
        assert_eq!(unpacked(&bomb.body).len() as u64, LARGEST_ANSWER);
    }
}
