//! What the documentation says is tried as it stands there.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;

use leno_e2e::{World, run, until};

const PAGE: &str = include_str!("../../../../docs/reference/static-proxy.md");

/// The fenced blocks of one language, each with the text before it.
fn blocks(language: &str) -> Vec<(&'static str, &'static str)> {
    let mut parts = PAGE.split("```");
    let mut blocks = Vec::new();
    while let (Some(before), Some(block)) = (parts.next(), parts.next()) {
        let body = block.strip_prefix(language);
        blocks.extend(
            body.and_then(|body| body.strip_prefix('\n'))
                .map(|body| (before, body)),
        );
    }
    blocks
}

/// Kills what the page's commands leave behind.
struct Ended(PathBuf);

impl Drop for Ended {
    fn drop(&mut self) {
        for name in ["python", "cart", "web"] {
            let pid = fs::read_to_string(self.0.join(format!("{name}.pid")));
            // One that has ended already cannot be killed.
            drop(pid.map(|pid| {
                Command::new("kill")
                    .args(["-s", "KILL", pid.trim()])
                    .output()
            }));
        }
    }
}

#[test]
fn two_proxies_by_hand() {
    let world = World::new("mtls: Strict");
    // The page has the machine to itself; a test has a block of addresses.
    let ours = world.at("web", 0).ip().to_string();
    let (block, _) = ours.rsplit_once('.').unwrap();
    let local = |text: &str| text.replace("127.0.0.", &format!("{block}."));
    for (before, text) in blocks("yaml") {
        let name = before.rsplit('`').nth(1).unwrap();
        fs::write(world.folder().join(name), local(text)).unwrap();
    }
    let scripts = blocks("sh")
        .into_iter()
        .map(|(_, script)| world.shell(&local(script)));
    let [mut start, mut ask, mut watch, mut why, mut again, mut end] =
        <[_; 6]>::try_from(scripts.collect::<Vec<_>>()).unwrap();
    let _ended = Ended(world.folder().to_owned());
    let said = |name: &str, what: &str| {
        until(&format!("{what} by {name}"), || {
            let log = fs::read_to_string(world.folder().join(format!("{name}.log"))).ok()?;
            log.contains(what).then_some(())
        });
    };

    // A pipe would be held open by what goes on in the background.
    let log = File::create(world.folder().join("start.log")).unwrap();
    start.stdout(log.try_clone().unwrap()).stderr(log);
    assert!(start.status().unwrap().success());
    said("cart", "ready");
    said("web", "ready");

    let answers = until("the application", || {
        let answers = run(&mut ask);
        answers.contains("HTTP/1.1 200 OK").then_some(answers)
    });
    let refused = answers.split("HTTP/1.1 ").last().unwrap();
    assert!(refused.starts_with("403 Forbidden\r\n"), "{answers}");
    // The page shows this answer, without what says nothing, and with the name of another call.
    let (_, shown) = blocks("")[0];
    for line in shown.lines().skip(1).filter(|line| !line.is_empty()) {
        let same = line.split("f4ffebcb").next().unwrap();
        assert!(refused.contains(same), "{line} is not in {refused}");
    }

    let watched = run(&mut watch);
    assert!(
        watched.contains("shop/web") && watched.contains("leno_requests_total{"),
        "{watched}"
    );
    let why = why.output().unwrap();
    assert!(
        String::from_utf8_lossy(&why.stdout).contains("403 R003"),
        "{why:?}"
    );

    run(&mut again);
    said("cart", "read again");
    said("web", "read again");
    assert!(run(&mut ask).contains("HTTP/1.1 200 OK"));

    run(&mut end);
    until("the end", || {
        world
            .shell("! kill -0 $(cat web.pid) 2> gone.log")
            .status()
            .unwrap()
            .success()
            .then_some(())
    });
}
