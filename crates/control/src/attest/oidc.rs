//! A token of somebody else's: of a CI system, a cloud, a cluster. It proves whom a `MeshWorkload` says it
//! to prove (`spec.attestation.tokens`), if the keys of its issuer prove it (`Mesh.spec.tokenIssuers`).

use std::collections::BTreeSet;

use leno_channel::grpc::{Status, StatusCode};
use leno_compile::TokenMatch;
use leno_jwt::{Audiences, Claims, Expected, Keys, Token, Value, WhyNot, verify};
use leno_model::Code;

use super::{Attested, Evidence, NotAttested, Wanted, account};
use crate::center::Center;

/// A token, as its bearer shows it.
pub(crate) struct OidcToken {
    pub(crate) text: String,
}

impl Evidence for OidcToken {
    fn shown(&self) -> String {
        let read = Token::read(&self.text).ok();
        let issuer = read.as_ref().and_then(Token::claimed_issuer);
        let subject = read.as_ref().and_then(Token::claimed_subject);
        let said = |said: Option<&str>| format!("{:.200?}", said.unwrap_or("nobody"));
        format!("a token of {} about {}", said(issuer), said(subject))
    }

    fn attest(&self, center: &Center, wanted: &Wanted) -> Result<Attested, NotAttested> {
        let token = Token::read(&self.text).map_err(NotAttested::refused)?;
        let claimed = token.claimed_issuer().unwrap_or_default().to_owned();
        if let Some((issuer, keys)) = center.accounts.held()
            && *issuer == *claimed
        {
            return account::attest(center, token, (&issuer, &keys), wanted);
        }
        let edition = center.edition();
        let mut issuers = edition.mesh.token_issuers.iter();
        let issuer = issuers.find(|(_, issuer)| *issuer.issuer == *claimed);
        let unknown = || format!("Mesh.spec.tokenIssuers names no issuer {claimed:.200?}");
        let (name, issuer) = issuer.ok_or_else(|| NotAttested::refused(unknown()))?;
        let keys = center.issuers.keys_of(name, issuer);
        let look_again = || center.issuers.look_again();
        let keys = keys.map_err(|why| without_keys(&why, look_again))?;
        let audiences: Vec<_> = issuer.audiences.iter().map(ToString::to_string).collect();
        let expected = Expected {
            issuer: Some(&issuer.issuer),
            audiences: Audiences::OneOf(&audiences),
        };
        let none = Keys::default();
        let keys = keys.as_deref().unwrap_or(&none);
        let proven = verify(token, keys, &expected, center.clocks.now().wall);
        let proven = proven.map_err(|why| unproven(why, look_again))?;
        let claims = proven.claims();
        let instances = edition.mesh.instances.values();
        let matching: BTreeSet<_> = instances
            .filter(|instance| instance.tokens.iter().any(|one| takes(one, name, claims)))
            .map(|instance| instance.workload.identity.clone())
            .collect();
        let chosen = wanted.choose(matching, || {
            format!("no MeshWorkload takes a token of {name} that says what this one says")
        });
        chosen.map(Attested::from)
    }
}

/// A token is not proven by the keys that are held. Perhaps its issuer has some that it had not when it was asked.
pub(super) fn unproven(why: WhyNot, look_again: impl FnOnce()) -> NotAttested {
    match &why {
        WhyNot::NoKeys | WhyNot::KeyUnknown(_) | WhyNot::NoKeyFits => {
            without_keys(&why, look_again)
        }
        _ => NotAttested::refused(&why),
    }
}

/// The keys that are held do not prove it; others are asked for.
fn without_keys(why: &dyn ToString, look_again: impl FnOnce()) -> NotAttested {
    look_again();
    let why = why.to_string();
    let (code, slug) = (Code::T022, Code::T022.slug());
    let message = format!("{code} {slug}: {why}; its keys are asked for again: try again");
    NotAttested {
        code,
        told: Status::new(StatusCode::Unavailable, message),
        why,
    }
}

/// Whether a token of this issuer that says this is one of those that are taken.
fn takes(demand: &TokenMatch, issuer: &leno_model::Name, claims: &Claims) -> bool {
    demand.issuer == *issuer
        && !demand.claims.is_empty()
        && demand.claims.iter().all(|demand| {
            let said = claims.get(&demand.name);
            said.is_some_and(|said| demand.values.iter().any(|value| says(said, value)))
        })
}

/// Whether a claim is, or lists, a value.
fn says(said: &Value, value: &str) -> bool {
    match said {
        Value::String(text) => text == value,
        Value::Bool(said) => said.to_string() == value,
        Value::Number(number) => number.to_string() == value,
        Value::Array(several) => several.iter().any(|said| said.as_str() == Some(value)),
        Value::Null | Value::Object(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use leno_compile::ClaimMatch;
    use leno_model::Name;

    use super::*;

    #[test]
    fn a_token_must_say_all_that_is_demanded() {
        let claims = br#"{"sub":"7","ref":"main","groups":["ops","dev"],"protected":true,
                          "kubernetes.io":{"namespace":"shop"}}"#;
        let claims = Claims::read(claims).unwrap();
        let check = |demands: &[(&str, &[&str])], expect: bool| {
            let demanded = demands.iter().map(|(name, values)| ClaimMatch {
                name: Arc::from(*name),
                values: values.iter().map(|value| Arc::from(*value)).collect(),
            });
            let demand = TokenMatch {
                issuer: Name::new("gitlab").unwrap(),
                claims: demanded.collect(),
            };
            let taken = takes(&demand, &Name::new("gitlab").unwrap(), &claims);
            assert_eq!(taken, expect, "{demands:?}");
            assert!(!takes(&demand, &Name::new("github").unwrap(), &claims));
        };
        check(&[], false);
        check(&[("ref", &["main", "release"])], true);
        check(&[("ref", &["main"]), ("sub", &["8"])], false);
        check(&[("groups", &["dev"]), ("protected", &["true"])], true);
        check(&[("groups", &["[\"ops\",\"dev\"]"])], false);
        check(&[("/kubernetes.io/namespace", &["shop"])], true);
        check(&[("kubernetes.io", &["shop"])], false);
        check(&[("absent", &[""])], false);
    }
}
