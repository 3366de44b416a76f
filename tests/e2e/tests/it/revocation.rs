//! An identity that is refused from one moment on: what it has under way is cut, and nobody else notices.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex};

use leno_e2e::{Client, Process, curl, serve, until};

use crate::control::Control;

const SHOP: &str = "\
apiVersion: leno.dev/v1alpha1
kind: MeshWorkload
metadata: {name: web}
spec: {instances: [{address: @web}]}
---
apiVersion: leno.dev/v1alpha1
kind: MeshWorkload
metadata: {name: mail}
spec: {instances: [{address: @mail}]}
---
apiVersion: leno.dev/v1alpha1
kind: MeshWorkload
metadata: {name: cart, labels: {app: cart}}
spec:
  ports: [{port: 8080, protocol: HTTP1}, {port: 6379, protocol: TCP}]
  instances: [{address: @cart}]
---
apiVersion: v1
kind: Service
metadata: {name: cart}
spec:
  selector: {app: cart}
  ports:
  - {name: http, port: 80, targetPort: 8080, appProtocol: http/1.1}
  - {name: store, port: 6379, targetPort: 6379, appProtocol: tcp}
";

/// What an answer waits for, whose first half has been sent.
#[derive(Default)]
struct Gate(Mutex<bool>, Condvar);

impl Gate {
    fn open(&self) {
        *self.0.lock().unwrap() = true;
        self.1.notify_all();
    }

    fn pass(&self) {
        let closed = self.0.lock().unwrap();
        drop(self.1.wait_while(closed, |open| !*open).unwrap());
    }
}

/// Answers by halves: the second one when the gate opens.
fn answer(stream: &TcpStream, gate: &Gate) -> io::Result<()> {
    let mut head = BufReader::new(stream).lines();
    while head
        .next()
        .transpose()?
        .is_some_and(|line| !line.is_empty())
    {}
    let mut stream = stream;
    stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n")?;
    gate.pass();
    stream.write_all(b"5\r\n last\r\n0\r\n\r\n")
}

/// A caller with a stream of HTTP/2 and one of bytes under way.
struct Caller<'a> {
    control: &'a Control,
    name: &'static str,
    proxy: Process,
    stream: Process,
    bytes: Client,
}

impl<'a> Caller<'a> {
    fn new(control: &'a Control, name: &'static str) -> Self {
        let world = &control.world;
        let (http, store) = (world.at(name, 8081), world.at(name, 6379));
        let upstreams = [format!("cart:80={http}"), format!("cart:6379={store}")];
        let [http, store_at] = &upstreams;
        let upstreams = ["--upstream", http, "--upstream", store_at];
        let proxy = control.joined(name, &[&upstreams[..], &["--access-log", "json"]].concat());
        until("a stream", || {
            let mut stream = Client::try_to(store)?;
            stream.send("ping");
            stream.end();
            (stream.rest() == b"ping").then_some(())
        });
        let mut command = world.shell("exec curl -sS -N --http2-prior-knowledge \"$0\" -o \"$1\"");
        command.args([&world.url(name, 8081, "/"), &format!("{name}.answer")]);
        let caller = Self {
            control,
            name,
            stream: world.process(&format!("{name}-curl"), &mut command),
            bytes: Client::to(store),
            proxy,
        };
        until("half of an answer", || {
            (caller.answer() == "first").then_some(())
        });
        caller
    }

    /// What has come of the answer.
    fn answer(&self) -> String {
        let file = self.control.path(&format!("{}.answer", self.name));
        fs::read_to_string(file).unwrap_or_default()
    }

    /// Sends bytes and gets them back.
    fn says(&mut self, bytes: &[u8]) {
        self.bytes.send(bytes);
        assert_eq!(self.bytes.read(bytes.len()), bytes);
    }
}

/// A session of TLS with the proxy of cart that OpenSSL has begun as `web`, and takes up again.
struct Session<'a>(&'a Control);

impl<'a> Session<'a> {
    fn begin(control: &'a Control) -> Self {
        let state = control.path("web");
        let files = fs::read_dir(&state).unwrap();
        let mut files = files.map(|file| file.unwrap().path());
        let key = files.find(|file| file.extension().is_some_and(|end| end == "key"));
        let key = key.expect("it has joined");
        let chain = fs::read_to_string(key.with_extension("pem")).unwrap();
        let (_, above) = chain.split_once("-----END CERTIFICATE-----").unwrap();
        fs::write(control.path("above.pem"), above).unwrap();
        fs::copy(key.with_extension("pem"), control.path("own.pem")).unwrap();
        fs::copy(key, control.path("own.key")).unwrap();
        let session = Self(control);
        let _openssl = session.openssl("-sess_out");
        until("a ticket", || {
            let ticket = fs::read_to_string(control.path("ticket")).ok()?;
            ticket.contains("END SSL SESSION").then_some(())
        });
        session
    }

    /// OpenSSL, which writes the ticket that it gets, or shows the one that it got.
    fn openssl(&self, ticket: &str) -> Process {
        let world = &self.0.world;
        let (from, to) = (world.at("openssl", 0), world.at("cart", 15008));
        let mut openssl = Command::new("openssl");
        openssl.args(["s_client", "-tls1_3", "-alpn", "leno/1", "-ign_eof"]);
        openssl.args(["-noservername", "-bind", &from.to_string()]);
        openssl.args(["-connect", &to.to_string(), ticket, "ticket"]);
        openssl.args(["-cert", "own.pem", "-key", "own.key"]);
        openssl.args(["-cert_chain", "above.pem"]);
        openssl.current_dir(world.folder());
        world.process(&format!("openssl{ticket}"), &mut openssl)
    }
}

#[test]
fn what_the_revoked_has_under_way_is_cut_and_others_go_on() {
    let control = Control::start(&[], "{mtls: Strict}", SHOP);
    let gate = Arc::new(Gate::default());
    let opens = Arc::clone(&gate);
    serve(control.world.at("cart", 8080), move |stream| {
        // Whoever was cut takes no second half.
        drop(answer(&stream, &gate));
    });
    serve(control.world.at("cart", 6379), |stream| {
        // As above.
        drop(io::copy(&mut &stream, &mut &stream));
    });
    let cart = control.joined("cart", &["--access-log", "json"]);
    let (mut web, mut mail) = (Caller::new(&control, "web"), Caller::new(&control, "mail"));
    web.says(b"ping");
    mail.says(b"ping");
    let session = Session::begin(&control);

    control.ask(&["certs", "revoke", "shop/web"]);
    assert!(!web.stream.ended().success());
    assert_eq!(web.answer(), "first");
    assert!(web.bytes.is_cut());
    for event in [r#""event":"call""#, r#""event":"stream""#] {
        for proxy in [&web.proxy, &cart] {
            proxy.until_says(&[event, r#""source":"shop/web""#, r#""code":"R006""#]);
        }
    }
    until("what it calls anew is refused", || {
        let answer = curl(&[&control.world.url("web", 8081, "/")]);
        (answer.outcome() == "403 T005 identity-revoked").then_some(())
    });

    // The session is taken up, and who proved itself when it began is judged again all the same.
    let resumed = session.openssl("-sess_in");
    resumed.until_says(&["Reused, TLSv1.3"]);
    let from = control.world.at("openssl", 0).ip().to_string();
    cart.until_says(&[r#""event":"handshake""#, r#""code":"T005""#, &from]);

    mail.says(b"pong");
    opens.open();
    assert!(mail.stream.ended().success());
    assert_eq!(mail.answer(), "first last");
}
