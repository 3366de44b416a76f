//! Connections into the application, made from outside with sockets from inside.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    os::fd::OwnedFd,
};

use leno_host::{Family, Sockets, reach};
use socket2::Socket;

use crate::world::{PATIENCE, World, layout, readable};

#[test]
fn the_application_gets_the_connection_and_sees_itself_as_peer() {
    let mut world = World::new();
    for (family, listen, peer) in [
        (Family::V4, "0.0.0.0:0", "10.77.0.2:"),
        (Family::V6, "[::]:0", "[fd77::2]:"),
        (Family::V4, "10.77.0.2:0", "10.77.0.2:"),
        (Family::V4, "127.0.0.1:0", "127.0.0.1:"),
        (Family::V6, "[::1]:0", "[::1]:"),
    ] {
        // The keeper may not have noticed yet that anybody listens, and it does not matter.
        let bound = world.ask(&format!("listen {listen}")).parse().unwrap();
        let sockets = world.enclosure.sockets(family).unwrap();
        let mut stream = connect(take(&sockets), reach(bound, &layout())).unwrap();
        let seen = world.ask("accept");
        assert!(seen.starts_with(peer), "{listen}: {seen}");
        assert_eq!(seen, stream.local_addr().unwrap().to_string());

        stream.write_all(b"hello").unwrap();
        assert_eq!(world.ask("hear"), "hello");
        world.ask("say welcome");
        let mut answer = [0; 7];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"welcome");
    }
    assert!(world.nothing_captured());
}

#[test]
fn nobody_listening_is_a_refusal_and_never_a_loop() {
    let world = World::new();
    let sockets = world.enclosure.sockets(Family::V4).unwrap();
    for nobody in ["127.0.0.1:9", "10.77.0.2:9"] {
        let refused = connect(take(&sockets), nobody.parse().unwrap()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "{nobody}");
    }
    assert!(world.nothing_captured());
}

#[test]
fn the_supply_is_refilled_as_fast_as_it_is_used() {
    let world = World::new();
    let one = world.enclosure.sockets(Family::V4).unwrap();
    let other = world.enclosure.sockets(Family::V4).unwrap();
    let taken: Vec<_> = (0..150).flat_map(|_| [take(&one), take(&other)]).collect();
    assert_eq!(taken.len(), 300);
}

#[test]
fn the_supply_ends_with_the_enclosure() {
    let world = World::new();
    let sockets = world.enclosure.sockets(Family::V6).unwrap();
    drop(world);
    let end = std::iter::repeat_with(|| sockets.take()).find_map(Result::err);
    assert_eq!(end.unwrap().kind(), ErrorKind::BrokenPipe);
}

fn take(sockets: &Sockets) -> OwnedFd {
    readable(sockets);
    sockets.take().unwrap()
}

fn connect(socket: OwnedFd, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = Socket::from(socket);
    socket.connect_timeout(&to.into(), PATIENCE)?;
    socket.set_nonblocking(false)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket.into())
}
