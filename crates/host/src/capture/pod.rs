//! The packet rules of a network namespace that a workload shares with its proxy, as in a pod.

use leno_model::Ports;
use leno_model::view::access::IpBlock;

use super::{
    DNS_PORT, INBOUND_PORT, METRICS_PORT, NODE_TABLE, OUTBOUND_PORT, PROOFS, PROXY_MARK,
    PROXY_USER, TABLE, TUNNEL_PORT, UDP_REFUSED, rule,
};
use crate::guard::PROXY_HOPS;
use crate::nft::{Chain, ChainKind, Hook, Match, Rule, Ruleset, Table, Transport, Verdict};

/// Counts the datagrams that passed beside the proxy.
const UDP_PASSED: &str = "udp_passed";

/// By what the rules know what the proxy itself sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum KnownBy {
    /// By its user, [`PROXY_USER`]: it runs in the namespace.
    #[default]
    User,
    /// By the mark of its sockets, [`PROXY_MARK`], which has to be set before they connect: it makes them
    /// there from outside.
    Mark,
}

impl KnownBy {
    /// The table of the rules: whoever takes away those of one kind takes no others.
    fn table(self) -> Table {
        match self {
            Self::User => TABLE,
            Self::Mark => NODE_TABLE,
        }
    }

    fn sent(self) -> Match {
        match self {
            Self::User => Match::User(PROXY_USER),
            Self::Mark => Match::Mark(PROXY_MARK),
        }
    }
}

/// What is captured of a workload in whose network namespace a proxy listens.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PodCapture {
    /// The ports at which connections from outside reach the workload without the proxy.
    pub skip_inbound: Vec<Ports>,
    /// The ports to which the workload connects without the proxy. With 53 among them, names are asked
    /// of the servers that the workload means, over UDP and TCP.
    pub skip_outbound: Vec<Ports>,
    /// The addresses to which the workload connects without the proxy. Of their servers, too, names are
    /// asked through the proxy.
    pub skip_outbound_blocks: Vec<IpBlock>,
    /// Whether datagrams to others than servers of names are refused. Else they pass. They are counted
    /// either way.
    pub refuse_udp: bool,
    /// By what is known, and left alone, what the proxy sends.
    pub known_by: KnownBy,
}

impl PodCapture {
    /// The packet rules.
    ///
    /// What the workload sends to itself, over loopback or at its own addresses, is its own affair, and
    /// what the proxy sends is the proxy's. Otherwise its TCP connections go to [`OUTBOUND_PORT`], its
    /// questions about names to [`DNS_PORT`], and TCP connections from outside to [`INBOUND_PORT`]. Nobody
    /// reaches these three ports themselves from outside: what arrives there was redirected. A connection from
    /// outside to [`OUTBOUND_PORT`] goes to [`INBOUND_PORT`] like others: who asks there whether the proxy is
    /// ready is answered only where connections from outside come to it. What the proxy sends to [`PROOFS`] goes
    /// to [`OUTBOUND_PORT`], which tells it that connections from inside do.
    ///
    /// A TCP connection that was not redirected and should have been is closed: one that was open before,
    /// or that was opened while a chain was not there.
    pub fn rules(&self) -> Ruleset {
        let chain = |name, hook, kind, rules| Chain {
            name,
            hook,
            devices: Vec::new(),
            kind,
            rules,
        };
        Ruleset {
            table: self.known_by.table(),
            counters: vec![self.counter()],
            sets: Vec::new(),
            chains: vec![
                chain("outbound", Hook::Output, ChainKind::Nat, self.outbound()),
                chain("past", Hook::Output, ChainKind::Filter, self.past()),
                chain("inbound", Hook::Prerouting, ChainKind::Nat, self.inbound()),
                chain("guard", Hook::Input, ChainKind::Filter, self.guard()),
            ],
        }
    }

