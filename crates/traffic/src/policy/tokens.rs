//! Tokens that were proven, so that a signature is paid for once.

use alloc::{collections::BTreeMap, sync::Arc};
use core::cell::RefCell;
use core::mem;

use leno_jwt::{Proven, TokenHash};
use leno_model::Wall;

/// The tokens that one worker has proven, by their hashes: at most [`Tokens::MOST`], of which those that
/// nobody sends any more are forgotten. What is remembered is asked again, without its signature, whether its
/// time, its key and its audience still hold.
#[derive(Debug, Default)]
pub struct Tokens(RefCell<Generations>);

/// Those used lately, and those before.
#[derive(Debug, Default)]
struct Generations {
    young: BTreeMap<TokenHash, Arc<Proven>>,
    old: BTreeMap<TokenHash, Arc<Proven>>,
}

impl Tokens {
    /// How many are remembered.
    pub const MOST: usize = 2 * HALF;

    pub(super) fn get(&self, text: &str, now: Wall) -> Option<Arc<Proven>> {
        let mut all = self.0.borrow_mut();
        let hash = TokenHash::of(text);
        if let Some(proven) = all.young.get(&hash) {
            return Some(proven.clone());
        }
        let proven = all.old.remove(&hash).filter(|proven| now < proven.end())?;
        all.keep(hash, proven.clone());
        Some(proven)
    }

    pub(super) fn put(&self, text: &str, proven: &Arc<Proven>) {
        self.0
            .borrow_mut()
            .keep(TokenHash::of(text), proven.clone());
    }
}

impl Generations {
    fn keep(&mut self, hash: TokenHash, proven: Arc<Proven>) {
        if self.young.len() >= HALF {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(hash, proven);
    }
}

const HALF: usize = 512;

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use leno_jwt::{Audiences, Expected, Keys, Purpose, Token, verify};

    use super::*;

    #[test]
    fn the_table_is_bounded_and_keeps_what_is_used() {
        let token = concat!(
            "eyJhbGciOiJFUzI1NiJ9.",
            "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.",
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
        );
        let jwks = concat!(
            r#"{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","#,
            r#""y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#
        );
        let (keys, _) = Keys::read(jwks.as_bytes(), Purpose::Tokens).unwrap();
        let expected = Expected {
            issuer: Some("joe"),
            audiences: Audiences::Any,
        };
        let now = Wall::since_epoch(Duration::from_secs(1_300_000_000));
        let proven = verify(Token::read(token).unwrap(), &keys, &expected, now).unwrap();
        let proven = Arc::new(proven);
        let tokens = Tokens::default();
        tokens.put("used", &proven);
        for other in 0..10 * Tokens::MOST {
            tokens.put(&other.to_string(), &proven);
            assert!(tokens.get("used", now).is_some());
        }
        let all = tokens.0.borrow();
        assert!(all.young.len() + all.old.len() <= Tokens::MOST);
        drop(all);
        assert!(tokens.get("0", now).is_none());
    }
}
