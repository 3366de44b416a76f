//! Gateway API's conformance suite, unchanged, on a node.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use leno_image::{Image, Part};

use crate::programs::Suite;
use crate::{Cluster, Failure, Placement, Tier, authority};

/// How each test of a profile ended, by name.
pub type Outcomes = BTreeMap<String, bool>;

/// The core tests that must fail where nothing is a mesh. All others prove only that pods reach each other.
pub const NEEDS_A_MESH: [&str; 6] = [
    "MeshHTTPRouteMatching",
    "MeshHTTPRouteRedirectHostAndStatus",
    "MeshHTTPRouteRequestHeaderModifier",
    "MeshHTTPRouteSimpleSameNamespace",
    "MeshHTTPRouteWeight",
    "MeshTrafficSplit",
];

/// How many tests of meshes the release has: with a mesh, all of them run.
pub const ALL: usize = 22;

/// Runs the core tests of the profile for HTTP on a node without a mesh. What the suite says goes to `log`.
pub fn without_mesh(log: &Path) -> Result<Outcomes, Failure> {
    let suite = Suite::make()?;
    let cluster = Cluster::start(Tier::Node)?;
    cluster.define_gateway_api()?;
    let (outcomes, _fails) = run(&suite, &cluster, &WITHOUT.map(str::to_owned), log)?;
    Ok(outcomes)
}

/// Runs all tests of both mesh profiles on a node with Leno. What the suite says goes to `log`, and its report to
/// `report`, in the form in which Gateway API takes reports. `only` runs one test alone.
pub fn with_mesh(
    placement: Placement,
    only: Option<&str>,
    log: &Path,
    report: &Path,
) -> Result<Outcomes, Failure> {
    let suite = Suite::make()?;
    let cluster = Cluster::for_leno()?;
    cluster.install_leno(placement)?;
    let features = FEATURES.concat().join(",");
    let mut arguments = WITH.map(str::to_owned).to_vec();
    arguments.extend([
        format!("--supported-features={features}"),
        format!(
            "--namespace-labels=leno.dev/dataplane-mode={}",
            placement.name()
        ),
        format!("--mode={}", placement.name()),
        format!("--report-output={}", report.display()),
        format!("--version=v{}", env!("CARGO_PKG_VERSION")),
    ]);
    arguments.extend(only.map(|only| format!("--run-test={only}")));
    let (outcomes, ended) = run(&suite, &cluster, &arguments, log)?;
    let failed = outcomes.values().any(|passed| !passed);
    match ended.success() || failed {
        true => Ok(outcomes),
        false => Err(Failure::Command {
            command: suite.tests.display().to_string(),
            status: ended.to_string(),
            said: format!("no test failed: {}", log.display()),
        }),
    }
}

/// Runs the suite with these arguments beside those that always hold, and says how the tests ended, and how it did.
fn run(
    suite: &Suite,
    cluster: &Cluster,
    arguments: &[String],
    log: &Path,
) -> Result<(Outcomes, ExitStatus), Failure> {
    let manifests = suite.conformance.join("mesh/manifests.yaml");
    let manifests = fs::read_to_string(&manifests).map_err(Failure::of("the suite's manifests"))?;
    cluster.import(&echo(suite, &manifests)?)?;
    let out = fs::File::create(log).map_err(Failure::of(log.display().to_string()))?;
    let mut tests = cluster.command(&suite.tests.display().to_string());
    tests.args(ARGUMENTS).args(arguments);
    tests.stdin(Stdio::null()).stdout(out);
    let ended = tests.stderr(Stdio::null()).status();
    let ended = ended.map_err(Failure::of("the conformance suite"))?;
    let said = fs::read_to_string(log).map_err(Failure::of(log.display().to_string()))?;
    Ok((outcomes(&said), ended))
}

