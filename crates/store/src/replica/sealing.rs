//! How what leaves a store for a log is sealed: whoever keeps the log can neither read it nor make
//! another of it, nor put an entry into another's place.

use std::fmt;
use std::io::{Read, Write};

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

use crate::replica::place::Place;

/// Seals and opens what is kept outside, by a key that all replicas have.
pub(crate) struct Sealing(RandomizedNonceKey);

impl Sealing {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        let key = RandomizedNonceKey::new(&AES_256_GCM, key);
        Self(key.expect("a key of 256 bits"))
    }

    /// The entry that follows a place.
    pub(crate) fn seal_entry(&self, after: &Place, said: &[u8]) -> Vec<u8> {
        self.seal(&of_entry(after), said)
    }

    /// What the entry says that follows a place; `None` if it is no such entry.
    pub(crate) fn open_entry(&self, after: &Place, sealed: &[u8]) -> Option<Vec<u8>> {
        self.open(&of_entry(after), sealed)
    }

    /// A copy of everything up to an entry.
    pub(crate) fn seal_copy(&self, number: u64, file: &[u8]) -> Vec<u8> {
        self.seal(&of_copy(number), file)
    }

    /// What a copy holds; `None` if it is none.
    pub(crate) fn open_copy(&self, number: u64, sealed: &[u8]) -> Option<Vec<u8>> {
        self.open(&of_copy(number), sealed)
    }

    fn seal(&self, what: &[u8], plain: &[u8]) -> Vec<u8> {
        let mut bytes = deflate(plain);
        let nonce = self.0.seal_in_place_append_tag(Aad::from(what), &mut bytes);
        let nonce = nonce.expect("it is shorter than what can be sealed");
        [&nonce.as_ref()[..], &bytes].concat()
    }

    fn open(&self, what: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_first_chunk::<12>()?;
        let mut bytes = sealed.to_vec();
        let (nonce, aad) = (Nonce::from(nonce), Aad::from(what));
        let plain = self.0.open_in_place(nonce, aad, &mut bytes).ok()?;
        // It is what a replica has packed: it may grow as it will.
        let mut unpacked = Vec::new();
        DeflateDecoder::new(&*plain)
            .read_to_end(&mut unpacked)
            .ok()?;
        Some(unpacked)
    }
}

impl fmt::Debug for Sealing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealing")
    }
}

fn of_entry(after: &Place) -> Vec<u8> {
    let number = after.number.to_be_bytes();
    [b"leno-entry-1\0", &after.lineage[..], &number, &after.chain].concat()
}

fn of_copy(number: u64) -> Vec<u8> {
    [&b"leno-copy-1\0"[..], &number.to_be_bytes()].concat()
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut packed = DeflateEncoder::new(Vec::new(), Compression::fast());
    let packed = packed.write_all(bytes).and_then(|()| packed.finish());
    packed.expect("writing into memory does not fail")
}
