use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::world::World;

#[tokio::test]
async fn a_link_becomes_a_cookie_and_a_clean_address() {
    let world = World::new(false);
    let link = world.link();
    let entered = world.get(&link, "").await;
    assert_eq!(entered.status(), "303");
    let place = entered.header("location").unwrap();
    assert!(!place.contains("t=") && place.len() == 34, "{place}");
    let cookie = entered.header("set-cookie").unwrap();
    let (_, attributes) = cookie.split_once("; ").unwrap();
    // No domain: the cookie is of this host only.
    assert_eq!(
        attributes,
        format!("Path={place}; HttpOnly; SameSite=Strict")
    );

    let page = world.get(place, &entered.cookie()).await;
    assert_eq!(page.status(), "200");
    assert!(page.body().contains("<title>Leno</title>"), "{page:?}");
    assert_eq!(world.get(&link, "").await.status(), "401");
    assert_eq!(world.get(place, "").await.status(), "401");
    let other = format!("cookie: leno-visit={}\r\n", "0".repeat(32));
    assert_eq!(world.get(place, &other).await.status(), "401");

    let again = world.get(&world.link(), "").await;
    assert_ne!(again.cookie(), entered.cookie());
    assert_eq!(world.get(place, &again.cookie()).await.status(), "200");
    assert_eq!(world.get(place, &entered.cookie()).await.status(), "200");
}

#[tokio::test]
async fn nothing_uses_up_a_link_but_following_it() {
    let world = World::new(false);
    let link = world.link();
    let ahead = "sec-purpose: prefetch\r\n";
    assert_eq!(world.get(&link, ahead).await.status(), "503");
    let framed =
        "sec-fetch-site: cross-site\r\nsec-fetch-mode: no-cors\r\nsec-fetch-dest: image\r\n";
    assert_eq!(world.get(&link, framed).await.status(), "403");
    let head = format!("HEAD {link} HTTP/1.1\r\nhost: localhost:PORT\r\nconnection: close\r\n\r\n");
    assert_eq!(world.say(&head).await.status(), "405");
    let rebound =
        format!("GET {link} HTTP/1.1\r\nhost: evil.example:PORT\r\nconnection: close\r\n\r\n");
    assert_eq!(world.say(&rebound).await.status(), "421");
    assert_eq!(world.get(&link, "").await.status(), "303");
}

#[tokio::test]
async fn who_comes_by_a_foreign_link_is_let_in_by_our_own_page() {
    let world = World::new(false);
    let led =
        "sec-fetch-site: cross-site\r\nsec-fetch-mode: navigate\r\nsec-fetch-dest: document\r\n";
    let entered = world.get(&world.link(), led).await;
    let place = entered.header("location").unwrap();
    let again = world.get(place, led).await;
    let asks_again = "<meta http-equiv=\"refresh\" content=\"0\">";
    assert!(again.body().contains(asks_again), "{again:?}");
    // The page itself asks without what it is not given: that is the end of it.
    let own = "sec-fetch-site: same-origin\r\n";
    let ended = world.get(place, own).await;
    assert!(!ended.body().contains("refresh"), "{ended:?}");
    let own = format!("{own}{}", entered.cookie());
    assert_eq!(world.get(place, &own).await.status(), "200");
}

