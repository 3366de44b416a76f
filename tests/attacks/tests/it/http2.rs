//! Attacks by clients that write their frames by hand: a proven member on the tunnel port of another
//! proxy, and anybody where applications speak HTTP/2. What they cost is bounded, and an honest client
//! beside them is served.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use leno_attacks::frames::{
    END_HEADERS, END_STREAM, Kind, NEWEST, connect, field, frame, kept_field, request, setting,
};
use leno_attacks::{Hostile, Mesh, Taken};
use leno_e2e::{Application, Client, World, deaf};

/// How much more memory a proxy may ever have had behind an attack than before it.
const MOST_MORE: usize = 32 * 1024 * 1024;

/// The error that means: you ask too much (RFC 9113 section 7).
const ENHANCE_YOUR_CALM: u32 = 11;

/// The error that means: this is more than you may send.
const FLOW_CONTROL_ERROR: u32 = 3;

/// Where somebody attacks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Door {
    /// The tunnel port, where each stream is a connection in which HTTP/1.1 is spoken.
    Tunnel,
    /// A port where applications speak HTTP/2, each stream a request.
    Port,
}

impl Door {
    const BOTH: [Self; 2] = [Self::Tunnel, Self::Port];

    fn mesh(self) -> Mesh {
        match self {
            Self::Tunnel => Mesh::pair(),
            Self::Port => Mesh::hop_to("HTTP1"),
        }
    }

    fn knock(self, mesh: &Mesh) -> Hostile {
        match self {
            Self::Tunnel => Hostile::in_tunnel(&mesh.world),
            Self::Port => Hostile::in_plain(mesh.world.at("web", 8080)),
        }
    }

    /// Whose proxy is attacked.
    fn name(self) -> &'static str {
        match self {
            Self::Tunnel => "cart",
            Self::Port => "web",
        }
    }
}

/// Somebody who attacks at a door.
struct Attacker<'a> {
    world: &'a World,
    door: Door,
    hostile: Hostile,
    cart: SocketAddr,
}

impl Attacker<'_> {
    /// The fields that open a stream.
    fn fields(&self) -> Vec<u8> {
        let cart = self.cart.to_string();
        match self.door {
            Door::Tunnel => connect(&cart),
            Door::Port => request("POST", &cart, "/"),
        }
    }

    fn opening(&self, stream: u32) -> Vec<u8> {
        frame(Kind::Headers, END_HEADERS, stream, &self.fields())
    }

    /// Asks for `path`.
    fn asking(&self, stream: u32, path: &str) -> Vec<u8> {
        match self.door {
            Door::Tunnel => {
                let text = format!("GET {path} HTTP/1.1\r\nHost: cart\r\n\r\n");
                let data = frame(Kind::Data, 0, stream, text.as_bytes());
                [self.opening(stream), data].concat()
            }
            Door::Port => {
                let fields = request("GET", &self.cart.to_string(), path);
                frame(Kind::Headers, END_HEADERS | END_STREAM, stream, &fields)
            }
        }
    }

    /// Sends the head of a request whose body never ends.
    fn begin_body(&mut self) {
        self.hostile.send(&self.opening(1));
        if self.door == Door::Tunnel {
            self.hostile.until(Kind::Headers).expect("a stream");
            let request =
                b"POST / HTTP/1.1\r\nHost: cart\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n";
            self.hostile.send(&frame(Kind::Data, 0, 1, request));
        }
    }
}

