//! The visitors: some people at once who look, fill their carts and mostly buy.

use std::io;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use leno_model::Dice;

use super::catalog::GOODS;
use super::http::Client;
use super::{dice, pause, work};

/// How many people visit at once.
const PEOPLE: usize = 4;

/// Visits until it is ended.
pub(super) fn visit() -> io::Result<()> {
    let dice = dice();
    thread::scope(|scope| {
        for _ in 0..PEOPLE {
            scope.spawn(|| {
                let web = Client::new("web");
                loop {
                    if come_by(&web, &dice).is_err() {
                        // Nobody knocks at a closed shop's door without pause.
                        pause(Duration::from_millis(50));
                    }
                }
            });
        }
    });
    Ok(())
}

/// One visit. What the shop answers is its own matter; that it answers at all is expected.
fn come_by(web: &Client, dice: &Mutex<Dice>) -> io::Result<()> {
    let roll = roll(dice);
    let who = format!("visitor-{}", roll % 1000);
    web.call("GET", "/")?;
    think(dice);
    for item in 0..=(roll >> 16) % 3 {
        // Of eight things that are bought one is a loom.
        let (what, _) = GOODS[[0, 0, 0, 1, 1, 1, 2, 3][(roll >> (24 + item * 3)) as usize % 8]];
        web.call("POST", &format!("/cart/{who}/{what}"))?;
        think(dice);
    }
    match (roll >> 40) % 10 {
        0 => web.call("GET", "/ledger")?,
        1..7 => web.call("POST", &format!("/order/{who}"))?,
        _ => return Ok(()),
    };
    think(dice);
    Ok(())
}

/// What people do between two clicks, faster than people.
fn think(dice: &Mutex<Dice>) {
    work(dice, 20, 120);
}

fn roll(dice: &Mutex<Dice>) -> u64 {
    dice.lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .next_u64()
}
