//! From `spec.jwt` to whose tokens are believed. What cannot be read leaves nobody in.

use alloc::{
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use core::time::Duration;

use leno_jwt::{Keys, Purpose};
use leno_model::view::access::{
    ClaimHeader, IssuerKeys, Jwt, JwtIssuer, KeyPlace, KeySource, TokenPlace,
};
use leno_model::{Code, Notes};
use leno_resources::policy::{self, AccessJwt, AccessPolicySpec, Jwks};
use leno_resources::{List, Object};

use super::read::carried;
use crate::finding::{self, Complete};

/// What `spec.jwt` means; `None` if some of it cannot be carried out.
pub(super) fn read(
    object: &Object<AccessPolicySpec>,
    written: &AccessJwt,
    notes: &mut Notes,
) -> Option<Jwt> {
    let required = written.required.unwrap_or_default();
    let required = required.then(|| object.origin("/spec/jwt/required"));
    let mut jwt = Jwt {
        required: required.into_iter().collect(),
        issuers: Vec::new(),
    };
    for (index, issuer) in written.issuers.iter().enumerate() {
        let pointer = format!("/spec/jwt/issuers/{index}");
        jwt.issuers.push(
            Reader {
                object,
                pointer,
                notes,
            }
            .issuer(issuer.sound()?)?,
        );
    }
    Some(jwt)
}

struct Reader<'a> {
    object: &'a Object<AccessPolicySpec>,
    pointer: String,
    notes: &'a mut Notes,
}

impl Reader<'_> {
    fn issuer(&mut self, written: &policy::JwtIssuer) -> Option<JwtIssuer> {
        let policy::JwtIssuer {
            issuer,
            audiences,
            jwks,
            from,
            forward,
            claims_to_headers,
        } = written;
        let audiences = sound(audiences)?;
        let for_anybody = audiences.iter().any(|audience| &***audience == "*");
        let mut places = Vec::new();
        for (index, place) in sound(from)?.into_iter().enumerate() {
            places.push(match (&place.header, &place.cookie) {
                (Some(header), _) => TokenPlace::Header {
                    name: self.header(header, &format!("/from/{index}/header"))?,
                    prefix: place.prefix.clone().unwrap_or_default(),
                },
                (None, cookie) => TokenPlace::Cookie(cookie.clone()?),
            });
        }
        if places.is_empty() {
            places.push(TokenPlace::Header {
                name: "authorization".into(),
                prefix: "Bearer ".into(),
            });
        }
        let mut claims = Vec::new();
        for (index, told) in sound(claims_to_headers)?.into_iter().enumerate() {
            claims.push(ClaimHeader {
                claim: told.claim.clone(),
                header: self.header(&told.header, &format!("/claimsToHeaders/{index}/header"))?,
            });
        }
        Some(JwtIssuer {
            origin: self.object.origin(&self.pointer),
            issuer: issuer.clone(),
            audiences: (!for_anybody).then(|| audiences.iter().map(ToString::to_string).collect()),
            from: places,
            forward: forward.unwrap_or_default(),
            claims,
            keys: self.keys(jwks)?,
        })
    }

    /// A header that tokens or claims may stand in.
    fn header(&mut self, name: &str, at: &str) -> Option<Arc<str>> {
        let pointer = format!("{}{at}", self.pointer);
        carried(self.object, &pointer, name, self.notes)
    }

    /// Where keys come from, or those that are written, of which what is not used is noted.
    fn keys(&mut self, written: &Jwks) -> Option<IssuerKeys> {
        let place = match (&written.file, &written.url) {
            (Some(file), _) => Some(KeyPlace::File(file.clone())),
            (None, Some(url)) => Some(KeyPlace::Url(url.clone())),
            (None, None) => None,
        };
        if let Some(place) = place {
            return Some(IssuerKeys {
                source: Some(KeySource {
                    place,
                    every: written.every.unwrap_or(EVERY),
                    keep: written.keep.unwrap_or(KEEP),
                }),
                jwks: None,
                until: None,
            });
        }
        let jwks = written.inline.clone()?;
        let pointer = format!("{}/jwks/inline", self.pointer);
        match Keys::read(jwks.as_bytes(), Purpose::Tokens) {
            Ok((keys, skipped)) => {
                for key in &skipped {
                    let note = finding::warning(self.object, &pointer, Code::C151, key.to_string());
                    self.notes
                        .push(note.in_force("tokens that it signed are refused"));
                }
                if keys.is_empty() {
                    let message = "no key in it can prove a token".to_string();
                    let note = finding::error(self.object, &pointer, Code::C151, message);
                    self.notes
                        .push(note.in_force("every token of this issuer is refused"));
                }
            }
            Err(why) => {
                let note = finding::error(self.object, &pointer, Code::C151, why.to_string());
                self.notes
                    .push(note.in_force("every token of this issuer is refused"));
            }
        }
        Some(IssuerKeys {
            source: None,
            jwks: Some(jwks),
            until: None,
        })
    }
}

/// How often keys are looked at again.
const EVERY: Duration = Duration::from_secs(5 * 60);

/// For how long keys are good that could not be looked at again.
const KEEP: Duration = Duration::from_secs(24 * 60 * 60);

/// All entries, if each of them can be read.
fn sound<T>(written: &List<T>) -> Option<Vec<&T>> {
    written.iter().map(|part| part.sound()).collect()
}
