//! Which sockets a mesh that runs listens on, and what each says to somebody who proves nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::up::world::{Folder, free_ports};

/// What a process listens on.
#[derive(Default, Debug)]
struct Doors {
    tcp: BTreeSet<SocketAddr>,
    /// Unix sockets that are files.
    files: BTreeSet<PathBuf>,
}

/// Those of a process, of the network that the test is in.
fn doors(process: u32) -> Doors {
    let held = fs::read_dir(format!("/proc/{process}/fd")).unwrap();
    let links = held.filter_map(|link| fs::read_link(link.ok()?.path()).ok());
    let inodes: BTreeSet<String> = links
        .filter_map(|link| {
            let link = link.to_str()?.strip_prefix("socket:[")?.to_owned();
            Some(link.trim_end_matches(']').to_owned())
        })
        .collect();
    let mut doors = Doors::default();
    for table in ["tcp", "tcp6"] {
        for row in fs::read_to_string(format!("/proc/net/{table}"))
            .unwrap()
            .lines()
            .skip(1)
        {
            let cells: Vec<_> = row.split_whitespace().collect();
            if cells[3] == "0A" && inodes.contains(cells[9]) {
                doors.tcp.insert(address(cells[1]));
            }
        }
    }
    for row in fs::read_to_string("/proc/net/unix")
        .unwrap()
        .lines()
        .skip(1)
    {
        let cells: Vec<_> = row.split_whitespace().collect();
        let listens = cells[3] == "00010000";
        if let Some(path) = cells
            .get(7)
            .filter(|_| listens && inodes.contains(cells[6]))
        {
            assert!(!path.starts_with('@'), "anybody may connect to {path}");
            doors.files.insert(path.into());
        }
    }
    doors
}

/// An address as the kernel writes it: words in the byte order of the host.
fn address(text: &str) -> SocketAddr {
    let (ip, port) = text.split_once(':').unwrap();
    let words = ip.as_bytes().chunks(8).map(|word| {
        let word = std::str::from_utf8(word).unwrap();
        u32::from_str_radix(word, 16).unwrap().to_ne_bytes()
    });
    let bytes = words.flatten().collect::<Vec<u8>>();
    let ip = match <[u8; 4]>::try_from(&bytes[..]) {
        Ok(bytes) => IpAddr::from(bytes),
        Err(_) => IpAddr::from(<[u8; 16]>::try_from(&bytes[..]).unwrap()).to_canonical(),
    };
    SocketAddr::new(ip, u16::from_str_radix(port, 16).unwrap())
}

/// What comes back for these bytes, as far as it is text.
fn says(to: SocketAddr, bytes: &str) -> String {
    let here: IpAddr = match to.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let mut stream = TcpStream::connect((here, to.port())).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let mut told = Vec::new();
    if stream.write_all(bytes.as_bytes()).is_ok() {
        // What was said before it broke off counts.
        drop(stream.read_to_end(&mut told));
    }
    String::from_utf8_lossy(&told).into_owned()
}

fn status(to: SocketAddr, method: &str, path: &str, headers: &str) -> String {
    let host = format!("localhost:{}", to.port());
    let request =
        format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{headers}\r\n");
    let told = says(to, &request);
    let status = told
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3));
    status.unwrap_or("nothing").to_owned()
}

/// What somebody may do who proves nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// Nothing: it takes mutual TLS.
    Mutual,
    /// Join, by what it shows.
    Control,
    /// The same, in a mesh that has a `MeshPeer`: and read the mesh's public keys.
    ControlWithPeer,
    /// Read metrics and readiness.
    Metrics,
    /// Nothing without a visit; only from this host.
    Dashboard,
    /// Call as a workload, from this host.
    Own,
}

