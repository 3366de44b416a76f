//! From `spec.externalAuth` to who is asked about requests. What cannot be read leaves nobody in.

use alloc::{format, sync::Arc, vec::Vec};
use core::num::NonZeroU16;
use core::time::Duration;

use leno_model::Notes;
use leno_model::view::PortRef;
use leno_model::view::access::{AuthProtocol, ExternalAuth, OnFailure};
use leno_resources::policy::{self, AccessPolicySpec, AuthorizerRef, Request};
use leno_resources::{List, Object};

use super::read::{self, Means, Reader};
use crate::backends::{self, Referrer, Referring};
use crate::finding;
use crate::parents::Role;
use crate::rules::Surroundings;

/// What `spec.externalAuth` means; `None` if some of it cannot be carried out.
pub(super) fn read(
    object: &Object<AccessPolicySpec>,
    written: &policy::ExternalAuth,
    means: &Means<'_>,
    notes: &mut Notes,
) -> Option<ExternalAuth> {
    let policy::ExternalAuth {
        protocol,
        backend_ref,
        timeout,
        on_failure,
        requests,
        except,
        grpc,
        http,
        forward_body,
    } = written;
    let to = authorizer(object, backend_ref, means, notes)?;
    let none = List::default();
    let (of, tells, sets) = match protocol {
        policy::AuthProtocol::Grpc => match grpc {
            Some(grpc) => (
                "grpc",
                &grpc.allowed_headers,
                &grpc.allowed_response_headers,
            ),
            None => ("grpc", &none, &none),
        },
        policy::AuthProtocol::Http => match http {
            Some(http) => (
                "http",
                &http.allowed_headers,
                &http.allowed_response_headers,
            ),
            None => ("http", &none, &none),
        },
    };
    let tells = headers(object, tells, &format!("{of}/allowedHeaders"), notes)?;
    let sets = headers(object, sets, &format!("{of}/allowedResponseHeaders"), notes)?;
    let protocol = match protocol {
        policy::AuthProtocol::Grpc => AuthProtocol::Grpc,
        policy::AuthProtocol::Http => {
            let path = http.as_ref().and_then(|http| http.path.as_deref());
            AuthProtocol::Http(path.unwrap_or_default().trim_end_matches('/').into())
        }
    };
    let mut matches = |written: &List<Request>, field: &str| {
        let mut understood = true;
        let pointer = format!("/spec/externalAuth/{field}");
        let mut reader = Reader::new(object, means.trust_domain, means.scope.peers, notes);
        let read = reader.requests(written, &pointer, &mut understood);
        understood.then_some(read)
    };
    Some(ExternalAuth {
        origin: object.origin("/spec/externalAuth"),
        // What routes take is known for each port.
        within: Vec::new(),
        requests: matches(requests, "requests")?,
        except: matches(except, "except")?,
        to,
        timeout: timeout.unwrap_or(TIMEOUT),
        on_failure: match on_failure {
            Some(policy::OnFailure::Allow) => OnFailure::Allow,
            Some(policy::OnFailure::Deny) | None => OnFailure::Deny,
        },
        tells: match protocol {
            AuthProtocol::Grpc if tells.is_empty() => None,
            AuthProtocol::Grpc | AuthProtocol::Http(_) => Some(tells),
        },
        protocol,
        sets,
        body: forward_body
            .as_ref()
            .and_then(|body| NonZeroU16::new(body.max_size)),
    })
}

/// Who is asked, if that is somebody.
fn authorizer(
    object: &Object<AccessPolicySpec>,
    written: &AuthorizerRef,
    means: &Means<'_>,
    notes: &mut Notes,
) -> Option<PortRef> {
    let referring = Referring {
        by: Referrer::AccessPolicy,
        own: &finding::namespace(object),
        // Its workloads ask in their own names, whoever wrote it.
        role: Role::Producer,
    };
    let Surroundings { routed, grants } = means.surroundings;
    match backends::port(written.into(), referring, routed, grants) {
        Ok(to) => Some(to),
        Err(flaw) => {
            notes.push(flaw.note(object, "/spec/externalAuth/backendRef", CLOSED));
            None
        }
    }
}

/// The headers of a list, each once, if all of them are free for that.
fn headers(
    object: &Object<AccessPolicySpec>,
    written: &List<Arc<str>>,
    field: &str,
    notes: &mut Notes,
) -> Option<Vec<Arc<str>>> {
    let mut names = Vec::new();
    for (index, name) in written.iter().enumerate() {
        let pointer = format!("/spec/externalAuth/{field}/{index}");
        let name = read::carried(object, &pointer, name.sound()?, notes)?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Some(names)
}

/// How long a question may take, if nobody says.
const TIMEOUT: Duration = Duration::from_secs(1);

/// What holds where `externalAuth` cannot be carried out.
const CLOSED: &str = "calls to its targets are denied";
