//! `leno capture`, as clap reads it.

use clap::Args;
use leno_host::{KnownBy, PodCapture};
use leno_model::Ports;
use leno_model::view::access::IpBlock;

#[derive(Args)]
#[command(
    long_about = "Lead what goes in and out of this network namespace through the proxy that runs in it

What the namespace's processes send over TCP goes to port 15001, their questions about names to 15053, and
what arrives over TCP from outside to 15006. Left alone are the proxy itself (user 15008), what the namespace
sends to itself, and the ports 15008 (tunnels) and 15020 (metrics). From outside nobody gets to 15001, 15006
and 15053 but by being captured. IPv4 and IPv6 alike.

The rules are one table, inet leno, which is put in the place of its former self in one step; tables of others
are not touched. It takes CAP_NET_ADMIN, and nothing else: no program of the host, no place to write. Run it in
a namespace that a workload shares with its proxy, as a pod's init container does; not in that of a host.",
    after_help = "Examples:\n  \
    leno capture                                           all of it\n  \
    leno capture --skip-inbound-ports 22,8000-8010         but these ports lead to the workload itself\n  \
    leno capture --skip-outbound-cidrs 10.9.0.0/16         and these addresses are called past the proxy\n  \
    leno capture --check --skip-inbound-ports 22,8000-8010 does that hold? exit code 1 if not\n  \
    leno capture --watch                                   stay, and put them back whenever somebody changes them\n  \
    leno capture --print                                   what would be loaded, as nft list ruleset prints it"
)]
pub(crate) struct Capture {
    /// Ports at which the workload is reached past the proxy: 22,8000-8010
    #[arg(long, value_name = "PORTS", value_parser = ports, default_value = "", hide_default_value = true)]
    pub(crate) skip_inbound_ports: LeftOut<Ports>,

    /// Ports that the workload calls past the proxy; with 53 among them its questions about names, too
    #[arg(long, value_name = "PORTS", value_parser = ports, default_value = "", hide_default_value = true)]
    pub(crate) skip_outbound_ports: LeftOut<Ports>,

    /// Addresses that the workload calls past the proxy: 10.9.0.0/16,fd00::/8. Questions about names go
    /// through it all the same
    #[arg(long, value_name = "CIDRS", value_parser = blocks, default_value = "", hide_default_value = true)]
    pub(crate) skip_outbound_cidrs: LeftOut<IpBlock>,

    /// Refuse what the workload sends over UDP, questions about names apart: no proxy carries it. Else it
    /// passes. It is counted either way
    #[arg(long)]
    pub(crate) refuse_udp: bool,

    /// The proxy makes its sockets here from outside: leave alone what bears its mark, 0x1000, in place of what
    /// its user sends
    #[arg(long)]
    pub(crate) mark: bool,

    /// Load nothing, and say whether the rules that hold are these
    #[arg(long, conflicts_with_all = ["print", "remove"])]
    pub(crate) check: bool,

    /// Stay, and put the rules back within milliseconds whenever somebody changes or takes away any of them. They
    /// stay when this ends
    #[arg(long, conflicts_with_all = ["check", "print", "remove"])]
    pub(crate) watch: bool,

    /// Load nothing, and print the rules as nft list ruleset does
    #[arg(long, conflicts_with = "remove")]
    pub(crate) print: bool,

    /// Take the rules away: nothing is captured any more
    #[arg(long, conflicts_with_all = ["skip_inbound_ports", "skip_outbound_ports", "skip_outbound_cidrs", "refuse_udp", "mark"])]
    pub(crate) remove: bool,
}

impl Capture {
    /// What is captured.
    pub(crate) fn capture(&self) -> PodCapture {
        PodCapture {
            skip_inbound: self.skip_inbound_ports.0.clone(),
            skip_outbound: self.skip_outbound_ports.0.clone(),
            skip_outbound_blocks: self.skip_outbound_cidrs.0.clone(),
            refuse_udp: self.refuse_udp,
            known_by: match self.mark {
                true => KnownBy::Mark,
                false => KnownBy::User,
            },
        }
    }
}

/// What is written with commas between it, and is not captured.
#[derive(Clone)]
pub(crate) struct LeftOut<T>(Vec<T>);

fn ports(text: &str) -> Result<LeftOut<Ports>, String> {
    list(text, |one| one.parse().map_err(|bad| format!("{bad}")))
}

fn blocks(text: &str) -> Result<LeftOut<IpBlock>, String> {
    list(text, |one| {
        let block = IpBlock::parse(one);
        block.ok_or_else(|| format!("{one:?} is not a block of addresses like 10.0.0.0/8"))
    })
}

fn list<T>(text: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<LeftOut<T>, String> {
    if text.is_empty() {
        return Ok(LeftOut(Vec::new()));
    }
    let all = text.split(',').map(|one| read(one.trim()));
    let all = all.collect::<Result<Vec<_>, _>>()?;
    let most = leno_model::view::LeftOut::MOST;
    match all.len() <= most {
        true => Ok(LeftOut(all)),
        false => Err(format!("at most {most} may be named; {} are", all.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_stands_between_commas() {
        let read = |text| ports(text).map(|ports| ports.0.len());
        assert_eq!(read(""), Ok(0));
        assert_eq!(read("22"), Ok(1));
        assert_eq!(read("22, 8000-8010,443"), Ok(3));
        for text in ["22,", ",", "http", "22;23", "8010-8000", "0"] {
            assert!(read(text).is_err(), "{text}");
        }
        assert_eq!(blocks("10.0.0.0/8,fd00::/8").map(|it| it.0.len()), Ok(2));
        for text in ["10.0.0.1", "10.0.0.0/33", "10.0.0.0/8,"] {
            assert!(blocks(text).is_err(), "{text}");
        }
    }

    #[test]
    fn as_much_may_be_left_out_as_the_rules_take() {
        let many = |count: usize| vec!["80"; count].join(",");
        assert!(ports(&many(leno_model::view::LeftOut::MOST)).is_ok());
        let refused = ports(&many(leno_model::view::LeftOut::MOST + 1)).err();
        assert_eq!(refused.unwrap(), "at most 64 may be named; 65 are");
    }
}
