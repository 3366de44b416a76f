//! Rules as the kernel takes them: `nf_tables` messages (`linux/netfilter/nf_tables.h`), in a batch
//! that holds or fails as a whole.

use std::{collections::BTreeSet, net::IpAddr};

use leno_model::Ports;
use leno_model::view::access::IpBlock;

use super::{Chain, ChainKind, Family, Hook, Match, Rule, Ruleset, Table, Transport, Verdict};
use crate::netlink::{ACK, APPEND, Batch, CREATE, DUMP, EXCLUSIVE, REQUEST, Writer, attribute};

/// The requests between the messages that make a transaction of them.
fn transaction(requests: impl FnOnce(&mut Batch)) -> Batch {
    let mut batch = Batch::default();
    let bound = |to: &mut Writer| header(to, FAMILY_NONE, SUBSYSTEM);
    batch.remark(BATCH_BEGIN, bound);
    requests(&mut batch);
    batch.remark(BATCH_END, bound);
    batch
}

fn add(
    batch: &mut Batch,
    table: Table,
    part: String,
    kind: u16,
    flags: u16,
    body: impl FnOnce(&mut Writer),
) {
    batch.request(part, of_tables(kind), flags, |to| {
        header(to, family(table), 0);
        body(to);
    });
}

pub(super) fn load(ruleset: &Ruleset) -> Batch {
    transaction(|batch| add_all(batch, ruleset))
}

/// Of a table that is not there nothing can be taken away, so it is made first where it is missing.
pub(super) fn replace(ruleset: &Ruleset) -> Batch {
    transaction(|batch| {
        for (kind, flags) in [(NEW_TABLE, CREATE), (DELETE_TABLE, 0)] {
            add_table(batch, ruleset.table, kind, flags);
        }
        add_all(batch, ruleset);
    })
}

pub(super) fn remove(table: Table) -> Batch {
    transaction(|batch| add_table(batch, table, DELETE_TABLE, 0))
}

fn add_table(batch: &mut Batch, table: Table, kind: u16, flags: u16) {
    add(batch, table, format!("table {table}"), kind, flags, |to| {
        to.text(TABLE_NAME, table.name)
    });
}

fn add_all(batch: &mut Batch, ruleset: &Ruleset) {
    let table = ruleset.table;
    add_table(batch, table, NEW_TABLE, CREATE | EXCLUSIVE);
    for counter in &ruleset.counters {
        add(
            batch,
            table,
            format!("counter {counter}"),
            NEW_OBJECT,
            CREATE,
            |to| {
                to.text(OBJECT_TABLE, table.name);
                to.text(OBJECT_NAME, counter);
                put_u32(to, OBJECT_TYPE, OBJECT_COUNTER);
                to.nested(OBJECT_DATA, |_| {});
            },
        );
    }
    for (set, id) in ruleset.sets.iter().zip(1..) {
        add(batch, table, format!("set {set}"), NEW_SET, CREATE, |to| {
            to.text(SET_TABLE, table.name);
            to.text(SET_NAME, set);
            put_u32(to, SET_FLAGS, 0);
            put_u32(to, SET_KEY_TYPE, KEY_IS_PORT);
            put_u32(to, SET_KEY_LENGTH, 2);
            put_u32(to, SET_ID, id);
        });
    }
    for chain in &ruleset.chains {
        let name = chain.name;
        add(
            batch,
            table,
            format!("chain {name}"),
            NEW_CHAIN,
            CREATE,
            |to| {
                put_chain(to, table, chain);
            },
        );
        for rule in &chain.rules {
            let part = format!("rule \"{rule}\" of chain {name}");
            add(batch, table, part, NEW_RULE, CREATE | APPEND, |to| {
                put_rule(to, table, name, rule);
            });
        }
    }
}

