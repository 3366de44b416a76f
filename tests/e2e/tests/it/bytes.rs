//! Streams of bytes: nothing of them is read, and nothing of them is lost.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc;
use std::thread;

use leno_e2e::{Client, Process, World, curl, hash, refuse, serve, until};

/// `web` calls port 6379 of `cart`.
struct Pair {
    world: World,
    web: Process,
    cart: Process,
}

impl Pair {
    fn start() -> Self {
        let world = World::pair();
        let cart = world.proxy("cart").start();
        let web = world.proxy("web").upstream("cart", 6379);
        let web = web.with("metrics: @web:15020").start();
        Self { world, web, cart }
    }

    /// `cart` handles each connection so.
    fn serve(&self, handle: impl Fn(&mut TcpStream) + Send + Sync + 'static) {
        serve(self.world.at("cart", 6379), move |mut stream| {
            handle(&mut stream)
        });
    }

    fn client(&self) -> Client {
        Client::to(self.world.at("web", 6379))
    }
}

#[test]
fn the_server_may_speak_first() {
    let pair = Pair::start();
    pair.serve(|stream| {
        stream.write_all(b"220 cart\r\n").unwrap();
        let mut word = [0; 6];
        stream.read_exact(&mut word).unwrap();
        stream.write_all(&word).unwrap();
    });
    let mut client = pair.client();
    assert_eq!(client.read(10), b"220 cart\r\n");
    client.send("HELO\r\n");
    assert_eq!(client.rest(), b"HELO\r\n");
}

