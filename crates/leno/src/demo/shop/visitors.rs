//! The visitors: some people at once who look, fill their carts and mostly buy; and somebody who
//! counts them.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use leno_model::Dice;

use super::catalog::GOODS;
use super::http::{self, Client, Reply};
use super::{PORT, WEB_PORT, dice, pause, work};

/// How many people visit at once.
const PEOPLE: usize = 4;

/// After how many visits somebody begins anew, and by how many the people are apart.
const TURNS: usize = 10;
const APART: usize = 3;

/// Visits until it is ended; `GET /` says how often.
pub(super) fn visit() -> io::Result<()> {
    let visits = Arc::new(AtomicU64::new(0));
    for person in 0..PEOPLE {
        let visits = visits.clone();
        thread::spawn(move || {
            let (web, dice) = (Client::at_port("web", WEB_PORT), dice());
            let mut turn = person * APART;
            loop {
                match come_by(&web, &dice, turn % TURNS) {
                    Ok(()) => {
                        turn += 1;
                        visits.fetch_add(1, Ordering::Relaxed);
                    }
                    // Nobody knocks at a closed shop's door without pause.
                    Err(_closed) => pause(Duration::from_millis(50)),
                }
            }
        });
    }
    http::serve(PORT, move |_| {
        let visits = visits.load(Ordering::Relaxed);
        Ok(Reply::new(200, format!("{visits} visits")))
    })
}

/// One visit, which ends as its turn is: the very first asks for what nobody may see, so that every demo has a refusal to
/// explain. What the shop answers is its own matter; that it answers at all is expected.
fn come_by(web: &Client, dice: &Mutex<Dice>, turn: usize) -> io::Result<()> {
    let roll = roll(dice);
    let who = format!("visitor-{}", roll % 1000);
    web.call("GET", "/")?;
    think(dice);
    for item in 0..=(roll >> 16) % 3 {
        let (what, _) = GOODS[(roll >> (24 + item * 2)) as usize % GOODS.len()];
        web.call("POST", &format!("/cart/{who}/{what}"))?;
        think(dice);
    }
    match turn {
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
