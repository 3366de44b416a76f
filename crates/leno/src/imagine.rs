//! A call that nobody made, decided by the code that decides real ones: at the caller's proxy, and
//! at the proxy of everyone it could reach.

mod asked;
mod imagining;
mod outside;
mod source;
pub(crate) mod token;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::bail;
use leno_compile::{Destination, Mesh};
use leno_model::view::{PortRef, Rule, Unknown, WorkloadId};
use leno_model::{Code, Namespace, Origin, SpiffeId};
use leno_protocol::{Fields, Refused};
use leno_traffic::{Consent, Denied, Kept, Recorded, Refusal, Story, Token};

use imagining::{Imagining, WHOLE};

pub(crate) use asked::{Asked, read};
pub(crate) use source::Source;

/// What would become of the call.
pub(crate) struct Imagined {
    /// Who called what, in words: `web → cart:8080  GET /items`.
    pub(crate) asked: String,
    /// What it is, which says in whose words its caller is told that it fails.
    pub(crate) kind: Kind,
    /// What the caller's proxy would think; a caller without one thinks nothing.
    pub(crate) sender: Option<Thought>,
    /// How it would end.
    pub(crate) end: End,
    /// The rule that would take it.
    pub(crate) rule: Option<Arc<Rule>>,
}

/// What is called.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A stream of bytes, which is cut without a word.
    Stream,
    /// A request, which is answered with a status.
    Request,
    /// A call of gRPC, which has statuses of its own.
    Grpc,
}

/// The steps of one proxy.
pub(crate) struct Thought {
    /// Whose proxy.
    pub(crate) proxy_of: String,
    /// The workloads whose proxies would all think so.
    pub(crate) workloads: Vec<WorkloadId>,
    /// Its steps.
    pub(crate) story: Story,
}

/// How a call would end.
pub(crate) enum End {
    /// At the caller's proxy.
    Refused(Reason),
    /// The caller would be sent elsewhere.
    Redirected {
        /// With this status.
        status: u16,
        /// To there.
        location: String,
    },
    /// A browser would be told what it asked, at the caller's proxy.
    Told {
        /// With this status.
        status: u16,
        /// And these headers, by name and value.
        headers: Vec<(Arc<str>, Arc<str>)>,
    },
    /// Outside the mesh.
    Left,
    /// At one of these.
    Reached(Vec<Branch>),
}

/// One place where a call could end up.
pub(crate) struct Branch {
    /// The backend: `shop/cart-v2:8080`.
    pub(crate) backend: String,
    /// Its weight, and the sum of all weights.
    pub(crate) share: (u32, u32),
    /// What would be sent there.
    pub(crate) sent: Vec<u8>,
    /// What its proxies would think; or why there is nobody.
    pub(crate) receivers: Result<Vec<Receiver>, Reason>,
}

/// One workload that a call could reach.
pub(crate) struct Receiver {
    /// What its proxy would think.
    pub(crate) thought: Thought,
    /// What it would say.
    pub(crate) said: Said,
    /// The rules that would only tell of it.
    pub(crate) audited: Vec<Origin>,
    /// Whether the caller would prove itself to it.
    pub(crate) is_mtls: bool,
    /// The headers that its access rules ask for.
    pub(crate) asks: Vec<Arc<str>>,
}

/// What a proxy would say of a call.
pub(crate) enum Said {
    /// It would let it pass.
    Allowed,
    /// It would not.
    Refused(Reason),
    /// It would ask this external authorizer: `shop/authz:9000`.
    Asks(Arc<str>),
    /// Nobody asked it by what it decides.
    Unasked,
}

impl Said {
    /// Why it would not let it pass, as far as that is known.
    pub(crate) fn refusal(&self) -> Option<&Reason> {
        match self {
            Self::Refused(reason) => Some(reason),
            Self::Allowed | Self::Asks(_) | Self::Unasked => None,
        }
    }
}