#[tokio::test]
async fn who_is_kept_out_is_told_why_and_told_of() {
    let world = World::new(false);
    let entered = world.get(&world.link(), "").await;
    let place = entered.header("location").unwrap();
    let at = |host: &str, headers: &str| {
        format!("GET {place} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{headers}\r\n")
    };
    let cases = [
        (at("localhost:PORT", ""), "401", "GET: This visit has ended"),
        (
            at("localhost:PORT", "").replacen(place, "/", 1),
            "401",
            "GET: This page opens by a link",
        ),
        (
            at("localhost:PORT", "").replacen(place, "/?t=0", 1),
            "401",
            "GET: This link has been used, or is too old",
        ),
        (
            at("evil.example:PORT", ""),
            "421",
            "GET for evil.example: This address goes by other names",
        ),
        (
            at("localhost:PORT", "origin: http://evil.example\r\n"),
            "403",
            "GET of http://evil.example: Another page asked for this one",
        ),
    ];
    for (request, status, attempt) in &cases {
        let told = world.say(request).await;
        assert_eq!(told.status(), *status, "{request}");
        let challenge = (*status == "401").then_some("Leno-Link realm=\"leno dashboard\"");
        assert_eq!(told.header("www-authenticate"), challenge, "{request}");
        assert_eq!(
            world.kept_out.lock().unwrap().pop().as_deref(),
            Some(*attempt)
        );
    }
    // Whom our own page lets in, and who asks for what is not there, is no attempt.
    let led =
        "sec-fetch-site: cross-site\r\nsec-fetch-mode: navigate\r\nsec-fetch-dest: document\r\n";
    assert_eq!(world.get(place, led).await.status(), "401");
    assert_eq!(world.get("/favicon.ico", "").await.status(), "404");
    assert!(world.kept_out.lock().unwrap().is_empty());
}

