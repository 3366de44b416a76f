//! The answers about who is believed: roots, certificates, other trust domains.

use serde::{Deserialize, Serialize};

use crate::answer::Status;

/// Whom the mesh trusts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Trust {
    /// How the control plane is.
    pub status: Status,
    /// The mesh's own trust domain.
    pub trust_domain: String,
    /// SHA-256 of the root, in hex.
    pub root: String,
    /// Since when the root stands, in RFC 3339.
    #[serde(default)]
    pub root_begins: String,
    /// When the root ends, in RFC 3339.
    pub root_ends: String,
    /// The roots that prove identities, in the order in which they came; the one above signs.
    #[serde(default)]
    pub roots: Vec<RootState>,
    /// What happens next to them.
    #[serde(default)]
    pub next_root: Option<NextRoot>,
    /// Since when the intermediate stands, in RFC 3339.
    #[serde(default)]
    pub intermediate_begins: String,
    /// When the intermediate ends, in RFC 3339; it is renewed long before.
    pub intermediate_ends: String,
    /// The authority outside that signed the intermediate, if one did: `vault https://vault:8200 pki`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intermediate_source: Option<String>,
    /// Why the authority that is to sign the next one does not, if it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_ca: Option<Box<FailingCa>>,
    /// How long a workload's certificate lives, in seconds.
    pub lifetime_seconds: u64,
    /// The certificates of the proxies that are connected, by identity.
    pub certificates: Vec<CertificateState>,
    /// Identities that are refused.
    pub revoked: Vec<RevokedIdentity>,
    /// Other trust domains whose identities are believed.
    #[serde(default)]
    pub peers: Vec<PeerState>,
}

/// Another trust domain whose identities are believed, or would be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PeerState {
    /// Which.
    pub trust_domain: String,
    /// What its `MeshPeer` is called.
    pub name: String,
    /// Where its keys come from, in words; empty for who may not know.
    pub from: String,
    /// How many roots prove its identities. Without any, and without keys for tokens, nobody of it is believed.
    pub roots: u64,
    /// When the last of its roots ends, in RFC 3339.
    pub ends: Option<String>,
    /// Whether there are keys that prove its tokens.
    pub proves_tokens: bool,
    /// The sequence of its keys, if it says one.
    pub sequence: Option<u64>,
    /// When they were got, in RFC 3339; absent where they were written down, or there are none.
    pub got: Option<String>,
    /// What went wrong when they were looked for last, if something did.
    pub trouble: Option<PeerTrouble>,
}

/// Why the keys of another trust domain are not what they should be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PeerTrouble {
    /// The code: `T023`.
    pub code: String,
    /// The same in words: `peer-keys-not-had`.
    pub slug: String,
    /// In words.
    pub why: String,
    /// Since when, in RFC 3339.
    pub since: String,
}

/// What proves the mesh's identities to others.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OwnBundle {
    /// How the control plane is.
    pub status: Status,
    /// The mesh's own trust domain.
    pub trust_domain: String,
    /// The SPIFFE bundle.
    pub bundle: String,
    /// Where others get it, by the address that proxies use.
    pub endpoint: String,
    /// Who answers there.
    pub identity: String,
    /// Whether anybody is answered there: that takes a `MeshPeer`.
    pub is_served: bool,
}

/// Why the authority that signs intermediates gives none.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FailingCa {
    /// Which: `vault https://vault:8200 pki`.
    pub source: String,
    /// The code: `T007`.
    pub code: String,
    /// The same in words: `certificate-not-renewing`.
    pub slug: String,
    /// What it said last, or what of it cannot be used.
    pub why: String,
    /// How often it was asked.
    pub count: u32,
    /// Since when, in RFC 3339.
    pub since: String,
    /// Where it is written: `mesh.yaml:21`.
    pub place: String,
}

/// Where a root is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RootStage {
    /// It is to sign next.
    Announced,
    /// It signs.
    Active,
    /// It stays for what it signed.
    Leaving,
}

/// What happens to roots.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RootStep {
    /// The next one is put into bundles.
    Announce,
    /// It signs.
    Activate,
}

