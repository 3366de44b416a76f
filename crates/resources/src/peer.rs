//! `MeshPeer`: another trust domain whose identities are believed, and how its keys are had.

use alloc::{format, sync::Arc};

use leno_model::{Code, TrustDomain};

use crate::decode::{Reader, choice, object};
use crate::form;

object! {
    /// Another trust domain whose identities are believed here: that of another mesh, or of SPIRE. What its
    /// callers may do, AccessPolicies say: a default of `Allow` is not about them.
    pub struct MeshPeerSpec checked by keys_can_be_had
        where "has(self.bundle) || has(self.endpoint)" else "one of bundle and endpoint is expected: nothing proves its identities else"
        where "!has(self.endpoint) || !has(self.bundle) || !has(self.bundle.file)" else "a file is looked at again and again itself: say inline here, or leave the endpoint out"
        where "!has(self.endpoint) || self.endpoint.profile != 'Spiffe' || has(self.bundle)" else "the first connection to an endpoint that proves itself by SPIFFE needs a bundle: `leno certs bundle` of the other mesh prints it"
        where "!has(self.endpoint) || !has(self.endpoint.spiffeId) || self.endpoint.spiffeId.startsWith('spiffe://' + self.trustDomain + '/')" else "an endpoint is believed to speak for its own trust domain alone" {
        /// Whose identities are believed, and nobody else's, whatever its keys sign.
        pub trust_domain: TrustDomain = "trustDomain";
        /// Its keys as they are known beforehand: for good, or until the endpoint has told newer ones.
        pub bundle: Option<PeerBundle> = "bundle";
        /// Where the control plane asks for its keys, again and again.
        pub endpoint: Option<PeerEndpoint> = "endpoint";
    }

    /// Keys of a trust domain, as a SPIFFE bundle: one of these.
    pub struct PeerBundle checked by bundle_is_one
        where "has(self.inline) != has(self.file)" else "one of inline and file is expected" {
        /// The bundle itself, as `leno certs bundle` prints it.
        pub inline: Option<Arc<str>> = "inline" [length(2, 131_072)];
        /// A file beside the control plane, looked at again and again.
        pub file: Option<Arc<str>> = "file" [length(2, 4096), form(form::absolute_path)];
    }

    /// A SPIFFE bundle endpoint.
    pub struct PeerEndpoint checked by endpoint_is_proven
        where "self.url.startsWith('https://')" else "whoever stands on the way could put in keys of his own: say https://"
        where "(self.profile == 'Spiffe') == has(self.spiffeId)" else "spiffeId says who an endpoint must be that proves itself by SPIFFE, and nothing of another"
        where "self.profile != 'Spiffe' || !has(self.rootsFile)" else "rootsFile means nothing where the bundle of the trust domain proves the endpoint" {
        /// Its URL, as the control plane reaches it: `https://control.bank.example:15012/bundle`. Whoever is
        /// led elsewhere from there does not follow.
        pub url: Arc<str> = "url" [length(1, 2048), form(form::http_url)];
        /// How it proves itself.
        pub profile: EndpointProfile = "profile";
        /// Who it must be, where the profile is `Spiffe`: an identity of the trust domain.
        pub spiffe_id: Option<Arc<str>> = "spiffeId" [length(12, 2048), form(form::spiffe_id)];
        /// A file beside the control plane with the roots, in PEM, that prove its host name, where the
        /// profile is `Web`. Without it, those that the host trusts.
        pub roots_file: Option<Arc<str>> = "rootsFile" [length(2, 4096), form(form::absolute_path)];
    }
}

choice! {
    /// How a bundle endpoint proves itself (SPIFFE Federation, section 5.2).
    pub enum EndpointProfile {
        /// By its host name and the roots of the web (`https_web`).
        Web = "Web",
        /// By an identity of its trust domain (`https_spiffe`).
        Spiffe = "Spiffe",
    }
}

fn keys_can_be_had(peer: &MeshPeerSpec, reader: &mut Reader<'_>) {
    let is_file = peer.bundle.as_ref().is_some_and(|it| it.file.is_some());
    let Some(endpoint) = &peer.endpoint else {
        if peer.bundle.is_none() {
            let message =
                "one of bundle and endpoint is expected: nothing proves its identities else";
            reader.contradiction(Code::C007, "", message.into());
        }
        return;
    };
    if is_file {
        let message = "a file is looked at again and again itself: say inline here, or leave the endpoint out";
        reader.contradiction(Code::C007, "/bundle/file", message.into());
    }
    //= SPIFFE Federation section 5.2.2.2: "If the endpoint is self-serving, clients need to be configured with a
    //= single up-to-date bundle in order to bootstrap the federation relationship."
    if endpoint.profile == EndpointProfile::Spiffe && peer.bundle.is_none() {
        let message = "the first connection to an endpoint that proves itself by SPIFFE needs a bundle: \
                       `leno certs bundle` of the other mesh prints it";
        reader.contradiction(Code::C007, "/endpoint/profile", message.into());
    }
    let speaks_for = endpoint.spiffe_id.as_deref().and_then(TrustDomain::of_id);
    if speaks_for.is_some_and(|domain| domain != peer.trust_domain) {
        let message = format!(
            "an endpoint is believed to speak for its own trust domain alone, and this one is not of {}",
            peer.trust_domain
        );
        reader.contradiction(Code::C007, "/endpoint/spiffeId", message);
    }
}

fn bundle_is_one(bundle: &PeerBundle, reader: &mut Reader<'_>) {
    if bundle.inline.is_some() == bundle.file.is_some() {
        let message = "one of inline and file is expected";
        reader.contradiction(Code::C007, "", message.into());
    }
}

fn endpoint_is_proven(endpoint: &PeerEndpoint, reader: &mut Reader<'_>) {
    if !endpoint.url.starts_with("https://") {
        let message = "whoever stands on the way could put in keys of his own: say https://";
        reader.contradiction(Code::C007, "/url", message.into());
    }
    match (endpoint.profile, &endpoint.spiffe_id, &endpoint.roots_file) {
        (EndpointProfile::Spiffe, None, _) => {
            let message = "an endpoint that proves itself by SPIFFE needs spiffeId: who it must be";
            reader.contradiction(Code::C005, "/spiffeId", message.into());
        }
        (EndpointProfile::Spiffe, Some(_), Some(_)) => {
            let message =
                "rootsFile means nothing where the bundle of the trust domain proves the endpoint";
            reader.contradiction(Code::C007, "/rootsFile", message.into());
        }
        (EndpointProfile::Web, Some(_), _) => {
            let message = "spiffeId means nothing where the host name proves the endpoint: say profile: Spiffe";
            reader.contradiction(Code::C007, "/spiffeId", message.into());
        }
        (EndpointProfile::Spiffe, Some(_), None) | (EndpointProfile::Web, None, _) => {}
    }
}