    fn counter(&self) -> &'static str {
        match self.refuse_udp {
            true => UDP_REFUSED,
            false => UDP_PASSED,
        }
    }

    fn outbound(&self) -> Vec<Rule> {
        let sent = self.known_by.sent();
        let mut rules: Vec<_> = PROOFS
            .map(|proof| rule([sent, Match::ToOther(proof)], Verdict::Return))
            .into();
        rules.push(rule([Match::ToItself], Verdict::Return));
        rules.extend(self.proofs_of_what_is_left_out());
        rules.extend(left_out(&self.skip_outbound, Verdict::Return));
        if !self.skip_outbound.iter().any(|ports| ports.contains(NAMES)) {
            let redirected = |transport| {
                let asks = Match::Port(transport, NAMES.into());
                rule([asks], Verdict::Redirect(DNS_PORT))
            };
            rules.extend([Transport::Udp, Transport::Tcp].map(redirected));
        }
        let blocks = self.skip_outbound_blocks.iter();
        rules.extend(blocks.map(|block| rule([Match::To(*block)], Verdict::Return)));
        let rest = [Match::Protocol(Transport::Tcp)];
        rules.push(rule(rest, Verdict::Redirect(OUTBOUND_PORT)));
        rules
    }

    /// What the proxy sends to [`PROOFS`] goes the way of what the workload sends. Only where that is left out,
    /// it goes before it.
    fn proofs_of_what_is_left_out(&self) -> impl Iterator<Item = Rule> {
        let is_left_out = |proof| {
            let mut blocks = self.skip_outbound_blocks.iter();
            let mut ports = self.skip_outbound.iter();
            ports.any(|ports| ports.contains(OUTBOUND_PORT))
                || blocks.any(|block| block.contains(proof))
        };
        let proofs = PROOFS.into_iter().filter(move |proof| is_left_out(*proof));
        proofs.map(|proof| {
            let to = [
                Match::To(IpBlock::host(proof)),
                Match::Protocol(Transport::Tcp),
            ];
            rule(to, Verdict::Redirect(OUTBOUND_PORT))
        })
    }

    /// About what goes past the proxy: datagrams that the workload sends of its own accord, and connections. What
    /// is redirected is on its way to an address of the namespace itself by then.
    fn past(&self) -> Vec<Rule> {
        let then = match self.refuse_udp {
            true => Verdict::Refuse,
            false => Verdict::Accept,
        };
        let counted = Rule {
            count: Some(self.counter()),
            ..rule([Match::Protocol(Transport::Udp)], then)
        };
        let mut rules = self.signed();
        rules.extend([
            rule([self.known_by.sent()], Verdict::Accept),
            rule([Match::ToItself], Verdict::Accept),
            rule([Match::Reply], Verdict::Accept),
            counted,
        ]);
        rules.extend(left_out(&self.skip_outbound, Verdict::Accept));
        let blocks = self.skip_outbound_blocks.iter();
        rules.extend(blocks.map(|block| rule([Match::To(*block)], Verdict::Accept)));
        rules.push(rule([Match::Protocol(Transport::Tcp)], Verdict::Reset));
        rules
    }

    /// What signs packets of the proxy for a guard on the node's side; one that reaches in from outside signs its own.
    fn signed(&self) -> Vec<Rule> {
        let hops = match self.known_by {
            KnownBy::User => vec![Verdict::Hops(PROXY_HOPS), Verdict::Hops6(PROXY_HOPS)],
            KnownBy::Mark => Vec::new(),
        };
        let sent = self.known_by.sent();
        hops.into_iter().map(|hops| rule([sent], hops)).collect()
    }

    fn inbound(&self) -> Vec<Rule> {
        let own = [INBOUND_PORT, TUNNEL_PORT, METRICS_PORT, DNS_PORT];
        let mut rules = vec![rule([Match::OverLoopback], Verdict::Return)];
        rules.extend(left_out(&own.map(Ports::from), Verdict::Return));
        // Who asks there whether the proxy is ready is to come the way of all others, unless that is left out.
        let mut ports = self.skip_inbound.iter();
        if ports.any(|ports| ports.contains(OUTBOUND_PORT)) {
            let to = [
                Match::ToItself,
                Match::Port(Transport::Tcp, OUTBOUND_PORT.into()),
            ];
            rules.push(rule(to, Verdict::Redirect(INBOUND_PORT)));
        }
        rules.extend(left_out(&self.skip_inbound, Verdict::Return));
        // What only passes through the namespace is somebody else's.
        let rest = [Match::ToItself, Match::Protocol(Transport::Tcp)];
        rules.push(rule(rest, Verdict::Redirect(INBOUND_PORT)));
        rules
    }

    /// Whoever could speak from outside to the ports of what is captured would call as the workload does.
    fn guard(&self) -> Vec<Rule> {
        let tcp = |port: u16| Match::Port(Transport::Tcp, port.into());
        let mut rules = vec![
            rule([Match::OverLoopback], Verdict::Accept),
            rule([Match::Reply], Verdict::Accept),
            rule([tcp(INBOUND_PORT), Match::Redirected], Verdict::Accept),
        ];
        let closed = [OUTBOUND_PORT, INBOUND_PORT, DNS_PORT];
        rules.extend(closed.map(|port| rule([tcp(port)], Verdict::Reset)));
        let names = Match::Port(Transport::Udp, DNS_PORT.into());
        rules.push(rule([names], Verdict::Refuse));
        let open = [TUNNEL_PORT, METRICS_PORT].map(Ports::from);
        rules.extend(left_out(&open, Verdict::Accept));
        rules.extend(left_out(&self.skip_inbound, Verdict::Accept));
        rules.push(rule([Match::Protocol(Transport::Tcp)], Verdict::Reset));
        rules
    }
}

