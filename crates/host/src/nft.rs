//! Packet rules: the few forms that capture needs, as values. [`Ruleset`] prints itself as
//! `nft list ruleset` would, and [`Netfilter`] loads it over netlink.

mod encode;
mod text;

use std::{collections::BTreeSet, io, net::IpAddr};

use crate::netlink::{Batch, NETFILTER, Refused, Socket};

/// One table of the `inet` family, and all it holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ruleset {
    /// The table's name.
    pub table: &'static str,
    /// The named counters.
    pub counters: Vec<&'static str>,
    /// The named sets of ports, empty when they are loaded.
    pub sets: Vec<&'static str>,
    /// The chains, in the order in which they are loaded.
    pub chains: Vec<Chain>,
}

/// A chain that sees what the namespace's own processes send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chain {
    /// Its name.
    pub name: &'static str,
    /// What its rules may do.
    pub kind: ChainKind,
    /// Its rules; a packet that none decides about is accepted.
    pub rules: Vec<Rule>,
}

/// What a chain's rules may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChainKind {
    /// Redirect a connection, asked once for its first packet (priority -100).
    Nat,
    /// Accept or refuse each packet, after any redirection (priority 0).
    Filter,
}

/// A rule: if all of `when` hold, count and do `then`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    /// What must hold; nothing means always.
    pub when: Vec<Match>,
    /// The counter to count the packet in.
    pub count: Option<&'static str>,
    /// What becomes of the packet.
    pub then: Verdict,
}

/// What a packet may be asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Match {
    /// Its socket bears this mark.
    Mark(u32),
    /// It is sent to an address in this block.
    To(Block),
    /// It is sent from an address in this block.
    From(Block),
    /// It belongs to this protocol.
    Protocol(Transport),
    /// It is sent to this port.
    Port(Transport, u16),
    /// It is sent to a port in this set.
    PortIn(Transport, &'static str),
    /// It is the ICMP message that nobody listens on a port.
    PortUnreachable,
    /// It is the ICMPv6 message that nobody listens on a port.
    PortUnreachable6,
}

/// The transport protocols that rules tell apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// All addresses that begin with the same whole bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Block {
    address: IpAddr,
    bytes: usize,
}

impl Block {
    /// The block of one address.
    pub fn host(address: IpAddr) -> Self {
        let bytes = match address {
            IpAddr::V4(_) => 4,
            IpAddr::V6(_) => 16,
        };
        Self { address, bytes }
    }

    /// The block `127.0.0.0/8`.
    pub fn loopback() -> Self {
        Self {
            address: [127, 0, 0, 0].into(),
            bytes: 1,
        }
    }
}

/// What becomes of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// No further rule of the chain sees it.
    Return,
    /// It passes.
    Accept,
    /// It goes to this port of the loopback address.
    Redirect(u16),
    /// It is not sent, and the sender is told that nobody listens.
    Refuse,
    /// It is not sent, and the sender is told that this is forbidden.
    Forbid,
}

/// The packet rules of the network namespace in which it was opened, wherever it is used.
#[derive(Debug)]
pub struct Netfilter(Socket);

impl Netfilter {
    /// Opens the door to the rules of this process's network namespace.
    pub fn open() -> io::Result<Self> {
        Ok(Self(Socket::open(NETFILTER)?))
    }

    /// Loads all of `ruleset`, or nothing of it.
    pub fn load(&self, ruleset: &Ruleset) -> Result<(), LoadError> {
        self.carry_out(&encode::load(ruleset))
    }

    /// Adds ports to a set and takes others out, in one step.
    pub fn change_set(
        &self,
        ruleset: &Ruleset,
        set: &str,
        add: &BTreeSet<u16>,
        remove: &BTreeSet<u16>,
    ) -> Result<(), LoadError> {
        self.carry_out(&encode::change_set(ruleset.table, set, add, remove))
    }

    /// How many packets a named counter has counted.
    pub fn packets(&self, ruleset: &Ruleset, counter: &str) -> io::Result<u64> {
        let mut packets = None;
        self.0
            .dump(&encode::ask_counter(ruleset.table, counter), |answer| {
                packets = packets.or_else(|| encode::packets(answer.body));
            })?;
        packets.ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    fn carry_out(&self, batch: &Batch) -> Result<(), LoadError> {
        let told = self.0.carry_out(batch);
        told.map_err(|Refused { part, errno }| LoadError {
            part,
            errno: errno.raw_os_error(),
        })
    }
}

/// The kernel refused rules, and nothing of them holds.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{part}: {}", io::Error::from_raw_os_error(*.errno))]
pub struct LoadError {
    /// The chain, set or rule that was refused, as text.
    pub part: String,
    /// The system's error number.
    pub errno: i32,
}

#[cfg(test)]
mod tests {
    use std::{iter, thread};

    use rustix::thread::UnshareFlags;

    use super::*;

    /// Does something in a network namespace of its own, for which the tests must run as root.
    fn apart(deed: impl FnOnce(Netfilter) + Send + 'static) {
        let thread = thread::spawn(move || {
            #[expect(unsafe_code, reason = "the safe wrapper is deprecated")]
            // SAFETY: the table of file descriptors is not unshared.
            unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }.unwrap();
            deed(Netfilter::open().unwrap());
        });
        thread.join().unwrap();
    }

    fn ruleset(when: Vec<Match>) -> Ruleset {
        let rule = Rule {
            when,
            count: Some("seen"),
            then: Verdict::Accept,
        };
        Ruleset {
            table: "test",
            counters: vec!["seen"],
            sets: vec!["ports"],
            chains: vec![Chain {
                name: "watch",
                kind: ChainKind::Filter,
                rules: vec![rule],
            }],
        }
    }

    #[test]
    fn a_refusal_names_the_part_and_loads_nothing() {
        apart(|netfilter| {
            let wrong = ruleset(vec![Match::PortIn(Transport::Tcp, "nowhere")]);
            let refused = netfilter.load(&wrong).unwrap_err();
            assert_eq!(
                refused.to_string(),
                "rule \"tcp dport @nowhere counter name \"seen\" accept\" of chain watch: \
                 No such file or directory (os error 2)"
            );
            let right = ruleset(Vec::new());
            netfilter.load(&right).unwrap();
            let again = netfilter.load(&right).unwrap_err();
            assert_eq!(again.part, "table inet test");
        });
    }

    #[test]
    fn a_set_takes_as_many_ports_as_capture_gives_it() {
        apart(|netfilter| {
            let ruleset = ruleset(vec![Match::PortIn(Transport::Udp, "ports")]);
            netfilter.load(&ruleset).unwrap();
            let (all, none) = ((1..=4096).collect(), BTreeSet::new());
            netfilter
                .change_set(&ruleset, "ports", &all, &none)
                .unwrap();
            netfilter
                .change_set(&ruleset, "ports", &none, &all)
                .unwrap();
            let absent = iter::once(7).collect();
            let refused = netfilter
                .change_set(&ruleset, "ports", &none, &absent)
                .unwrap_err();
            assert_eq!(refused.part, "ports of set ports");
            assert_eq!(netfilter.packets(&ruleset, "seen").unwrap(), 0);
            assert!(netfilter.packets(&ruleset, "unseen").is_err());
        });
    }
}