#[tokio::test]
async fn every_answer_keeps_to_itself() {
    let world = World::new(false);
    let entered = world.get(&world.link(), "").await;
    let place = entered.header("location").unwrap().to_owned();
    for (path, status) in [
        (place.as_str(), "200"),
        ("/", "401"),
        ("/?t=0", "401"),
        ("/nowhere", "404"),
        ("/style.css", "200"),
        ("/icon.svg", "200"),
    ] {
        let told = world.get(path, &entered.cookie()).await;
        assert_eq!(told.status(), status, "{path}");
        let policy = told.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; "), "{policy}");
        assert!(policy.ends_with("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
            ("connection", "close"),
        ] {
            assert_eq!(told.header(name), Some(value), "{path} {name}");
        }
        let length = told.body().len().to_string();
        assert_eq!(told.header("content-length"), Some(length.as_str()));
        assert!(!told.body().contains("<style") && !told.body().contains(" style="));
        assert!(!told.body().contains(" onclick") && !told.body().contains("<script>"));
    }
}

#[tokio::test]
async fn what_the_page_is_made_of_is_kept_under_its_name() {
    let world = World::new(false);
    let entered = world.get(&world.link(), "").await;
    let place = entered.header("location").unwrap();
    let shell = world.get(place, &entered.cookie()).await;
    let named = |word: &str| shell.body().split('"').find(|part| part.ends_with(word));
    for (ending, media) in [(".js", "text/javascript"), (".css", "text/css")] {
        let path = named(ending).unwrap();
        let told = world.head(path).await;
        assert_eq!(told.status(), "200", "{path}");
        assert_eq!(told.header("content-encoding"), Some("gzip"));
        let kept = told.header("cache-control").unwrap();
        assert!(kept.ends_with("immutable"), "{kept}");
        assert_eq!(told.0.matches("cache-control").count(), 1, "{told:?}");
        assert!(told.header("content-type").unwrap().starts_with(media));
        let other = path.replace("page-", "page-0");
        assert_eq!(world.head(&other).await.status(), "404");
    }
}

#[tokio::test]
async fn what_is_no_request_gets_an_answer_and_the_end() {
    let world = World::new(false);
    for (bytes, status) in [
        ("GET / HTTP/1.1\r\n\r\n", "400"),
        ("GET / HTTP/1.1\nhost: localhost\n\n", "400"),
        ("\0\0\0\0", "400"),
        ("\u{16}\u{3}\u{1}", "400"),
        ("GET / HTTP/2.0\r\nhost: localhost:PORT\r\n\r\n", "505"),
        ("GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", "400"),
        (
            "POST / HTTP/1.1\r\nhost: localhost:PORT\r\ncontent-length: 3\r\n\r\nabcGET / HTTP/1.1\r\n",
            "405",
        ),
    ] {
        let told = world.say(bytes).await;
        assert_eq!(told.status(), status, "{bytes:?}");
        assert_eq!(told.header("connection"), Some("close"), "{bytes:?}");
        assert_eq!(told.0.matches("Content-Length").count(), 1, "{bytes:?}");
    }
    let endless = format!(
        "GET / HTTP/1.1\r\nhost: localhost:PORT\r\na: {}",
        "a".repeat(70_000)
    );
    assert_eq!(world.say(&endless).await.status(), "431");
}

#[tokio::test]
async fn a_connection_carries_one_request_after_another() {
    let world = World::new(false);
    let mut stream = world.connect().await;
    let ask = |method: &str, end: &str| {
        let port = world.port;
        format!("{method} /icon.svg HTTP/1.1\r\nhost: localhost:{port}\r\n{end}\r\n")
    };
    let three = ask("GET", "") + &ask("HEAD", "") + &ask("GET", "connection: close\r\n");
    for byte in three.as_bytes() {
        stream.write_all(&[*byte]).await.unwrap();
    }
    let mut told = String::new();
    stream.read_to_string(&mut told).await.unwrap();
    assert_eq!(told.matches("HTTP/1.1 200 OK").count(), 3, "{told}");
    assert_eq!(told.matches("</svg>").count(), 2, "{told}");
}

#[tokio::test]
async fn who_finds_no_room_is_served_when_another_leaves() {
    let world = World::new(false);
    let mut held = Vec::new();
    for _ in 0..100 {
        held.push(world.connect().await);
    }
    let answered = world.get("/icon.svg", "");
    let (told, ()) = tokio::join!(answered, async { drop(held) });
    assert_eq!(told.status(), "200");
}

#[tokio::test]
async fn a_name_under_localhost_is_handed_on_untouched() {
    let world = World::new(true);
    let ask = "GET /?t=1 HTTP/1.1\r\nhost: cart.localhost:PORT\r\norigin: http://x\r\n\r\nmore";
    let told = world.say(ask).await;
    assert_eq!(told.body(), "from the service");
    let carried = world.carried.lock().unwrap().clone();
    let asked = ask.replace("PORT", &world.port.to_string());
    assert_eq!(String::from_utf8(carried.concat()).unwrap(), asked);

    // A connection that began here stays here.
    let own = "GET /icon.svg HTTP/1.1\r\nhost: localhost:PORT\r\n\r\n";
    let other = "GET / HTTP/1.1\r\nhost: cart.localhost\r\nconnection: close\r\n\r\n";
    let told = world.say(&format!("{own}{other}")).await.0;
    assert!(told.contains("HTTP/1.1 421 "), "{told}");
    assert_eq!(world.carried.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_name_that_nobody_serves_is_said_to_be_nobodys() {
    let world = World::new(false);
    let told = world
        .say("GET / HTTP/1.1\r\nhost: cart.localhost:PORT\r\n\r\n")
        .await;
    assert_eq!(told.status(), "421");
    assert!(
        told.body().contains("No service is published here"),
        "{told:?}"
    );
}

#[tokio::test]
async fn both_loopback_addresses_are_the_same_place() {
    let world = World::new(false);
    let Ok(mut stream) = TcpStream::connect((std::net::Ipv6Addr::LOCALHOST, world.port)).await
    else {
        return;
    };
    let link = world.link();
    let port = world.port;
    let ask = format!("GET {link} HTTP/1.1\r\nhost: [::1]:{port}\r\nconnection: close\r\n\r\n");
    stream.write_all(ask.as_bytes()).await.unwrap();
    let mut told = String::new();
    stream.read_to_string(&mut told).await.unwrap();
    assert!(told.starts_with("HTTP/1.1 303 "), "{told}");
}