/// One of the roots that replace each other.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RootState {
    /// SHA-256 of it, in hex.
    pub fingerprint: String,
    /// Where it is in its life.
    pub stage: RootStage,
    /// Since when, in RFC 3339.
    pub since: String,
    /// Since when it stands, in RFC 3339.
    pub begins: String,
    /// When it ends, in RFC 3339.
    pub ends: String,
    /// When the last certificate ends that leads to it, in RFC 3339.
    pub needed_until: String,
}

/// What happens next to the roots.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NextRoot {
    /// What.
    pub step: RootStep,
    /// When, in RFC 3339; where it waits for somebody, at the latest.
    pub due: String,
    /// How many have certificates.
    pub holders: u64,
    /// How many of them are known to hold all roots.
    pub confirmed: u64,
    /// Those for whom it waits.
    pub silent: Vec<SilentHolder>,
    /// Until when it waits for other trust domains to look at it, in RFC 3339, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abroad: Option<String>,
}

/// Somebody who is not known to hold all roots.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SilentHolder {
    /// What it calls itself; empty where it never said.
    pub name: String,
    /// Whom its certificate proves.
    pub identity: String,
    /// When something was last heard of it, in RFC 3339.
    pub seen: String,
    /// When its certificate ends, and nobody waits for it any more, in RFC 3339.
    pub ends: String,
}

/// For how long proxies are let in again whose certificates have ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Readmitting {
    /// How the control plane is.
    pub status: Status,
    /// Until when, in RFC 3339; absent where they are not.
    pub until: Option<String>,
    /// Those who ask.
    pub waiting: Vec<Waiting>,
}

/// Somebody whose certificate has ended and who asks for another.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Waiting {
    /// Who it was.
    pub identity: String,
    /// When it asked last, in RFC 3339.
    pub asked: String,
}

/// What became of a wish for another root.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Rotated {
    /// How the control plane is.
    pub status: Status,
    /// Whether anything changed.
    pub done: bool,
    /// Whether nobody was to be waited for.
    pub forced: bool,
    /// The roots as they are from here on.
    pub roots: Vec<RootState>,
    /// What happens next.
    pub next: NextRoot,
    /// Those who did not hold the announced root: they refuse what it signs until they hear of it.
    pub broken: Vec<SilentHolder>,
    /// The trust domains of others that may not have looked since it was announced: until they do, they
    /// refuse what it signs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub abroad: Vec<String>,
}

/// The certificates for one identity.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CertificateState {
    /// Whose.
    pub identity: String,
    /// How many proxies have one.
    pub proxies: u64,
    /// When the first of them ends, in RFC 3339, as far as that is known.
    pub ends: Option<String>,
    /// When that one was given, in RFC 3339, as far as that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewed: Option<String>,
    /// Why one of them could not be renewed.
    pub failed: Option<String>,
    /// How that goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing: Option<FailingRenewal>,
}

/// Renewals of a certificate that fail, one after another.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FailingRenewal {
    /// The code: `T007`.
    pub code: String,
    /// The same in words: `certificate-not-renewing`.
    pub slug: String,
    /// How many have failed.
    pub count: u32,
    /// Since when, in RFC 3339.
    pub since: String,
}

/// An identity that is refused.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RevokedIdentity {
    /// Which.
    pub identity: String,
    /// Since when, in RFC 3339.
    pub at: String,
    /// By whom.
    pub who: String,
    /// Why.
    pub reason: String,
}

/// What became of a revocation.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Revoked {
    /// How the control plane is.
    pub status: Status,
    /// Whom it is about.
    pub identity: String,
    /// Whether anything changed.
    pub changed: bool,
}

/// What became of certificates that were to be renewed at once.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Renewed {
    /// How the control plane is.
    pub status: Status,
    /// Whose certificates.
    pub identity: String,
    /// Whether nothing was asked for.
    pub dry_run: bool,
    /// Until when a certificate stands that is signed at this moment, in RFC 3339.
    pub would_end: String,
    /// The proxies that act as it, by name.
    pub proxies: Vec<RenewedAt>,
}

/// What became of it at one proxy.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RenewedAt {
    /// What the proxy calls itself.
    pub proxy: String,
    /// When the certificate ended that it had, in RFC 3339, as far as that is known.
    pub ended: Option<String>,
    /// When the one ends that it was given, in RFC 3339; absent where nothing was tried or it failed.
    pub ends: Option<String>,
    /// Why it was not renewed, if it was tried.
    pub failed: Option<String>,
}
