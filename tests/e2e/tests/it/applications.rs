//! Programs as a distribution ships them, none of them changed.

use std::fs;
use std::process::Command;

use leno_e2e::{Client, World, curl, run, until};

/// A mesh in which everybody may call everybody.
fn world() -> World {
    World::pair()
        .workload("shop", "{port: 8080, protocol: HTTP}")
        .workload("files", "{port: 8080, protocol: HTTP}")
}

#[test]
fn nginx_passes_requests_on_to_python_and_both_are_in_the_mesh() {
    let world = world();
    let folder = world.folder().join("served");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("price.txt"), "42\n").unwrap();
    let files = world.at("files", 8080);
    let mut python = Command::new("python3");
    python.args(["-m", "http.server", &files.port().to_string(), "--bind"]);
    python.arg(files.ip().to_string()).current_dir(&folder);
    let _python = world.process("python", &mut python);

    // nginx calls its own proxy, as any application may that is told an address.
    let configuration = format!(
        "daemon off; master_process off; user root; pid nginx.pid; error_log stderr;\n\
         events {{}}\n\
         http {{ access_log off; server {{ listen {}; location / {{\n\
           proxy_pass http://{}; proxy_set_header X-Asked-By nginx; }} }} }}\n",
        world.at("shop", 8080),
        world.at("shop", 9000),
    );
    let file = world.folder().join("nginx.conf");
    fs::write(&file, configuration).unwrap();
    let mut nginx = Command::new("nginx");
    nginx.arg("-p").arg(world.folder()).arg("-c").arg(&file);
    let _nginx = world.process("nginx", &mut nginx);

    let _files = world.proxy("files").start();
    let upstream = "{service: files, port: 8080, listen: @shop:9000}";
    let _shop = world.proxy("shop").listening(upstream).start();
    let web = world.proxy("web").upstream("shop", 8080).start();

    let ask = |path: &str| curl(&[&world.url("web", 8080, path)]);
    let answer = until("nginx and python", || {
        Some(ask("/price.txt")).filter(|answer| answer.status == 200)
    });
    assert_eq!(answer.text(), "42\n");
    assert!(answer.header("server").unwrap().starts_with("nginx/"));
    assert!(ask("/").text().contains("price.txt"));
    let missing = ask("/missing");
    assert_eq!(
        (missing.outcome(), missing.header("leno-error")),
        ("404".to_owned(), None)
    );
    web.until_says(&[
        r#""destination":"shop/shop""#,
        r#""status":404"#,
        r#""security":"mtls""#,
    ]);
}

#[test]
fn redis_is_carried_as_the_bytes_it_speaks() {
    let world = world();
    let cart = world.at("cart", 6379);
    let mut server = Command::new("redis-server");
    server.args([
        "--save",
        "",
        "--port",
        &cart.port().to_string(),
        "--bind",
        &cart.ip().to_string(),
    ]);
    server.current_dir(world.folder());
    let _server = world.process("redis", &mut server);
    let _cart = world.proxy("cart").start();
    let web = world.proxy("web").upstream("cart", 6379).start();
    let redis = |words: &[&str]| {
        let to = world.at("web", 6379);
        let mut command = Command::new("redis-cli");
        command.args(["-h", &to.ip().to_string(), "-p", &to.port().to_string()]);
        command.args(words);
        command
    };
    until("redis", || {
        let output = redis(&["ping"]).output().expect("redis-cli is installed");
        (output.stdout == b"PONG\n").then_some(())
    });
    assert_eq!(run(&mut redis(&["set", "price", "42"])), "OK\n");
    assert_eq!(run(&mut redis(&["get", "price"])), "42\n");
    let large = "x".repeat(100_000);
    assert_eq!(run(&mut redis(&["set", "large", &large])), "OK\n");
    assert_eq!(run(&mut redis(&["get", "large"])), format!("{large}\n"));
    let mut subscriber = Client::to(world.at("web", 6379));
    subscriber.send("SUBSCRIBE orders\r\n");
    subscriber.read(b"*3\r\n$9\r\nsubscribe\r\n$6\r\norders\r\n:1\r\n".len());
    assert_eq!(run(&mut redis(&["publish", "orders", "seven"])), "1\n");
    assert!(subscriber.read(40).ends_with(b"seven\r\n"));
    web.until_says(&[
        r#""event":"stream""#,
        r#""destination":"shop/cart""#,
        r#""security":"mtls""#,
    ]);
}
