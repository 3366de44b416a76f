//! A control plane to measure, in the process that asks it.

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use leno_admin::{Apply, Client, CreateToken, File};
use leno_control::{Control, Settings};
use leno_wire::JoinToken;
use tokio::runtime::Builder;

/// What is measured by so many threads in a folder of its own, which is gone after it.
pub(crate) fn measured<T>(threads: usize, measure: impl AsyncFnOnce(&Path) -> T) -> T {
    let place = std::env::temp_dir().join(format!("leno-bench-{}", std::process::id()));
    std::fs::create_dir_all(&place).expect("the temporary folder can be written");
    let runtime = Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build();
    let runtime = runtime.expect("threads can be started");
    let told = runtime.block_on(measure(&place));
    runtime.shutdown_timeout(Duration::from_secs(10));
    std::fs::remove_dir_all(&place).expect("it was made above");
    told
}

/// Starts one with the store in `store` of this folder, which runs as long as its runtime.
pub(crate) fn start(place: &Path) -> Client {
    let listen = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listen.local_addr().expect("it is bound");
    drop(listen);
    let settings = Settings {
        advertise: Some(address.to_string()),
        ..Settings::new(place.join("store"), address, place.join("socket"))
    };
    let control = Control::open(settings, |_| {}).expect("it starts");
    tokio::spawn(control.run());
    Client::new(&place.join("socket"))
}

/// Applies this text as a set, and gives the revision that came of it.
pub(crate) async fn apply(admin: &Client, text: String, set: &str) -> u64 {
    let applied = admin.ask(Apply {
        files: vec![File {
            path: format!("{set}.yaml"),
            text,
        }],
        namespace: "shop".into(),
        set: set.into(),
        prune: false,
        if_revision: None,
        message: String::new(),
        allow_errors: false,
        watch: None,
        dry_run: false,
    });
    applied.await.expect("it is applied").status.revision
}

/// A token by which so many join as `shop/web`.
pub(crate) async fn token(admin: &Client, uses: usize) -> JoinToken {
    let made = admin.ask(CreateToken {
        namespace: "shop".into(),
        service_account: Some("web".into()),
        uses: u32::try_from(uses).expect("they are few"),
        seconds: 600,
    });
    let made = made.await.expect("it is made").text;
    made.parse().expect("it is a token")
}
