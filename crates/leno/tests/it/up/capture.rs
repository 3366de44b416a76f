//! What leaves an enclosure, and how it looks on the wire.

use std::io::Write as _;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use super::world::{Folder, host};
use crate::said::Said;

/// Tries to get out in every way, and says what came of it.
const ESCAPE: &str = r#"
import os, socket, sys

def tcp(family, address, words=b"hello\n"):
    s = socket.socket(family, socket.SOCK_STREAM)
    s.settimeout(5)
    try:
        s.connect(address)
        s.sendall(words)
        answer = s.recv(4096).decode()
        code = [line for line in answer.splitlines() if line.startswith("leno-error")]
        return code[0].split(";")[0] if code else "answered" if answer else "closed"
    except socket.timeout:
        return "silent"
    except OSError:
        return "refused"

def udp(family, address):
    s = socket.socket(family, socket.SOCK_DGRAM)
    try:
        s.sendto(b"x", address)
        return "sent"
    except OSError:
        return "refused"

port4, port6, outside = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
print("host loopback v4", tcp(socket.AF_INET, ("127.0.0.1", port4)))
print("host loopback v6", tcp(socket.AF_INET6, ("::1", port6)))
print("host address", tcp(socket.AF_INET, (outside, port4)))
http = b"GET / HTTP/1.1\r\nHost: outside\r\n\r\n"
print("host address, HTTP", tcp(socket.AF_INET, (outside, port4), http))
print("elsewhere v6", tcp(socket.AF_INET6, ("2001:db8::1", 80)))
print("udp v4", udp(socket.AF_INET, (outside, 9)))
print("udp v6", udp(socket.AF_INET6, ("2001:db8::1", 9)))
try:
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    print("raw opened")
except OSError:
    print("raw refused")
print("interfaces", [name for _, name in socket.if_nameindex()])
"#;

/// Against the pain "Silent bypass" (docs/pains.md).
#[test]
fn a_workload_reaches_nothing_past_its_proxy() {
    let folder = Folder::new("closed");
    folder.write("escape.py", ESCAPE).write(
        "leno.yaml",
        "apiVersion: leno.dev/v1alpha1\nkind: Mesh\nmetadata:\n  name: closed\nspec:\n  \
         mtls: Strict\n  unknownDestinations: Deny\n---\n\
         apiVersion: leno.dev/v1alpha1\nkind: MeshWorkload\nmetadata:\n  name: idle\nspec:\n  \
         run:\n    command: exec sleep 1000\n",
    );
    let _up = folder.up();
    let v4 = TcpListener::bind("0.0.0.0:0").unwrap();
    let v6 = TcpListener::bind("[::1]:0").unwrap();
    let port = |listener: &TcpListener| listener.local_addr().unwrap().port().to_string();
    let told = folder.told([
        "run",
        "--name",
        "thief",
        "--",
        "python3",
        "escape.py",
        &port(&v4),
        &port(&v6),
        &own_address(),
    ]);
    assert_eq!(
        told,
        "host loopback v4 refused\nhost loopback v6 refused\nhost address refused\n\
         host address, HTTP leno-error: R001 unknown-destination\nelsewhere v6 refused\nudp v4 refused\nudp v6 refused\nraw refused\ninterfaces ['lo']\n\
         ! R042 udp-not-carried: only DNS is carried over UDP; leno ps counts\n"
    );
    for listener in [v4, v6] {
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_err(), "somebody came");
    }
}

#[test]
fn an_unknown_destination_is_reached_where_the_mesh_says_so() {
    let folder = Folder::new("open");
    folder.write("escape.py", ESCAPE).write(
        "leno.yaml",
        "apiVersion: leno.dev/v1alpha1\nkind: Mesh\nmetadata:\n  name: open\nspec:\n  \
         mtls: Strict\n  unknownDestinations: Allow\n---\n\
         apiVersion: leno.dev/v1alpha1\nkind: MeshWorkload\nmetadata:\n  name: idle\nspec:\n  \
         run:\n    command: exec sleep 1000\n",
    );
    let _up = folder.up();
    let outside = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = outside.local_addr().unwrap().port().to_string();
    std::thread::spawn(move || {
        for mut stream in outside.incoming().flatten() {
            // Whoever leaves needs no greeting.
            drop(stream.write_all(b"welcome\n"));
        }
    });
    let told = folder.told([
        "run",
        "--name",
        "guest",
        "--",
        "python3",
        "escape.py",
        &port,
        "1",
        &own_address(),
    ]);
    assert!(told.contains("host loopback v4 answered\n"), "{told}");
    assert!(told.contains("host address answered\n"), "{told}");
    // Nothing but TCP goes through the proxy, and nothing past it.
    assert!(
        told.contains("udp v4 refused\nudp v6 refused\nraw refused\n"),
        "{told}"
    );
}

/// An address of this machine that is not loopback.
fn own_address() -> String {
    let addresses = host(["hostname", "-I"]).stdout;
    let addresses = String::from_utf8(addresses).unwrap();
    let mut v4 = addresses
        .split_whitespace()
        .filter(|address| address.contains('.'));
    v4.next().unwrap_or("192.0.2.1").to_owned()
}

/// Prints each secret that passes over the host's loopback, once it passes.
const SNIFF: &str = r#"
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(3))
s.bind(("lo", 0))
print("listening", flush=True)
left = {word.encode() for word in sys.argv[1:]}
while left:
    packet = s.recv(65535)
    for word in [word for word in left if word in packet]:
        print(word.decode(), flush=True)
        left.remove(word)
"#;

#[test]
fn what_two_workloads_say_is_not_to_be_read() {
    let folder = Folder::new("secret");
    folder
        .write("sniff.py", SNIFF)
        .write("Procfile", "cart: exec python3 -m http.server 18085\n");
    let _up = folder.up();
    let mut sniffer = Command::new("python3")
        .args(["sniff.py", "inside-8f1c2a", "outside-8f1c2a"])
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let heard = Said::by(sniffer.stdout.take().unwrap());
    assert_eq!(heard.next().unwrap(), "listening");
    let inside = folder.told(["curl", "cart", "http://cart:18085/inside-8f1c2a", "-i"]);
    assert!(inside.starts_with("HTTP/1.1 404"), "{inside}");
    // That the sniffer hears is shown by what is sent in plain.
    let plain = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut stream = std::net::TcpStream::connect(plain.local_addr().unwrap()).unwrap();
    stream.write_all(b"outside-8f1c2a").unwrap();
    assert_eq!(heard.next().unwrap(), "outside-8f1c2a");
    sniffer.kill().unwrap();
    sniffer.wait().unwrap();
}