pub(super) fn change_set(
    table: Table,
    set: &str,
    new: &BTreeSet<u16>,
    old: &BTreeSet<u16>,
) -> Batch {
    transaction(|batch| {
        for (kind, flags, ports) in [(DELETE_ELEMENT, 0, old), (NEW_ELEMENT, CREATE, new)] {
            let ports: Vec<_> = ports.iter().copied().collect();
            for some in ports.chunks(ELEMENTS_MAX) {
                let part = format!("ports of set {set}");
                add(batch, table, part, kind, flags, |to| {
                    put_ports(to, table.name, set, some)
                });
            }
        }
    })
}

pub(super) fn ask_counter(table: Table, counter: &str) -> Writer {
    ask(table, GET_OBJECT, ACK, |to| {
        to.text(OBJECT_TABLE, table.name);
        to.text(OBJECT_NAME, counter);
        put_u32(to, OBJECT_TYPE, OBJECT_COUNTER);
    })
}

/// The number of packets in the answer to [`ask_counter`].
pub(super) fn packets(answer: &[u8]) -> Option<u64> {
    let data = attribute(answer.get(HEADER_LENGTH..)?, OBJECT_DATA)?;
    let packets = attribute(data, COUNTER_PACKETS)?;
    Some(u64::from_be_bytes(packets.try_into().ok()?))
}

fn put_ports(to: &mut Writer, table: &str, set: &str, ports: &[u16]) {
    to.text(ELEMENTS_TABLE, table);
    to.text(ELEMENTS_SET, set);
    to.nested(ELEMENTS, |to| {
        for port in ports {
            let key = |to: &mut Writer| put_value(to, ELEMENT_KEY, &port.to_be_bytes());
            to.nested(LIST_ITEM, key);
        }
    });
}

pub(super) fn ask_table(table: Table) -> Writer {
    ask(table, GET_TABLE, ACK, |to| to.text(TABLE_NAME, table.name))
}

/// Asks for the chains of all tables of its family.
pub(super) fn ask_chains(table: Table) -> Writer {
    ask(table, GET_CHAIN, DUMP, |_| {})
}

/// Asks for the rules of all chains of a table, in their order.
pub(super) fn ask_rules(table: Table) -> Writer {
    ask(table, GET_RULE, DUMP, |to| to.text(RULE_TABLE, table.name))
}

fn ask(table: Table, kind: u16, flags: u16, body: impl FnOnce(&mut Writer)) -> Writer {
    let mut to = Writer::default();
    to.message(of_tables(kind), REQUEST | flags, 1, |to| {
        header(to, family(table), 0);
        body(to);
    });
    to
}

/// The attributes of a chain.
pub(super) fn put_chain(to: &mut Writer, table: Table, chain: &Chain) {
    let (kind, priority) = match chain.kind {
        ChainKind::Nat => ("nat", -100_i32),
        ChainKind::Filter => ("filter", 0),
    };
    let hook = match chain.hook {
        Hook::Prerouting => 0,
        Hook::Input => 1,
        Hook::Output => 3,
        // The numbers of each family are its own.
        Hook::Ingress => 0,
    };
    to.text(CHAIN_TABLE, table.name);
    to.text(CHAIN_NAME, chain.name);
    to.nested(CHAIN_HOOK, |to| {
        put_u32(to, HOOK_NUMBER, hook);
        to.attribute(HOOK_PRIORITY, &priority.to_be_bytes());
        if !chain.devices.is_empty() {
            to.nested(HOOK_DEVICES, |to| {
                for device in &chain.devices {
                    to.text(DEVICE_NAME, device);
                }
            });
        }
    });
    to.text(CHAIN_TYPE, kind);
    to.attribute(CHAIN_POLICY, &ACCEPT.to_be_bytes());
}

/// The attributes of a rule.
pub(super) fn put_rule(to: &mut Writer, table: Table, chain: &str, rule: &Rule) {
    to.text(RULE_TABLE, table.name);
    to.text(RULE_CHAIN, chain);
    to.nested(RULE_EXPRESSIONS, |to| put_expressions(to, rule));
}

