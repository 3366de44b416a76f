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
fn haproxy_stands_before_and_behind_and_nginx_serves() {
    let world = world();
    let served = vec![b'x'; 500_000];
    fs::write(world.folder().join("large"), &served).unwrap();
    let nginx = format!(
        "daemon off; master_process off; user root; pid nginx.pid; error_log stderr;\n\
         events {{}}\n\
         http {{ access_log off; client_max_body_size 0;\n\
           client_body_temp_path bodies; server {{ listen {}; root {}; location /kept {{ dav_methods PUT; }} }} }}\n",
        world.at("shop", 8081),
        world.folder().display(),
    );
    fs::write(world.folder().join("nginx.conf"), nginx).unwrap();
    let mut nginx = Command::new("nginx");
    nginx
        .arg("-p")
        .arg(world.folder())
        .arg("-c")
        .arg("nginx.conf");
    let _nginx = world.process("nginx", &mut nginx);
    let haproxy = |name: &str, bind, to| {
        let file = world.folder().join(format!("{name}.cfg"));
        let configuration = format!(
            "defaults\n mode http\n timeout connect 5s\n timeout client 30s\n timeout server 30s\n\
             listen all\n bind {bind}\n http-reuse always\n option forwardfor\n server one {to}\n"
        );
        fs::write(&file, configuration).unwrap();
        let mut haproxy = Command::new("haproxy");
        haproxy.arg("-f").arg(&file);
        world.process(name, &mut haproxy)
    };
    let _behind = haproxy("behind", world.at("shop", 8080), world.at("shop", 8081));
    let _before = haproxy("before", world.at("web", 7000), world.at("web", 8080));
    let _shop = world.proxy("shop").start();
    let web = world.proxy("web").upstream("shop", 8080).start();

    let ask = |path: &str, words: &[&str]| {
        let url = world.url("web", 7000, path);
        curl(&[&[url.as_str()], words].concat())
    };
    let answer = until("haproxy and nginx", || {
        Some(ask("/large", &[])).filter(|answer| answer.status == 200)
    });
    assert_eq!(answer.body.len(), served.len());
    let tag = answer.header("etag").unwrap().to_owned();
    let unchanged = ask("/large", &["-H", &format!("If-None-Match: {tag}")]);
    assert_eq!((unchanged.status, unchanged.body.len()), (304, 0));
    let part = ask("/large", &["-r", "10-19"]);
    assert_eq!((part.status, part.text()), (206, "xxxxxxxxxx"));
    let head = ask("/large", &["--head"]);
    assert_eq!(head.header("content-length"), Some("500000"));
    // Bodies go up with a length, in chunks, and after the server has asked for them.
    fs::create_dir(world.folder().join("kept")).unwrap();
    let large = world.folder().join("large");
    let large = large.to_str().unwrap();
    for (number, how) in [
        &["-H", "Expect:"][..],
        &["-H", "Expect: 100-continue"],
        &["-H", "Expect:", "-H", "Transfer-Encoding: chunked"],
    ]
    .into_iter()
    .enumerate()
    {
        let put = ask(&format!("/kept/{number}"), &[&["-T", large], how].concat());
        assert_eq!(put.status, 201, "{how:?}: {put:?}");
        let kept = fs::read(world.folder().join(format!("kept/{number}"))).unwrap();
        assert!(kept == served, "{how:?}: {} bytes", kept.len());
    }
    web.until_says(&[
        r#""path":"/kept/2""#,
        r#""status":201"#,
        r#""security":"mtls""#,
    ]);
}

#[test]
fn a_websocket_goes_through_both_proxies() {
    let world = world();
    let python = |name: &str, script: &str| {
        let file = world.folder().join(format!("{name}.py"));
        fs::write(&file, script).unwrap();
        // The one that Debian's packages are for.
        let mut python = Command::new("/usr/bin/python3");
        python.arg(file);
        python
    };
    let at = |name| {
        let at = world.at(name, 8080);
        format!("'{}', {}", at.ip(), at.port())
    };
    let serving = format!(
        "import asyncio, websockets\n\
         async def echo(socket, path):\n\
         \x20   async for message in socket:\n\
         \x20       await socket.send(message)\n\
         async def main():\n\
         \x20   async with websockets.serve(echo, {}, subprotocols=['chat'], max_size=None):\n\
         \x20       await asyncio.Future()\n\
         asyncio.run(main())\n",
        at("shop")
    );
    let _server = world.process("server", &mut python("server", &serving));
    let _shop = world.proxy("shop").start();
    let web = world.proxy("web").upstream("shop", 8080).start();
    until("the server", || {
        Client::try_to(world.at("shop", 8080)).map(drop)
    });
    let calling = format!(
        "import asyncio, os, websockets\n\
         async def main():\n\
         \x20   host, port = {}\n\
         \x20   async with websockets.connect(f'ws://{{host}}:{{port}}/chat?room=1', subprotocols=['chat'], max_size=None) as socket:\n\
         \x20       assert socket.subprotocol == 'chat'\n\
         \x20       for message in ['', 'hello', os.urandom(125), os.urandom(70000), os.urandom(3000000)]:\n\
         \x20           await socket.send(message)\n\
         \x20           assert await socket.recv() == message\n\
         \x20       await (await socket.ping())\n\
         \x20       messages = [str(number) for number in range(1000)]\n\
         \x20       await asyncio.gather(*map(socket.send, messages))\n\
         \x20       assert sorted([await socket.recv() for _ in messages], key=int) == messages\n\
         \x20   print(socket.close_code)\n\
         asyncio.run(main())\n",
        at("web")
    );
    assert_eq!(run(&mut python("client", &calling)), "1000\n");
    web.until_says(&[
        r#""path":"/chat""#,
        r#""status":101"#,
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
