//! `cargo xtask soak --certificates`: certificates of two minutes under a root of ten, calls through a
//! pair of proxies all the while, and a control plane that is killed and away for 45 s of every 56 s.
//! No call may fail, and every level of the chain must have been replaced.

use std::{
    collections::BTreeSet,
    error::Error,
    fs,
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::Command,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    Outcome,
    rig::{
        folder,
        process::{Core, PATIENCE, Running, local, now, pause, said},
    },
};

/// How long the control plane is there, and away, in turns.
const THERE: Duration = Duration::from_secs(11);
const AWAY: Duration = Duration::from_secs(45);

/// A root is announced at half of its life and signs soon after: this long in, there has been another.
const ANOTHER_ROOT: Duration = Duration::from_secs(7 * 60);

const MESH: &str = "\
apiVersion: leno.dev/v1alpha1
kind: Mesh
metadata: {name: shop}
spec:
  mtls: Strict
  certificates: {lifetime: 2m, intermediateLifetime: 4m, rootLifetime: 10m}
---
apiVersion: leno.dev/v1alpha1
kind: MeshWorkload
metadata: {name: web}
spec: {instances: [{name: web, address: 127.0.0.2}]}
---
apiVersion: leno.dev/v1alpha1
kind: MeshWorkload
metadata: {name: cart, labels: {app: cart}}
spec: {ports: [{port: 8080, protocol: HTTP}], instances: [{name: cart, address: 127.0.0.3}]}
---
apiVersion: v1
kind: Service
metadata: {name: cart}
spec: {selector: {app: cart}, ports: [{port: 80, targetPort: 8080, appProtocol: http}]}
";

/// Lets it run for so long, in a folder of its own.
pub(super) fn run(folder: PathBuf, leno: PathBuf, time: Duration) -> Outcome {
    let scene = Scene { folder, leno };
    fs::create_dir_all(&scene.folder)?;
    println!("{time:?} in {}", scene.folder.display());
    let mut control = scene.control()?;
    scene.apply()?;
    let _proxies = [scene.proxy("cart")?, scene.proxy("web")?];
    let calls = Calls::default();
    let (is_over, mut seen) = (AtomicBool::new(false), Seen::default());
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 3], 8080)))?;
    thread::scope(|scope| -> Outcome {
        scope.spawn(|| serve(&listener, &is_over));
        let _over = Over(&is_over, listener.local_addr()?);
        until_called()?;
        for kind in [Kind::Kept, Kind::Kept, Kind::New, Kind::New, Kind::Slow] {
            let (calls, is_over) = (&calls, &is_over);
            scope.spawn(move || kind.call(calls, is_over));
        }
        let begin = now();
        scene.windows(&mut control, begin, time, &calls, &mut seen)
    })?;
    println!("{}", story(&calls, &seen));
    let failed = calls.failed();
    if !failed.is_empty() {
        return Err(format!("{} calls failed: {}", failed.len(), failed.join("; ")).into());
    }
    if time >= ANOTHER_ROOT && seen.roots.len() < 2 {
        return Err("the root was never replaced".into());
    }
    Ok(())
}

/// Says that all is over when it is dropped.
struct Over<'a>(&'a AtomicBool, SocketAddr);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        // The server sees it with the next connection.
        drop(TcpStream::connect(self.1));
    }
}

/// What happened, in a sentence.
fn story(calls: &Calls, seen: &Seen) -> String {
    let longest = calls.longest.lock().unwrap_or_else(PoisonError::into_inner);
    format!(
        "{} calls, {} failed, the slowest {:.1?} beyond what its server took; the control plane was away \
         {} times; {} roots and {} intermediates signed",
        calls.made.load(Ordering::Relaxed),
        calls.failed().len(),
        *longest,
        seen.away,
        seen.roots.len(),
        seen.intermediates.len()
    )
}

/// Where it takes place.
struct Scene {
    folder: PathBuf,
    leno: PathBuf,
}

/// What the control plane told, when it was there.
#[derive(Default)]
struct Seen {
    away: usize,
    /// Each root that signed.
    roots: BTreeSet<String>,
    /// When each intermediate that signed ends.
    intermediates: BTreeSet<String>,
}

impl Scene {
    /// Lets the control plane come and go until the time is over.
    fn windows(
        &self,
        control: &mut Running,
        begin: Instant,
        time: Duration,
        calls: &Calls,
        seen: &mut Seen,
    ) -> Outcome {
        loop {
            let window = now();
            while window.elapsed() < THERE {
                pause(Duration::from_secs(1));
                self.look(seen)?;
            }
            if begin.elapsed() >= time {
                return Ok(());
            }
            control.kill()?;
            seen.away += 1;
            pause(AWAY.min(time.saturating_sub(begin.elapsed())));
            *control = self.control()?;
            println!("{:>4} s: {}", begin.elapsed().as_secs(), story(calls, seen));
        }
    }

    fn look(&self, seen: &mut Seen) -> Outcome {
        let told = said(self.ask().args(["certs", "list", "--output", "json"]))?;
        let told: Value = serde_json::from_str(&told)?;
        let text = |name: &str| told.get(name).and_then(Value::as_str).map(str::to_owned);
        seen.roots.extend(text("root"));
        seen.intermediates.extend(text("intermediate_ends"));
        Ok(())
    }