fn put_expressions(to: &mut Writer, rule: &Rule) {
    for condition in &rule.when {
        put_match(to, *condition);
    }
    if let Some(counter) = rule.count {
        expression(to, "objref", |to| {
            put_u32(to, OBJREF_TYPE, OBJECT_COUNTER);
            to.text(OBJREF_NAME, counter);
        });
    }
    put_verdict(to, rule.then);
}

fn put_match(to: &mut Writer, condition: Match) {
    match condition {
        Match::Mark(mark) => {
            load_meta(to, META_MARK);
            and(to, &mark.to_ne_bytes());
            equals(to, &mark.to_ne_bytes());
        }
        Match::User(user) => {
            load_meta(to, META_USER);
            equals(to, &user.to_ne_bytes());
        }
        Match::OverLoopback => {
            load_meta(to, META_IN_DEVICE);
            equals(to, &LOOPBACK.to_ne_bytes());
        }
        Match::To(block) => match block.address() {
            IpAddr::V4(_) => put_address(to, block, IPV4, 16),
            IpAddr::V6(_) => put_address(to, block, IPV6, 24),
        },
        Match::ToOther(IpAddr::V4(address)) => {
            put_other_address(to, IPV4, 16, &address.octets());
        }
        Match::ToOther(IpAddr::V6(address)) => {
            put_other_address(to, IPV6, 24, &address.octets());
        }
        Match::From(block) => match block.address() {
            IpAddr::V4(_) => put_address(to, block, IPV4, 12),
            IpAddr::V6(_) => put_address(to, block, IPV6, 8),
        },
        Match::ToItself => {
            expression(to, "fib", |to| {
                put_u32(to, FIB_REGISTER, REGISTER);
                put_u32(to, FIB_RESULT, FIB_ADDRESS_TYPE);
                put_u32(to, FIB_FLAGS, FIB_DESTINATION);
            });
            equals(to, &FIB_LOCAL.to_ne_bytes());
        }
        Match::Reply => {
            load_tracked(to, TRACKED_DIRECTION);
            equals(to, &[DIRECTION_REPLY]);
        }
        Match::Redirected => {
            load_tracked(to, TRACKED_STATUS);
            and(to, &STATUS_REDIRECTED.to_ne_bytes());
            compare(to, COMPARE_DIFFERS, &[0; 4]);
        }
        Match::Asks => put_opens(to, SYN),
        Match::Answers => put_opens(to, SYN | ACKNOWLEDGES),
        Match::OtherHops(hops) => put_other_hops(to, ETHERTYPE_IPV4, 8, hops),
        Match::OtherHops6(hops) => put_other_hops(to, ETHERTYPE_IPV6, 7, hops),
        Match::Protocol(transport) => put_protocol(to, number(transport)),
        Match::Port(transport, ports) => {
            put_protocol(to, number(transport));
            load_payload(to, TRANSPORT_HEADER, 2, 2);
            put_ports_between(to, ports);
        }
        Match::PortIn(transport, set) => {
            put_protocol(to, number(transport));
            load_payload(to, TRANSPORT_HEADER, 2, 2);
            expression(to, "lookup", |to| {
                to.text(LOOKUP_SET, set);
                put_u32(to, LOOKUP_REGISTER, REGISTER);
            });
        }
        Match::PortUnreachable => put_icmp(to, ICMP, 3, 3),
        Match::PortUnreachable6 => put_icmp(to, ICMPV6, 1, 4),
    }
}

fn put_ports_between(to: &mut Writer, ports: Ports) {
    let (first, last) = (ports.first().to_be_bytes(), ports.last().to_be_bytes());
    if first == last {
        return equals(to, &first);
    }
    compare(to, COMPARE_AT_LEAST, &first);
    compare(to, COMPARE_AT_MOST, &last);
}

