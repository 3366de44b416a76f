//! What a control plane tells to whoever reads its metrics.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::{Place, World, within};

async fn ask(at: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(at).await.unwrap();
    let question = format!("GET {path} HTTP/1.1\r\nhost: leno\r\n\r\n");
    stream.write_all(question.as_bytes()).await.unwrap();
    let mut answer = String::new();
    within(stream.read_to_string(&mut answer)).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_control_plane_tells_what_it_does() {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let at = free.local_addr().unwrap();
    drop(free);
    let place = Arc::new(Place::new());
    let _world = World::with(place, |settings| settings.metrics = Some(at)).await;
    let metrics = ask(at, "/metrics").await;
    for sample in [
        "leno_control_revision 0",
        r#"leno_control_proxies{state="behind"} 0"#,
        r#"leno_control_findings{severity="error"} 0"#,
        r#"leno_export_failures_total{signal="metrics"} 0"#,
    ] {
        assert!(metrics.lines().any(|line| line == sample), "{metrics}");
    }
    let size = metrics
        .lines()
        .find_map(|line| line.strip_prefix(r#"leno_control_file_bytes{file="store"} "#));
    assert!(size.unwrap().parse::<u64>().unwrap() > 0, "{metrics}");
    assert!(ask(at, "/ready").await.ends_with("ready\n"));
    assert!(ask(at, "/").await.starts_with("HTTP/1.1 404"));
}