/// Why a call would not be served.
#[derive(Clone, Debug)]
pub(crate) struct Reason {
    /// What kind of failure.
    pub(crate) code: Code,
    /// The status of the answer.
    pub(crate) status: u16,
    /// It in words.
    pub(crate) words: String,
    /// Who said so.
    pub(crate) origin: Option<Origin>,
    /// The identity that is refused because it was revoked.
    pub(crate) revoked: Option<SpiffeId>,
}

impl From<&Refusal> for Reason {
    fn from(refusal: &Refusal) -> Self {
        Self {
            code: refusal.code(),
            status: refusal.status(),
            words: refusal.to_string(),
            origin: refusal.origin().cloned(),
            revoked: None,
        }
    }
}

impl From<&Denied> for Reason {
    fn from(denied: &Denied) -> Self {
        Self {
            code: denied.code(),
            status: denied.status(),
            words: denied.to_string(),
            origin: denied.origin().cloned(),
            revoked: match denied {
                Denied::Revoked(id) => Some(id.clone()),
                _ => None,
            },
        }
    }
}

impl From<&Refused> for Reason {
    fn from(refused: &Refused) -> Self {
        Self {
            code: refused.code,
            status: refused.status,
            words: refused.to_string(),
            origin: None,
            revoked: None,
        }
    }
}

/// Where a call is decided.
#[derive(Clone, Copy)]
pub(crate) struct Ground<'a> {
    /// The mesh.
    pub(crate) mesh: &'a Mesh,
    /// The instances of which nobody told what stands over them.
    pub(crate) unasked: &'a BTreeSet<WorkloadId>,
    /// What is said of the token that the request carries, if it is not among its headers.
    pub(crate) token: Token<'a>,
    /// What external authorizers say, where they are asked.
    pub(crate) consent: Consent<'a>,
    /// Where it is known from which endpoints have proxies in front of them.
    pub(crate) proxies: Proxies,
}

/// Where it is known from which endpoints have proxies in front of them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proxies {
    /// From the proxies themselves: each that runs has reported where it takes mesh calls.
    Reported,
    /// Nobody was asked: each endpoint is taken to have one.
    Assumed,
}

impl<'a> From<&'a Mesh> for Ground<'a> {
    /// A mesh of which everything is known that is written.
    fn from(mesh: &'a Mesh) -> Self {
        const NOBODY: &BTreeSet<WorkloadId> = &BTreeSet::new();
        Self {
            mesh,
            unasked: NOBODY,
            token: Token::Absent,
            consent: Consent::Unknown,
            proxies: Proxies::Assumed,
        }
    }
}

impl<'a> Ground<'a> {
    /// The same for calls that were recorded, of which nobody knows what token they carried.
    pub(crate) fn recorded(mesh: &'a Mesh) -> Self {
        Self {
            token: Token::Unknown,
            ..mesh.into()
        }
    }
}

