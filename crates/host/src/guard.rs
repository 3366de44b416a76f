//! The guard on the node's side of pods' networks: of what pods of a node's proxy send over TCP only that leaves which the
//! proxy sends for them, whatever becomes of the packet rules inside.
//!
//! What the proxy sends in a pod is signed by the number of hops that it may live, which each of its sockets there is
//! told, so that it hangs on no rule. What a proxy in a pod sends is signed by the rules inside, by its user: while they are
//! away, nothing is, and what it sends waits as well. Of what has another number, nothing passes that opens a connection: neither the
//! first packet of who asks, nor the first answer of who was asked. So a packet may still come to an application past the
//! proxy, and no connection ever does.

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;

use socket2::Socket as Socket2;

use crate::netlink::{DUMP, REQUEST, ROUTE, Socket, Writer, attribute};
use crate::nft::{Chain, ChainKind, Family, Hook, Match, Rule, Ruleset, Table, Verdict};

/// How many hops a packet of the proxy may live, as it leaves the pod: one less than what others are given.
pub(crate) const PROXY_HOPS: u8 = 63;

/// Counts the packets that were dropped.
const DROPPED: &str = "dropped";

/// The devices on the node's side behind which pods are.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Guard {
    /// Those of pods to which all calls are to come by the proxy.
    pub inbound: BTreeSet<String>,
    /// Those of pods all calls of which are to go by the proxy.
    pub outbound: BTreeSet<String>,
}

impl Guard {
    /// The table of the rules.
    pub const TABLE: Table = Table {
        family: Family::Netdev,
        name: "leno_guard",
    };

    /// The most devices of one kind, as the kernel counts them.
    pub const MOST: usize = 256;

    /// The packet rules, for the network namespace of the devices.
    pub fn rules(&self) -> Ruleset {
        let chains = [
            ("answers", &self.inbound, Match::Answers),
            ("asks", &self.outbound, Match::Asks),
        ];
        let chains = chains
            .into_iter()
            .filter(|(_, devices, _)| !devices.is_empty());
        let chains = chains.map(|(name, devices, opens)| Chain {
            name,
            hook: Hook::Ingress,
            devices: devices.iter().take(Self::MOST).cloned().collect(),
            kind: ChainKind::Filter,
            rules: [Match::OtherHops(PROXY_HOPS), Match::OtherHops6(PROXY_HOPS)]
                .map(|unsigned| Rule {
                    when: vec![opens, unsigned],
                    count: Some(DROPPED),
                    then: Verdict::Drop,
                })
                .into(),
        });
        Ruleset {
            table: Self::TABLE,
            counters: vec![DROPPED],
            sets: Vec::new(),
            chains: chains.collect(),
        }
    }
}

/// Signs what a socket of the proxy sends in a pod, to an address of this family: before it connects, or listens.
pub fn sign(socket: &Socket2, family: IpAddr) -> io::Result<()> {
    match family {
        IpAddr::V4(_) => socket.set_ttl_v4(PROXY_HOPS.into()),
        IpAddr::V6(_) => socket.set_unicast_hops_v6(PROXY_HOPS.into()),
    }
}

/// One end of a pair of devices that are each other's wire.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Veth {
    /// Its number in its network namespace.
    pub index: u32,
    /// Its name there.
    pub name: String,
    /// The number of the other end, in that one's.
    pub peer: u32,
}

/// Those of this thread's network namespace.
pub fn veths() -> io::Result<Vec<Veth>> {
    let mut asked = Writer::default();
    asked.message(GET_LINK, REQUEST | DUMP, 1, |to| to.put(&[0; INFO_LENGTH]));
    let mut veths = Vec::new();
    Socket::open(ROUTE)?.dump(&asked, |answer| veths.extend(veth(answer.body)))?;
    Ok(veths)
}

