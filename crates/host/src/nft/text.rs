//! Rules as people read them: the syntax of nft(8).

use std::{
    fmt::{Display, Formatter, Result},
    net::IpAddr,
};

use leno_model::view::access::IpBlock;

use super::{Chain, ChainKind, Family, Hook, Match, Rule, Ruleset, Table, Transport, Verdict};

impl Display for Ruleset {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(f, "table {} {{", self.table)?;
        for counter in &self.counters {
            writeln!(f, "\tcounter {counter} {{\n\t\tpackets 0 bytes 0\n\t}}\n")?;
        }
        for set in &self.sets {
            writeln!(f, "\tset {set} {{\n\t\ttype inet_service\n\t}}\n")?;
        }
        for (index, chain) in self.chains.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{chain}")?;
        }
        writeln!(f, "}}")
    }
}

/// `inet leno`
impl Display for Table {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let family = match self.family {
            Family::Inet => "inet",
            Family::Netdev => "netdev",
        };
        write!(f, "{family} {}", self.name)
    }
}

impl Display for Chain {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        // The names of priorities depend on the hook.
        let (kind, priority) = match (self.kind, self.hook) {
            (ChainKind::Nat, Hook::Prerouting) => ("nat", "dstnat"),
            (ChainKind::Nat, Hook::Input | Hook::Output | Hook::Ingress) => ("nat", "-100"),
            (ChainKind::Filter, _) => ("filter", "filter"),
        };
        let hook = self.hook;
        writeln!(f, "\tchain {} {{", self.name)?;
        write!(f, "\t\ttype {kind} hook {hook} ")?;
        match self.devices.as_slice() {
            [] => {}
            [one] => write!(f, "device \"{one}\" ")?,
            several => write!(f, "devices = {{ {} }} ", several.join(", "))?,
        }
        writeln!(f, "priority {priority}; policy accept;")?;
        for rule in &self.rules {
            writeln!(f, "\t\t{rule}")?;
        }
        writeln!(f, "\t}}")
    }
}

impl Display for Hook {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            Self::Prerouting => "prerouting",
            Self::Input => "input",
            Self::Output => "output",
            Self::Ingress => "ingress",
        })
    }
}

impl Display for Rule {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        for condition in &self.when {
            write!(f, "{condition} ")?;
        }
        if let Some(counter) = self.count {
            write!(f, "counter name \"{counter}\" ")?;
        }
        write!(f, "{}", self.then)
    }
}

impl Display for Match {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Mark(mark) => write!(f, "meta mark & 0x{mark:08x} == 0x{mark:08x}"),
            Self::User(user) => write!(f, "meta skuid {user}"),
            Self::OverLoopback => f.write_str("iif \"lo\""),
            Self::To(block) => write_block(f, "daddr", block),
            Self::ToOther(address @ IpAddr::V4(_)) => write!(f, "ip daddr != {address}"),
            Self::ToOther(address @ IpAddr::V6(_)) => write!(f, "ip6 daddr != {address}"),
            Self::From(block) => write_block(f, "saddr", block),
            Self::ToItself => f.write_str("fib daddr type local"),
            Self::Reply => f.write_str("ct direction reply"),
            Self::Redirected => f.write_str("ct status dnat"),
            Self::Asks => f.write_str("tcp flags syn / syn,ack"),
            Self::Answers => f.write_str("tcp flags syn,ack / syn,ack"),
            Self::OtherHops(hops) => write!(f, "ip ttl != {hops}"),
            Self::OtherHops6(hops) => write!(f, "ip6 hoplimit != {hops}"),
            Self::Protocol(transport) => write!(f, "meta l4proto {transport}"),
            Self::Port(transport, ports) => write!(f, "{transport} dport {ports}"),
            Self::PortIn(transport, set) => write!(f, "{transport} dport @{set}"),
            Self::PortUnreachable => {
                f.write_str("icmp type destination-unreachable icmp code port-unreachable")
            }
            Self::PortUnreachable6 => {
                f.write_str("icmpv6 type destination-unreachable icmpv6 code port-unreachable")
            }
        }
    }
}

impl Display for Transport {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

impl Display for Verdict {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Return => f.write_str("return"),
            Self::Accept => f.write_str("accept"),
            Self::Redirect(port) => write!(f, "redirect to :{port}"),
            Self::Refuse => f.write_str("reject"),
            Self::Forbid => f.write_str("reject with icmpx admin-prohibited"),
            Self::Reset => f.write_str("reject with tcp reset"),
            Self::Drop => f.write_str("drop"),
            Self::Hops(hops) => write!(f, "ip ttl set {hops}"),
            Self::Hops6(hops) => write!(f, "ip6 hoplimit set {hops}"),
        }
    }
}

fn write_block(f: &mut Formatter<'_>, end: &str, block: &IpBlock) -> Result {
    let first = block.first();
    let family = if first.is_ipv4() { "ip" } else { "ip6" };
    match block.bits() {
        0 if first.is_ipv4() => f.write_str("meta nfproto ipv4"),
        0 => f.write_str("meta nfproto ipv6"),
        _ if *block == IpBlock::host(first) => write!(f, "{family} {end} {first}"),
        bits => write!(f, "{family} {end} {first}/{bits}"),
    }
}