/// Decides the call.
pub(crate) fn imagine<'a>(
    ground: impl Into<Ground<'a>>,
    home: &Namespace,
    source: &Source,
    asked: &Asked,
) -> anyhow::Result<Imagined> {
    let ground = ground.into();
    let mesh = ground.mesh;
    let imagined = |sender, end, rule| Imagined {
        asked: asked.words(&source.name()) + &token::words(ground.token),
        kind: asked.kind(),
        sender,
        end,
        rule,
    };
    let namespace = source.namespace(home);
    let imagining = Imagining::new(ground, source);
    let found = mesh.destination(&asked.host, asked.port, namespace, &source.network());
    let destination = match found {
        Ok(destination) => destination,
        Err(missing) => {
            let suggestion = missing.suggestion.as_ref();
            return match (
                suggestion,
                imagining.outside(asked),
                refused_as_unknown(mesh, asked),
            ) {
                (Some(suggestion), _, _) => bail!("{missing}; {suggestion}"),
                (None, Some((thought, end)), _) => Ok(imagined(Some(thought), end, None)),
                (None, None, Some(reason)) => Ok(imagined(None, End::Refused(reason), None)),
                (None, None, None) => bail!("{missing}"),
            };
        }
    };
    let text = asked.target.as_deref().map(|target| asked.bytes(target));
    let mut fields = Fields::new();
    let head = match &text {
        Some(text) => match read(text, &mut fields) {
            Ok(head) => Some(head),
            Err(refused) => return Ok(imagined(None, End::Refused(Reason::from(&refused)), None)),
        },
        None => None,
    };
    match destination {
        Destination::Instance(instance) => {
            let sent = text.clone().unwrap_or_default();
            let branch = imagining.straight(instance, asked.port, sent);
            Ok(imagined(None, End::Reached(vec![branch]), None))
        }
        Destination::Service(service) => {
            let port = PortRef {
                service: service.name.clone(),
                port: asked.port,
            };
            if !service.ports.contains_key(&asked.port) {
                let refusal = Refusal::NoSuchPort {
                    service: service.name.clone(),
                    port: asked.port,
                };
                let ports = service.ports.keys().map(ToString::to_string);
                let ports = ports.collect::<Vec<_>>().join(", ");
                let reason = Reason {
                    words: format!("{refusal}; it has {ports}"),
                    ..Reason::from(&refusal)
                };
                return Ok(imagined(None, End::Refused(reason), None));
            }
            if matches!(source, Source::Outside(_)) {
                let branch = imagining.branch(&port, WHOLE, text.clone().unwrap_or_default());
                return Ok(imagined(None, End::Reached(vec![branch]), None));
            }
            let server_name = asked.server_name.as_deref();
            let (thought, end, rule) = imagining.send(&port, head.as_ref(), server_name)?;
            Ok(imagined(Some(thought), end, rule))
        }
    }
}

/// Why an address that is nobody's in the mesh is not called, if the mesh lets none pass.
fn refused_as_unknown(mesh: &Mesh, asked: &Asked) -> Option<Reason> {
    let address = asked.host.trim_matches(['[', ']']).parse().ok()?;
    let settings = &mesh.settings;
    let refused = settings.unknown_destinations == Unknown::Refuse;
    refused.then(|| {
        Reason::from(&Refusal::UnknownDestination {
            address: SocketAddr::new(address, asked.port),
            origin: settings.origin_of_unknown().cloned(),
        })
    })
}

/// On what it hangs which rule takes the request, if that is nothing that was `kept` of it.
pub(crate) fn hangs_on(
    mesh: &Mesh,
    source: &Source,
    port: &PortRef,
    asked: &Asked,
    kept: &[leno_traffic::Asked<'_>],
) -> Option<String> {
    let ground = Ground::from(mesh);
    let imagining = Imagining::new(ground, source);
    let (caller, _) = imagining.caller();
    let table = imagining.sender();
    let text = asked.bytes(asked.target.as_deref()?);
    let mut fields = Fields::new();
    let head = read(&text, &mut fields).ok()?;
    let namespace = Some(&caller.namespace);
    let recorded = Recorded::of(&head.request, Kept::Only(kept));
    let hangs = table.port(port)?.hangs_on(namespace, &recorded)?;
    Some(hangs.to_string())
}

/// What the proxy before `workload` would do with a call to `port` of it; `None` if there is none.
pub(crate) fn received_by(
    ground: Ground<'_>,
    source: &Source,
    workload: &WorkloadId,
    port: u16,
    asked: &Asked,
) -> Option<Receiver> {
    let instance = ground.mesh.instances.get(workload)?;
    let sent = asked.target.as_deref().map(|target| asked.bytes(target));
    let alike = std::slice::from_ref(workload);
    let imagining = Imagining::new(ground, source);
    Some(imagining.receive(instance, port, alike, &sent.unwrap_or_default()))
}
