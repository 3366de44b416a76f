//! The handshake by which WebSocket begins in HTTP/1.1 (RFC 6455 section 4). HTTP/2 has none: what it proves,
//! `:protocol` says there (RFC 8441 section 5), so that whoever stands between the two makes one and judges it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

/// Its name among protocols.
pub const PROTOCOL: &str = "websocket";

/// The header in which a client sends a key.
pub const KEY: &str = "sec-websocket-key";

/// The header in which a server proves that it has read the key and knows WebSocket.
pub const ACCEPT: &str = "sec-websocket-accept";

/// The key that such a nonce is sent as.
//= RFC 6455 section 4.1: "The value of this header field MUST be a nonce consisting of a randomly selected 16-byte value that has been base64-encoded"
pub fn key(nonce: [u8; 16]) -> [u8; 24] {
    encode(&nonce)
}

/// Whether a client may send this as its key.
pub fn is_key(key: &[u8]) -> bool {
    let mut nonce = [0; 18];
    key.len() == 24 && STANDARD.decode_slice(key, &mut nonce) == Ok(16)
}

/// What a server answers to this key.
//= RFC 6455 section 4.2.2: "this header field is determined by concatenating the value of |Sec-WebSocket-Key| [..] with the string "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", taking the SHA-1 hash of this concatenated value to obtain a 20-byte value and base64-encoding [..] this 20-byte hash."
pub fn accept(key: &[u8]) -> [u8; 28] {
    const KNOWN: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    let hash = Sha1::new().chain_update(key).chain_update(KNOWN).finalize();
    encode(&hash)
}

fn encode<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut text = [0; N];
    let length = STANDARD.encode_slice(bytes, &mut text);
    debug_assert_eq!(length, Ok(N));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_answered_as_the_rfc_shows() {
        let key = key(*b"the sample nonce");
        assert_eq!(&key, b"dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(&accept(&key), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn a_key_is_sixteen_bytes() {
        assert!(is_key(b"dGhlIHNhbXBsZSBub25jZQ=="));
        for none in [
            &b""[..],
            b"dGhlIHNhbXBsZSBub25jZQ",
            b"dGhlIHNhbXBsZSBub25jZTE=",
            b"dGhlIHNhbXBsZSBub25jZTEy",
            b"dGhlIHNhbXBsZSBub25jZR==",
            b"dGhlIHNhbXBsZSBub25jZQ=!",
        ] {
            assert!(!is_key(none), "{}", none.escape_ascii());
        }
    }
}
