//! A host and a port as they stand in a URL.

use std::net::Ipv6Addr;

/// `cart:80`, `[fd00::7]:80`.
pub(crate) fn authority(host: &str, port: u16) -> String {
    match host.parse::<Ipv6Addr>() {
        Ok(_) => format!("[{host}]:{port}"),
        Err(_) => format!("{host}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::authority;

    #[test]
    fn an_address_of_ipv6_stands_in_brackets() {
        for (host, expect) in [
            ("cart.shop", "cart.shop:80"),
            ("10.1.0.7", "10.1.0.7:80"),
            ("fd00::7", "[fd00::7]:80"),
            ("[fd00::7]", "[fd00::7]:80"),
        ] {
            assert_eq!(authority(host, 80), expect);
        }
    }
}