#[test]
fn each_direction_ends_by_itself() {
    let pair = Pair::start();
    pair.serve(|stream| {
        stream.write_all(b"all of it, then\n").unwrap();
        let mut all = Vec::new();
        // Ends only if the client's end arrives while this direction goes on.
        stream.read_to_end(&mut all).unwrap();
        stream
            .write_all(format!("{} bytes\n", all.len()).as_bytes())
            .unwrap();
    });
    let mut client = pair.client();
    assert_eq!(client.read(16), b"all of it, then\n");
    client.send(vec![b'x'; 100_000]);
    client.end();
    assert_eq!(client.rest(), b"100000 bytes\n");
    pair.web
        .until_says(&[r#""event":"stream""#, r#""sent":100000,"received":29"#]);
    pair.cart
        .until_says(&[r#""event":"stream""#, r#""sent":100000,"received":29"#]);
}

#[test]
fn a_stream_is_seen_while_it_lives() {
    let pair = Pair::start();
    pair.serve(|stream| {
        let mut from = stream.try_clone().unwrap();
        // Ends when the client does.
        drop(std::io::copy(&mut from, stream));
    });
    let metrics = || curl(&[&pair.world.url("web", 15020, "/metrics")]);
    let value = |name: &str, label: &str| {
        let answer = metrics();
        let samples = answer
            .text()
            .lines()
            .filter(|line| line.starts_with(name) && line.contains("destination=\"shop/cart\""));
        let samples = samples.filter(|line| line.contains(label));
        let values = samples.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap());
        values.sum::<u64>()
    };
    let carried = |bytes| {
        let label = |direction| format!("direction=\"{direction}\"");
        until("its bytes", || {
            let [sent, received] =
                ["sent", "received"].map(|way| value("leno_bytes_total", &label(way)));
            (sent == bytes && received == bytes).then_some(())
        });
    };
    let mut client = pair.client();
    client.send("hello");
    assert_eq!(client.read(5), b"hello");
    carried(5);
    let mutual = "security=\"mtls\"";
    assert_eq!(value("leno_connections_open", mutual), 1);
    assert_eq!(value("leno_connections_total", ""), 0);
    client.send("again");
    assert_eq!(client.read(5), b"again");
    carried(10);
    client.send("!");
    client.end();
    assert_eq!(client.rest(), b"!");
    pair.web
        .until_says(&[r#""event":"stream""#, r#""sent":11,"received":11"#]);
    carried(11);
    assert_eq!(value("leno_connections_open", ""), 0);
    assert_eq!(value("leno_connections_total", mutual), 1);
}

#[test]
fn much_goes_both_ways_at_once() {
    let pair = Pair::start();
    pair.serve(|stream| {
        let (mut from, mut to) = (stream.try_clone().unwrap(), stream.try_clone().unwrap());
        std::io::copy(&mut from, &mut to).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
    });
    let bytes: Vec<u8> = (0..4_000_000u32).map(|at| (at >> 4) as u8).collect();
    let expect = hash(&bytes);
    let mut client = pair.client();
    let mut reading = client.try_clone();
    let read = thread::spawn(move || reading.rest());
    client.send(&bytes);
    client.end();
    assert_eq!(hash(&read.join().unwrap()), expect);
}

#[test]
fn much_goes_straight_through_one_proxy_and_ends_by_itself() {
    let world = World::new("")
        .workload("web", "")
        .unproxied("cart", "{port: 6379, protocol: TCP}");
    let web = world.proxy("web").upstream("cart", 6379).start();
    serve(world.at("cart", 6379), |stream| {
        let (mut from, mut to) = (stream.try_clone().unwrap(), stream);
        std::io::copy(&mut from, &mut to).unwrap();
        to.shutdown(Shutdown::Write).unwrap();
    });
    let bytes: Vec<u8> = (0..40_000_000u32).map(|at| (at >> 4) as u8).collect();
    let mut client = Client::to(world.at("web", 6379));
    let mut reading = client.try_clone();
    let read = thread::spawn(move || reading.rest());
    client.send(&bytes);
    client.end();
    assert_eq!(hash(&read.join().unwrap()), hash(&bytes));
    web.until_says(&[
        r#""event":"stream""#,
        r#""sent":40000000,"received":40000000"#,
    ]);
}

#[test]
fn a_cut_arrives_as_a_cut() {
    let pair = Pair::start();
    pair.serve(|stream| {
        // With something unread, the end of the connection is a reset.
        let mut one = [0];
        stream.peek(&mut one).unwrap();
    });
    let mut client = pair.client();
    client.send("anybody?");
    assert!(client.is_cut());
    let told = [r#""event":"stream""#, r#""code":"R026""#];
    same_call(&pair.web.until_says(&told), &pair.cart.until_says(&told));
}

#[test]
fn what_an_end_says_before_it_breaks_off_arrives() {
    let pair = Pair::start();
    let (heard, said) = mpsc::channel();
    pair.serve(move |stream| {
        let mut came = Vec::new();
        let mut first = [0; 5];
        if stream.read_exact(&mut first).is_ok() && first == *b"login" {
            // As a server of TLS says why it lets nobody in, and of SQL why it ends a session.
            stream.peek(&mut first).unwrap();
            stream.write_all(&[b'!'; LAST_WORDS]).unwrap();
        } else {
            let is_cut = stream.read_to_end(&mut came).is_err();
            heard.send((first.len() + came.len(), is_cut)).unwrap();
        }
    });
    // More often than HTTP/2 lets one connection do strange things.
    for _ in 0..120 {
        let mut client = pair.client();
        client.send("login");
        client.send("and more that nobody reads");
        assert!(client.is_cut());
        assert_eq!(client.rest().len(), LAST_WORDS);
    }
    let told = [r#""code":"R026""#, r#""received":20000"#];
    same_call(&pair.web.until_says(&told), &pair.cart.until_says(&told));
    for _ in 0..120 {
        let mut client = pair.client();
        client.send([b'?'; LAST_WORDS]);
        client.break_off();
        assert_eq!(said.recv(), Ok((LAST_WORDS, true)));
    }
}

/// Less than what waits in a socket until it is read.
const LAST_WORDS: usize = 20_000;

/// Both proxies tell of one call.
fn same_call(one: &str, other: &str) {
    let id = |line: &str| {
        line.split(r#""id":""#)
            .nth(1)
            .map(|rest| rest[..32].to_owned())
    };
    assert!(id(one).is_some() && id(one) == id(other), "{one}\n{other}");
}

#[test]
fn a_stream_that_nobody_takes_is_cut_and_told() {
    let pair = Pair::start();
    refuse(pair.world.at("cart", 6379));
    assert!(pair.client().is_cut());
    pair.web.until_says(&[
        r#""event":"stream""#,
        r#""code":"R020""#,
        r#""fault":"service""#,
    ]);
    pair.cart
        .until_says(&[r#""event":"stream""#, r#""code":"R020""#]);
}