    fn control(&self) -> Result<Running, Box<dyn Error>> {
        let at = local(15012);
        let listen = at.to_string();
        let mut words = vec!["control", "--listen", &listen, "--advertise", &listen];
        words.extend(["--data", "store", "--socket", "socket"]);
        let running = Running::start(Core::Both, &self.folder, "control", &self.leno, &words, at)?;
        for _ in 0..PATIENCE {
            if said(self.ask().args(["status"])).is_ok() {
                break;
            }
            pause(Duration::from_millis(20));
        }
        Ok(running)
    }

    fn apply(&self) -> Outcome {
        fs::write(self.folder.join("shop.yaml"), MESH)?;
        said(self.ask().args(["apply", "-n", "shop", "-f", "shop.yaml"]))?;
        Ok(())
    }

    /// Joins a proxy and starts it.
    fn proxy(&self, name: &str) -> Result<Running, Box<dyn Error>> {
        let account = format!("shop/{name}");
        let token = said(self.ask().args(["token", "create", &account]))?;
        let token = token.split_whitespace().last().ok_or("no token is told")?;
        said(self.ask().args(["join", token, "--state", name]))?;
        let tunnel = match name {
            "web" => "127.0.0.2:15008",
            _ => "127.0.0.3:15008",
        };
        let mut words = vec!["proxy", "--joined", "-n", "shop", "--state", name];
        words.extend(["--workload", name, "--tunnel", tunnel]);
        if name == "web" {
            words.extend(["--upstream", UPSTREAM]);
        }
        Ok(Running::begin(
            Core::Both,
            &self.folder,
            name,
            &self.leno,
            &words,
        )?)
    }

    fn ask(&self) -> Command {
        folder::asking(&self.folder, &self.leno)
    }
}

/// Where the proxy of web takes calls to cart.
const UPSTREAM: &str = "cart:80=127.0.0.1:8081";

fn entry() -> SocketAddr {
    local(8081)
}

/// Waits until a call goes through.
fn until_called() -> Outcome {
    let mut last = None;
    for _ in 0..PATIENCE {
        match call(&mut None, Kind::New) {
            Ok(()) => return Ok(()),
            Err(error) => last = Some(error),
        }
        pause(Duration::from_millis(20));
    }
    Err(format!("no call goes through: {last:?}").into())
}

/// How a client calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// Over one connection for as long as that is kept.
    Kept,
    /// Over a connection for each call.
    New,
    /// As `Kept`, and its server takes its time.
    Slow,
}

/// How long a slow answer takes.
const SLOW: Duration = Duration::from_secs(3);

/// How long an answer is waited for.
const LONGEST: Duration = Duration::from_secs(20);

/// What became of all calls.
#[derive(Default)]
struct Calls {
    made: AtomicUsize,
    failed: Mutex<Vec<String>>,
    longest: Mutex<Duration>,
}

impl Calls {
    fn failed(&self) -> Vec<String> {
        let failed = self.failed.lock();
        failed.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Kind {
    /// Calls again and again.
    fn call(self, calls: &Calls, is_over: &AtomicBool) {
        let mut kept = None;
        let mut number = 0_u32;
        while !is_over.load(Ordering::Relaxed) {
            number += 1;
            let begin = now();
            let result = call(&mut kept, self);
            let server = if self == Self::Slow {
                SLOW
            } else {
                Duration::ZERO
            };
            let took = begin.elapsed().saturating_sub(server);
            calls.made.fetch_add(1, Ordering::Relaxed);
            let mut longest = calls.longest.lock().unwrap_or_else(PoisonError::into_inner);
            *longest = took.max(*longest);
            drop(longest);
            if let Err(error) = result {
                kept = None;
                let mut failed = calls.failed.lock().unwrap_or_else(PoisonError::into_inner);
                failed.push(format!("{self:?} call {number} after {took:.1?}: {error}"));
            }
            pause(Duration::from_millis(10));
        }
    }
}

/// One call, and whether it was answered as it should be.
fn call(kept: &mut Option<TcpStream>, kind: Kind) -> io::Result<()> {
    let mut connection = match kept.take() {
        Some(connection) => connection,
        None => TcpStream::connect(entry())?,
    };
    connection.set_read_timeout(Some(LONGEST))?;
    let (path, close) = match kind {
        Kind::Kept => ("/", ""),
        Kind::New => ("/", "connection: close\r\n"),
        Kind::Slow => ("/slow", ""),
    };
    let request = format!("GET {path} HTTP/1.1\r\nhost: cart\r\n{close}\r\n");
    connection.write_all(request.as_bytes())?;
    let head = read_head(&mut connection)?;
    let mut body = [0; BODY.len()];
    if !head.starts_with("HTTP/1.1 200 ") {
        return Err(io::Error::other(head.replace("\r\n", " ")));
    }
    connection.read_exact(&mut body)?;
    if body != *BODY {
        return Err(io::Error::other("another body"));
    }
    let stays = kind != Kind::New && !head.to_ascii_lowercase().contains("connection: close");
    *kept = stays.then_some(connection);
    Ok(())
}

/// What the server answers.
const BODY: &[u8; 2] = b"ok";

fn read_head(connection: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        connection.read_exact(&mut byte)?;
        head.extend_from_slice(&byte);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// The application: answers each connection by a thread until all is over.
fn serve(listener: &TcpListener, is_over: &AtomicBool) {
    while let Ok((mut connection, _)) = listener.accept() {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        thread::spawn(move || {
            while let Ok(head) = read_head(&mut connection) {
                if head.starts_with("GET /slow") {
                    pause(SLOW);
                }
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                if connection.write_all(answer).is_err() {
                    return;
                }
            }
        });
    }
}
