//! etcd and API server alone.

use leno_cluster::{Cluster, Tier};

use crate::rest;

#[test]
fn an_api_server_keeps_objects_and_leaves_nothing() {
    let settings = rest::settings();
    let cluster = Cluster::start(Tier::Api).unwrap();
    let folder = cluster.folder().to_owned();
    cluster
        .apply(
            "{apiVersion: v1, kind: ConfigMap, metadata: {name: greeting}, data: {word: hello}}\n---\n\
             {apiVersion: v1, kind: Pod, metadata: {name: nowhere}, spec: {containers: [{name: a, image: a}]}}",
        )
        .unwrap();
    let word = cluster.ask(&[
        "get",
        "configmap",
        "greeting",
        "-o",
        "jsonpath={.data.word}",
    ]);
    assert_eq!(word.unwrap(), "hello");
    let refused = cluster.apply("{apiVersion: v1, kind: Pod, metadata: {name: Wrong_Name}}");
    let refused = refused.unwrap_err().to_string();
    assert!(
        refused.contains("Invalid value: \"Wrong_Name\""),
        "{refused}"
    );
    cluster.check().unwrap();
    assert!(rest::of(&folder).len() > 3);
    drop(cluster);
    assert_eq!(rest::of(&folder), [""; 0]);
    assert_eq!(rest::settings(), settings);
}

#[test]
fn a_component_that_ends_is_named_with_its_last_words() {
    let cluster = Cluster::start(Tier::Api).unwrap();
    let mut kill = cluster.inside("pkill");
    assert!(
        kill.args(["-KILL", "-x", "etcd"])
            .status()
            .unwrap()
            .success()
    );
    let told = cluster.until("etcd is missed", || None::<()>).unwrap_err();
    let told = told.to_string();
    assert!(
        told.starts_with("etcd has ended (signal 9); its last lines:\n  "),
        "{told}"
    );
}
