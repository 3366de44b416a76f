//! The messages of the SPIFFE Workload API (`workload.proto` of the SPIFFE standards), and of protobuf's
//! `Struct`, in which claims are told.

use std::collections::BTreeMap;

use leno_jwt as jwt;
use prost::{Message, Oneof};

/// The calls, by their paths.
pub(crate) mod call {
    pub(crate) const X509_SVID: &str = "/SpiffeWorkloadAPI/FetchX509SVID";
    pub(crate) const X509_BUNDLES: &str = "/SpiffeWorkloadAPI/FetchX509Bundles";
    pub(crate) const JWT_SVID: &str = "/SpiffeWorkloadAPI/FetchJWTSVID";
    pub(crate) const JWT_BUNDLES: &str = "/SpiffeWorkloadAPI/FetchJWTBundles";
    pub(crate) const VALIDATE: &str = "/SpiffeWorkloadAPI/ValidateJWTSVID";
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct X509Svids {
    #[prost(message, repeated, tag = "1")]
    pub(crate) svids: Vec<X509Svid>,
    /// Roots of other trust domains, those of each one behind the other, by the domains' ids.
    #[prost(btree_map = "string, bytes", tag = "3")]
    pub(crate) federated_bundles: BTreeMap<String, Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct X509Svid {
    #[prost(string, tag = "1")]
    pub(crate) spiffe_id: String,
    /// The chain in DER, leaf first, one certificate behind the other.
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) x509_svid: Vec<u8>,
    /// The key in PKCS #8.
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) x509_svid_key: Vec<u8>,
    /// The roots of its trust domain.
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) bundle: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct X509Bundles {
    #[prost(btree_map = "string, bytes", tag = "2")]
    pub(crate) bundles: BTreeMap<String, Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct JwtSvidRequest {
    #[prost(string, repeated, tag = "1")]
    pub(crate) audience: Vec<String>,
    /// Whose; all that the caller may have if it is empty.
    #[prost(string, tag = "2")]
    pub(crate) spiffe_id: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct JwtSvids {
    #[prost(message, repeated, tag = "1")]
    pub(crate) svids: Vec<JwtSvid>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct JwtSvid {
    #[prost(string, tag = "1")]
    pub(crate) spiffe_id: String,
    #[prost(string, tag = "2")]
    pub(crate) svid: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct JwtBundles {
    /// JWK Sets, by trust domain.
    #[prost(btree_map = "string, bytes", tag = "1")]
    pub(crate) bundles: BTreeMap<String, Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ValidateRequest {
    #[prost(string, tag = "1")]
    pub(crate) audience: String,
    #[prost(string, tag = "2")]
    pub(crate) svid: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Validated {
    #[prost(string, tag = "1")]
    pub(crate) spiffe_id: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) claims: Option<Struct>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Struct {
    #[prost(btree_map = "string, message", tag = "1")]
    fields: BTreeMap<String, Value>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Value {
    #[prost(oneof = "Kind", tags = "1, 2, 3, 4, 5, 6")]
    kind: Option<Kind>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum Kind {
    /// Always zero.
    #[prost(int32, tag = "1")]
    Null(i32),
    #[prost(double, tag = "2")]
    Number(f64),
    #[prost(string, tag = "3")]
    Text(String),
    #[prost(bool, tag = "4")]
    Bool(bool),
    #[prost(message, tag = "5")]
    Struct(Struct),
    #[prost(message, tag = "6")]
    List(List),
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct List {
    #[prost(message, repeated, tag = "1")]
    values: Vec<Value>,
}

impl Struct {
    pub(crate) fn of(members: &jwt::Map<String, jwt::Value>) -> Self {
        let fields = members.iter();
        let fields = fields.map(|(name, value)| (name.clone(), Value::of(value)));
        Self {
            fields: fields.collect(),
        }
    }
}

impl Value {
    fn of(value: &jwt::Value) -> Self {
        let kind = match value {
            jwt::Value::Null => Kind::Null(0),
            jwt::Value::Bool(value) => Kind::Bool(*value),
            jwt::Value::Number(number) => Kind::Number(number.as_f64().unwrap_or_default()),
            jwt::Value::String(text) => Kind::Text(text.clone()),
            jwt::Value::Array(values) => Kind::List(List {
                values: values.iter().map(Self::of).collect(),
            }),
            jwt::Value::Object(members) => Kind::Struct(Struct::of(members)),
        };
        Self { kind: Some(kind) }
    }
}
