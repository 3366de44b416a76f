//! What proves, without a join token, that somebody is a workload: whose tokens the mesh takes, and which
//! of them make their bearer whom. One demand that is not understood lets nobody in.

use alloc::{collections::BTreeMap, format, sync::Arc, vec::Vec};

use leno_model::{Code, Name, Notes};
use leno_resources::mesh::{self, MeshSpec, MeshWorkloadSpec, TokenDemand};
use leno_resources::{Object, Part};

use crate::finding::{self, Complete};

/// Somebody whose tokens prove who a proxy is that joins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TokenIssuer {
    /// What its tokens say of it (`iss`).
    pub issuer: Arc<str>,
    /// For whom its tokens must be: one of these.
    pub audiences: Vec<Arc<str>>,
    /// Where its keys are.
    pub keys: KeysFrom,
    /// A file with the roots that prove who answers; else those of the host.
    pub roots_file: Option<Arc<str>>,
}

/// Where the keys of an issuer are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeysFrom {
    /// Where it says itself.
    Discovery,
    /// At this URL.
    Url(Arc<str>),
    /// In this file.
    File(Arc<str>),
}

/// A token that makes its bearer a workload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TokenMatch {
    /// Who must have issued it, as the mesh calls it.
    pub issuer: Name,
    /// What it must say: all of these, and there is one.
    pub claims: Vec<ClaimMatch>,
}

/// What a token must say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClaimMatch {
    /// The claim, or a JSON pointer.
    pub name: Arc<str>,
    /// What it must be, or list: one of these.
    pub values: Vec<Arc<str>>,
}

/// The issuers that a mesh names.
pub(crate) fn issuers(spec: &MeshSpec) -> BTreeMap<Name, TokenIssuer> {
    let sound = spec.token_issuers.iter().filter_map(Part::sound);
    let issuer = |written: &mesh::TokenIssuer| {
        let audiences = written.audiences.sound()?.into_iter().cloned().collect();
        let issuer = TokenIssuer {
            issuer: written.issuer.clone(),
            audiences,
            keys: match (&written.keys_url, &written.keys_file) {
                (Some(url), _) => KeysFrom::Url(url.clone()),
                (None, Some(file)) => KeysFrom::File(file.clone()),
                (None, None) => KeysFrom::Discovery,
            },
            roots_file: written.roots_file.clone(),
        };
        Some((written.name.clone(), issuer))
    };
    sound.filter_map(issuer).collect()
}

/// The tokens that make their bearers this workload.
pub(crate) fn tokens(
    object: &Object<MeshWorkloadSpec>,
    spec: &MeshWorkloadSpec,
    issuers: &BTreeMap<Name, TokenIssuer>,
    notes: &mut Notes,
) -> Arc<[TokenMatch]> {
    let written = spec.attestation.iter().flat_map(|said| said.tokens.iter());
    let mut tokens = Vec::new();
    for (index, demand) in written.enumerate() {
        let Some(demand) = demand.sound() else {
            continue;
        };
        if !issuers.contains_key(&demand.issuer) {
            let pointer = format!("/spec/attestation/tokens/{index}/issuer");
            let message = format!("Mesh.spec.tokenIssuers has no issuer {}", demand.issuer);
            notes.push(
                finding::error(object, &pointer, Code::C159, message)
                    .in_force("this entry lets nobody in"),
            );
        }
        tokens.extend(token(demand));
    }
    tokens.into()
}

fn token(demand: &TokenDemand) -> Option<TokenMatch> {
    let claims = demand.claims.sound()?.into_iter().map(|claim| {
        Some(ClaimMatch {
            name: claim.name.clone(),
            values: claim.values.sound()?.into_iter().cloned().collect(),
        })
    });
    Some(TokenMatch {
        issuer: demand.issuer.clone(),
        claims: claims.collect::<Option<_>>()?,
    })
}
