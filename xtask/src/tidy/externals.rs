//! Which crates of others ours may use: below layer 3 by list, above it by owner.

use super::{
    finding::Finding,
    tree::{Crate, Dependency, Tree},
};

/// What layers 0 to 2 may use outside tests: the crate, by whom, and why. Each keeps the outside
/// world from our sight and only computes.
#[rustfmt::skip]
const BELOW_LAYER_3: &[(&str, &[&str], &str)] = &[
    ("arrayvec", &["protocol"], "room for a head's headers on the stack"),
    ("aws-lc-rs", &["identity"], "makes and checks signatures, for rcgen and rustls-webpki"),
    ("base64", &["jwt", "protocol"], "the parts of a token; the keys of WebSocket's handshake"),
    ("cel", &["condition"], "parses CEL; what it parsed is checked and asked by a tree of ours"),
    ("granit-parser", &["resources"], "YAML events with their places; every struct above them is ours"),
    ("jsonwebtoken", &["jwt"], "checks and makes the signatures of tokens, by aws-lc-rs"),
    ("memchr", &["protocol"], "finds an octet in a line many octets at a time"),
    ("prost", &["authorizer", "wire"], "protobuf's bytes; its messages stay private to each crate"),
    ("rcgen", &["identity"], "writes certificates; the CA's rules decide what stands in them"),
    ("regex-automata", &["model"], "patterns matched in one pass over the text, whatever the text"),
    ("regex-syntax", &["model"], "the grammar of those patterns, with errors that point into them"),
    ("rustls-pki-types", &["identity"], "the types in which rustls-webpki takes certificates"),
    ("rustls-webpki", &["identity"], "judges chains, which nobody should write again"),
    ("serde", &["jwt"], "what reads JSON so that a name that comes twice is seen"),
    ("serde_json", &["condition", "jwt"], "the JSON of tokens and keys, whose members nobody knows beforehand"),
    ("sha1", &["protocol"], "the answer to such a key, where it proves nothing but that it was read"),
    ("sha2", &["identity", "jwt", "wire"], "the hash that is a part's version, and that names a root or a key"),
    ("thiserror", &["authorizer", "compile", "federation", "identity", "jwt", "model", "protocol", "resources", "traffic", "wire"],
        "writes the Display of error enums; nothing remains of it at run time"),
    ("time", &["identity"], "rcgen takes dates in its types; the clock in it is switched off"),
    ("x509-parser", &["identity"], "reads names and dates of certificates; webpki judges them"),
];

/// What only some crates may use, tests included: one format or one outside world each.
#[rustfmt::skip]
const OWNED: &[(&[&str], &[&str], &str)] = &[
    (&["granit-parser", "saphyr", "saphyr-parser", "serde-saphyr", "serde_yaml"], &["resources"], "knows YAML"),
    (&["prost", "protox", "tonic-prost"], &["agent", "authorizer", "otlp", "telemetry", "wire"], "knows protobuf"),
    (&["gateway-api", "k8s-openapi", "kube"], &["kubernetes"], "knows the cluster API"),
    (&["etcd-client", "rusqlite"], &["store"], "knows a database"),
    (&["rustls", "tokio-rustls"], &["channel"], "speaks TLS"),
    (&["opentelemetry-proto", "prometheus-client"], &["telemetry"], "knows metric names"),
    (&["aya", "libc", "nix", "rtnetlink"], &["host"], "speaks to the kernel past the standard library"),
    (&["anstream", "anyhow", "clap", "comfy-table", "indicatif", "ratatui"], &["leno"], "talks to a person"),
];

pub(crate) fn find(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for krate in tree.crates.iter().filter(|krate| krate.is_product()) {
        for edge in krate.dependencies.iter().filter(|edge| !edge.ours) {
            let problem = owned(krate, edge).or_else(|| unlisted(krate, edge));
            if let Some((what, help)) = problem {
                findings.push(Finding {
                    file: krate.manifest(),
                    line: krate.line_of(tree, edge),
                    what,
                    help,
                });
            }
        }
    }
    findings
}

fn owned(krate: &Crate, edge: &Dependency) -> Option<(String, String)> {
    let (_, owners, why) = OWNED
        .iter()
        .find(|(names, ..)| names.contains(&edge.name.as_str()))?;
    if owners.contains(&krate.name.as_str()) {
        return None;
    }
    let what = format!("`{}` may not use `{}`", krate.name, edge.name);
    let help = format!(
        "only `{}` {why}: ask it through its door",
        owners.join("`, `")
    );
    Some((what, help))
}

fn unlisted(krate: &Crate, edge: &Dependency) -> Option<(String, String)> {
    if edge.dev || krate.layer? > 2 {
        return None;
    }
    let listed = BELOW_LAYER_3
        .iter()
        .any(|(name, users, _)| *name == edge.name && users.contains(&krate.name.as_str()));
    if listed {
        return None;
    }
    let what = format!(
        "`{}` is not on the list of what `{}` may use",
        edge.name, krate.name
    );
    let help = "layers 0 to 2 only compute: do without it, or add it with its reason to \
                BELOW_LAYER_3 in xtask/src/tidy/externals.rs";
    Some((what, help.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, layer: u64, edge: Dependency, expect: Option<&str>) {
        let tree = Tree {
            crates: vec![Crate::of(name, layer, vec![edge])],
            files: vec![],
        };
        let whats: Vec<_> = find(&tree)
            .into_iter()
            .map(|finding| finding.what)
            .collect();
        assert_eq!(whats, Vec::from_iter(expect));
    }

    #[test]
    fn the_lower_layers_use_what_is_listed() {
        check("model", 0, Dependency::external("thiserror"), None);
        check(
            "model",
            0,
            Dependency::external("tokio"),
            Some("`tokio` is not on the list of what `model` may use"),
        );
        check(
            "model",
            0,
            Dependency::external("proptest").for_tests(),
            None,
        );
        check("proxy", 5, Dependency::external("tokio"), None);
    }

    #[test]
    fn an_outside_world_has_one_owner() {
        check("store", 3, Dependency::external("rusqlite"), None);
        check(
            "control",
            5,
            Dependency::external("rusqlite"),
            Some("`control` may not use `rusqlite`"),
        );
        check(
            "traffic",
            2,
            Dependency::external("serde-saphyr").for_tests(),
            Some("`traffic` may not use `serde-saphyr`"),
        );
    }
}
