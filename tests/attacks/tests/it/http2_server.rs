//! Servers that write frames of HTTP/2 by hand: what they get of a proxy is bounded, each client is told what
//! became of its call, and calls to others are carried.

use leno_attacks::frames::{
    END_HEADERS, END_STREAM, Kind, NEWEST, field, frame, kept_field, setting,
};
use leno_attacks::{Line, Mesh, Server};
use leno_e2e::{Application, Client, curl, until};

/// How much more memory a proxy may ever have had behind an attack than before it.
const MOST_MORE: usize = 32 * 1024 * 1024;

/// How often a server may be asked for one call.
const MOST_ASKED: usize = 15;

/// A hop to a server with manners of its own, beside an honest one.
struct Hop {
    mesh: Mesh,
    server: Server,
    /// The most memory that the proxy had before an attack.
    before: usize,
}

impl Hop {
    /// One whose server says its settings, and then has such manners.
    fn to(manners: impl Fn(&mut Line) + Send + Sync + 'static) -> Self {
        let mesh = Mesh::hop_to("HTTP2");
        Application::start(mesh.world.at("cart", 8081), "cart");
        let server = Server::start(mesh.world.at("cart", 8080), move |line| {
            line.send(&frame(Kind::Settings, 0, 0, &[]));
            manners(line);
        });
        let mut hop = Self {
            mesh,
            server,
            before: 0,
        };
        hop.serves_others();
        hop.before = hop.mesh.proxies[0].most_memory();
        hop
    }

    fn client(&self) -> Client {
        Client::to(self.mesh.world.at("web", 8080))
    }

    /// A call of the honest server succeeds.
    fn serves_others(&self) {
        let answer = Client::to(self.mesh.world.at("web", 8081)).get("/");
        assert_eq!(answer.map(|answer| answer.status), Some(200));
    }

    /// The proxy has not needed more memory than an attack may cost.
    fn stayed_small(&self) {
        let more = self.mesh.proxies[0]
            .most_memory()
            .saturating_sub(self.before);
        assert!(more < MOST_MORE, "{more} bytes more");
    }
}

/// Lets clients call a server of such manners, which it shows on the stream of each request, and says
/// what they are told: status and code, or that the answer was cut.
fn served(expect: &str, manners: impl Fn(&mut Line, u32) + Send + Sync + 'static) {
    let hop = Hop::to(move |line| {
        while let Some(stream) = line.request() {
            manners(line, stream);
        }
    });
    const CALLS: usize = 5;
    for _ in 0..CALLS {
        let answer = hop.client().get("/");
        let told = answer.map_or("cut".to_owned(), |answer| answer.outcome());
        assert_eq!(told, expect);
        hop.serves_others();
    }
    let asked = hop.server.requests().max(hop.server.connections());
    assert!(asked <= CALLS * MOST_ASKED, "asked {asked} times");
    hop.stayed_small();
}

fn reset(stream: u32, error: u32) -> Vec<u8> {
    frame(Kind::RstStream, 0, stream, &error.to_be_bytes())
}

fn goodbye(last: u32, error: u32) -> Vec<u8> {
    let payload = [last.to_be_bytes(), error.to_be_bytes()].concat();
    frame(Kind::GoAway, 0, 0, &payload)
}

#[test]
fn every_request_is_reset() {
    // The last is how a proxy would say R003, and this is none.
    for error in [0, 2, 8, 11, 0x4c52_0003] {
        served("502 R022 reset-before-response", move |line, stream| {
            line.send(&reset(stream, error));
        });
    }
}

#[test]
fn every_request_is_refused_unseen() {
    served("502 R022 reset-before-response", |line, stream| {
        line.send(&reset(stream, 7));
    });
}

#[test]
fn every_connection_says_goodbye_to_its_first_request() {
    served("502 R022 reset-before-response", |line, _| {
        line.send(&goodbye(0, 0));
    });
}

#[test]
fn every_answer_is_broken_off() {
    served("cut", |line, stream| {
        let head = [field(":status", "200"), field("content-length", "9")].concat();
        line.send(&frame(Kind::Headers, END_HEADERS, stream, &head));
        line.send(&frame(Kind::Data, 0, stream, b"half"));
        line.send(&reset(stream, 2));
    });
}

#[test]
fn every_answer_is_longer_than_it_says() {
    served("cut", |line, stream| {
        let head = [field(":status", "200"), field("content-length", "3")].concat();
        line.send(&frame(Kind::Headers, END_HEADERS, stream, &head));
        line.send(&frame(Kind::Data, END_STREAM, stream, b"four"));
    });
}

