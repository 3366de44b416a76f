//! Which kinds are read, how they are spelled, and where they stand in [`Resources`].

use alloc::{sync::Arc, vec::Vec};

use leno_model::{ObjectRef, Origin, Override};

use crate::decode::Decode;
use crate::endpoint_slice::EndpointSliceBody;
use crate::gateway::{
    GrpcRouteSpec, HttpRouteSpec, ReferenceGrantSpec, TcpRouteSpec, TlsRouteSpec,
};
use crate::mesh::{MeshSpec, MeshWorkloadSpec};
use crate::network_policy::NetworkPolicySpec;
use crate::object::Objects;
use crate::peer::MeshPeerSpec;
use crate::pod::Pods;
use crate::policy::{AccessPolicySpec, TelemetryPolicySpec, TrafficPolicySpec};
use crate::read::{Problem, Reading};
use crate::schema::{Bounds, Field, Schema, Shape};
use crate::service::{NamespaceSpec, ServiceSpec};
use crate::text::Text;
use crate::yaml::Node;

/// The API group of Leno's own kinds.
pub const GROUP: &str = "leno.dev";

/// What is read of a kind: the type of its `spec` stands for it.
pub(crate) trait Kind: Decode {
    /// How it is spelled.
    const NAME: &'static str;
    /// Whether its objects live in a namespace.
    const NAMESPACED: bool;
    /// The fields of an object.
    const ROOT: &'static Schema;
    /// Whether what it says stands beside its metadata, without a `spec` around it.
    const FLAT: bool;

    /// Where its objects stand.
    fn shelf(resources: &mut Resources) -> &mut Objects<Self>;
}

/// How a cluster spells a kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Spelling {
    /// `HTTPRoute`.
    pub kind: &'static str,
    /// `httproutes`.
    pub plural: &'static str,
    /// The `apiVersion` to write: `gateway.networking.k8s.io/v1`.
    pub api_version: &'static str,
    /// Whether its objects live in a namespace.
    pub namespaced: bool,
}

/// Declares the kinds.
macro_rules! kinds {
    ($(
        $(#[doc = $doc:literal])+
        $shelf:ident: $spec:ident is $kind:literal, $plural:literal in [$first:literal $(, $later:literal)*],
            namespaced $namespaced:literal, $body:ident $(required $required:literal)?;
    )+) => {
        /// Everything that was written: objects by kind, namespace and name.
        ///
        /// What is broken is here as well, as far as it was understood: see [`Part`](crate::Part).
        #[derive(Clone, Default, Debug)]
        pub struct Resources {$(
            $(#[doc = $doc])+
            pub $shelf: Objects<$spec>,
        )+
            /// Measures that hold over it for now.
            pub overrides: Vec<Override>,
            /// What runs in the cluster that it was read from.
            pub pods: Arc<Pods>,
        }

        impl Resources {
            /// How many objects there are.
            pub fn len(&self) -> usize {
                0 $(+ self.$shelf.len())+
            }

            /// Whether one of `others` has the name of one of these.
            pub(crate) fn is_taken(&self, others: &Self) -> bool {
                false $(|| self.$shelf.is_taken(&others.$shelf))+
            }

            /// Adds the objects of `others`, whose names are free.
            pub(crate) fn join(&mut self, others: &Self) {
                $(self.$shelf.join(&others.$shelf);)+
            }

            /// What each object is called; ordered by kind, namespace and name.
            pub fn names(&self) -> impl Iterator<Item = &Arc<ObjectRef>> {
                core::iter::empty()
                    $(.chain(self.$shelf.iter().map(|object| object.reference())))+
            }

            /// Where each object stands, and its own text, in the same order. There is none for an
            /// item of a list that is nothing without the others.
            pub fn texts(&self) -> impl Iterator<Item = (Origin, Option<Text>)> {
                core::iter::empty()
                    $(.chain(self.$shelf.iter().map(|object| (object.origin(""), object.text()))))+
            }
        }

        $(impl Kind for $spec {
            const NAME: &'static str = $kind;
            const NAMESPACED: bool = $namespaced;
            const ROOT: &'static Schema = &Schema {
                doc: concat!($($doc),+).trim_ascii_start(),
                fields: kinds!(@fields $body $spec $($required)?),
                demands: &[],
            };
            const FLAT: bool = kinds!(@flat $body);

            fn shelf(resources: &mut Resources) -> &mut Objects<Self> {
                &mut resources.$shelf
            }
        })+

        /// The fields of a kind's objects, for `leno explain`.
        pub fn schema(kind: &str) -> Option<&'static Schema> {
            match kind {
                $($kind => Some($spec::ROOT),)+
                _ => None,
            }
        }

        /// How a cluster spells each kind.
        pub fn spellings() -> impl Iterator<Item = Spelling> {
            [$(Spelling {
                kind: $kind,
                plural: $plural,
                api_version: $first,
                namespaced: $namespaced,
            }),+].into_iter()
        }

        /// The names of all kinds that are read.
        pub const KINDS: &[&str] = &[$($kind),+];

        /// The values of `apiVersion` with which a kind is read; the one to write comes first.
        pub(crate) fn versions(kind: &str) -> Option<&'static [&'static str]> {
            match kind {
                $($kind => Some(&[$first $(, $later)*]),)+
                _ => None,
            }
        }

        /// Reads an object of the kind of this name.
        pub(crate) fn read(
            kind: &str,
            reading: &mut Reading<'_>,
            root: Node,
        ) -> Result<(), Problem> {
            match kind {
                $($kind => reading.object::<$spec>(root),)+
                _ => Ok(()),
            }
        }
    };
    (@fields spec $spec:ident $required:literal) => { &root($spec::SCHEMA, $required) };
    (@fields flat $spec:ident) => {
        &flat_root::<{ $spec::SCHEMA.fields.len() + HEAD.len() }>($spec::SCHEMA)
    };
    (@flat spec) => { false };
    (@flat flat) => { true };
}

