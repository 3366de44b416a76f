//! The table.

use core::slice;

/// A feature: what uses it, and what becomes of that where a proxy lacks it.
#[derive(Debug)]
pub struct Row {
    /// Its name between proxies and control plane.
    pub feature: &'static str,
    /// What people write to use it.
    pub what: &'static str,
    /// Whose proxy has to understand it.
    pub reads: Reads,
    /// What a proxy that lacks it refuses, in words.
    pub refused: &'static str,
    /// The release that understands it first.
    pub since: &'static str,
    /// How it is used when it is played.
    pub used: Used,
}

/// Whose proxy reads something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reads {
    /// That of who calls.
    Caller,
    /// That of who is called.
    Called,
    /// Every one.
    Each,
    /// That of a node.
    Node,
}

/// How a row is played.
#[derive(Debug)]
pub enum Used {
    /// By calls of `web` to `cart`.
    Here {
        /// The `spec` of an AccessPolicy over `cart`; without it everybody of the mesh may call.
        policy: &'static str,
        /// The rules of an HTTPRoute of `cart`.
        route: &'static str,
        /// Further objects.
        objects: &'static str,
        /// The calls that are made.
        calls: &'static [Call],
    },
    /// By a call to another trust domain, and by one from there.
    Abroad(Call),
    /// By values alone: which test does.
    ByValues(&'static str),
}

/// A call, and how it ends.
#[derive(Debug)]
pub struct Call {
    /// What of it is told to curl, the path first. `<token>` stands for a token of `anna`.
    pub asks: &'static [&'static str],
    /// Where the proxy that reads the feature lacks it.
    pub older: &'static str,
    /// Where it has it.
    pub newer: &'static str,
}

/// Who is older when a row is played.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Older {
    /// The proxy of who calls.
    Caller,
    /// The proxy of who is called.
    Called,
}

impl Row {
    /// The calls that are made.
    pub fn calls(&self) -> &[Call] {
        match &self.used {
            Used::Here { calls, .. } => calls,
            Used::Abroad(call) => slice::from_ref(call),
            Used::ByValues(_) => &[],
        }
    }

    /// Whether the row is about the proxy that is older.
    pub fn is_met_by(&self, older: Older) -> bool {
        match self.reads {
            Reads::Caller => older == Older::Caller,
            Reads::Called => older == Older::Called,
            Reads::Each => true,
            Reads::Node => false,
        }
    }
}

const fn call(asks: &'static [&'static str], older: &'static str, newer: &'static str) -> Call {
    Call { asks, older, newer }
}

/// A call that goes on, whoever is older.
const BESIDE: Call = call(&["/old"], WELL, WELL);

const WELL: &str = "200";
const DENIED: &str = "403 R005 policy-not-understood";
const NOBODY: &str = "403 R003 no-allow-rule";
const UNUSABLE: &str = "500 R011 route-not-usable";

const RULE: &str = "what the rest of the rule matches";
const PORT: &str = "every call to the port";
const ROUTE: &str = "what the rule matches";

const fn access(
    feature: &'static str,
    what: &'static str,
    refused: &'static str,
    policy: &'static str,
    calls: &'static [Call],
) -> Row {
    let used = Used::Here {
        policy,
        route: "",
        objects: "",
        calls,
    };
    Row {
        feature,
        what,
        reads: Reads::Called,
        refused,
        since: FIRST,
        used,
    }
}

const fn route(
    feature: &'static str,
    what: &'static str,
    route: &'static str,
    calls: &'static [Call],
) -> Row {
    let used = Used::Here {
        policy: "",
        route,
        objects: "",
        calls,
    };
    Row {
        feature,
        what,
        reads: Reads::Caller,
        refused: ROUTE,
        since: FIRST,
        used,
    }
}

/// The release that has all of them.
const FIRST: &str = "0.1.0";

