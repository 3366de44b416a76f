//! Public keys as the numbers they are, for whoever writes them in another form.

use alloc::vec::Vec;

/// The numbers of a public key, each big-endian; those of a curve are as long as its field.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeyNumbers {
    /// RSA.
    Rsa {
        /// The modulus.
        n: Vec<u8>,
        /// The exponent.
        e: Vec<u8>,
    },
    /// A point on P-256.
    P256 {
        /// Its first coordinate.
        x: Vec<u8>,
        /// Its second coordinate.
        y: Vec<u8>,
    },
    /// A point on P-384.
    P384 {
        /// Its first coordinate.
        x: Vec<u8>,
        /// Its second coordinate.
        y: Vec<u8>,
    },
    /// A key of Ed25519.
    Ed25519 {
        /// The point, compressed.
        x: Vec<u8>,
    },
}
