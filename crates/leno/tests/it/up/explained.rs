//! What became of calls, told by their ids.

use super::world::Folder;
use crate::said::until;

/// A service that does what its paths say.
const PAYMENTS: &str = r#"
import http.server, time

class Payments(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/slow":
            time.sleep(3)
        if self.path == "/cut":
            return self.connection.close()
        self.send_response(500 if self.path == "/bad" else 200)
        self.send_header("content-length", "3")
        self.end_headers()
        self.wfile.write(b"ok\n")

    def log_message(self, *_):
        pass

http.server.ThreadingHTTPServer(("", 8080), Payments).serve_forever()
"#;

const SHOP: &str = "\
apiVersion: leno.dev/v1alpha1
kind: Mesh
metadata: {name: mesh}
spec: {trustDomain: shop.local, mtls: Strict, default: Deny}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: payments}
spec:
  parentRefs: [{group: '', kind: Service, name: payments}]
  rules:
  - matches: [{headers: [{name: x-canary, value: 'yes'}]}]
    backendRefs: [{name: nobody, port: 8080}]
  - backendRefs: [{name: payments, port: 8080}]
    timeouts: {request: 3s}
---
apiVersion: leno.dev/v1alpha1
kind: AccessPolicy
metadata: {name: payments}
spec:
  targetRefs: [{kind: Service, name: payments}]
  rules:
  - callers: [{identity: default/checkout}]
---
apiVersion: leno.dev/v1alpha1
kind: MeshWorkload
metadata: {name: payments}
spec:
  run: {command: [python3, payments.py]}
  ports: [{port: 8080, protocol: HTTP}]
---
apiVersion: leno.dev/v1alpha1
kind: MeshWorkload
metadata: {name: store}
spec:
  run: {command: [python3, -m, http.server, '6379']}
  ports: [{port: 6379, protocol: TCP}]
---
apiVersion: leno.dev/v1alpha1
kind: MeshWorkload
metadata: {name: checkout}
spec: {run: {command: sleep 1000}}
";

/// What is told of the last call that is kept, once it went `to`.
fn why(folder: &Folder, to: &str) -> String {
    let mut told = String::new();
    until(|| {
        told = folder.told(["tap", "--last", "1", "--path", to, "-o", "json"]);
        told.contains("\"id\":\"")
    });
    let (_, id) = told.split_once("\"id\":\"").unwrap();
    folder.told(["why", &id[..8]])
}

fn check(told: &str, expect: &[&str]) {
    let mut rest = told;
    for words in expect {
        let Some((_, behind)) = rest.split_once(words) else {
            panic!("{words:?} is not told, or not in this order:\n{told}");
        };
        rest = behind;
    }
}

#[test]
fn each_kind_of_failure_is_explained_by_the_calls_id() {
    let folder = Folder::new("explained");
    folder
        .write("payments.py", PAYMENTS)
        .write("leno.yaml", SHOP);
    let mut up = folder.up();
    until(|| folder.is_up("payments"));
    let ask = |who: &str, path: &str| {
        let url = format!("http://payments:8080{path}");
        drop(folder.told(["curl", who, &url]));
        why(&folder, path)
    };
    let route = "  ✓ route     HTTPRoute default/payments rule 2 ";
    let passed_over = "rule 1 no: header x-canary absent";
    check(
        &ask("store", "/denied"),
        &[
            "store → payments:8080  GET /denied   403 R003 no-allow-rule after ",
            "answered by: proxy of payments",
            route,
            passed_over,
            "  ✓ endpoint ",
            ", mTLS, 1 of 1 usable",
            "  payments (node, revision 1)",
            "  ✓ mTLS      strict: the caller is default/store, proven ",
            "  ✗ access    no AccessPolicy allows it",
            "rule 1 no: the caller is not default/checkout",
            "Revision 1 (now): same",
            "Next  leno explain R003",
            "exit 1",
        ],
    );
    check(
        &ask("checkout", "/slow"),
        &[
            "504 R023 response-timeout after ",
            route,
            "  ✗ answer    no answer came within 3s ",
            "leno.yaml:14",
            "the limit is timeouts.request of HTTPRoute default/payments",
            "  ✓ access    allowed by AccessPolicy default/payments rule 1 ",
        ],
    );
    check(
        &ask("checkout", "/cut"),
        &[
            "502 R022 reset-before-response after ",
            "answered by: proxy of payments",
            "retry     not tried: it may have been processed",
            "  ✗ answer ",
            " closed the connection before it answered",
        ],
    );
    check(
        &ask("checkout", "/bad"),
        &[
            "500 after ",
            "answered by: payments",
            "  ✗ answer    500: the service itself answered so",
            "Next  leno logs payments · leno tap payments --failed",
        ],
    );

    // A revision that takes the endpoints away is named by the one before it, and taken back.
    let broken = SHOP.replace(
        "- backendRefs: [{name: payments,",
        "- backendRefs: [{name: ghost,",
    );
    let ghost = "---\napiVersion: v1\nkind: Service\nmetadata: {name: ghost}\n\
        spec: {selector: {app: ghost}, ports: [{port: 8080, appProtocol: http}]}\n";
    folder.write("leno.yaml", &(broken + ghost));
    up.read_until("  revision 2 ");
    check(
        &ask("checkout", "/gone"),
        &[
            "503 R013 no-endpoint after ",
            "  ✗ endpoint  default/ghost:8080 has no endpoint",
            "  - retry     not tried: no endpoint left",
            "  payments    not reached: TLS and access policy were never asked",
            "Revision 2 (now): same.   Revision 1: payments:8080, 1 of 1 usable",
            "assumed",
            "Next  leno rollback 1 · ",
        ],
    );

    // Bytes are explained as requests are.
    drop(folder.told(["curl", "checkout", "http://store:6379/"]));
    let kept = folder.told(["tap", "--last", "1", "--to", "store", "-o", "json"]);
    let (_, id) = kept.split_once("\"id\":\"").unwrap();
    check(
        &folder.told(["explain", &id[..8]]),
        &[
            "checkout → store:6379  tcp ",
            "R003 no-allow-rule",
            "none attached",
            "  ✗ answer    the proxy at ",
            "  ✓ mTLS      strict: the caller is default/checkout, proven ",
            "  ✗ access    no AccessPolicy allows it",
        ],
    );
    check(&folder.told(["why", "R003"]), &["R003 no-allow-rule"]);
}