kinds! {
    /// What holds everywhere.
    meshes: MeshSpec is "Mesh", "meshes" in ["leno.dev/v1alpha1"],
        namespaced false, spec required false;
    /// Other trust domains whose identities are believed.
    peers: MeshPeerSpec is "MeshPeer", "meshpeers" in ["leno.dev/v1alpha1"],
        namespaced false, spec required true;
    /// Groups of names with an owner.
    namespaces: NamespaceSpec is "Namespace", "namespaces" in ["v1"],
        namespaced false, spec required false;
    /// Names under which workloads are called.
    services: ServiceSpec is "Service", "services" in ["v1"],
        namespaced true, spec required false;
    /// Where Services lead that select nobody.
    endpoint_slices: EndpointSliceBody is "EndpointSlice", "endpointslices" in ["discovery.k8s.io/v1"],
        namespaced true, flat;
    /// What runs.
    workloads: MeshWorkloadSpec is "MeshWorkload", "meshworkloads" in ["leno.dev/v1alpha1"],
        namespaced true, spec required false;
    /// Where HTTP requests go.
    http_routes: HttpRouteSpec is "HTTPRoute", "httproutes"
        in ["gateway.networking.k8s.io/v1", "gateway.networking.k8s.io/v1beta1"],
        namespaced true, spec required true;
    /// Where gRPC calls go.
    grpc_routes: GrpcRouteSpec is "GRPCRoute", "grpcroutes" in ["gateway.networking.k8s.io/v1"],
        namespaced true, spec required false;
    /// Where TLS connections go, by the server that they ask for.
    tls_routes: TlsRouteSpec is "TLSRoute", "tlsroutes" in ["gateway.networking.k8s.io/v1"],
        namespaced true, spec required true;
    /// Where connections go.
    tcp_routes: TcpRouteSpec is "TCPRoute", "tcproutes" in ["gateway.networking.k8s.io/v1"],
        namespaced true, spec required true;
    /// Who may refer to objects of another namespace.
    reference_grants: ReferenceGrantSpec is "ReferenceGrant", "referencegrants"
        in ["gateway.networking.k8s.io/v1", "gateway.networking.k8s.io/v1beta1"],
        namespaced true, spec required true;
    /// From where callers come, as the network of a cluster holds it too.
    network_policies: NetworkPolicySpec is "NetworkPolicy", "networkpolicies" in ["networking.k8s.io/v1"],
        namespaced true, spec required false;
    /// Who may call.
    access_policies: AccessPolicySpec is "AccessPolicy", "accesspolicies" in ["leno.dev/v1alpha1"],
        namespaced true, spec required false;
    /// How calls are made.
    traffic_policies: TrafficPolicySpec is "TrafficPolicy", "trafficpolicies" in ["leno.dev/v1alpha1"],
        namespaced true, spec required false;
    /// What is told of calls.
    telemetry_policies: TelemetryPolicySpec is "TelemetryPolicy", "telemetrypolicies" in ["leno.dev/v1alpha1"],
        namespaced true, spec required false;
}

/// What every object begins with.
const HEAD: [Field; 3] = [
    field(
        "apiVersion",
        "The group and version of the kind.",
        TEXT,
        true,
    ),
    field("kind", "What kind of object it is.", TEXT, true),
    field(
        "metadata",
        "What it is called.",
        Shape::Object(crate::object::WrittenMetadata::SCHEMA),
        true,
    ),
];

const TEXT: Shape = Shape::Value("text");

const fn field(key: &'static str, doc: &'static str, shape: Shape, required: bool) -> Field {
    Field {
        key,
        doc,
        shape,
        default: None,
        required,
        bounds: Bounds::NONE,
    }
}

/// What an object has that says something in its `spec`.
const fn root(spec: &'static Schema, spec_required: bool) -> [Field; 5] {
    let [version, kind, metadata] = HEAD;
    let status = "What is reported about it; never read.";
    [
        version,
        kind,
        metadata,
        field("spec", spec.doc, Shape::Object(spec), spec_required),
        field("status", status, Shape::Value("anything"), false),
    ]
}

/// What an object has that says something beside its metadata: so many fields.
const fn flat_root<const FIELDS: usize>(body: &'static Schema) -> [Field; FIELDS] {
    let mut all = [HEAD[0]; FIELDS];
    let mut at = 1;
    while at < FIELDS {
        all[at] = match at < HEAD.len() {
            true => HEAD[at],
            false => body.fields[at - HEAD.len()],
        };
        at += 1;
    }
    all
}
