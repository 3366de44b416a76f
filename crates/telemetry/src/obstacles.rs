//! What is in the way of the proxy of a node, as it finds it there: for its control plane.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use leno_model::{Code, Wall};
use tokio::sync::watch;

use crate::processes::Told;

/// What is in its way.
#[derive(Default, Debug)]
pub struct Obstacles(watch::Sender<Known>);

/// What is in its way by now, by what kind of trouble it is and what it is about.
pub type Known = BTreeMap<(Code, Arc<str>), Told>;

/// What an obstacle is about that is one for all pods of the node.
pub const HOST: &str = "host";

/// How long something is told that is over.
const NEWS: Duration = Duration::from_secs(600);

impl Obstacles {
    /// Of this kind there are these and no others, each about something and with a reason.
    pub fn are(&self, code: Code, all: impl IntoIterator<Item = (Arc<str>, String)>, now: Wall) {
        let all: BTreeMap<_, _> = all.into_iter().collect();
        self.0.send_if_modified(|known| {
            let before = known.len();
            known.retain(|(other, about), _| *other != code || all.contains_key(about));
            let is_less = known.len() < before;
            let news = all.into_iter().map(|(about, why)| {
                let about = (code, about);
                let told = known.get(&about);
                let is_new = told.is_none_or(|told| told.why != why);
                let at = told.map_or(now, |told| told.at);
                known.insert(about, Told { why, at });
                is_new
            });
            // Each is to be taken note of.
            news.filter(|is_new| *is_new).count() > 0 || is_less
        });
    }

    /// This happened and is over.
    pub fn was(&self, code: Code, about: Arc<str>, why: String, now: Wall) {
        self.0.send_modify(|known| {
            known.insert((code, about), Told { why, at: now });
        });
    }

    /// What happened of this kind long before `now` is no news any more.
    pub fn forget_news(&self, code: Code, now: Wall) {
        self.0.send_if_modified(|known| {
            let before = known.len();
            known.retain(|(other, _), told| *other != code || now.since(told.at) < NEWS);
            known.len() < before
        });
    }

    /// What is known, as it changes.
    pub fn known(&self) -> watch::Receiver<Known> {
        self.0.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_the_way_is_told_since_it_began_and_until_it_is_gone() {
        let obstacles = Obstacles::default();
        let at = |second| Wall::since_epoch(Duration::from_secs(second));
        let mut known = obstacles.known();
        let mut check = |is_changed, expect: &[&str]| {
            assert_eq!(known.has_changed().unwrap(), is_changed, "{expect:?}");
            let told = known.borrow_and_update();
            let told = told.iter().map(|((code, about), told)| {
                let at = told.at.elapsed_since_epoch().as_secs();
                format!("{code} {about} at {at}: {}", told.why)
            });
            assert_eq!(told.collect::<Vec<_>>(), expect);
        };
        let taken = |pods: &[(&str, &str)], second| {
            let pods = pods.iter().map(|(pod, why)| ((*pod).into(), (*why).into()));
            obstacles.are(Code::H018, pods, at(second));
        };
        taken(&[], 1);
        check(false, &[]);
        taken(&[("shop/web", "no port"), ("shop/cart", "no right")], 2);
        let cart = "H018 shop/cart at 2: no right";
        check(true, &[cart, "H018 shop/web at 2: no port"]);
        taken(&[("shop/web", "no port"), ("shop/cart", "no right")], 3);
        check(false, &[cart, "H018 shop/web at 2: no port"]);
        let put_back = |second| {
            let why = "it was gone".to_owned();
            obstacles.was(Code::H016, "host".into(), why, at(second));
        };
        put_back(4);
        taken(&[("shop/cart", "no memory")], 5);
        let gone = "H016 host at 4: it was gone";
        check(true, &[gone, "H018 shop/cart at 2: no memory"]);
        put_back(6);
        obstacles.forget_news(Code::H016, at(605));
        let gone = "H016 host at 6: it was gone";
        check(true, &[gone, "H018 shop/cart at 2: no memory"]);
        obstacles.forget_news(Code::H016, at(606));
        check(true, &["H018 shop/cart at 2: no memory"]);
        taken(&[], 607);
        check(true, &[]);
    }
}
