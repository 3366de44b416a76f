//! The name a client asks for in the clear (SNI): a hash, so that a process with several identities
//! knows which one is meant and an onlooker does not.

use std::fmt::Write;

use aws_lc_rs::digest::{SHA256, digest};
use leno_model::SpiffeId;
use rustls::pki_types::{DnsName, ServerName};

/// How much of the hash is sent: 160 bits make 40 digits, which fit a DNS label of at most 63.
const BYTES: usize = 20;

/// The name of `peer` in the clear: the first 20 bytes of the SHA-256 of its SPIFFE ID in URI form,
/// as lower-case hexadecimal digits, then `.leno.internal`.
pub fn peer_name(peer: &SpiffeId) -> String {
    let hash = digest(&SHA256, peer.to_string().as_bytes());
    let mut name = String::new();
    for byte in hash.as_ref().iter().take(BYTES) {
        write!(name, "{byte:02x}").expect("a string takes everything");
    }
    name + ".leno.internal"
}

pub(crate) fn server_name(peer: &SpiffeId) -> ServerName<'static> {
    let name = DnsName::try_from(peer_name(peer));
    ServerName::DnsName(name.expect("digits and letters in labels of at most 63 are a DNS name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_hash_of_the_identity() {
        let id = |text| SpiffeId::parse(text).unwrap();
        let web = id("spiffe://shop.local/ns/default/sa/web");
        let cart = id("spiffe://shop.local/ns/default/sa/cart");
        // printf %s spiffe://shop.local/ns/default/sa/web | sha256sum | cut -c1-40
        assert_eq!(
            peer_name(&web),
            "4d1cb47c51192dca35541f78ceced6d97770e5c2.leno.internal"
        );
        assert_ne!(peer_name(&web), peer_name(&cart));
    }
}
