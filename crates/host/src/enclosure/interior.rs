//! The network inside: `lo`, the workload's own addresses on it, and routes that lead nowhere else.

use std::{
    fs, io,
    net::{IpAddr, SocketAddr},
    os::fd::OwnedFd,
};

use rustix::io::Errno;
use socket2::{Domain, Protocol, Type};

use super::{Family, Layout};
use crate::{
    capture::{DNS_PORT, MARK, OUTBOUND_PORT, loopback_of},
    netlink::{ACK, CREATE, EXCLUSIVE, REQUEST, ROUTE, Refused, Socket, Writer},
};

/// Raises `lo` and gives it the workload's addresses and the default routes that take them as
/// source: without a route a connection fails before it can be captured, and without a source it
/// would come from 0.0.0.0.
pub(super) fn lay_out(layout: &Layout, families: &[Family]) -> Result<(), (String, Errno)> {
    let mut to = Writer::default();
    let mut parts = vec!["raising lo".to_owned()];
    to.message(SET_LINK, REQUEST | ACK, 1, raise_loopback);
    for family in families {
        let address: IpAddr = match family {
            Family::V4 => layout.v4.into(),
            Family::V6 => layout.v6.into(),
        };
        parts.push(format!("address {address}"));
        let sequence = sequence(&parts);
        to.message(
            NEW_ADDRESS,
            REQUEST | ACK | CREATE | EXCLUSIVE,
            sequence,
            |to| {
                put_address(to, address);
            },
        );
        parts.push(format!("default route from {address}"));
        let sequence = self::sequence(&parts);
        to.message(
            NEW_ROUTE,
            REQUEST | ACK | CREATE | EXCLUSIVE,
            sequence,
            |to| {
                put_default_route(to, address);
            },
        );
    }
    let whole = |errno| ("the route socket".to_owned(), errno);
    let socket = Socket::open(ROUTE).map_err(whole)?;
    let told = socket.transact(&to, parts.len());
    told.map_err(|Refused { sequence, errno }| {
        let index = usize::try_from(sequence).unwrap_or(0).saturating_sub(1);
        (parts.swap_remove(index.min(parts.len() - 1)), errno)
    })
}

/// Lets applications listen on ports below 1024: they have no capability for it, and the ports are
/// theirs alone. Where a container forbids to write the setting it stays as it is.
pub(super) fn free_low_ports() {
    _ = fs::write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
}

/// The versions of IP that this kernel has.
pub(super) fn families() -> Vec<Family> {
    let has_v6 = socket2::Socket::new(Domain::IPV6, Type::DGRAM, None).is_ok();
    if has_v6 {
        vec![Family::V4, Family::V6]
    } else {
        vec![Family::V4]
    }
}

/// The sockets that take what is captured: one for connections of each family, then DNS over UDP
/// and over TCP.
pub(super) fn listeners(layout: &Layout, families: &[Family]) -> io::Result<Vec<OwnedFd>> {
    let mut fds = Vec::new();
    for family in families {
        let ip = match family {
            Family::V4 => loopback_of(layout.v4.into()),
            Family::V6 => loopback_of(layout.v6.into()),
        };
        fds.push(bound(SocketAddr::new(ip, OUTBOUND_PORT), Type::STREAM)?);
    }
    let dns = SocketAddr::new(loopback_of(layout.resolver), DNS_PORT);
    fds.push(bound(dns, Type::DGRAM)?);
    fds.push(bound(dns, Type::STREAM)?);
    Ok(fds)
}

/// A TCP socket that is neither bound nor connected, and that capture leaves alone.
pub(super) fn reaching_in(family: Family) -> io::Result<OwnedFd> {
    let domain = match family {
        Family::V4 => Domain::IPV4,
        Family::V6 => Domain::IPV6,
    };
    let socket = socket2::Socket::new(domain, Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    socket.set_mark(MARK)?;
    Ok(socket.into())
}

fn bound(address: SocketAddr, kind: Type) -> io::Result<OwnedFd> {
    let socket = socket2::Socket::new(Domain::for_address(address), kind.nonblocking(), None)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    if kind == Type::STREAM {
        socket.listen(BACKLOG)?;
    }
    Ok(socket.into())
}

/// `struct ifinfomsg`: the up flag, and nothing else changed.
fn raise_loopback(to: &mut Writer) {
    to.put(&[0; 4]);
    to.put(&LOOPBACK.to_ne_bytes());
    to.put(&UP.to_ne_bytes());
    to.put(&UP.to_ne_bytes());
}

/// `struct ifaddrmsg`: a single address, usable at once.
fn put_address(to: &mut Writer, address: IpAddr) {
    let (family, length) = wire_family(address);
    let flags = if address.is_ipv6() { NO_DUPLICATES } else { 0 };
    to.put(&[family, length, flags, SCOPE_UNIVERSE]);
    to.put(&LOOPBACK.to_ne_bytes());
    put_ip(to, ADDRESS_LOCAL, address);
    put_ip(to, ADDRESS_ADDRESS, address);
}

/// `struct rtmsg`: everything, through `lo`, from this source.
fn put_default_route(to: &mut Writer, source: IpAddr) {
    let (family, _) = wire_family(source);
    let scope = if source.is_ipv4() {
        SCOPE_LINK
    } else {
        SCOPE_UNIVERSE
    };
    to.put(&[
        family,
        0,
        0,
        0,
        TABLE_MAIN,
        BY_ADMINISTRATOR,
        scope,
        UNICAST,
    ]);
    to.put(&[0; 4]);
    to.attribute(ROUTE_DEVICE, &LOOPBACK.to_ne_bytes());
    put_ip(to, ROUTE_SOURCE, source);
}

fn put_ip(to: &mut Writer, kind: u16, ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => to.attribute(kind, &ip.octets()),
        IpAddr::V6(ip) => to.attribute(kind, &ip.octets()),
    }
}

/// The number of the family and the length of its addresses in bits.
fn wire_family(address: IpAddr) -> (u8, u8) {
    match address {
        IpAddr::V4(_) => (2, 32),
        IpAddr::V6(_) => (10, 128),
    }
}

fn sequence(parts: &[String]) -> u32 {
    u32::try_from(parts.len()).expect("there are five at most")
}

/// As many as the kernel allows (`net.core.somaxconn`).
const BACKLOG: i32 = i32::MAX;

/// `lo` is the first device of every network namespace.
const LOOPBACK: u32 = 1;
const UP: u32 = 1;
const SET_LINK: u16 = 19;
const NEW_ADDRESS: u16 = 20;
const NEW_ROUTE: u16 = 24;
const ADDRESS_ADDRESS: u16 = 1;
const ADDRESS_LOCAL: u16 = 2;
/// `IFA_F_NODAD`: nobody else is there who could have the address.
const NO_DUPLICATES: u8 = 2;
const ROUTE_DEVICE: u16 = 4;
const ROUTE_SOURCE: u16 = 7;
const SCOPE_UNIVERSE: u8 = 0;
const SCOPE_LINK: u8 = 253;
const TABLE_MAIN: u8 = 254;
const BY_ADMINISTRATOR: u8 = 4;
const UNICAST: u8 = 1;