/// Lets somebody attack at each door while an honest client calls, and gives what became of it: the
/// limit that bit, if one did.
fn attacked(limit: Option<&str>, attack: impl Fn(&mut Attacker<'_>)) {
    for door in Door::BOTH {
        attacked_at(door, limit, &attack);
    }
}

fn attacked_at(door: Door, limit: Option<&str>, attack: impl Fn(&mut Attacker<'_>)) {
    let mesh = door.mesh();
    let world = &mesh.world;
    Application::start(world.at("cart", 8080), "cart");
    let mut client = Client::to(world.at("web", 8080));
    assert_eq!(client.get("/").map(|answer| answer.status), Some(200));
    let attacked = mesh.proxies.last().expect("there is a proxy");
    let before = attacked.most_memory();
    let over = Arc::new(AtomicBool::new(false));
    let honest = thread::spawn({
        let over = over.clone();
        move || {
            loop {
                let answer = client.get("/").expect("an honest client is served");
                assert_eq!(answer.status, 200);
                if over.load(Ordering::Relaxed) {
                    return;
                }
            }
        }
    });
    let mut attacker = Attacker {
        world,
        door,
        hostile: door.knock(&mesh),
        cart: world.at("cart", 8080),
    };
    attack(&mut attacker);
    over.store(true, Ordering::Relaxed);
    honest.join().expect("an honest client is served");
    let more = attacked.most_memory().saturating_sub(before);
    assert!(more < MOST_MORE, "{door:?}: {more} bytes more");
    let mut late = Client::to(world.at("web", 8080));
    assert_eq!(late.get("/").map(|answer| answer.status), Some(200));
    if let Some(limit) = limit {
        assert!(world.bit(door.name(), limit) > 0, "{door:?}: {limit}");
    }
}

/// Streams of a client are odd.
fn stream(number: u32) -> u32 {
    number * 2 + 1
}

#[test]
fn streams_that_are_opened_and_reset() {
    attacked(Some("resets"), |attacker| {
        let opening = attacker.fields();
        let taken = attacker.hostile.flood(50_000, |number| {
            let opening = frame(Kind::Headers, END_HEADERS, stream(number), &opening);
            let reset = frame(Kind::RstStream, 0, stream(number), &8u32.to_be_bytes());
            [opening, reset].concat()
        });
        assert_eq!(taken, Taken::Closed);
        assert_eq!(attacker.hostile.end(), Some(ENHANCE_YOUR_CALM));
    });
}

#[test]
fn streams_that_are_reset_once_they_are_served() {
    // Slower than the flood, and each request reaches the server.
    attacked_at(Door::Port, Some("resets"), |attacker| {
        for number in 0..1000 {
            let asking = attacker.asking(stream(number), "/never");
            if attacker.hostile.send(&asking) != Taken::All {
                break;
            }
            let ping = frame(Kind::Ping, 0, 0, &u64::from(number).to_be_bytes());
            attacker.hostile.send(&ping);
            if attacker.hostile.pong(number as usize + 1).is_none() {
                break;
            }
            let reset = frame(Kind::RstStream, 0, stream(number), &8u32.to_be_bytes());
            attacker.hostile.send(&reset);
        }
        assert_eq!(attacker.hostile.end(), Some(ENHANCE_YOUR_CALM));
    });
}

#[test]
fn streams_that_the_proxy_is_made_to_reset() {
    // Errors of one stream (RFC 9113 sections 5.3.1 and 6.9.1), which do not end the connection.
    let wrongs: [fn(u32) -> Vec<u8>; 2] = [
        |stream| {
            let most = 0x7fff_ffff_u32.to_be_bytes();
            frame(Kind::WindowUpdate, 0, stream, &most)
        },
        |stream| {
            let on_itself = [&stream.to_be_bytes()[..], &[0]].concat();
            frame(Kind::Priority, 0, stream, &on_itself)
        },
    ];
    for wrong in wrongs {
        attacked(Some("resets"), |attacker| {
            let opening = attacker.fields();
            attacker.hostile.flood(20_000, |number| {
                let opening = frame(Kind::Headers, END_HEADERS, stream(number), &opening);
                [opening, wrong(stream(number))].concat()
            });
            assert_eq!(attacker.hostile.end(), Some(ENHANCE_YOUR_CALM));
        });
    }
}

#[test]
fn malformed_requests_that_the_proxy_resets() {
    for wrong in [field("connection", "close"), field("te", "gzip")] {
        attacked(Some("resets"), |attacker| {
            let fields = [attacker.fields(), wrong.clone()].concat();
            attacker.hostile.flood(20_000, |number| {
                frame(Kind::Headers, END_HEADERS, stream(number), &fields)
            });
            assert_eq!(attacker.hostile.end(), Some(ENHANCE_YOUR_CALM));
        });
    }
}

#[test]
fn bodies_that_are_not_as_long_as_they_say() {
    attacked_at(Door::Port, Some("resets"), |attacker| {
        let fields = [attacker.fields(), field("content-length", "1")].concat();
        attacker.hostile.flood(20_000, |number| {
            let opening = frame(Kind::Headers, END_HEADERS, stream(number), &fields);
            let too_long = frame(Kind::Data, END_STREAM, stream(number), b"xx");
            [opening, too_long].concat()
        });
        assert_eq!(attacker.hostile.end(), Some(ENHANCE_YOUR_CALM));
    });
}

#[test]
fn fields_that_never_end() {
    attacked(None, |attacker| {
        let opening = frame(Kind::Headers, 0, 1, &attacker.fields());
        attacker.hostile.send(&opening);
        let more = field("x-more", &"y".repeat(1000));
        let flood = |_| frame(Kind::Continuation, 0, 1, &more);
        let taken = attacker.hostile.flood(100_000, flood);
        assert_eq!(taken, Taken::Closed);
        assert!(attacker.hostile.end().is_some());
    });
}

#[test]
fn empty_fields_that_never_end() {
    attacked(None, |attacker| {
        let opening = frame(Kind::Headers, 0, 1, &attacker.fields());
        attacker.hostile.send(&opening);
        let flood = |_| frame(Kind::Continuation, 0, 1, &[]);
        let taken = attacker.hostile.flood(100_000, flood);
        assert_eq!(taken, Taken::Closed);
    });
}

#[test]
fn a_kilobyte_that_stands_for_megabytes() {
    attacked(None, |attacker| {
        let large = kept_field("x-bomb", &"b".repeat(4000));
        let bomb = [attacker.fields(), large, vec![NEWEST; 12_000]].concat();
        for number in 0..20 {
            let bomb = frame(Kind::Headers, END_HEADERS, stream(number), &bomb);
            if attacker.hostile.send(&bomb) != Taken::All {
                break;
            }
        }
        assert!(attacker.hostile.end().is_some_and(|error| error != 0));
        let answers = attacker.hostile.count(Kind::Headers);
        assert_eq!(answers, 0, "no stream is opened");
    });
}

#[test]
fn more_fields_than_a_head_may_have() {
    attacked(None, |attacker| {
        let many = field("x-many", &"y".repeat(600)).repeat(120);
        let fields = [attacker.fields(), many].concat();
        let (first, rest) = fields.split_at(16_000);
        let taken = attacker.hostile.flood(200, |number| {
            let mut head = frame(Kind::Headers, 0, stream(number), first);
            let mut parts = rest.chunks(16_000).peekable();
            while let Some(part) = parts.next() {
                let end = [0, END_HEADERS][usize::from(parts.peek().is_none())];
                head.extend(frame(Kind::Continuation, end, stream(number), part));
            }
            head
        });
        // Each is told so, or one of too many at once, or the connection is closed.
        if taken == Taken::All {
            attacker.hostile.told(200);
        }
    });
}

#[test]
fn settings_and_pings_whose_answers_nobody_reads() {
    for (kind, payload) in [
        (Kind::Settings, setting(4, 65_535)),
        (Kind::Ping, vec![7; 8]),
    ] {
        attacked(None, |attacker| {
            let flood = frame(kind, 0, 0, &payload).repeat(20_000);
            let mut taken = Taken::All;
            for _ in 0..100 {
                taken = taken.max(attacker.hostile.send(&flood));
                if taken != Taken::All {
                    break;
                }
            }
            // Each is answered before the next one is read: who does not read is read no more.
            assert_ne!(taken, Taken::All);
        });
    }
}

#[test]
fn data_in_tiny_pieces_and_in_none() {
    for (payload, count) in [(&b"x"[..], 20_000), (b"", 50_000)] {
        attacked(None, |attacker| {
            attacker.begin_body();
            let flood = |_| frame(Kind::Data, 0, 1, payload);
            attacker.hostile.flood(count, flood);
        });
    }
}

#[test]
fn data_beyond_the_window() {
    attacked_at(Door::Port, None, |attacker| {
        // A server that takes no connection leaves the body where it is.
        let _deaf = deaf(attacker.world.at("cart", 8081));
        let mut hostile = Hostile::in_plain(attacker.world.at("web", 8081));
        hostile.send(&attacker.opening(1));
        // Until it is told of a larger one, all of a connection has the window that a stream has, and the
        // connection is closed on (RFC 9113 section 6.9.2).
        hostile.until(Kind::WindowUpdate).expect("a larger window");
        let piece = frame(Kind::Data, 0, 1, &[b'x'; 16_000]);
        // Twice as much as a stream may have under way.
        hostile.flood(20, |_| piece.clone());
        let error = hostile.until(Kind::RstStream);
        assert_eq!(error, Some(FLOW_CONTROL_ERROR.to_be_bytes().to_vec()));
        hostile.flood(1000, |_| piece.clone());
    });
}

#[test]
fn a_window_of_zero_for_a_large_answer() {
    attacked(None, |attacker| {
        let none = frame(Kind::Settings, 0, 0, &setting(4, 0));
        attacker.hostile.send(&none);
        for number in 0..50 {
            let asking = attacker.asking(stream(number), "/bytes/2000000");
            attacker.hostile.send(&asking);
        }
        let began = attacker.hostile.until(Kind::Headers);
        began.expect("streams are opened");
        // Nothing of the answers can be sent, and little of it is held.
        attacker.hostile.send(&frame(Kind::Ping, 0, 0, &[7; 8]));
        let alive = attacker.hostile.until(Kind::Ping);
        alive.expect("the connection lives");
        assert_eq!(attacker.hostile.count(Kind::Data), 0);
    });
}

#[test]
fn windows_that_grow_over_their_end() {
    attacked(None, |attacker| {
        attacker.hostile.send(&attacker.opening(1));
        let flood = |_| frame(Kind::WindowUpdate, 0, 0, &u32::MAX.to_be_bytes());
        let taken = attacker.hostile.flood(100_000, flood);
        assert_eq!(taken, Taken::Closed);
    });
}

#[test]
fn more_streams_than_a_connection_may_have() {
    attacked(Some("streams"), |attacker| {
        let opening = attacker.fields();
        let Attacker { hostile, .. } = attacker;
        let taken = hostile.flood(200, |number| {
            frame(Kind::Headers, END_HEADERS, stream(number), &opening)
        });
        assert_eq!(taken, Taken::All);
        hostile.send(&frame(Kind::Ping, 0, 0, &[7; 8]));
        assert_eq!(hostile.pong(1), Some(()));
        assert!(hostile.refused() >= 200 - 128, "{}", hostile.refused());
    });
}

#[test]
fn many_more_streams_than_a_connection_may_have() {
    attacked_at(Door::Port, None, |attacker| {
        for number in 0..1000 {
            let asking = attacker.asking(stream(number), "/never");
            if attacker.hostile.send(&asking) != Taken::All {
                break;
            }
        }
        attacker.hostile.end();
    });
}

#[test]
fn frames_that_nobody_may_send() {
    let cases: [(&str, Vec<u8>); 9] = [
        (
            "a stream of the server's",
            frame(Kind::Headers, END_HEADERS, 2, &connect("cart:80")),
        ),
        ("data without a stream", frame(Kind::Data, 0, 0, b"x")),
        (
            "data of a stream that is not open",
            frame(Kind::Data, 0, 7, b"x"),
        ),
        (
            "fields without a stream",
            frame(Kind::Headers, END_HEADERS, 0, &connect("cart:80")),
        ),
        (
            "a continuation of nothing",
            frame(Kind::Continuation, END_HEADERS, 1, b""),
        ),
        (
            "a promise",
            frame(Kind::PushPromise, END_HEADERS, 1, &[0, 0, 0, 2]),
        ),
        ("settings of a stream", frame(Kind::Settings, 0, 1, &[])),
        (
            "settings that are cut off",
            frame(Kind::Settings, 0, 0, &[0]),
        ),
        (
            "an index of HPACK that is none",
            frame(
                Kind::Headers,
                END_HEADERS | END_STREAM,
                1,
                &[0xff, 0xff, 0x7f],
            ),
        ),
    ];
    for door in Door::BOTH {
        let mesh = door.mesh();
        for (what, bytes) in &cases {
            let mut hostile = door.knock(&mesh);
            hostile.send(bytes);
            let error = hostile.end();
            assert!(error.is_some_and(|error| error != 0), "{door:?}: {what}");
        }
    }
}
