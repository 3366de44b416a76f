//! What one proxy is told that runs from files alone: `leno proxy --static FILE`.

use alloc::{
    format,
    string::{String, ToString},
    sync::Arc,
};
use core::net::SocketAddr;
use core::time::Duration;

use leno_model::note::Span;
use leno_model::{Code, Name, Namespace, Note, Notes, Severity};

use crate::decode::{Decode, Reader, Rules, Subject, choice, object, text};
use crate::object::span;
use crate::part::{List, Part};
use crate::policy::Identity;
use crate::schema::Shape;
use crate::yaml::{self, Node};

object! {
    /// One proxy, out of files alone. Paths are relative to this file.
    pub struct StaticProxy {
        /// Files and folders of objects.
        pub resources: List<Arc<str>> = "resources" [items(1, 1000)];
        /// A file of certificates in PEM: the roots of our own trust domain.
        pub bundle: Option<Arc<str>> = "bundle";
        /// Who is refused although their certificates are valid: `namespace/account` in our own
        /// trust domain, or whole SPIFFE IDs.
        pub revoked: List<Identity> = "revoked";
        /// The workloads that the proxy stands in front of.
        pub workloads: List<StaticWorkload> = "workloads" [items(1, 1000)];
        /// Where the proxy takes tunnels of other proxies.
        pub tunnel: Option<SocketAddr> = "tunnel";
        /// Where metrics and readiness are read.
        pub metrics: Option<SocketAddr> = "metrics";
        /// How each call is logged on standard output; none is, if nothing is said.
        pub access_log: Option<AccessLog> = "accessLog";
        /// Where the proxies of other workloads take tunnels.
        pub tunnels: List<StaticTunnel> = "tunnels";
        /// How many workers; as many as there are cores to use, if nothing is said.
        pub workers: Option<u16> = "workers" [range(1, 1024)];
        /// How much there may be of what others can make grow.
        pub limits: Option<Part<StaticLimits>> = "limits";
        /// For how long the proxy takes calls as before once it is told to end, and says that it is not
        /// ready.
        pub lame_duck: Duration = "lameDuck" or Duration::ZERO, as "0s";
        /// How long live connections may go on after that.
        pub drain: Duration = "drain" or Duration::from_secs(30), as "30s";
    }

    /// How much there may be in a proxy of what others can make grow.
    pub struct StaticLimits {
        /// Connections, and streams in tunnels, that live at once.
        pub connections: Option<u32> = "connections" [range(1, 10_000_000)];
        /// Connections from one peer: a proven identity, else an address.
        pub connections_of_peer: Option<u32> = "connectionsOfPeer" [range(1, 10_000_000)];
        /// Bytes in buffers, in MiB.
        pub buffered_mib: Option<u32> = "bufferedMiB" [range(1, 1_000_000)];
        /// For how long a peer may take nothing of what is ready for it.
        pub stalled: Option<Duration> = "stalled";
    }

    /// A workload that the proxy stands in front of.
    pub struct StaticWorkload {
        /// Its name: `web`, or `shop/web`.
        pub name: Named = "name";
        /// A file with its private key in PEM.
        pub key: Option<Arc<str>> = "key";
        /// A file with its certificates in PEM, its own first.
        pub chain: Option<Arc<str>> = "chain";
        /// Service ports that it calls at addresses of its own.
        pub upstreams: List<StaticUpstream> = "upstreams";
        /// Where it calls whatever its requests name, as clients of a proxy do: what its
        /// `http_proxy` is set to.
        pub http_proxy: Option<SocketAddr> = "httpProxy";
        /// Where its requests are taken that name a service by their host: `cart.localhost`.
        pub published: Option<SocketAddr> = "published";
        /// Its ports that plain callers reach at addresses of the proxy's.
        pub ports: List<StaticPort> = "ports";
        /// Where its connections arrive that were captured on their way out.
        pub outbound: Option<SocketAddr> = "outbound";
        /// Where connections arrive that were captured on their way to it.
        pub inbound: Option<SocketAddr> = "inbound";
    }

    /// A service port that a workload calls at an address of its own.
    pub struct StaticUpstream {
        /// The service, as a caller names it: `cart`, or `shop/cart`.
        pub service: Named = "service";
        /// Its port.
        pub port: u16 = "port" [range(1, 65535)];
        /// Where the proxy listens for it.
        pub listen: SocketAddr = "listen";
    }

    /// A port of a workload that plain callers reach at an address of the proxy's.
    pub struct StaticPort {
        /// Where the workload listens.
        pub application: SocketAddr = "application";
        /// Where the proxy listens for it.
        pub listen: SocketAddr = "listen";
    }

    /// Where the proxy of another workload takes tunnels.
    pub struct StaticTunnel {
        /// The workload.
        pub workload: Named = "workload";
        /// The address and port.
        pub address: SocketAddr = "address";
    }
}

choice! {
    /// How calls are logged.
    pub enum AccessLog {
        /// For people, in columns.
        Text = "Text",
        /// For programs, an object a line.
        Json = "JSON",
    }
}

/// `name`, or `namespace/name`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Named {
    /// The namespace, if one is said.
    pub namespace: Option<Namespace>,
    /// The name.
    pub name: Name,
}

impl Decode for Named {
    const SHAPE: Shape = Shape::Value("a name, or namespace/name");

    fn decode(node: &Node, _: &Rules, reader: &mut Reader<'_>) -> Option<Self> {
        let text = text(node, reader)?;
        let named = Self::read(text);
        if named.is_none() {
            reader.invalid(node, format!("{text:?} is not a name, nor namespace/name"));
        }
        named
    }
}

impl Named {
    /// Reads the text form.
    pub fn read(text: &str) -> Option<Self> {
        let (namespace, name) = match text.split_once('/') {
            Some((namespace, name)) => (Some(Namespace::new(namespace).ok()?), name),
            None => (None, text),
        };
        Some(Self {
            namespace,
            name: Name::new(name).ok()?,
        })
    }
}

/// Reads the file. A proxy that is not described whole is not started: `None`, and notes that say why.
pub fn read(path: &str, bytes: &[u8]) -> (Option<StaticProxy>, Notes) {
    let path = Arc::from(path);
    let mut notes = Notes::default();
    let mut documents = yaml::documents(bytes);
    let root = match documents.next() {
        Some(Ok(root)) => root,
        Some(Err(broken)) => {
            notes.push(unusable(
                broken.code,
                broken.message,
                span(&path, broken.at),
            ));
            return (None, notes);
        }
        None => return (None, notes),
    };
    let subject = Subject {
        object: None,
        kind: "StaticProxy",
        root: &root,
        path: &path,
    };
    let mut reader = Reader::new(subject, &mut notes);
    let proxy = reader.value::<StaticProxy>(&root, &Rules::NONE);
    let proxy = proxy.filter(|_| reader.errors() == 0);
    reader.close();
    (proxy, notes)
}

fn unusable(code: Code, message: String, span: Span) -> Note {
    Note {
        code,
        severity: Severity::Error,
        origin: None,
        span: Some(span),
        message,
        suggestion: None,
        in_force: "the proxy is not started".to_string(),
    }
}
