//! Packet rules: the few forms that capture needs, as values. [`Ruleset`] prints itself as
//! `nft list ruleset` would, and [`Netfilter`] loads it over netlink.

mod encode;
mod held;
mod text;
mod watch;

use std::{collections::BTreeSet, io, net::IpAddr};

use leno_model::Ports;
use leno_model::view::access::IpBlock;
use rustix::io::Errno;

use crate::netlink::{Batch, NETFILTER, Refused, Socket};

pub use held::Difference;
pub use watch::{NotRepaired, Watch};

/// One table, and all it holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ruleset {
    /// Which table.
    pub table: Table,
    /// The named counters.
    pub counters: Vec<&'static str>,
    /// The named sets of ports, empty when they are loaded.
    pub sets: Vec<&'static str>,
    /// The chains, in the order in which they are loaded.
    pub chains: Vec<Chain>,
}

/// A table, of which each family has its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Table {
    /// What its chains see.
    pub family: Family,
    /// Its name.
    pub name: &'static str,
}

/// What the chains of a table see.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Family {
    /// Packets of IPv4 and IPv6 on their way through the namespace's own network.
    Inet,
    /// All that arrives at single devices, before anything else sees it.
    Netdev,
}

impl Table {
    /// That of this name in the family [`Family::Inet`].
    pub const fn inet(name: &'static str) -> Self {
        let family = Family::Inet;
        Self { family, name }
    }
}

/// A chain that sees what passes one place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chain {
    /// Its name.
    pub name: &'static str,
    /// Which place.
    pub hook: Hook,
    /// At which devices, by their names; of [`Hook::Ingress`] alone.
    pub devices: Vec<String>,
    /// What its rules may do.
    pub kind: ChainKind,
    /// Its rules; a packet that none decides about is accepted.
    pub rules: Vec<Rule>,
}

/// What packets a chain sees.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hook {
    /// What has arrived, also over loopback, before it is known for whom.
    Prerouting,
    /// What is for the namespace's own processes, also over loopback.
    Input,
    /// What the namespace's own processes send.
    Output,
    /// What arrives at devices. Of [`Family::Netdev`] alone.
    Ingress,
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
    /// Its socket's mark has all bits of this one, and maybe others.
    Mark(u32),
    /// Its socket belongs to this user, as the owner of the namespace numbers it.
    User(u32),
    /// It has arrived over loopback.
    OverLoopback,
    /// It is sent to an address in this block.
    To(IpBlock),
    /// It is sent to another address than this one, of the same family.
    ToOther(IpAddr),
    /// It is sent from an address in this block.
    From(IpBlock),
    /// It is sent to an address of the namespace itself, loopback included.
    ToItself,
    /// It goes from who was asked to who has asked first.
    Reply,
    /// It belongs to a connection that was redirected.
    Redirected,
    /// It asks for a connection of TCP.
    Asks,
    /// It is the first answer to what asks for one.
    Answers,
    /// It is of IPv4, and was sent with another number of hops to live than this one. Of [`Family::Netdev`] alone.
    OtherHops(u8),
    /// It is of IPv6, and was sent with another number of hops to live than this one. Of [`Family::Netdev`] alone.
    OtherHops6(u8),
    /// It belongs to this protocol.
    Protocol(Transport),
    /// It is sent to one of these ports.
    Port(Transport, Ports),
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