/// Where servers of names are asked.
const NAMES: u16 = 53;

fn left_out(ports: &[Ports], then: Verdict) -> impl Iterator<Item = Rule> {
    let ports = ports.iter();
    ports.map(move |ports| rule([Match::Port(Transport::Tcp, *ports)], then))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_of_a_pod_read_as_nft_prints_them() {
        let expect = include_str!("../../tests/cases/pod.nft");
        assert_eq!(PodCapture::default().rules().to_string(), expect);
    }

    #[test]
    fn what_is_tried_is_captured_where_all_else_is_left_out() {
        let capture = PodCapture {
            skip_inbound: vec!["1-65535".parse().unwrap()],
            skip_outbound_blocks: vec![IpBlock::parse("192.0.0.0/16").unwrap()],
            ..PodCapture::default()
        };
        let text = capture.rules().to_string();
        let before = |first: &str, then: &str| {
            let [first, then] = [first, then].map(|rule| text.find(rule));
            assert!(first.is_some_and(|first| Some(first) < then), "{text}");
        };
        before(
            "ip daddr 192.0.2.150 meta l4proto tcp redirect to :15001",
            "ip daddr 192.0.0.0/16 return",
        );
        before(
            "fib daddr type local tcp dport 15001 redirect to :15006",
            "tcp dport 1-65535 return",
        );
        assert!(!text.contains("ip6 daddr 2001:db8::150 "), "{text}");
    }

    #[test]
    fn a_proxy_that_reaches_in_from_outside_is_known_by_its_mark() {
        let capture = PodCapture {
            known_by: KnownBy::Mark,
            ..PodCapture::default()
        };
        let expect = include_str!("../../tests/cases/pod.nft");
        let by_mark = expect.replace("meta skuid 15008", "meta mark & 0x00001000 == 0x00001000");
        let by_mark = by_mark.replace("table inet leno ", "table inet leno_node ");
        // The proxy signs what it sends there itself.
        let lines = by_mark.lines().filter(|line| !line.ends_with(" set 63"));
        let by_mark: String = lines.map(|line| format!("{line}\n")).collect();
        assert_eq!(capture.rules().to_string(), by_mark);
    }

    #[test]
    fn what_is_left_out_comes_before_what_is_captured() {
        let ports = |texts: [&str; 2]| texts.map(|text| text.parse().unwrap()).into();
        let blocks = ["10.0.0.0/8", "10.99.3.0/13", "192.0.2.7/32", "fd00::/8"];
        let blocks = blocks.into_iter().chain(["2001:db8:ffff::/37"]);
        let capture = PodCapture {
            skip_inbound: ports(["22", "8000-8010"]),
            skip_outbound: ports(["25", "53-60"]),
            skip_outbound_blocks: blocks.map(|it| IpBlock::parse(it).unwrap()).collect(),
            refuse_udp: true,
            known_by: KnownBy::User,
        };
        let expect = include_str!("../../tests/cases/pod_left_out.nft");
        assert_eq!(capture.rules().to_string(), expect);
    }
}
