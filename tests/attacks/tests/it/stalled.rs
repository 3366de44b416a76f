//! Peers that take nothing of what is ready for them: they are waited for no longer than a proxy is told to,
//! and what ended is told by its name.

use std::net::TcpStream;
use std::thread;

use leno_attacks::frames::{END_HEADERS, END_STREAM, Kind, frame, request, setting};
use leno_attacks::{Hostile, Mesh, Server};
use leno_e2e::{Application, Client, serve, until};

/// The error that means: nobody wants it any more (RFC 9113 section 7).
const CANCEL: u32 = 8;

/// Waits until the proxy has told of a call so, and has counted the limit.
fn told(mesh: &Mesh, words: &[&str], limit: &str) {
    mesh.proxies[0].until_says(words);
    until("a limit that bit", || {
        (mesh.world.bit("web", limit) > 0).then_some(())
    });
}

#[test]
fn a_client_that_reads_nothing_of_its_answers() {
    let mesh = Mesh::impatient_hop_to("HTTP1");
    Application::start(mesh.world.at("cart", 8080), "cart");
    let mut client = Client::to(mesh.world.at("web", 8080));
    client.send("GET /bytes/40000000 HTTP/1.1\r\nHost: cart\r\n\r\n".repeat(3));
    let code = r#""code":"R053""#;
    told(&mesh, &[code, "/bytes/40000000"], "untaken-answers");
    assert!(client.is_cut());
}

#[test]
fn a_client_that_never_opens_its_window() {
    let mesh = Mesh::impatient_hop_to("HTTP1");
    let cart = mesh.world.at("cart", 8080);
    Application::start(cart, "cart");
    let mut client = Hostile::in_plain(mesh.world.at("web", 8080));
    client.send(&frame(Kind::Settings, 0, 0, &setting(4, 0)));
    let asking = request("GET", &cart.to_string(), "/bytes/1000");
    client.send(&frame(Kind::Headers, END_HEADERS | END_STREAM, 1, &asking));
    let error = client.until(Kind::RstStream);
    assert_eq!(error, Some(CANCEL.to_be_bytes().to_vec()));
    told(
        &mesh,
        &[r#""code":"R053""#, "/bytes/1000"],
        "untaken-answers",
    );
    // Others of its streams go on.
    client.send(&frame(Kind::Ping, 0, 0, &[7; 8]));
    client.until(Kind::Ping).expect("the connection lives");
}

#[test]
fn a_client_that_reads_nothing_of_its_connection() {
    let mesh = Mesh::impatient_hop_to("HTTP1");
    let mut client = Hostile::in_plain(mesh.world.at("web", 8080));
    let pings = frame(Kind::Ping, 0, 0, &[7; 8]).repeat(20_000);
    while client.send(&pings) == leno_attacks::Taken::All {}
    told(&mesh, &[r#""code":"R055""#], "silence");
}

#[test]
fn a_server_that_reads_nothing_of_a_request() {
    let mesh = Mesh::impatient_hop_to("HTTP1");
    serve(mesh.world.at("cart", 8080), |stream: TcpStream| {
        thread::park();
        drop(stream);
    });
    assert_not_taken(&mesh);
}

#[test]
fn a_server_that_never_opens_its_window() {
    let mesh = Mesh::impatient_hop_to("HTTP2");
    Server::start(mesh.world.at("cart", 8080), |line| {
        line.send(&frame(Kind::Settings, 0, 0, &setting(4, 0)));
        while line.request().is_some() {}
    });
    assert_not_taken(&mesh);
}

/// What a server does not take of a request fails the call, and not before.
fn assert_not_taken(mesh: &Mesh) {
    let mut client = Client::to(mesh.world.at("web", 8080));
    let mut sending = client.try_clone();
    let body = thread::spawn(move || {
        sending.send("POST /large HTTP/1.1\r\nHost: cart\r\nContent-Length: 40000000\r\n\r\n");
        sending.send(vec![b'x'; 40_000_000]);
    });
    let answer = client.answer().expect("it is told");
    assert_eq!(answer.outcome(), "504 R054 request-not-taken");
    told(mesh, &[r#""code":"R054""#, "/large"], "untaken-requests");
    drop(client);
    body.join().expect("it sends");
}

#[test]
fn who_waits_for_an_answer_is_not_meant() {
    let mesh = Mesh::impatient_hop_to("HTTP1");
    Application::start(mesh.world.at("cart", 8080), "cart");
    let [mut waiting, mut stuck] = [(); 2].map(|()| Client::to(mesh.world.at("web", 8080)));
    waiting.send("GET /never HTTP/1.1\r\nHost: cart\r\n\r\n");
    stuck.send("GET /bytes/40000000 HTTP/1.1\r\nHost: cart\r\n\r\n");
    told(&mesh, &[r#""code":"R053""#], "untaken-answers");
    assert!(!mesh.proxies[0].log().contains("/never"));
}