fn veth(link: &[u8]) -> Option<Veth> {
    let (info, attributes) = link.split_at_checked(INFO_LENGTH)?;
    let kind = attribute(attribute(attributes, LINK_INFO)?, INFO_KIND)?;
    let text = |bytes: &[u8]| {
        let bytes = bytes.strip_suffix(&[0]).unwrap_or(bytes);
        String::from_utf8(bytes.to_vec()).ok()
    };
    if text(kind)? != "veth" {
        return None;
    }
    Some(Veth {
        index: u32::from_ne_bytes(info.get(4..8)?.try_into().ok()?),
        name: text(attribute(attributes, LINK_NAME)?)?,
        peer: u32::from_ne_bytes(attribute(attributes, LINK_PEER)?.try_into().ok()?),
    })
}

/// `RTM_GETLINK`, the length of `struct ifinfomsg`, and attributes of links (`linux/if_link.h`).
const GET_LINK: u16 = 18;
const INFO_LENGTH: usize = 16;
const LINK_NAME: u16 = 3;
const LINK_PEER: u16 = 5;
const LINK_INFO: u16 = 18;
const INFO_KIND: u16 = 1;

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, TcpListener};
    use std::process::Command;
    use std::sync::mpsc;
    use std::thread::{self, JoinHandle};
    use std::time::Duration;

    use rustix::process::Uid;
    use rustix::thread::{UnshareFlags, gettid, set_thread_res_uid};
    use socket2::{Domain, Type};

    use super::*;
    use crate::PodCapture;
    use crate::capture::{INBOUND_PORT, PROXY_USER};
    use crate::nft::Netfilter;
    use crate::nft::tests::{apart, nft};

    fn ip(words: &str) {
        let done = Command::new("ip").args(words.split(' ')).output().unwrap();
        assert!(done.status.success(), "{words}: {done:?}");
    }

    /// Gives one end of the pair its addresses.
    fn address(device: &str, number: u8) {
        for address in [format!("10.9.0.{number}/24"), format!("fd09::{number}/64")] {
            ip(&format!("addr add {address} dev {device} nodad"));
        }
        ip(&format!("link set {device} up"));
    }

    fn socket(address: SocketAddr, is_signed: bool) -> Socket2 {
        let socket = Socket2::new(Domain::for_address(address), Type::STREAM, None).unwrap();
        if is_signed {
            sign(&socket, address.ip()).unwrap();
        }
        socket
    }

    fn listener(port: u16, is_signed: bool) -> [TcpListener; 2] {
        ["0.0.0.0", "::"].map(|ip| {
            let address = SocketAddr::new(ip.parse().unwrap(), port);
            let socket = socket(address, is_signed);
            if address.is_ipv6() {
                socket.set_only_v6(true).unwrap();
            }
            socket.bind(&address.into()).unwrap();
            socket.listen(8).unwrap();
            socket.into()
        })
    }

    /// Whether connections to the other end come about, over IPv4 and IPv6.
    fn connects(number: u8, port: u16, is_signed: bool) -> [bool; 2] {
        [format!("10.9.0.{number}"), format!("fd09::{number}")].map(|ip| {
            let address = SocketAddr::new(ip.parse().unwrap(), port);
            let connected = socket(address, is_signed).connect_timeout(&address.into(), PATIENCE);
            connected.is_ok()
        })
    }

    /// Longer than anything takes that comes about here: what is dropped takes as long.
    const PATIENCE: Duration = Duration::from_millis(700);

    /// The network of a pod at the other end of a wire, `p0` there and `h0` here, and a thread in it.
    struct Pod<T> {
        thread: JoinHandle<()>,
        go: mpsc::Sender<()>,
        told: mpsc::Receiver<T>,
    }

    impl<T: Send + 'static> Pod<T> {
        /// What the thread does is told when to go on, and tells what it sees.
        fn begin(
            inside: impl FnOnce(&mpsc::Receiver<()>, &mpsc::Sender<T>) + Send + 'static,
        ) -> Self {
            let (number, numbered) = mpsc::channel();
            let (tell, told) = mpsc::channel();
            let (go, going) = mpsc::channel();
            let thread = thread::spawn(move || {
                #[expect(unsafe_code, reason = "the safe wrapper is deprecated")]
                // SAFETY: the table of file descriptors is not unshared.
                unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }.unwrap();
                number.send(gettid().as_raw_nonzero()).unwrap();
                going.recv().unwrap();
                address("p0", 2);
                inside(&going, &tell);
            });
            let number = numbered.recv().unwrap();
            let pair = format!("link add h0 type veth peer name p0 netns {number}");
            ip(&pair);
            address("h0", 1);
            go.send(()).unwrap();
            Self { thread, go, told }
        }

        fn told(&self) -> T {
            self.told.recv().unwrap()
        }

        fn go(&self) {
            self.go.send(()).unwrap();
        }

        fn end(self) {
            self.go();
            self.thread.join().unwrap();
        }
    }

    /// A guard of both directions of the pod.
    fn guard() -> Guard {
        let devices = BTreeSet::from(["h0".to_owned()]);
        Guard {
            inbound: devices.clone(),
            outbound: devices,
        }
    }

    #[test]
    fn no_connection_opens_past_the_proxy() {
        apart(|netfilter| {
            let pod = Pod::begin(|going, tell| {
                let _listeners = [listener(1, true), listener(2, false)];
                tell.send((veths().unwrap(), [[false; 2]; 2])).unwrap();
                going.recv().unwrap();
                let asked = [connects(1, 3, true), connects(1, 3, false)];
                tell.send((Vec::new(), asked)).unwrap();
                // The listeners live until then.
                going.recv().unwrap();
            });
            let (inside, _) = pod.told();
            let outside = veths().unwrap();
            let (inside, outside) = (&inside[0], &outside[0]);
            assert_eq!((inside.name.as_str(), outside.name.as_str()), ("p0", "h0"));
            assert_eq!((inside.peer, outside.peer), (outside.index, inside.index));

            // The kernel takes a while to see that the wire is there.
            let are_linked = (0..20).any(|_| connects(2, 2, false) == [true; 2]);
            assert!(are_linked);
            let guard = guard();
            netfilter.replace(&guard.rules()).unwrap();
            assert_eq!(
                nft("list table netdev leno_guard"),
                guard.rules().to_string()
            );
            assert_eq!(netfilter.differences(&guard.rules()).unwrap(), []);
            assert_eq!(connects(2, 1, false), [true; 2]);
            assert_eq!(connects(2, 2, false), [false; 2]);
            let _listener = listener(3, false);
            pod.go();
            let (_, asked) = pod.told();
            assert_eq!(asked, [[true; 2], [false; 2]]);
            assert!(netfilter.packets(&guard.rules(), DROPPED).unwrap() >= 4);
            pod.end();
        });
    }

    #[test]
    fn a_proxy_in_the_pod_is_let_through_for_as_long_as_its_rules_hold() {
        /// Does something as the user of the proxy, where this thread is.
        fn as_proxy<T: Send>(deed: impl FnOnce() -> T + Send) -> T {
            let as_user = || {
                let user = Uid::from_raw(PROXY_USER);
                set_thread_res_uid(user, user, user).unwrap();
                deed()
            };
            thread::scope(|scope| scope.spawn(as_user).join().unwrap())
        }
        apart(|netfilter| {
            let pod = Pod::begin(|going, tell| {
                let rules = Netfilter::open().unwrap();
                rules.replace(&PodCapture::default().rules()).unwrap();
                let _captured = as_proxy(|| listener(INBOUND_PORT, false));
                tell.send([[false; 2]; 2]).unwrap();
                let asks = || {
                    going.recv().unwrap();
                    let by_proxy = as_proxy(|| connects(1, 3, false));
                    tell.send([by_proxy, connects(1, 3, false)]).unwrap();
                };
                asks();
                rules.remove(PodCapture::default().rules().table).unwrap();
                // Of which nobody knows that it is another's.
                let _bare = listener(4, false);
                asks();
                going.recv().unwrap();
            });
            pod.told();
            let _listener = listener(3, false);
            let are_linked = (0..20).any(|_| connects(2, 4, false) == [true; 2]);
            assert!(are_linked);
            netfilter.replace(&guard().rules()).unwrap();
            assert_eq!(connects(2, 4, false), [true; 2]);
            pod.go();
            // What others send is redirected, to where nobody listens.
            assert_eq!(pod.told(), [[true; 2], [false; 2]]);
            pod.go();
            assert_eq!(pod.told(), [[false; 2]; 2]);
            assert_eq!(connects(2, 4, false), [false; 2]);
            pod.end();
        });
    }
}
