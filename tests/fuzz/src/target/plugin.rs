//! What a container runtime says to the network plugin of a node.

use leno_cni::{Answer, Called, run};
use serde::de::IgnoredAny;
use serde_json::Value;

use super::Target;

pub(super) const TARGET: Target = Target {
    name: "cni",
    holds: "a network that was made before is passed on as it is, or the call fails by a numbered error",
    seeds,
    words: &[
        "\"cniVersion\":",
        "\"prevResult\":",
        "\"1.0.0\"",
        "\"0.4.0\"",
        "\"ips\":",
        "\"address\":",
        "{",
        "}",
        "null",
        "1e999",
        "\\ud800",
    ],
    check,
};

fn seeds() -> Vec<Vec<u8>> {
    let seeds = [
        r#"{"cniVersion":"1.0.0","type":"leno-cni","prevResult":{"cniVersion":"1.0.0","ips":[{"address":"10.0.0.1/24"}]}}"#,
        r#"{"cniVersion": "0.3.1", "prevResult": { "ips" : [], "interfaces":[{"sandbox":"/x"}] } }"#,
        r#"{"cniVersion":"1.1.0","whileAway":"Open","timeoutSeconds":3,"excludeNamespaces":["a"],"prevResult":{}}"#,
    ];
    seeds.map(|seed| seed.as_bytes().to_vec()).into()
}

fn check(input: &[u8]) -> bool {
    let called = Called {
        command: Some("ADD".to_owned()),
        netns: Some("/run/netns/a".to_owned()),
        arguments: Some("K8S_POD_NAMESPACE=shop;K8S_POD_NAME=cart".to_owned()),
    };
    let ended = run(&called, input, |_, _| Ok(Answer::Served(true)));
    let printed: Result<IgnoredAny, _> = serde_json::from_str(&ended.out);
    printed.expect("what is printed is JSON");
    // Half of a pair of surrogates is JSON that is passed on, and that no text can hold.
    let read = |text: &[u8]| serde_json::from_slice::<Value>(text).ok();
    let (Some(mut said), Some(mut given)) = (read(ended.out.as_bytes()), read(input)) else {
        return false;
    };
    if !ended.is_fine {
        assert!(said["code"].is_u64() && said["msg"].is_string(), "{said}");
        return false;
    }
    assert_eq!(said["cniVersion"], given["cniVersion"]);
    for result in [&mut said, &mut given["prevResult"]] {
        let fields = result.as_object_mut().expect("a result is an object");
        fields.remove("cniVersion");
    }
    assert_eq!(said, given["prevResult"]);
    true
}
