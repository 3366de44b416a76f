//! What a browser on this machine is shown, and what it reaches.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use super::world::Folder;
use crate::said::until;

/// What comes back from the port of the page.
fn ask(port: u16, host: &str, path: &str, headers: &str) -> String {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {host}:{port}\r\nconnection: close\r\n");
    stream
        .write_all(format!("{request}{headers}\r\n").as_bytes())
        .unwrap();
    let mut told = String::new();
    stream.read_to_string(&mut told).unwrap();
    told
}

/// What the page is answered that asks `question`.
fn question(port: u16, place: &str, cookie: &str, question: &str) -> String {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    let length = question.len();
    let request = format!(
        "POST {place}ask HTTP/1.1\r\nhost: localhost:{port}\r\norigin: http://localhost:{port}\r\n\
         connection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
         {cookie}\r\n{question}"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut told = String::new();
    stream.read_to_string(&mut told).unwrap();
    told
}

/// The port and the path of the link in what was printed.
fn link(printed: &str) -> (u16, String) {
    let (_, link) = printed.split_once("  Page   http://localhost:").unwrap();
    let link = link.split_whitespace().next().unwrap();
    let (port, path) = link.split_once('/').unwrap();
    (port.parse().unwrap(), format!("/{path}"))
}

#[test]
fn the_page_shows_what_runs_and_services_go_by_their_names() {
    let folder = Folder::new("page");
    folder.write("items", "two\n").write(
        "Procfile",
        "cart: exec python3 -m http.server 18091\nweb: exec sleep 1000\nmail: mailer\n",
    );
    let _other_program = TcpListener::bind((Ipv4Addr::LOCALHOST, 18091)).unwrap();
    let up = folder.up();
    let (port, path) = link(up.shown());
    let cart = format!("http://cart.localhost:{port} (18091 is another program's)");
    assert!(up.shown().contains(&cart), "{}", up.shown());
    assert!(folder.told(["ps"]).contains(&cart));

    let items = ask(port, "cart.localhost", "/items", "");
    assert!(items.starts_with("HTTP/1.1 200 "), "{items}");
    assert!(items.ends_with("\r\n\r\ntwo\n"), "{items}");
    let nobody = ask(port, "nobody.localhost", "/items", "");
    assert!(nobody.contains("leno-error: R001"), "{nobody}");

    let enter = |path: &str| {
        let entered = ask(port, "localhost", path, "");
        let mut lines = entered.lines();
        let mut value = |name: &str| {
            let line = lines.find_map(|line| line.strip_prefix(name));
            line.unwrap().split(';').next().unwrap().to_owned()
        };
        let place = value("location: ");
        (place, format!("cookie: {}\r\n", value("set-cookie: ")))
    };
    let (place, cookie) = enter(&path);
    let parts = [
        r#"{"answer":{"status":{"context":"page.local""#,
        r#""name":"mail","state":"failed""#,
        "mailer: not found",
        r#""next":"leno logs mail""#,
        r#""code":"R001""#,
        r#""to":"default/cart""#,
        &format!("http://cart.localhost:{port}"),
    ];
    let look = || question(port, &place, &cookie, r#"{"ask":"overview"}"#);
    // The two calls may be told by reports of different moments.
    until(|| {
        let told = look();
        parts.iter().all(|part| told.contains(part))
    });

    assert!(ask(port, "localhost", &path, "").starts_with("HTTP/1.1 401 "));
    let (again, other) = link(&folder.told(["dashboard"]));
    assert_eq!(again, port);
    assert_eq!(enter(&other).0, place);
}
