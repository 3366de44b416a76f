//! Who may look: links that are good once, and the visits they become. Time is passed in.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use leno_model::Mono;

/// 128 bits that nobody can guess; printed as 32 hexadecimal digits.
#[derive(Clone, Copy)]
pub(crate) struct Secret([u8; BYTES]);

const BYTES: usize = 16;

impl Secret {
    pub(crate) fn new() -> Self {
        let mut bytes = [0; BYTES];
        aws_lc_rs::rand::fill(&mut bytes).expect("the system gives chance, or nothing is safe");
        Self(bytes)
    }

    /// Whether `told` is this secret. How long that takes tells nothing about it.
    pub(crate) fn is(&self, told: &str) -> bool {
        let Some(told) = read_hex(told) else {
            return false;
        };
        verify_slices_are_equal(&self.0, &told).is_ok()
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

fn read_hex(text: &str) -> Option<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != BYTES || !rest.is_empty() {
        return None;
    }
    let digit = |digit: u8| char::from(digit).to_digit(16);
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()?;
    }
    Some(bytes)
}

/// Someone who came by a link. Only [`Access`] makes one, and no page is made without.
pub(crate) struct Visitor(());

/// The links that were given out and the visits that go on.
pub(crate) struct Access {
    links: Shelf,
    visits: Shelf,
}

impl Access {
    pub(crate) fn new() -> Self {
        Self {
            links: Shelf::new(MOST_LINKS, LINK_LIFE),
            visits: Shelf::new(MOST_VISITS, VISIT_LIFE),
        }
    }

    /// Makes a link's token.
    pub(crate) fn invite(&mut self, now: Mono) -> Secret {
        self.links.add(now)
    }

    /// Takes a link's token, which is then good for nothing; gives what proves the visit.
    pub(crate) fn enter(&mut self, token: &str, now: Mono) -> Option<Secret> {
        let at = self.links.find(token, now)?;
        self.links.held.remove(at);
        Some(self.visits.add(now))
    }

    /// Whoever proves a visit by one of `proofs`.
    pub(crate) fn admit<'a>(
        &mut self,
        mut proofs: impl Iterator<Item = &'a str>,
        now: Mono,
    ) -> Option<Visitor> {
        proofs
            .any(|proof| self.visits.find(proof, now).is_some())
            .then_some(Visitor(()))
    }
}

/// Secrets that are good for a while. Where there is no room, the oldest makes it.
struct Shelf {
    held: VecDeque<(Secret, Mono)>,
    most: usize,
    life: Duration,
}

impl Shelf {
    fn new(most: usize, life: Duration) -> Self {
        Self {
            held: VecDeque::new(),
            most,
            life,
        }
    }

    fn add(&mut self, now: Mono) -> Secret {
        if self.held.len() >= self.most {
            self.held.pop_front();
        }
        let secret = Secret::new();
        self.held.push_back((secret, now + self.life));
        secret
    }

    fn find(&mut self, told: &str, now: Mono) -> Option<usize> {
        self.held.retain(|(_, until)| now < *until);
        self.held.iter().position(|(secret, _)| secret.is(told))
    }
}

/// How long a link is good that nobody follows.
const LINK_LIFE: Duration = Duration::from_secs(3600);

/// How long a visit goes on before another link is needed.
const VISIT_LIFE: Duration = Duration::from_secs(24 * 3600);

const MOST_LINKS: usize = 16;
const MOST_VISITS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn after(seconds: u64) -> Mono {
        Mono::since_start(Duration::from_secs(seconds))
    }

    fn admits(access: &mut Access, proof: Secret, now: Mono) -> bool {
        let proof = proof.to_string();
        access.admit(["", "zz", &proof].into_iter(), now).is_some()
    }

    #[test]
    fn a_link_is_good_once_and_becomes_a_visit() {
        let mut access = Access::new();
        let link = access.invite(after(0)).to_string();
        assert!(
            access
                .admit([link.as_str()].into_iter(), after(0))
                .is_none()
        );
        let visit = access.enter(&link, after(1)).unwrap();
        assert!(access.enter(&link, after(1)).is_none());
        assert!(access.enter(&visit.to_string(), after(1)).is_none());
        assert!(admits(&mut access, visit, after(1)));
        assert!(!admits(&mut access, Secret::new(), after(1)));
        assert!(access.admit([].into_iter(), after(1)).is_none());
    }

    #[test]
    fn links_and_visits_end() {
        let mut access = Access::new();
        let early = access.invite(after(0)).to_string();
        let late = access.invite(after(3599)).to_string();
        assert!(access.enter(&early, after(3600)).is_none());
        let visit = access.enter(&late, after(3600)).unwrap();
        let day = 24 * 3600;
        assert!(admits(&mut access, visit, after(3599 + day)));
        assert!(!admits(&mut access, visit, after(3600 + day)));
    }

    #[test]
    fn the_oldest_makes_room() {
        let mut access = Access::new();
        let links: Vec<_> = (0..=MOST_LINKS).map(|_| access.invite(after(0))).collect();
        let visits = links
            .iter()
            .map(|link| access.enter(&link.to_string(), after(0)).is_some());
        let visits: Vec<_> = visits.collect();
        assert_eq!(
            visits.iter().filter(|entered| **entered).count(),
            MOST_LINKS
        );
        assert!(!visits[0]);
    }

    #[test]
    fn only_its_own_digits_are_a_secret() {
        let secret = Secret([0xab; BYTES]);
        let text = "ab".repeat(BYTES);
        assert_eq!(secret.to_string(), text);
        assert!(secret.is(&text));
        for other in [
            "",
            "ab",
            &text[1..],
            &format!("{text}a"),
            &format!("{text}ab"),
        ] {
            assert!(!secret.is(other), "{other}");
        }
        assert!(!secret.is(&"+b".repeat(BYTES)));
        assert!(!secret.is(&"ä".repeat(BYTES)));
    }
}