fn put_address(to: &mut Writer, block: IpBlock, version: u8, offset: u32) {
    load_meta(to, META_NFPROTO);
    equals(to, &[version]);
    let octets = match block.first() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let bits = usize::from(block.bits());
    let load = |to: &mut Writer, length| load_payload(to, NETWORK_HEADER, offset, length);
    match (bits / 8, bits % 8) {
        // Every address of this version.
        (0, 0) => {}
        (bytes, 0) => {
            load(to, u32::try_from(bytes).unwrap_or(0));
            equals(to, &octets[..bytes]);
        }
        (bytes, rest) => {
            load(to, u32::try_from(octets.len()).unwrap_or(0));
            let mut mask = vec![0; octets.len()];
            mask[..bytes].fill(0xff);
            mask[bytes] = !(0xff_u8 >> rest);
            and(to, &mask);
            equals(to, &octets);
        }
    }
}

fn put_other_address(to: &mut Writer, version: u8, offset: u32, octets: &[u8]) {
    load_meta(to, META_NFPROTO);
    equals(to, &[version]);
    let length = u32::try_from(octets.len()).unwrap_or(0);
    load_payload(to, NETWORK_HEADER, offset, length);
    compare(to, COMPARE_DIFFERS, octets);
}

/// Of the two flags by which a connection of TCP opens, these are set.
fn put_opens(to: &mut Writer, flags: u8) {
    put_protocol(to, number(Transport::Tcp));
    load_payload(to, TRANSPORT_HEADER, 13, 1);
    and(to, &[SYN | ACKNOWLEDGES]);
    equals(to, &[flags]);
}

fn put_other_hops(to: &mut Writer, ethertype: u16, offset: u32, hops: u8) {
    load_meta(to, META_PROTOCOL);
    equals(to, &ethertype.to_be_bytes());
    load_payload(to, NETWORK_HEADER, offset, 1);
    compare(to, COMPARE_DIFFERS, &[hops]);
}

/// Gives so many hops to packets of this version, in whose header these and a checksum stand at these places.
fn put_hops(to: &mut Writer, version: u8, offset: u32, hops: u8, checksum: Option<u32>) {
    load_meta(to, META_NFPROTO);
    equals(to, &[version]);
    expression(to, "immediate", |to| {
        put_u32(to, IMMEDIATE_REGISTER, REGISTER);
        put_value(to, IMMEDIATE_DATA, &[hops]);
    });
    let kind = checksum.map_or(CHECKSUM_NONE, |_| CHECKSUM_OF_HEADER);
    expression(to, "payload", |to| {
        put_u32(to, PAYLOAD_SOURCE, REGISTER);
        put_u32(to, PAYLOAD_BASE, NETWORK_HEADER);
        put_u32(to, PAYLOAD_OFFSET, offset);
        put_u32(to, PAYLOAD_LENGTH, 1);
        put_u32(to, PAYLOAD_CHECKSUM, kind);
        put_u32(to, PAYLOAD_CHECKSUM_OFFSET, checksum.unwrap_or(0));
        put_u32(to, PAYLOAD_CHECKSUM_FLAGS, 0);
    });
}

fn put_protocol(to: &mut Writer, number: u8) {
    load_meta(to, META_L4PROTO);
    equals(to, &[number]);
}

fn put_icmp(to: &mut Writer, protocol: u8, kind: u8, code: u8) {
    put_protocol(to, protocol);
    load_payload(to, TRANSPORT_HEADER, 0, 1);
    equals(to, &[kind]);
    load_payload(to, TRANSPORT_HEADER, 1, 1);
    equals(to, &[code]);
}