fn check(door: SocketAddr, kind: Kind) {
    let question = "{\"version\":1,\"ask\":\"status\"}\n";
    let asked = says(door, question);
    assert!(
        !asked.contains("context"),
        "{door} {kind:?} answers {asked}"
    );
    let get = |path: &str| status(door, "GET", path, "");
    match kind {
        Kind::Mutual | Kind::Control | Kind::ControlWithPeer => {
            for path in ["/", "/metrics", "/bundle"] {
                assert_eq!(get(path), "nothing", "{door}");
            }
            let curl = |options: &[&str], path: &str| {
                let url = format!("https://localhost:{}{path}", door.port());
                let mut curl = Command::new("curl");
                curl.args([
                    "-ks",
                    "--max-time",
                    "5",
                    "-o",
                    "/dev/null",
                    "-w",
                    "%{http_code}",
                ]);
                let told = curl.args(options).arg(&url).output().unwrap().stdout;
                String::from_utf8_lossy(&told).into_owned()
            };
            // Where proxies join, HTTP/1.1 is answered for the sake of the bundle.
            let (web, bundle) = match kind {
                Kind::Control => ("404", "404"),
                Kind::ControlWithPeer => ("404", "200"),
                _ => ("000", "000"),
            };
            for (path, expect) in [("/", web), ("/metrics", web), ("/bundle", bundle)] {
                assert_eq!(curl(&[], path), expect, "{door} {path}");
            }
            assert_ne!(curl(&["-X", "POST"], "/bundle"), "200", "{door}");
        }
        Kind::Metrics => {
            assert_eq!(get("/metrics"), "200", "{door}");
            assert_eq!(get("/"), "404", "{door}");
            for method in ["POST", "PUT", "DELETE"] {
                let told = status(door, method, "/metrics", "content-length: 0\r\n");
                assert_ne!(told, "200", "{door} {method}");
            }
        }
        Kind::Dashboard => {
            assert!(door.ip().is_loopback(), "{door}");
            assert_eq!(get("/"), "401");
            assert_eq!(get("/?t=guess"), "401");
            for path in ["/ask", "/api", "/overview", "/visit/guess"] {
                assert_eq!(get(path), "404", "{path}");
            }
            let foreign = "origin: https://evil.example\r\ncontent-length: 0\r\n";
            assert_eq!(status(door, "POST", "/ask", foreign), "403");
        }
        Kind::Own => assert!(door.ip().is_loopback(), "{door}"),
    }
}

/// Where a Unix socket is, below the folder of a mesh. The kernel tells the name that it was made under: by
/// way of its open folder, and beside its place.
fn place(made: &Path, folder: &Path) -> PathBuf {
    let name = made.file_name().unwrap().to_str().unwrap();
    let name = name.strip_suffix(".new").unwrap_or(name);
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_socket() && entry.file_name() == name {
                return entry.path();
            }
        }
    }
    panic!("{} is not below the folder of the mesh", made.display());
}