/// Who gave the token, where it is looked for.
macro_rules! issuers {
    ($from:literal) => {
        concat!(
            "jwt: {issuers: [{issuer: id, audiences: [shop], ",
            $from,
            "jwks: {inline: '{\"keys\": [<jwk>]}'}}]}\n"
        )
    };
}

/// Every feature, by its name.
pub const TABLE: &[Row] = &[
    access(
        "access-claims",
        "`AccessPolicy`: `rules[].requests[].claims`",
        RULE,
        concat!(
            issuers!(""),
            "rules:\n\
             - requests: [{paths: [{value: /new}], claims: [{name: sub, value: anna}]}]\n\
             - requests: [{paths: [{value: /old}]}]\n",
        ),
        &[
            call(
                &["/new", "-H", "authorization: Bearer <token>"],
                DENIED,
                WELL,
            ),
            call(&["/new"], DENIED, "401 R062 jwt-missing"),
            BESIDE,
        ],
    ),
    access(
        "access-condition",
        "`AccessPolicy`: `rules[].when`",
        RULE,
        "rules:\n\
         - {requests: [{paths: [{value: /new}]}], when: request.method == 'GET'}\n\
         - requests: [{paths: [{value: /old}]}]\n",
        &[
            call(&["/new"], DENIED, WELL),
            call(&["/new", "-X", "DELETE"], DENIED, NOBODY),
            BESIDE,
        ],
    ),
    access(
        "access-condition-claims",
        "`AccessPolicy`: `jwt.claims` in `rules[].when`",
        RULE,
        concat!(
            issuers!(""),
            "rules:\n\
             - {requests: [{paths: [{value: /new}]}], when: jwt.claims.sub == 'anna'}\n\
             - requests: [{paths: [{value: /old}]}]\n",
        ),
        &[
            call(
                &["/new", "-H", "authorization: Bearer <token>"],
                DENIED,
                WELL,
            ),
            call(&["/new"], DENIED, "401 R062 jwt-missing"),
            BESIDE,
        ],
    ),
    access(
        "access-except",
        "`AccessPolicy`: `rules[].except`",
        RULE,
        "rules:\n\
         - {requests: [{paths: [{value: /new}]}], except: {requests: [{methods: [DELETE]}]}}\n\
         - requests: [{paths: [{value: /old}]}]\n",
        &[
            call(&["/new"], DENIED, WELL),
            call(&["/new", "-X", "DELETE"], DENIED, NOBODY),
            BESIDE,
        ],
    ),
    Row {
        feature: "access-external",
        what: "`AccessPolicy`: `externalAuth`",
        reads: Reads::Called,
        refused: "every call to the port, also those of `externalAuth.except`",
        since: FIRST,
        used: Used::Here {
            policy: "\
externalAuth:
  protocol: HTTP
  backendRef: {name: authz, port: 9000}
  onFailure: Allow
  except: [{paths: [{value: /old}]}]
rules: [{}]
",
            route: "",
            // Nobody answers there: that it is asked shows in that the call goes on all the same.
            objects: "\
---
apiVersion: v1
kind: Service
metadata: {name: authz}
spec: {selector: {app: authz}, ports: [{port: 9000}]}
",
            calls: &[call(&["/new"], DENIED, WELL), call(&["/old"], DENIED, WELL)],
        },
    },
    access(
        "access-headers",
        "`AccessPolicy`: `rules[].requests[].headers`",
        RULE,
        "rules:\n\
         - requests: [{paths: [{value: /new}], headers: [{name: x-user, value: anna}]}]\n\
         - requests: [{paths: [{value: /old}]}]\n",
        &[
            call(&["/new", "-H", "x-user: anna"], DENIED, WELL),
            call(&["/new"], DENIED, NOBODY),
            BESIDE,
        ],
    ),
    access(
        "access-template",
        "`AccessPolicy`: `rules[].requests[].paths` of the type `Template`",
        RULE,
        "rules:\n\
         - requests: [{methods: [PUT], paths: [{type: Template, value: '/new/{id}'}]}]\n\
         - requests: [{paths: [{value: /old}]}]\n",
        &[
            call(&["/new/7", "-X", "PUT"], DENIED, WELL),
            call(&["/new/7/8", "-X", "PUT"], DENIED, NOBODY),
            call(&["/old", "-X", "PUT"], DENIED, WELL),
            BESIDE,
        ],
    ),
    access(
        "access-token-cookies",
        "`AccessPolicy`: `cookie` in `jwt.issuers[].from`",
        PORT,
        concat!(
            issuers!("from: [{cookie: session}], "),
            "rules:\n\
             - requests: [{paths: [{value: /new}], claims: [{name: sub, value: anna}]}]\n\
             - requests: [{paths: [{value: /old}]}]\n",
        ),
        &[
            call(&["/new", "-H", "cookie: session=<token>"], DENIED, WELL),
            call(&["/old"], DENIED, WELL),
        ],
    ),
    Row {
        feature: "access-within",
        what: "`AccessPolicy`: `targetRefs` with an `HTTPRoute` or a `GRPCRoute`",
        reads: Reads::Called,
        refused: "every call to the port that the rule matches, of whichever route",
        since: FIRST,
        used: Used::Here {
            policy: "rules: [{requests: [{methods: [GET]}]}]\n",
            route: "- {matches: [{path: {value: /old}}], backendRefs: [{name: cart, port: 80}]}\n",
            objects: "\
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: cart-new}
spec:
  parentRefs: [{group: '', kind: Service, name: cart}]
  rules: [{matches: [{path: {value: /new}}], backendRefs: [{name: cart, port: 80}]}]
---
apiVersion: leno.dev/v1alpha1
kind: AccessPolicy
metadata: {name: cart-new}
spec: {targetRefs: [{kind: HTTPRoute, name: cart-new}], rules: [{requests: [{methods: [GET]}]}]}
",
            calls: &[
                call(&["/new"], DENIED, WELL),
                call(&["/old"], DENIED, WELL),
                call(&["/old", "-X", "DELETE"], NOBODY, NOBODY),
            ],
        },
    },
    route(
        "attempt-timeout",
        "`HTTPRoute`: `rules[].timeouts.backendRequest`",
        "- matches: [{path: {value: /new}}, {path: {value: /never}}]\n  \
           timeouts: {request: 1s, backendRequest: 300ms}\n  \
           backendRefs: [{name: cart, port: 80}]\n\
         - {matches: [{path: {value: /old}}], backendRefs: [{name: cart, port: 80}]}\n",
        &[
            call(&["/new"], UNUSABLE, WELL),
            call(&["/never"], UNUSABLE, "504 R023 response-timeout"),
            BESIDE,
        ],
    ),
    route(
        "backend-rewrite",
        "`HTTPRoute`: `URLRewrite` in `rules[].backendRefs[].filters`",
        "- matches: [{path: {value: /new}}]\n  \
           backendRefs:\n  \
           - name: cart\n    \
             port: 80\n    \
             filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /status/418}}}]\n\
         - {matches: [{path: {value: /old}}], backendRefs: [{name: cart, port: 80}]}\n",
        &[call(&["/new"], UNUSABLE, "418"), BESIDE],
    ),
    route(
        "cors",
        "`HTTPRoute`: `CORS` in `rules[].filters`",
        "- matches: [{path: {value: /new}}]\n  \
           filters: [{type: CORS, cors: {allowOrigins: ['https://shop.example']}}]\n  \
           backendRefs: [{name: cart, port: 80}]\n\
         - {matches: [{path: {value: /old}}], backendRefs: [{name: cart, port: 80}]}\n",
        &[call(&["/new"], UNUSABLE, WELL), BESIDE],
    ),
    Row {
        feature: "isolation",
        what: "`NetworkPolicy`: `ingress`",
        reads: Reads::Called,
        refused: "every call to every port of what the policy selects",
        since: FIRST,
        used: Used::Here {
            policy: "",
            route: "",
            objects: "\
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: cart}
spec: {podSelector: {matchLabels: {app: cart}}, ingress: [{from: [{ipBlock: {cidr: 127.0.0.0/8}}]}]}
",
            calls: &[call(&["/new"], DENIED, WELL)],
        },
    },
    Row {
        feature: "isolation-egress",
        what: "`NetworkPolicy`: `egress`",
        reads: Reads::Called,
        refused: "every call to every port of what some callers are let out to at some ports alone, or at none",
        since: FIRST,
        used: Used::Here {
            policy: "",
            route: "",
            objects: "\
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web}
spec:
  podSelector: {matchExpressions: [{key: app, operator: DoesNotExist}]}
  policyTypes: [Egress]
  egress:
  - to: [{podSelector: {matchLabels: {app: cart}}}]
    ports: [{port: 8080}]
  - to: [{podSelector: {matchExpressions: [{key: app, operator: DoesNotExist}]}}]
",
            calls: &[call(&["/new"], DENIED, WELL)],
        },
    },
    route(
        "mirror",
        "`HTTPRoute`, `GRPCRoute`: `RequestMirror` in `rules[].filters` or at a backend",
        "- matches: [{path: {value: /new}}]\n  \
           filters: [{type: RequestMirror, requestMirror: {backendRef: {name: cart, port: 80}}}]\n  \
           backendRefs: [{name: cart, port: 80}]\n\
         - {matches: [{path: {value: /old}}], backendRefs: [{name: cart, port: 80}]}\n",
        &[call(&["/new"], UNUSABLE, WELL), BESIDE],
    ),
    Row {
        feature: "peers",
        what: "`MeshPeer`",
        reads: Reads::Each,
        refused: "every call of another trust domain, and to it: it believes nobody there",
        since: FIRST,
        used: Used::Abroad(call(&["/new"], "502 R025 tunnel-failed", WELL)),
    },
    route(
        "retry-unanswered",
        "`HTTPRoute`, `GRPCRoute`: `rules[].retry`",
        "- matches: [{path: {value: /new}}, {path: {value: /status/503}}]\n  \
           retry: {attempts: 1, codes: [503]}\n  \
           backendRefs: [{name: cart, port: 80}]\n\
         - {matches: [{path: {value: /old}}], backendRefs: [{name: cart, port: 80}]}\n",
        &[
            call(&["/new"], UNUSABLE, WELL),
            call(&["/status/503"], UNUSABLE, "503"),
            BESIDE,
        ],
    ),
    Row {
        feature: "sidecars",
        what: "pods with a proxy beside them, on a node whose proxy keeps their packet rules",
        reads: Reads::Node,
        refused: "no call: it neither loads nor keeps the packet rules of these pods, and those that start wait for a newer one",
        since: FIRST,
        used: Used::ByValues("crates/wire/src/part/skew.rs"),
    },
    Row {
        feature: "token-keys",
        what: "the keys of the mesh's own JSON Web Tokens (JWT-SVIDs)",
        reads: Reads::Each,
        refused: "no call: tokens of the mesh prove nothing to its applications",
        since: FIRST,
        used: Used::Here {
            policy: "",
            route: "",
            objects: "",
            calls: &[BESIDE],
        },
    },
];

#[cfg(test)]
mod tests {
    use leno_wire::part::FEATURES;

    use super::*;

    #[test]
    fn every_feature_has_a_row() {
        let rows = TABLE.iter().map(|row| row.feature);
        assert!(rows.eq(FEATURES.iter().copied()));
    }

    #[test]
    fn a_row_says_what_an_older_proxy_refuses() {
        for row in TABLE {
            let refuses = row.calls().iter().any(|call| call.older != call.newer);
            let refuses_none = row.refused.starts_with("no call");
            assert_eq!(refuses, !refuses_none, "{}", row.feature);
        }
    }
}