fn put_verdict(to: &mut Writer, verdict: Verdict) {
    match verdict {
        Verdict::Return => decide(to, RETURN),
        Verdict::Accept => decide(to, ACCEPT),
        Verdict::Drop => decide(to, DROP),
        Verdict::Hops(hops) => put_hops(to, IPV4, 8, hops, Some(10)),
        Verdict::Hops6(hops) => put_hops(to, IPV6, 7, hops, None),
        Verdict::Redirect(port) => {
            expression(to, "immediate", |to| {
                put_u32(to, IMMEDIATE_REGISTER, REGISTER);
                put_value(to, IMMEDIATE_DATA, &port.to_be_bytes());
            });
            expression(to, "redir", |to| {
                put_u32(to, REDIR_PORT_MIN, REGISTER);
                put_u32(to, REDIR_PORT_MAX, REGISTER);
                put_u32(to, REDIR_FLAGS, REDIR_TO_PORT);
            });
        }
        Verdict::Refuse => put_reject(to, ICMPX_PORT_UNREACHABLE),
        Verdict::Forbid => put_reject(to, ICMPX_ADMIN_PROHIBITED),
        Verdict::Reset => {
            expression(to, "reject", |to| put_u32(to, REJECT_TYPE, REJECT_RESET));
        }
    }
}

fn put_reject(to: &mut Writer, code: u8) {
    expression(to, "reject", |to| {
        put_u32(to, REJECT_TYPE, REJECT_ICMPX);
        to.attribute(REJECT_CODE, &[code]);
    });
}

fn decide(to: &mut Writer, verdict: i32) {
    expression(to, "immediate", |to| {
        put_u32(to, IMMEDIATE_REGISTER, VERDICT_REGISTER);
        to.nested(IMMEDIATE_DATA, |to| {
            to.nested(DATA_VERDICT, |to| {
                to.attribute(VERDICT_CODE, &verdict.to_be_bytes());
            });
        });
    });
}

fn load_meta(to: &mut Writer, key: u32) {
    expression(to, "meta", |to| {
        put_u32(to, META_REGISTER, REGISTER);
        put_u32(to, META_KEY, key);
    });
}

fn load_payload(to: &mut Writer, base: u32, offset: u32, length: u32) {
    expression(to, "payload", |to| {
        put_u32(to, PAYLOAD_REGISTER, REGISTER);
        put_u32(to, PAYLOAD_BASE, base);
        put_u32(to, PAYLOAD_OFFSET, offset);
        put_u32(to, PAYLOAD_LENGTH, length);
    });
}

fn load_tracked(to: &mut Writer, key: u32) {
    expression(to, "ct", |to| {
        put_u32(to, TRACKED_REGISTER, REGISTER);
        put_u32(to, TRACKED_KEY, key);
    });
}

/// Leaves only the bits of the register that `mask` has.
fn and(to: &mut Writer, mask: &[u8]) {
    expression(to, "bitwise", |to| {
        put_u32(to, BITWISE_SOURCE, REGISTER);
        put_u32(to, BITWISE_REGISTER, REGISTER);
        put_u32(to, BITWISE_LENGTH, u32::try_from(mask.len()).unwrap_or(0));
        put_value(to, BITWISE_MASK, mask);
        put_value(to, BITWISE_XOR, &vec![0; mask.len()]);
    });
}

fn equals(to: &mut Writer, value: &[u8]) {
    compare(to, COMPARE_EQUAL, value);
}

fn compare(to: &mut Writer, operation: u32, value: &[u8]) {
    expression(to, "cmp", |to| {
        put_u32(to, COMPARE_REGISTER, REGISTER);
        put_u32(to, COMPARE_OPERATION, operation);
        put_value(to, COMPARE_DATA, value);
    });
}

fn expression(to: &mut Writer, name: &str, data: impl FnOnce(&mut Writer)) {
    to.nested(LIST_ITEM, |to| {
        to.text(EXPRESSION_NAME, name);
        to.nested(EXPRESSION_DATA, data);
    });
}

fn put_value(to: &mut Writer, kind: u16, value: &[u8]) {
    to.nested(kind, |to| to.attribute(DATA_VALUE, value));
}