/// A Unix socket that nobody opens but its owner.
fn is_private(made: &Path, folder: &Path) {
    let file = &place(made, folder);
    let mut way: Vec<_> = file.ancestors().collect();
    way.pop();
    let closed = way.iter().any(|part| {
        let mode = fs::metadata(part).map(|it| it.permissions().mode());
        mode.is_ok_and(|mode| mode & 0o077 == 0)
    });
    assert!(closed, "others may open {}", file.display());
    let root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    if root {
        let connect = "import socket,sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])";
        let tried = Command::new("setpriv")
            .args([
                "--reuid=65534",
                "--regid=65534",
                "--clear-groups",
                "python3",
                "-c",
                connect,
            ])
            .arg(file)
            // Others may not run what lies in a home of root's.
            .env("PATH", "/usr/bin:/bin")
            .stderr(Stdio::piped())
            .output();
        let tried = tried.unwrap();
        let said = String::from_utf8_lossy(&tried.stderr).into_owned();
        assert!(
            said.contains("PermissionError"),
            "{}: {said}",
            file.display()
        );
    }
}

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Starts a process that goes on, and waits until it says something.
fn start(folder: &Folder, typed: &str, until: &str) -> Running {
    let mut command = folder.leno([]);
    command
        .args(typed.split(' '))
        .env("LENO_CONTEXT", folder.path().join("c.sock"));
    let mut running = Running(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(running.0.stdout.take().unwrap()).lines();
    let mut told = String::new();
    for line in lines.by_ref().map(Result::unwrap) {
        told += &line;
        if line.contains(until) {
            std::thread::spawn(move || lines.for_each(drop));
            return running;
        }
    }
    panic!("{typed} has ended: {told}");
}

/// Checks that a process has exactly these doors, and each.
fn expect(process: u32, folder: &Folder, kinds: &BTreeMap<u16, Kind>) {
    let Doors { tcp, files } = doors(process);
    let found: BTreeSet<_> = tcp.iter().map(SocketAddr::port).collect();
    let known: BTreeSet<_> = kinds.keys().copied().collect();
    assert_eq!(found, known, "of {process}");
    for door in tcp {
        check(door, kinds[&door.port()]);
    }
    assert!(!files.is_empty(), "it is asked by a socket");
    for file in files {
        is_private(&file, folder.path());
    }
}

#[test]
fn beyond_loopback_only_metrics_answer_who_proves_nothing() {
    let folder = Folder::new("doors");
    let [control, page, metrics, tunnel, upstream, own] = free_ports();
    folder.write(
        "mesh.yaml",
        "kind: Mesh\napiVersion: leno.dev/v1alpha1\nmetadata: {name: shop}\n---\n\
         kind: MeshWorkload\napiVersion: leno.dev/v1alpha1\nmetadata: {name: web}\n\
         spec: {instances: [{address: 127.0.0.1}]}\n---\n\
         kind: Service\napiVersion: v1\nmetadata: {name: cart}\nspec: {ports: [{port: 80}]}\n",
    );
    let typed = format!(
        "control --data {0}/store --socket {0}/c.sock --listen 0.0.0.0:{control} \
         --advertise 127.0.0.1:{control} --dashboard {page} --metrics 0.0.0.0:{metrics}",
        folder.path().display()
    );
    let plane = start(&folder, &typed, "listening");
    let socket = folder.path().join("c.sock");
    let asked = |typed: &str| {
        let mut command = folder.leno([]);
        let told = command
            .args(typed.split(' '))
            .arg("--context")
            .arg(&socket)
            .output();
        String::from_utf8(told.unwrap().stdout).unwrap()
    };
    asked("apply -f mesh.yaml");
    let made = asked("token create default/web");
    let token = made
        .split_whitespace()
        .find(|word| word.starts_with("leno-join:"))
        .unwrap();
    let joined = folder
        .leno(["join", token, "--state", "web"])
        .output()
        .unwrap();
    assert!(joined.status.success());
    let typed = format!(
        "proxy --joined --workload web --state web --tunnel 0.0.0.0:{tunnel} \
         --upstream cart:80=127.0.0.1:{upstream} --metrics 0.0.0.0:{own}"
    );
    let proxy = start(&folder, &typed, "adopted");
    let plane_has = [
        (control, Kind::Control),
        (page, Kind::Dashboard),
        (metrics, Kind::Metrics),
    ];
    let proxy_has = [
        (tunnel, Kind::Mutual),
        (upstream, Kind::Own),
        (own, Kind::Metrics),
    ];
    expect(plane.0.id(), &folder, &plane_has.into());
    expect(proxy.0.id(), &folder, &proxy_has.into());
    let audit = asked("history --audit");
    for attempt in [
        "GET: This page opens by a link",
        "GET: This link has been used, or is too old",
        "POST of https://evil.example: Another page asked for this one",
    ] {
        let row = audit.lines().find(|row| row.contains(attempt));
        let row = row.unwrap_or_else(|| panic!("{attempt}: {audit}"));
        for part in ["nobody", "dashboard", "refused S016"] {
            assert!(row.contains(part), "{part}: {row}");
        }
    }

    // With a peer there is one thing more that everybody may read.
    folder.write("peer.yaml", PEER);
    asked("apply -f peer.yaml");
    let plane_has = [
        (control, Kind::ControlWithPeer),
        (page, Kind::Dashboard),
        (metrics, Kind::Metrics),
    ];
    expect(plane.0.id(), &folder, &plane_has.into());
}

const PEER: &str = "\
kind: MeshPeer
apiVersion: leno.dev/v1alpha1
metadata: {name: bank}
spec: {trustDomain: bank.example, endpoint: {url: \"https://127.0.0.1:9/bundle\", profile: Web}}
";

#[test]
fn a_mesh_on_a_laptop_listens_on_the_loopback_alone() {
    let folder = Folder::new("laptop");
    let [port] = free_ports();
    let procfile = format!("cart: exec python3 -m http.server {port}\nweb: exec sleep 1000\n");
    folder.write("Procfile", &procfile);
    let up = folder.up();
    let (_, page) = up.shown().split_once("  Page   http://localhost:").unwrap();
    let page: u16 = page.split_once('/').unwrap().0.parse().unwrap();
    let Doors { tcp, files } = doors(up.pid());
    assert!(tcp.iter().any(|door| door.port() == page), "{tcp:?}");
    for door in tcp {
        assert!(door.ip().is_loopback(), "{door}");
        if door.port() == page {
            check(door, Kind::Dashboard);
        }
    }
    assert!(!files.is_empty());
    for file in files {
        is_private(&file, folder.path());
    }
}
