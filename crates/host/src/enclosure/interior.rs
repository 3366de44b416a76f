//! The network inside: `lo`, the workload's own addresses on it, and routes that lead nowhere else.

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::OwnedFd,
};

use socket2::{Domain, Protocol, Type};

use super::{Family, Layout, Walls};
use crate::{
    capture::{DNS_PORT, OUTBOUND_PORT, PROXY_MARK},
    netlink::{Batch, CREATE, ROUTE, Refused, Socket, Writer},
};

/// Raises `lo` and gives it the workload's addresses and the default routes that take them as
/// source: without a route a connection fails before it can be captured, and without a source it
/// would come from 0.0.0.0.
pub(super) fn lay_out(layout: &Layout, families: &[Family]) -> Result<(), Refused> {
    let mut batch = Batch::default();
    batch.request("raising lo", SET_LINK, 0, raise_loopback);
    for family in families {
        let address: IpAddr = match family {
            Family::V4 => layout.v4.into(),
            Family::V6 => layout.v6.into(),
        };
        let part = format!("address {address}");
        batch.request(part, NEW_ADDRESS, CREATE, |to| put_address(to, address));
        if address.is_ipv6() {
            // The kernel adds this route by itself, but some time later.
            let part = format!("local route to {address}");
            batch.request(part, NEW_ROUTE, CREATE, |to| put_local_route(to, address));
        }
        let part = format!("default route from {address}");
        batch.request(part, NEW_ROUTE, CREATE, |to| put_default_route(to, address));
    }
    let whole = |errno| Refused {
        part: "route socket".to_owned(),
        errno,
    };
    Socket::open(ROUTE).map_err(whole)?.carry_out(&batch)
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

/// The sockets that take what is captured: connections, DNS over UDP, DNS over TCP, each over one
/// family after the other.
pub(super) fn listeners(families: &[Family]) -> io::Result<Vec<OwnedFd>> {
    let mut fds = Vec::new();
    for (port, kind) in [
        (OUTBOUND_PORT, Type::STREAM),
        (DNS_PORT, Type::DGRAM),
        (DNS_PORT, Type::STREAM),
    ] {
        for family in families {
            let loopback: IpAddr = match family {
                Family::V4 => Ipv4Addr::LOCALHOST.into(),
                Family::V6 => Ipv6Addr::LOCALHOST.into(),
            };
            fds.push(bound(SocketAddr::new(loopback, port), kind)?);
        }
    }
    Ok(fds)
}

/// A TCP socket that is neither bound nor connected, and that capture leaves alone, where there is any.
pub(super) fn reaching_in(family: Family, walls: Walls) -> io::Result<OwnedFd> {
    let domain = match family {
        Family::V4 => Domain::IPV4,
        Family::V6 => Domain::IPV6,
    };
    let socket = socket2::Socket::new(domain, Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    if walls == Walls::Namespaces {
        socket.set_mark(PROXY_MARK)?;
    }
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

/// `struct rtmsg`: what is sent to this address arrives here.
fn put_local_route(to: &mut Writer, address: IpAddr) {
    let (family, length) = wire_family(address);
    to.put(&[
        family,
        length,
        0,
        0,
        TABLE_LOCAL,
        BY_KERNEL,
        SCOPE_UNIVERSE,
        LOCAL,
    ]);
    to.put(&[0; 4]);
    to.attribute(ROUTE_DEVICE, &LOOPBACK.to_ne_bytes());
    put_ip(to, ROUTE_DESTINATION, address);
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
const ROUTE_DESTINATION: u16 = 1;
const ROUTE_DEVICE: u16 = 4;
const ROUTE_SOURCE: u16 = 7;
const SCOPE_UNIVERSE: u8 = 0;
const SCOPE_LINK: u8 = 253;
const TABLE_MAIN: u8 = 254;
const TABLE_LOCAL: u8 = 255;
const BY_KERNEL: u8 = 2;
const BY_ADMINISTRATOR: u8 = 4;
const UNICAST: u8 = 1;
const LOCAL: u8 = 2;