fn put_u32(to: &mut Writer, kind: u16, value: u32) {
    to.attribute(kind, &value.to_be_bytes());
}

fn header(to: &mut Writer, family: u8, resource: u16) {
    to.put(&[family, 0]);
    to.put(&resource.to_be_bytes());
}

fn family(table: Table) -> u8 {
    match table.family {
        Family::Inet => FAMILY_INET,
        Family::Netdev => FAMILY_NETDEV,
    }
}

fn number(transport: Transport) -> u8 {
    match transport {
        Transport::Tcp => 6,
        Transport::Udp => 17,
    }
}

const fn of_tables(kind: u16) -> u16 {
    SUBSYSTEM << 8 | kind
}

/// The length of `struct nfgenmsg`.
pub(super) const HEADER_LENGTH: usize = 4;
const SUBSYSTEM: u16 = 10;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const FAMILY_NONE: u8 = 0;
const FAMILY_INET: u8 = 1;
const FAMILY_NETDEV: u8 = 5;
const IPV4: u8 = 2;
const IPV6: u8 = 10;
const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
/// Flags of TCP.
const SYN: u8 = 0x02;
const ACKNOWLEDGES: u8 = 0x10;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

const NEW_TABLE: u16 = 0;
const GET_TABLE: u16 = 1;
const DELETE_TABLE: u16 = 2;
const NEW_CHAIN: u16 = 3;
const GET_CHAIN: u16 = 4;
const NEW_RULE: u16 = 6;
const GET_RULE: u16 = 7;
const NEW_SET: u16 = 9;
const NEW_ELEMENT: u16 = 12;
const DELETE_ELEMENT: u16 = 14;
const NEW_OBJECT: u16 = 18;
const GET_OBJECT: u16 = 19;

const TABLE_NAME: u16 = 1;
pub(super) const TABLE_FLAGS: u16 = 2;
pub(super) const TABLE_IS_DORMANT: u32 = 1;

pub(super) const CHAIN_TABLE: u16 = 1;
pub(super) const CHAIN_NAME: u16 = 3;
pub(super) const CHAIN_HOOK: u16 = 4;
const CHAIN_POLICY: u16 = 5;
const CHAIN_TYPE: u16 = 7;
const HOOK_NUMBER: u16 = 1;
const HOOK_PRIORITY: u16 = 2;
const HOOK_DEVICES: u16 = 4;
const DEVICE_NAME: u16 = 1;

const RULE_TABLE: u16 = 1;
pub(super) const RULE_CHAIN: u16 = 2;
pub(super) const RULE_EXPRESSIONS: u16 = 4;
pub(super) const LIST_ITEM: u16 = 1;
const EXPRESSION_NAME: u16 = 1;
const EXPRESSION_DATA: u16 = 2;

const SET_TABLE: u16 = 1;
const SET_NAME: u16 = 2;
const SET_FLAGS: u16 = 3;
const SET_KEY_TYPE: u16 = 4;
const SET_KEY_LENGTH: u16 = 5;
const SET_ID: u16 = 10;
/// nft's own number for `inet_service`, by which it knows how to print the set.
const KEY_IS_PORT: u32 = 13;
const ELEMENTS_TABLE: u16 = 1;
const ELEMENTS_SET: u16 = 2;
const ELEMENTS: u16 = 3;
/// With 20 bytes each, so many fit the 64 KiB of an attribute.
const ELEMENTS_MAX: usize = 2048;
const ELEMENT_KEY: u16 = 1;

const OBJECT_TABLE: u16 = 1;
const OBJECT_NAME: u16 = 2;
const OBJECT_TYPE: u16 = 3;
const OBJECT_DATA: u16 = 4;
const OBJECT_COUNTER: u32 = 1;
const COUNTER_PACKETS: u16 = 2;
const OBJREF_TYPE: u16 = 1;
const OBJREF_NAME: u16 = 2;

