//! How long it takes until a revoked identity has no live stream left, whichever proxy it goes through.

use std::{
    error::Error,
    fmt::Write as _,
    io::{self, ErrorKind, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use crate::{
    bench::{
        Measured, Options,
        client::connect,
        fleet::Plane,
        report::{Figures, Row, Table, millis},
        series::Series,
        setting::Setting,
    },
    rig::process::{Running, local, now, pause},
};

/// Revokes the identity of a caller and reinstates it, again and again.
pub(super) fn measure(setting: &Setting, options: &Options) -> Measured {
    let shop = Shop::open(setting)?;
    let (mut told, mut cut) = (Series::default(), Series::default());
    for round in 1..=options.rounds {
        let streams = (0..CALLED).map(stream).collect::<Result<Vec<_>, _>>()?;
        // What comes next shall not meet what is left to do of the last round.
        pause(REST);
        let begin = now();
        shop.plane.tell(&["certs", "revoke", CALLER])?;
        let returned = begin.elapsed();
        let last = until_cut(streams, begin)?;
        println!(
            "round {round}  told after {returned:.0?}, the last stream is cut after {last:.0?}"
        );
        told.push(millis(returned));
        cut.push(millis(last));
        shop.plane.tell(&["certs", "reinstate", CALLER])?;
    }
    let mut table = Table::new(&["", "ms"]);
    table.line(&[
        "`leno certs revoke` has returned after",
        &format!("{told:.0}"),
    ]);
    table.line(&["the last stream is cut after", &format!("{cut:.0}")]);
    Ok(Figures {
        rows: vec![Row {
            what: "a revoked identity: the last of its live streams, one through each of 100 proxies, is cut",
            target: format!("under {LIMIT:.0} ms"),
            measured: format!("{cut:.0} ms"),
            reached: cut.median() < LIMIT,
        }],
        table,
        plots: Vec::new(),
    })
}

/// A caller, and those whom it calls, each with a proxy.
struct Shop {
    plane: Plane,
    _proxies: Vec<Running>,
}

impl Shop {
    fn open(setting: &Setting) -> Result<Self, Box<dyn Error>> {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT))?;
        thread::spawn(move || echo(&listener));
        let plane = Plane::start(setting, "revocation")?;
        plane.apply("shop", &mesh())?;
        let called = plane.token("shop/store", CALLED)?;
        let caller = plane.token(CALLER, 1)?;
        let mut proxies = Vec::new();
        for number in 0..CALLED {
            let tunnel = format!("{}:15008", address(number));
            let words = ["--tunnel", &tunnel];
            proxies.push(plane.proxy(&called, &format!("store-{number}"), &words)?);
        }
        let upstreams: Vec<_> = (0..CALLED)
            .map(|number| format!("store-{number}:{PORT}={}", entry(number)))
            .collect();
        let words = upstreams.iter().map(String::as_str);
        let words: Vec<_> = words.flat_map(|one| ["--upstream", one]).collect();
        proxies.push(plane.proxy(&caller, "web", &words)?);
        Ok(Self {
            plane,
            _proxies: proxies,
        })
    }
}

/// Where the application of this number is.
fn address(number: usize) -> Ipv4Addr {
    let number = u8::try_from(number).expect("there are fewer than 250");
    Ipv4Addr::new(127, 1, 0, number + 1)
}

/// Where the caller's proxy takes streams to it.
fn entry(number: usize) -> SocketAddr {
    local(20000 + u16::try_from(number).expect("there are fewer than 250"))
}

fn mesh() -> String {
    let mut text = "\
apiVersion: leno.dev/v1alpha1
kind: Mesh
metadata: {name: shop}
spec: {mtls: Strict}
---
apiVersion: leno.dev/v1alpha1
kind: MeshWorkload
metadata: {name: web}
spec: {instances: [{name: web, address: 127.0.0.2}]}
"
    .to_owned();
    for number in 0..CALLED {
        let address = address(number);
        write!(
            text,
            "---\napiVersion: leno.dev/v1alpha1\nkind: MeshWorkload\n\
             metadata: {{name: store-{number}, labels: {{app: store-{number}}}}}\n\
             spec: {{serviceAccount: store, ports: [{{port: {PORT}, protocol: TCP}}], \
             instances: [{{name: store-{number}, address: {address}}}]}}\n\
             ---\napiVersion: v1\nkind: Service\nmetadata: {{name: store-{number}}}\n\
             spec: {{selector: {{app: store-{number}}}, \
             ports: [{{port: {PORT}, targetPort: {PORT}, appProtocol: tcp}}]}}\n"
        )
        .expect("a string takes all");
    }
    text
}

/// Sends back what comes, over each connection by a thread.
fn echo(listener: &TcpListener) {
    while let Ok((connection, _)) = listener.accept() {
        thread::spawn(move || {
            // Whoever was cut off takes nothing more.
            drop(io::copy(&mut &connection, &mut &connection));
        });
    }
}

/// A stream to the application of this number, over which something has come back.
fn stream(number: usize) -> Result<TcpStream, Box<dyn Error>> {
    let begin = now();
    loop {
        match try_stream(number) {
            Ok(stream) => return Ok(stream),
            Err(error) if begin.elapsed() > PATIENCE => {
                return Err(format!("no stream to {number}: {error}").into());
            }
            Err(_) => pause(STEP),
        }
    }
}

fn try_stream(number: usize) -> io::Result<TcpStream> {
    let mut stream = connect(entry(number))?;
    stream.write_all(b"ping")?;
    stream.read_exact(&mut [0; 4])?;
    Ok(stream)
}

/// Waits until each of them is cut; how long that took from `begin`.
fn until_cut(streams: Vec<TcpStream>, begin: Instant) -> Result<Duration, Box<dyn Error>> {
    for mut stream in streams {
        match stream.read(&mut [0; 1]) {
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            read => return Err(format!("a stream was not cut: {read:?}").into()),
        }
    }
    Ok(begin.elapsed())
}

/// Whose identity is revoked.
const CALLER: &str = "shop/web";

/// How many proxies are called.
const CALLED: usize = 100;

/// Where applications listen.
const PORT: u16 = 6379;

/// In milliseconds.
const LIMIT: f64 = 1000.0;

/// How long nothing happens before an identity is revoked.
const REST: Duration = Duration::from_millis(500);

/// How long a stream is tried, and how long it rests between two tries.
const PATIENCE: Duration = Duration::from_secs(60);
const STEP: Duration = Duration::from_millis(20);
