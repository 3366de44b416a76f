//! Rules as people read them: the syntax of nft(8).

use std::fmt::{Display, Formatter, Result};

use super::{Block, Chain, ChainKind, Match, Rule, Ruleset, Transport, Verdict};

impl Display for Ruleset {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(f, "table inet {} {{", self.table)?;
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

impl Display for Chain {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let (kind, priority) = match self.kind {
            ChainKind::Nat => ("nat", "-100"),
            ChainKind::Filter => ("filter", "filter"),
        };
        writeln!(f, "\tchain {} {{", self.name)?;
        writeln!(
            f,
            "\t\ttype {kind} hook output priority {priority}; policy accept;"
        )?;
        for rule in &self.rules {
            writeln!(f, "\t\t{rule}")?;
        }
        writeln!(f, "\t}}")
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
            Self::Mark(mark) => write!(f, "meta mark 0x{mark:08x}"),
            Self::To(block) => write!(f, "{} daddr {block}", family(block)),
            Self::From(block) => write!(f, "{} saddr {block}", family(block)),
            Self::Protocol(transport) => write!(f, "meta l4proto {transport}"),
            Self::Port(transport, port) => write!(f, "{transport} dport {port}"),
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

impl Display for Block {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{}", self.address)?;
        if *self != Self::host(self.address) {
            write!(f, "/{}", self.bytes * 8)?;
        }
        Ok(())
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
        }
    }
}

fn family(block: &Block) -> &'static str {
    if block.address.is_ipv4() { "ip" } else { "ip6" }
}
