//! JWT-SVIDs: asked for once, given to whoever wants the same while half of their life is left; and the
//! judgement of those that others show.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use leno_channel::Clocks;
use leno_identity::TOKEN_LIFE;
use leno_jwt::{Audiences, Claims, Expected, Keys, Purpose, Token, verify};
use leno_model::{Mono, SpiffeId, TrustDomain, Wall};
use tokio::time::timeout;

use crate::Authority;
use crate::served::Served;

/// How many tokens are kept for those who ask again.
const MOST_KEPT: usize = 1024;

/// How long the authority may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Tokens, and who signs them.
pub(crate) struct Tokens {
    authority: Arc<dyn Authority>,
    clocks: Clocks,
    kept: Mutex<BTreeMap<(SpiffeId, Vec<String>), Kept>>,
}

struct Kept {
    token: String,
    until: Mono,
}

impl Tokens {
    pub(crate) fn new(authority: Arc<dyn Authority>, clocks: Clocks) -> Self {
        Self {
            authority,
            clocks,
            kept: Mutex::default(),
        }
    }

    /// A token of `id` for `audiences` that is good for at least half of a token's life.
    pub(crate) async fn of(&self, id: &SpiffeId, audiences: &[String]) -> Result<String, String> {
        let key = (id.clone(), audiences.to_vec());
        let now = self.clocks.mono();
        {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.retain(|_, kept| now < kept.until);
            if let Some(kept) = kept.get(&key) {
                return Ok(kept.token.clone());
            }
        }
        let asked = timeout(PATIENCE, self.authority.token(id, audiences)).await;
        let token = asked.unwrap_or_else(|_| Err("the authority has not answered".to_owned()))?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < MOST_KEPT {
            let until = now + TOKEN_LIFE / 2;
            let token = token.clone();
            kept.insert(key, Kept { token, until });
        }
        Ok(token)
    }
}

/// Whom a token names and what it says, if the keys of its trust domain prove it for `audience` at `now`.
pub(crate) fn judge(
    token: &str,
    audience: &str,
    served: &Served,
    now: Wall,
) -> Result<(String, Claims), String> {
    let token = Token::read(token).map_err(|why| why.to_string())?;
    //= JWT-SVID section 3.1: the subject is the SPIFFE ID of whom the token was given to.
    let claimed = token.claimed_subject().map(str::to_owned);
    let claimed = claimed.ok_or("the token names nobody (sub)")?;
    let domain = TrustDomain::of_id(&claimed).ok_or("the token's subject is not a SPIFFE ID")?;
    let keys = served.token_keys.get(&domain);
    let keys = keys.ok_or_else(|| format!("no keys of {domain} are trusted here"))?;
    let read = Keys::read(keys.as_bytes(), Purpose::JwtSvids);
    let (keys, _) = read.map_err(|why| why.to_string())?;
    let audiences = [audience.to_owned()];
    let expected = Expected {
        issuer: None,
        audiences: Audiences::OneOf(&audiences),
    };
    let proven = verify(token, &keys, &expected, now).map_err(|why| why.to_string())?;
    let is_revoked = SpiffeId::parse(&claimed).is_ok_and(|id| served.revoked.contains(&id));
    match is_revoked {
        true => Err(format!("{claimed} is revoked")),
        false => Ok((claimed, proven.claims().clone())),
    }
}
