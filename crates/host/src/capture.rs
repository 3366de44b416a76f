//! The packet rules of an enclosure: which connections go to the proxy, and what is refused.

mod pod;

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use leno_model::view::access::IpBlock;

use crate::{
    enclosure::Layout,
    nft::{Chain, ChainKind, Hook, Match, Rule, Ruleset, Table, Transport, Verdict},
};

pub use pod::{KnownBy, PodCapture};

/// The user as whom a proxy runs beside what it captures.
pub const PROXY_USER: u32 = 15008;
/// Where connections arrive that were captured on their way out.
pub const OUTBOUND_PORT: u16 = 15001;
/// Where connections arrive that were captured on their way in.
pub const INBOUND_PORT: u16 = 15006;
/// Where proxies take tunnels.
pub const TUNNEL_PORT: u16 = 15008;
/// Where metrics and readiness are read.
pub const METRICS_PORT: u16 = 15020;
/// Where a proxy connects to at [`OUTBOUND_PORT`] to see whether what is sent in its namespace comes to it. Nothing is
/// there: the addresses are set apart for documentation (RFC 5737, RFC 3849) and no network leads to them, so
/// that no call of a workload is meant for them, and one of the proxy gets to nobody where nothing is captured.
pub const PROOFS: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 150)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x150)),
];
/// Where DNS arrives, over UDP and TCP.
pub const DNS_PORT: u16 = 15053;
/// The mark by which rules know sockets of a proxy that reaches into a workload's namespace from outside. The
/// workload may not set one. One bit, so that it holds whatever other marks a packet bears; none of those
/// that kube-proxy, Cilium, Calico and Istio use, in case the packet keeps it where it leaves the namespace.
pub const PROXY_MARK: u32 = 0x1000;

/// The ports on which the application listens on loopback.
pub(crate) const LOCAL_PORTS: &str = "local_ports";
pub(crate) const LOCAL_PORTS_6: &str = "local_ports_6";
const PORTS_MAX: usize = 4096;
/// The table that holds the rules.
const TABLE: Table = Table::inet("leno");
/// That of rules which the proxy of a node puts into a pod's namespace.
pub(crate) const NODE_TABLE: Table = Table::inet("leno_node");
/// Counts the datagrams that were refused.
pub(crate) const UDP_REFUSED: &str = "udp_refused";

/// The packet rules of an enclosure.
///
/// The workload's own addresses, and the loopback ports it listens on, are its own affair. DNS goes
/// to [`DNS_PORT`] whatever server was asked: a host may replace its `/etc/resolv.conf` at any time,
/// and that uncovers the replacement inside. Every other connection, loopback included, goes to
/// [`OUTBOUND_PORT`]. Nothing else is sent anywhere: datagrams are refused and counted, also those to
/// a loopback port that nobody listens on, for which the kernel's own refusal is counted.
pub fn capture_rules(layout: &Layout) -> Ruleset {
    use Match::{From, Mark, Port, PortIn, PortUnreachable, PortUnreachable6, Protocol, To};
    use Transport::{Tcp, Udp};
    use Verdict::{Accept, Forbid, Redirect, Refuse, Return};

    let own = IpBlock::host(layout.v4.into());
    let own_6 = IpBlock::host(layout.v6.into());
    let loopback = IpBlock::new(Ipv4Addr::LOCALHOST.into(), 8).expect("it has 32 bits");
    let loopback_6 = IpBlock::host(Ipv6Addr::LOCALHOST.into());
    Ruleset {
        table: TABLE,
        counters: vec![UDP_REFUSED],
        sets: vec![LOCAL_PORTS, LOCAL_PORTS_6],
        chains: vec![
            Chain {
                name: "capture",
                hook: Hook::Output,
                devices: Vec::new(),
                kind: ChainKind::Nat,
                rules: vec![
                    rule([Mark(PROXY_MARK)], Return),
                    rule([To(own)], Return),
                    rule([To(own_6)], Return),
                    rule([Port(Udp, 53.into())], Redirect(DNS_PORT)),
                    rule([Port(Tcp, 53.into())], Redirect(DNS_PORT)),
                    rule([To(loopback), PortIn(Tcp, LOCAL_PORTS)], Return),
                    rule([To(loopback_6), PortIn(Tcp, LOCAL_PORTS_6)], Return),
                    rule([Protocol(Tcp)], Redirect(OUTBOUND_PORT)),
                ],
            },
            Chain {
                name: "refuse",
                hook: Hook::Output,
                devices: Vec::new(),
                kind: ChainKind::Filter,
                rules: vec![
                    counted([From(loopback), PortUnreachable], Accept),
                    counted([From(loopback_6), PortUnreachable6], Accept),
                    rule([To(loopback)], Accept),
                    rule([To(loopback_6)], Accept),
                    rule([To(own)], Accept),
                    rule([To(own_6)], Accept),
                    counted([Protocol(Udp)], Refuse),
                    rule([], Forbid),
                ],
            },
        ],
    }
}

/// The ports of [`LOCAL_PORTS`] and [`LOCAL_PORTS_6`] for an application that listens on these
/// addresses, up to 4096 of each; connections to the others take the way through the proxy.
pub(crate) fn local_ports<'a>(
    listening: impl IntoIterator<Item = &'a SocketAddr>,
) -> [BTreeSet<u16>; 2] {
    let [mut v4, mut v6] = [BTreeSet::new(), BTreeSet::new()];
    for address in listening {
        match address.ip() {
            IpAddr::V4(ip) if ip.is_loopback() || ip.is_unspecified() => v4.insert(address.port()),
            IpAddr::V6(ip) if ip.is_loopback() || ip.is_unspecified() => v6.insert(address.port()),
            _ => false,
        };
    }
    [v4, v6].map(|ports| ports.into_iter().take(PORTS_MAX).collect())
}

fn rule<const N: usize>(when: [Match; N], then: Verdict) -> Rule {
    Rule {
        when: when.into(),
        count: None,
        then,
    }
}

fn counted<const N: usize>(when: [Match; N], then: Verdict) -> Rule {
    Rule {
        count: Some(UDP_REFUSED),
        ..rule(when, then)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_answers_on_loopback_is_local() {
        let listening = [
            "127.0.0.1:8080",
            "127.0.0.9:8081",
            "0.0.0.0:80",
            "10.0.0.7:5432",
            "[::1]:9090",
            "[::]:443",
            "[fd00::7]:5432",
        ];
        let listening = listening.map(|address| address.parse().unwrap());
        let [v4, v6] = local_ports(&listening);
        assert_eq!(v4, [80, 8080, 8081].into());
        assert_eq!(v6, [443, 9090].into());
    }

    #[test]
    fn the_rules_read_as_nft_prints_them() {
        let layout = Layout {
            v4: "10.77.0.2".parse().unwrap(),
            v6: "fd77::2".parse().unwrap(),
            resolver: "10.77.0.1".parse().unwrap(),
            search: Vec::new(),
        };
        let expect = include_str!("../tests/cases/capture.nft");
        assert_eq!(capture_rules(&layout).to_string(), expect);
    }
}