const DATA_VALUE: u16 = 1;
const DATA_VERDICT: u16 = 2;
const VERDICT_CODE: u16 = 1;
const VERDICT_REGISTER: u32 = 0;
const REGISTER: u32 = 1;
const DROP: i32 = 0;
const ACCEPT: i32 = 1;
const RETURN: i32 = -5;

const IMMEDIATE_REGISTER: u16 = 1;
const IMMEDIATE_DATA: u16 = 2;
const META_REGISTER: u16 = 1;
const META_KEY: u16 = 2;
const META_PROTOCOL: u32 = 1;
const META_MARK: u32 = 3;
const META_IN_DEVICE: u32 = 4;
/// The number of `lo` in every namespace.
const LOOPBACK: u32 = 1;
const META_USER: u32 = 10;
const META_NFPROTO: u32 = 15;
const META_L4PROTO: u32 = 16;
const PAYLOAD_REGISTER: u16 = 1;
const PAYLOAD_BASE: u16 = 2;
const PAYLOAD_OFFSET: u16 = 3;
const PAYLOAD_LENGTH: u16 = 4;
const PAYLOAD_SOURCE: u16 = 5;
const PAYLOAD_CHECKSUM: u16 = 6;
const PAYLOAD_CHECKSUM_OFFSET: u16 = 7;
const PAYLOAD_CHECKSUM_FLAGS: u16 = 8;
const CHECKSUM_NONE: u32 = 0;
/// That of IPv4: the ones' complement of the header's 16-bit words (`NFT_PAYLOAD_CSUM_INET`).
const CHECKSUM_OF_HEADER: u32 = 1;
const NETWORK_HEADER: u32 = 1;
const TRANSPORT_HEADER: u32 = 2;
const COMPARE_REGISTER: u16 = 1;
const COMPARE_OPERATION: u16 = 2;
const COMPARE_DATA: u16 = 3;
const COMPARE_EQUAL: u32 = 0;
const COMPARE_DIFFERS: u32 = 1;
const COMPARE_AT_MOST: u32 = 3;
const COMPARE_AT_LEAST: u32 = 5;
const BITWISE_SOURCE: u16 = 1;
const BITWISE_REGISTER: u16 = 2;
const BITWISE_LENGTH: u16 = 3;
const BITWISE_MASK: u16 = 4;
const BITWISE_XOR: u16 = 5;
const FIB_REGISTER: u16 = 1;
const FIB_RESULT: u16 = 2;
const FIB_FLAGS: u16 = 3;
const FIB_ADDRESS_TYPE: u32 = 3;
const FIB_DESTINATION: u32 = 2;
/// `RTN_LOCAL` of `linux/rtnetlink.h`.
const FIB_LOCAL: u32 = 2;
/// What connection tracking knows.
const TRACKED_REGISTER: u16 = 1;
const TRACKED_KEY: u16 = 2;
const TRACKED_DIRECTION: u32 = 1;
const TRACKED_STATUS: u32 = 2;
const DIRECTION_REPLY: u8 = 1;
/// `IPS_DST_NAT`.
const STATUS_REDIRECTED: u32 = 1 << 5;
const LOOKUP_SET: u16 = 1;
const LOOKUP_REGISTER: u16 = 2;
const REDIR_PORT_MIN: u16 = 1;
const REDIR_PORT_MAX: u16 = 2;
const REDIR_FLAGS: u16 = 3;
/// `NF_NAT_RANGE_PROTO_SPECIFIED`.
const REDIR_TO_PORT: u32 = 2;
const REJECT_TYPE: u16 = 1;
const REJECT_CODE: u16 = 2;
const REJECT_RESET: u32 = 1;
const REJECT_ICMPX: u32 = 2;
const ICMPX_PORT_UNREACHABLE: u8 = 1;
const ICMPX_ADMIN_PROHIBITED: u8 = 3;