#[test]
fn an_answer_nobody_asked_for_is_promised() {
    served("502 R022 reset-before-response", |line, stream| {
        let fields = leno_attacks::frames::request("GET", "cart", "/pushed");
        let promise = [&2u32.to_be_bytes()[..], &fields].concat();
        line.send(&frame(Kind::PushPromise, END_HEADERS, stream, &promise));
    });
}

#[test]
fn fields_of_an_answer_never_end() {
    for more in [field("x-more", &"y".repeat(1000)), Vec::new()] {
        served("502 R022 reset-before-response", move |line, stream| {
            line.send(&frame(Kind::Headers, 0, stream, &field(":status", "200")));
            let more = frame(Kind::Continuation, 0, stream, &more);
            while line.send(&more) {}
        });
    }
}

#[test]
fn a_kilobyte_stands_for_megabytes() {
    served("502 R022 reset-before-response", |line, stream| {
        let large = kept_field("x-bomb", &"b".repeat(4000));
        let bomb = [field(":status", "200"), large, vec![NEWEST; 12_000]].concat();
        line.send(&frame(Kind::Headers, END_HEADERS, stream, &bomb));
    });
}

/// Lets so many clients ask and read nothing of what a server of such manners answers.
fn unread(clients: usize, manners: impl Fn(&mut Line, u32) + Send + Sync + 'static) {
    let hop = Hop::to(move |line| {
        if let Some(stream) = line.request() {
            manners(line, stream);
        }
    });
    let mut asking: Vec<_> = (0..clients).map(|_| hop.client()).collect();
    for client in &mut asking {
        client.send("GET / HTTP/1.1\r\nHost: cart\r\n\r\n");
    }
    until("a flood", || (hop.server.floods() > 0).then_some(()));
    hop.serves_others();
    hop.stayed_small();
}

#[test]
fn settings_and_pings_whose_answers_nobody_reads() {
    for (kind, payload) in [
        (Kind::Settings, setting(4, 65_535)),
        (Kind::Ping, vec![7; 8]),
    ] {
        unread(1, move |line, _| {
            line.flood(&frame(kind, 0, 0, &payload).repeat(1000));
        });
    }
}

#[test]
fn interim_answers_never_end() {
    let early = |length: usize| {
        let link = field("link", &"x".repeat(length));
        let fields = [field(":status", "103"), link].concat();
        move |stream| frame(Kind::Headers, END_HEADERS, stream, &fields)
    };
    let (once, again) = (early(500), early(5));
    unread(1, move |line, stream| line.flood(&once(stream).repeat(100)));
    // Who speaks HTTP/2 is not waited for, and never told as many.
    let mesh = Mesh::hop_to("HTTP2");
    Server::start(mesh.world.at("cart", 8080), move |line| {
        line.send(&frame(Kind::Settings, 0, 0, &[]));
        while let Some(stream) = line.request() {
            line.flood(&again(stream).repeat(100));
        }
    });
    let answer = curl(&["--http2-prior-knowledge", &mesh.world.url("web", 8080, "/")]);
    assert_eq!(answer.outcome(), "502 R024 malformed-response");
}

#[test]
fn more_comes_than_the_window_takes() {
    unread(1, |line, stream| {
        line.answer(stream);
        line.flood(&frame(Kind::Data, 0, stream, &[b'x'; 16_000]));
    });
}

#[test]
fn answers_come_in_tiny_pieces() {
    for piece in [&b"x"[..], b""] {
        unread(20, move |line, stream| {
            line.answer(stream);
            line.flood(&frame(Kind::Data, 0, stream, piece).repeat(1000));
        });
    }
}

#[test]
fn a_server_takes_no_streams() {
    const CALLS: usize = 40;
    let hop = Hop::to(|line| {
        line.send(&frame(Kind::Settings, 0, 0, &setting(3, 0)));
        while let Some(stream) = line.request() {
            line.send(&reset(stream, 7));
        }
    });
    let before = hop.mesh.proxies[0].files();
    for _ in 0..CALLS {
        let told = hop.client().get("/").map(|answer| answer.outcome());
        assert_eq!(told.as_deref(), Some("502 R022 reset-before-response"));
    }
    // Of each call's connections none is kept for the next one, which would find no room there.
    let more = hop.mesh.proxies[0].files().saturating_sub(before);
    assert!(more < MOST_ASKED, "{more} files more");
    hop.serves_others();
}