/// What the pods of mesh tests run, under the names by which the suite's manifests ask for it.
fn echo(suite: &Suite, manifests: &str) -> Result<Image, Failure> {
    let images = manifests
        .lines()
        .filter_map(|line| line.trim().strip_prefix("image: "));
    let names: BTreeSet<String> = images.map(str::to_owned).collect();
    let mut parts = BTreeMap::new();
    for (path, file) in [
        ("/usr/local/bin/server", &suite.server),
        ("/usr/local/bin/client", &suite.client),
    ] {
        let bytes = fs::read(file).map_err(Failure::of(file.display().to_string()))?;
        parts.insert(path.to_owned(), Part { bytes, runs: true });
    }
    let (certificate, key) = authority::self_signed("echo")?;
    for (path, text) in [("/cert.crt", certificate), ("/cert.key", key)] {
        let bytes = text.into_bytes();
        parts.insert(path.to_owned(), Part { bytes, runs: false });
    }
    Ok(Image {
        names: names.into_iter().collect(),
        parts,
        entrypoint: vec!["/usr/local/bin/server".to_owned()],
        user: 1338,
    })
}

/// How tests ended that were not skipped, by what `go test -v` says.
fn outcomes(said: &str) -> Outcomes {
    let ended = said.lines().filter_map(|line| {
        let (how, rest) = line
            .strip_prefix("    --- ")?
            .split_once(": TestConformance/")?;
        let (name, _) = rest.split_once(' ')?;
        let passed = match how {
            "PASS" => true,
            "FAIL" => false,
            _ => return None,
        };
        (!name.contains('/')).then(|| (name.to_owned(), passed))
    });
    ended.collect()
}

/// How the suite is run: one lucky answer is no proof, so that each has to come twenty times.
const ARGUMENTS: [&str; 4] = [
    "-test.v",
    "-test.run=TestConformance",
    "-test.timeout=40m",
    "--timeout-config-overrides=RequiredConsecutiveSuccesses:20;MaxTimeToConsistency:30",
];

const WITHOUT: [&str; 2] = [
    "--conformance-profiles=MESH-HTTP",
    "--supported-features=Mesh,HTTPRoute",
];

/// Who makes the claim.
const WITH: [&str; 6] = [
    "--conformance-profiles=MESH-HTTP,MESH-GRPC",
    "--gateway-class=",
    "--organization=leno",
    "--project=leno",
    "--url=https://leno.dev",
    "--contact=https://leno.dev",
];

/// The features whose tests run: those of the profiles' core, all extended ones of meshes, and those that tests of meshes
/// ask for and no profile of meshes scores.
const FEATURES: [&[&str]; 3] = [
    &["Mesh", "HTTPRoute", "GRPCRoute"],
    &[
        "MeshClusterIPMatching",
        "MeshConsumerRoute",
        "MeshHTTPRouteBackendRequestHeaderModification",
        "MeshHTTPRouteNamedRouteRule",
        "MeshHTTPRouteQueryParamMatching",
        "MeshHTTPRouteRedirectPath",
        "MeshHTTPRouteRedirectPort",
        "MeshHTTPRouteRewritePath",
        "MeshHTTPRouteSchemeRedirect",
    ],
    &[
        "HTTPRoute303RedirectStatusCode",
        "HTTPRoute307RedirectStatusCode",
        "HTTPRoute308RedirectStatusCode",
        "HTTPRouteParentRefPort",
        "HTTPRouteResponseHeaderModification",
    ],
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_those_of_whole_tests() {
        let said = "\
=== RUN   TestConformance/MeshBasic
--- FAIL: TestConformance (9.00s)
    --- PASS: TestConformance/MeshBasic (1.00s)
        --- PASS: TestConformance/MeshBasic/Send_to_service (1.00s)
    --- SKIP: TestConformance/MeshPorts (0.00s)
    --- FAIL: TestConformance/MeshTrafficSplit (8.00s)
";
        let expect = [("MeshBasic", true), ("MeshTrafficSplit", false)];
        let expect = expect.map(|(name, passed)| (name.to_owned(), passed));
        assert_eq!(outcomes(said), Outcomes::from(expect));
    }
}