/// What becomes of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// No further rule of the chain sees it.
    Return,
    /// It passes.
    Accept,
    /// It goes to this port: of the loopback address if a process of the namespace sends it, else of the
    /// address of the device where it has arrived.
    Redirect(u16),
    /// It is not sent, and the sender is told that nobody listens.
    Refuse,
    /// It is not sent, and the sender is told that this is forbidden.
    Forbid,
    /// It does not pass, and its connection is told to be over. Of TCP only.
    Reset,
    /// It does not pass, and nobody is told.
    Drop,
    /// Of IPv4, it is given so many hops to live; the rules behind see it, too.
    Hops(u8),
    /// Of IPv6, it is given so many hops to live; the rules behind see it, too.
    Hops6(u8),
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

    /// Puts `ruleset` in the place of whatever its table holds, or changes nothing. There is no moment in
    /// which neither holds; counters begin anew.
    pub fn replace(&self, ruleset: &Ruleset) -> Result<(), LoadError> {
        self.carry_out(&encode::replace(ruleset))
    }

    /// Takes a table away with all it holds. `false` if there was none.
    pub fn remove(&self, table: Table) -> Result<bool, LoadError> {
        match self.carry_out(&encode::remove(table)) {
            Ok(()) => Ok(true),
            Err(refused) if refused.errno == Errno::NOENT.raw_os_error() => Ok(false),
            Err(refused) => Err(refused),
        }
    }

    /// In what the rules that hold differ from `ruleset`, which is to be there and nothing beside it in
    /// its table. What is in its sets is not looked at, nor are tables of others.
    pub fn differences(&self, ruleset: &Ruleset) -> io::Result<Vec<Difference>> {
        held::differences(&self.0, ruleset)
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
pub(crate) mod tests {
    use std::{iter, process::Command, thread};

    use rustix::thread::UnshareFlags;

    use super::*;
    use crate::{KnownBy, PodCapture};

    /// Does something in a network namespace of its own, for which the tests must run as root.
    pub(crate) fn apart(deed: impl FnOnce(Netfilter) + Send + 'static) {
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
            table: Table::inet("test"),
            counters: vec!["seen"],
            sets: vec!["ports"],
            chains: vec![Chain {
                name: "watch",
                hook: Hook::Output,
                devices: Vec::new(),
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

    /// Runs `nft` where the caller is, and gives what it says.
    pub(crate) fn nft(arguments: &str) -> String {
        let output = Command::new("nft").args(arguments.split(' ')).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{arguments}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Everything that may be left out, and as much of it as may be.
    fn full() -> PodCapture {
        let most = u16::try_from(leno_model::view::LeftOut::MOST).unwrap();
        let ports = |number: u16| format!("{}-{}", number * 100, number * 100 + number);
        let ports = |number| ports(number).parse().unwrap();
        let block = |number: u16| match number {
            0..=32 => format!("10.77.200.1/{number}"),
            _ => format!("2001:db8:ffff:ffff:ffff::1/{}", 2 * number),
        };
        let blocks = (0..most).map(|number| IpBlock::parse(&block(number)).unwrap());
        PodCapture {
            skip_inbound: (1..=most).map(ports).collect(),
            skip_outbound: (1..=most).map(ports).collect(),
            skip_outbound_blocks: blocks.collect(),
            refuse_udp: true,
            known_by: KnownBy::Mark,
        }
    }

    #[test]
    fn the_rules_of_a_pod_are_what_nft_says_they_are() {
        apart(|netfilter| {
            for capture in [PodCapture::default(), full()] {
                let ruleset = capture.rules();
                netfilter.replace(&ruleset).unwrap();
                let held = nft(&format!("list table {}", ruleset.table));
                assert_eq!(held, ruleset.to_string());
                assert_eq!(netfilter.differences(&ruleset).unwrap(), []);
            }
        });
    }

    #[test]
    fn rules_take_the_place_of_others_and_leave_strangers_alone() {
        apart(|netfilter| {
            nft("add table inet leno");
            nft("add chain inet leno stale");
            nft("add table ip strangers");
            nft("add chain ip strangers ISTIO_OUTPUT");
            let strangers = nft("list table ip strangers");
            let ruleset = PodCapture::default().rules();
            for _ in 0..3 {
                netfilter.replace(&ruleset).unwrap();
                assert_eq!(nft("list table inet leno"), ruleset.to_string());
                assert_eq!(nft("list table ip strangers"), strangers);
            }
            assert_eq!(netfilter.remove(Table::inet("leno")), Ok(true));
            assert_eq!(netfilter.remove(Table::inet("leno")), Ok(false));
            assert_eq!(nft("list ruleset"), strangers);
        });
    }

    #[test]
    fn what_cannot_take_the_place_of_others_leaves_them() {
        apart(|netfilter| {
            let right = ruleset(Vec::new());
            netfilter.replace(&right).unwrap();
            let before = nft("list ruleset");
            let wrong = ruleset(vec![Match::PortIn(Transport::Tcp, "nowhere")]);
            netfilter.replace(&wrong).unwrap_err();
            assert_eq!(nft("list ruleset"), before);
            assert_eq!(netfilter.differences(&right).unwrap(), []);
        });
    }

    #[test]
    fn every_change_of_rules_is_told() {
        let told = |netfilter: &Netfilter, capture: &PodCapture| {
            let told = netfilter.differences(&capture.rules()).unwrap();
            let told: Vec<_> = told.iter().map(ToString::to_string).collect();
            told.join("; ")
        };
        let lacks = |rule: &str| format!("chain outbound lacks \"{rule}\"");
        let of_past = |rule: &str| format!("chain past lacks \"{rule}\"");
        let dns = lacks("tcp dport 53 redirect to :15053");
        let user = lacks("meta skuid 15008 ip daddr != 192.0.2.150 return");
        let skipped = PodCapture {
            skip_outbound: vec![22.into()],
            ..PodCapture::default()
        };
        let changes = [
            ("flush chain inet leno guard", "chain guard lacks"),
            (
                "add rule inet leno outbound accept",
                "chain outbound has a rule of somebody else",
            ),
            (
                "insert rule inet leno outbound tcp dport 80 return",
                "chain outbound has a rule of somebody else",
            ),
            ("delete rule inet leno outbound handle DNS", &dns),
            (
                "replace rule inet leno outbound handle USER meta skuid 0 return",
                &format!("{user}; chain outbound has a rule of somebody else"),
            ),
            (
                "replace rule inet leno outbound handle USER meta skuid != 15008 return",
                &format!("{user}; chain outbound has a rule of somebody else"),
            ),
            (
                "add chain inet leno first { type filter hook output priority -50; }",
                "chain first is none of Leno's",
            ),
            ("delete table inet leno", "table inet leno is missing"),
            (
                "add table inet leno { flags dormant; }",
                "table inet leno is switched off (dormant)",
            ),
        ];
        let changes = changes.map(|(change, expect)| (change.to_owned(), expect.to_owned()));
        apart(move |netfilter| {
            let capture = PodCapture::default();
            for (change, expect) in changes {
                netfilter.replace(&capture.rules()).unwrap();
                assert_eq!(told(&netfilter, &capture), "");
                let change = change
                    .replace("DNS", &handle("tcp dport 53 "))
                    .replace("USER", &handle("meta skuid 15008 ip daddr "));
                nft(&change);
                let told = told(&netfilter, &capture);
                assert!(told.starts_with(&expect), "{change}: {told}");
            }
            netfilter.replace(&capture.rules()).unwrap();
            let lacks = [lacks("tcp dport 22 return"), of_past("tcp dport 22 accept")];
            assert_eq!(told(&netfilter, &skipped), lacks.join("; "));
            netfilter.replace(&skipped.rules()).unwrap();
            let extra = "has a rule of somebody else";
            let extra = format!("chain outbound {extra}; chain past {extra}");
            assert_eq!(told(&netfilter, &capture), extra);
        });
    }

    /// The number by which nft knows the rule of the chain `outbound` that begins so.
    fn handle(rule: &str) -> String {
        let listed = nft("-a list chain inet leno outbound");
        let line = listed.lines().find(|line| line.trim().starts_with(rule));
        let (_, handle) = line.unwrap().rsplit_once("# handle ").unwrap();
        handle.to_owned()
    }

    #[test]
    fn rules_in_another_order_are_told() {
        apart(|netfilter| {
            let right = PodCapture::default().rules();
            let mut turned = right.clone();
            turned.chains[0].rules.reverse();
            turned.chains[3].hook = Hook::Output;
            netfilter.replace(&turned).unwrap();
            let expect = [
                Difference::OtherOrder("outbound"),
                Difference::OtherChain("guard"),
            ];
            assert_eq!(netfilter.differences(&right).unwrap(), expect);
        });
    }
}
