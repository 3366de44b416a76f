//! The other trust domains whose identities are believed, and where their keys come from.

use alloc::{collections::BTreeMap, format, string::ToString, sync::Arc};

use leno_jwt::SpiffeBundle;
use leno_model::{Code, Name, Notes, Origin, TrustDomain};
use leno_resources::peer::{EndpointProfile, MeshPeerSpec, PeerEndpoint};
use leno_resources::{Object, Resources};

use crate::finding::{self, Complete};

/// Another trust domain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Peer {
    /// What its object is called.
    pub name: Name,
    /// Where that stands.
    pub origin: Origin,
    /// The bundle that is known beforehand.
    pub bundle: Option<Arc<str>>,
    /// Where newer ones are.
    pub place: Option<BundlePlace>,
}

/// Where the bundle of a trust domain is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BundlePlace {
    /// In a file beside the control plane.
    File(Arc<str>),
    /// At an endpoint that proves its host name.
    Web {
        /// Its URL.
        url: Arc<str>,
        /// A file with the roots that prove it; else those of the host.
        roots_file: Option<Arc<str>>,
    },
    /// At an endpoint that proves itself by an identity of the trust domain.
    Spiffe {
        /// Its URL.
        url: Arc<str>,
        /// Who it must be.
        id: Arc<str>,
    },
}

/// The trust domains beside `own`. Of several objects of one trust domain the first by name holds.
pub(crate) fn peers(
    resources: &Resources,
    own: &TrustDomain,
    notes: &mut Notes,
) -> BTreeMap<TrustDomain, Peer> {
    let mut peers = BTreeMap::<TrustDomain, Peer>::new();
    for object in resources.peers.iter() {
        let Some(spec) = object.spec.sound() else {
            continue;
        };
        let domain = &spec.trust_domain;
        let taken = |message| {
            finding::error(object, "/spec/trustDomain", Code::C178, message)
                .in_force("this MeshPeer adds nothing to what is believed")
        };
        if domain == own {
            let message = format!("{domain} is this mesh's own trust domain");
            notes.push(taken(message));
            continue;
        }
        if let Some(first) = peers.get(domain) {
            let message = format!("{} speaks for {domain} already", first.origin.object);
            notes.push(taken(message));
            continue;
        }
        judge_inline(object, spec, notes);
        peers.insert(domain.clone(), peer(object, spec));
    }
    peers
}

fn peer(object: &Object<MeshPeerSpec>, spec: &MeshPeerSpec) -> Peer {
    let bundle = spec.bundle.as_ref();
    let file = bundle.and_then(|bundle| bundle.file.clone());
    let endpoint = spec.endpoint.as_ref().and_then(place);
    Peer {
        name: object.meta.name.clone(),
        origin: object.origin(""),
        bundle: bundle.and_then(|bundle| bundle.inline.clone()),
        place: endpoint.or_else(|| file.map(BundlePlace::File)),
    }
}

fn place(endpoint: &PeerEndpoint) -> Option<BundlePlace> {
    let url = endpoint.url.clone();
    Some(match endpoint.profile {
        EndpointProfile::Web => BundlePlace::Web {
            url,
            roots_file: endpoint.roots_file.clone(),
        },
        EndpointProfile::Spiffe => BundlePlace::Spiffe {
            url,
            id: endpoint.spiffe_id.clone()?,
        },
    })
}

/// Whether the certificates in a bundle are fit, whoever takes it up finds out; here, whether it has any.
fn judge_inline(object: &Object<MeshPeerSpec>, spec: &MeshPeerSpec, notes: &mut Notes) {
    const POINTER: &str = "/spec/bundle/inline";
    let inline = spec.bundle.as_ref().and_then(|it| it.inline.as_deref());
    let Some(inline) = inline else {
        return;
    };
    let in_force = match spec.endpoint {
        Some(_) => "what the endpoint told before, if it ever did",
        None => "no identity of this trust domain is believed",
    };
    let error = |message| finding::error(object, POINTER, Code::C179, message).in_force(in_force);
    match SpiffeBundle::read(inline.as_bytes()) {
        Err(why) => notes.push(error(why.to_string())),
        Ok((bundle, skipped)) => {
            if bundle.authorities.is_empty() && bundle.token_keys.is_empty() {
                notes.push(error("nothing in it proves an identity".into()));
            }
            for key in skipped {
                notes.push(
                    finding::warning(object, POINTER, Code::C179, key.to_string())
                        .in_force("its other keys"),
                );
            }
        }
    }
}
