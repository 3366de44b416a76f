//! Peers that take their time, and peers that never end: what they hold is bounded, and others are served.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};

use leno_attacks::Mesh;
use leno_e2e::{Application, Client, serve};

/// How much more memory a proxy may ever have had behind an attack than before it.
const MOST_MORE: usize = 32 * 1024 * 1024;

/// A proxy with a client in front of it, an application behind it, and how much memory it has had.
struct Scene {
    mesh: Mesh,
    application: Application,
    before: usize,
}

impl Scene {
    fn new() -> Self {
        let mesh = Mesh::hop();
        let application = Application::start(mesh.world.at("cart", 8080), "cart");
        let mut scene = Self {
            mesh,
            application,
            before: 0,
        };
        scene.serves();
        scene.before = scene.mesh.proxies[0].most_memory();
        scene
    }

    fn client(&self) -> Client {
        Client::to(self.mesh.world.at("web", 8080))
    }

    /// An honest client is served.
    fn serves(&self) {
        let answer = self.client().get("/honest");
        assert_eq!(answer.map(|answer| answer.status), Some(200));
    }

    /// It was served all the time, and nothing has grown.
    fn holds(self) {
        self.serves();
        let more = self.mesh.proxies[0]
            .most_memory()
            .saturating_sub(self.before);
        assert!(more < MOST_MORE, "{more} bytes more");
    }
}

#[test]
fn heads_that_do_not_come() {
    let scene = Scene::new();
    let mut slow: Vec<_> = (0..300).map(|_| scene.client()).collect();
    for client in &mut slow {
        client.send("GET / HTTP/1.1\r\nHost: cart\r\nX-");
    }
    scene.serves();
    let requests = scene.application.requests();
    for client in &mut slow {
        // A byte now and then is no excuse.
        client.send("a");
    }
    for client in &mut slow {
        let answer = client.answer().expect("it is told");
        assert_eq!(answer.outcome(), "408 R034 head-too-slow");
        assert!(client.is_over());
    }
    assert_eq!(scene.application.requests(), requests);
    scene.holds();
}

#[test]
fn bodies_that_do_not_come() {
    let scene = Scene::new();
    let mut slow: Vec<_> = (0..200).map(|_| scene.client()).collect();
    for client in &mut slow {
        client.send("POST / HTTP/1.1\r\nHost: cart\r\nContent-Length: 1000000\r\n\r\nabc");
    }
    scene.serves();
    let asked = scene.application.asked();
    assert!(
        asked.iter().all(|asked| !asked.contains("POST")),
        "no body came whole"
    );
    scene.holds();
}

#[test]
fn answers_that_nobody_reads() {
    let scene = Scene::new();
    let mut slow: Vec<_> = (0..50).map(|_| scene.client()).collect();
    for client in &mut slow {
        client.send("GET /bytes/4000000 HTTP/1.1\r\nHost: cart\r\n\r\n".repeat(3));
    }
    scene.serves();
    scene.holds();
}

#[test]
fn requests_without_end() {
    let scene = Scene::new();
    let endless = [
        (
            "GET / HTTP/1.1\r\nHost: cart\r\nX: ",
            "431 R033 head-too-large",
        ),
        ("GET /", "431 R033 head-too-large"),
        (
            "POST / HTTP/1.1\r\nHost: cart\r\nTransfer-Encoding: chunked\r\n\r\n1;",
            "400 R037 malformed-body",
        ),
        (
            "POST / HTTP/1.1\r\nHost: cart\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ",
            "400 R037 malformed-body",
        ),
    ];
    for (begin, expect) in endless {
        let mut client = scene.client();
        client.send(begin);
        for _ in 0..200 {
            client.send("a".repeat(10_000));
        }
        let answer = client.answer();
        // Who sends on for long enough is cut before it reads.
        let outcome = answer.map_or(expect.to_owned(), |answer| answer.outcome());
        assert_eq!(outcome, expect, "{begin:?}");
    }
    scene.holds();
}

#[test]
fn ten_thousand_requests_at_once() {
    let scene = Scene::new();
    let mut client = scene.client();
    let mut asking = client.try_clone();
    let sending = std::thread::spawn(move || {
        for _ in 0..100 {
            asking.send("GET /many HTTP/1.1\r\nHost: cart\r\n\r\n".repeat(100));
        }
    });
    for _ in 0..10_000 {
        assert_eq!(client.answer().map(|answer| answer.status), Some(200));
    }
    sending.join().expect("it sends");
    let many = scene.application.asked();
    assert_eq!(
        many.iter()
            .filter(|asked| asked.starts_with("GET /many,"))
            .count(),
        10_000
    );
    scene.holds();
}

#[test]
fn a_server_whose_answers_never_end() {
    let mesh = Mesh::hop();
    serve(mesh.world.at("cart", 8080), |mut stream: TcpStream| {
        let mut say = |text: &str| stream.write_all(text.as_bytes()).is_ok();
        // Each connection is another one of these.
        static LAST: AtomicBool = AtomicBool::new(false);
        let endless = match LAST.fetch_xor(true, Ordering::Relaxed) {
            true => "X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n",
            false => "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy",
        };
        say("HTTP/1.1 200 OK\r\nX: ");
        while say(endless) {}
    });
    let before = mesh.proxies[0].most_memory();
    for _ in 0..4 {
        let mut client = Client::to(mesh.world.at("web", 8080));
        let answer = client.get("/").expect("an answer of the proxy's own");
        assert_eq!(answer.outcome(), "502 R024 malformed-response");
    }
    let more = mesh.proxies[0].most_memory().saturating_sub(before);
    assert!(more < MOST_MORE, "{more} bytes more");
}

#[test]
fn interim_answers_that_never_end_go_no_faster_than_they_are_read() {
    let mesh = Mesh::hop();
    serve(mesh.world.at("cart", 8080), |mut stream: TcpStream| {
        let interim = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n".repeat(100);
        while stream.write_all(interim.as_bytes()).is_ok() {}
    });
    let before = mesh.proxies[0].most_memory();
    let mut client = Client::to(mesh.world.at("web", 8080));
    client.send("GET / HTTP/1.1\r\nHost: cart\r\n\r\n");
    let interim = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n";
    for _ in 0..20_000 {
        assert_eq!(client.read(interim.len()), interim.as_bytes());
    }
    client.break_off();
    let more = mesh.proxies[0].most_memory().saturating_sub(before);
    assert!(more < MOST_MORE, "{more} bytes more");
}
