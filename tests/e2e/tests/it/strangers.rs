//! What a client that asks for ever other hosts and paths makes a proxy hold and tell.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use leno_e2e::{Process, World, curl, serve};

/// How many requests go out before answers are read.
const AT_ONCE: usize = 50;

/// After so many the proxy has met what it will meet, and then as many again, and again.
const FIRST: usize = 10_000;
const REST: usize = 40_000;

/// In bytes: the ring of kept calls has 4 MiB, which are full after some seconds, and an allocator
/// keeps a little to itself.
const MOST_GROWTH: u64 = 6 << 20;

/// Asks so many times, each for a host and a path that nobody asked for before.
fn ask(stream: &mut TcpStream, numbers: std::ops::Range<usize>) {
    let numbers: Vec<_> = numbers.collect();
    for some in numbers.chunks(AT_ONCE) {
        let requests = some.iter().map(|number| {
            format!("GET /{number}/of-{number} HTTP/1.1\r\nhost: h{number}.example\r\n\r\n")
        });
        let requests: String = requests.collect();
        stream.write_all(requests.as_bytes()).unwrap();
        let mut told = Vec::new();
        while ends(&told) < some.len() {
            let mut piece = [0; 16 << 10];
            let count = stream.read(&mut piece).unwrap();
            assert!(count > 0, "{}", String::from_utf8_lossy(&told));
            told.extend_from_slice(&piece[..count]);
        }
    }
}

/// How many heads are whole; none of them has a body.
fn ends(told: &[u8]) -> usize {
    told.windows(4).filter(|end| end == b"\r\n\r\n").count()
}

/// Answers everything with nothing.
fn answer(mut stream: TcpStream) {
    let (mut told, mut piece) = (Vec::new(), [0; 16 << 10]);
    while let Ok(count @ 1..) = stream.read(&mut piece) {
        told.extend_from_slice(&piece[..count]);
        let whole = ends(&told);
        if let Some(end) = told.windows(4).rposition(|end| end == b"\r\n\r\n") {
            told.drain(..end + 4);
        }
        if stream
            .write_all(&b"HTTP/1.1 204 No Content\r\n\r\n".repeat(whole))
            .is_err()
        {
            return;
        }
    }
}

/// What a process holds in memory that is its own, in bytes.
fn resident(process: &Process) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.pid())).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kilobytes = line.unwrap().trim().strip_suffix(" kB").unwrap();
    kilobytes.trim().parse::<u64>().unwrap() << 10
}

#[test]
fn ever_other_hosts_and_paths_are_counted_and_leave_memory_as_it_is() {
    let world = World::new("mtls: Permissive")
        .workload("web", "")
        .unproxied("cart", "{port: 8080, protocol: HTTP}");
    serve(world.at("cart", 8080), answer);
    let proxy = world.proxy("web").upstream("cart", 8080);
    // A line for each call would measure the log.
    let proxy = proxy.with("metrics: @web:15020").silent().start();
    let metrics = world.url("web", 15020, "/metrics");
    let told = || curl(&[&metrics]).text().to_owned();
    let series = |told: &str| told.lines().filter(|line| !line.starts_with('#')).count();
    let mut stream = TcpStream::connect(world.at("web", 8080)).unwrap();

    ask(&mut stream, 0..FIRST);
    let (before, first) = (told(), resident(&proxy));
    ask(&mut stream, FIRST..FIRST + REST);
    let (after, last) = (told(), resident(&proxy));

    let counted = after.lines().filter_map(|line| {
        line.starts_with("leno_requests_total{").then_some(())?;
        line.rsplit(' ').next()?.parse::<u64>().ok()
    });
    assert_eq!(counted.sum::<u64>(), (FIRST + REST) as u64, "{after}");
    assert_eq!(series(&before), series(&after), "{after}");
    assert!(!after.contains(".example"), "{after}");
    assert!(last < first + MOST_GROWTH, "{first} bytes, then {last}");
}
