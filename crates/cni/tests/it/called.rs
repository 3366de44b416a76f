//! Calls of the program, with a proxy at its socket that answers what the test says.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixListener;
use std::process::{Command, Output, Stdio};
use std::thread::{self, JoinHandle};

use leno_cni::{Called, Ended, NotAsked, run};
use serde_json::{Value, json};

use crate::Folder;

const VERSIONS: [&str; 4] = ["0.3.1", "0.4.0", "1.0.0", "1.1.0"];

/// What a plugin before this one has made.
fn previous(version: &str) -> Value {
    json!({
        "cniVersion": version,
        "interfaces": [{"name": "veth7"}, {"name": "eth0", "sandbox": "/var/run/netns/cni-7"}],
        "ips": [{"interface": 1, "address": "10.244.0.5/24", "version": "4"}, {"interface": 1, "address": "fd00::5/64"}],
        "dns": {},
    })
}

fn configuration(version: &str) -> Value {
    json!({"cniVersion": version, "name": "pods", "type": "leno-cni", "prevResult": previous(version)})
}

const WEB: &str = "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-1;K8S_POD_INFRA_CONTAINER_ID=0;K8S_POD_UID=7";

fn called(command: &str, arguments: &str) -> Called {
    Called {
        command: Some(command.to_owned()),
        netns: Some("/var/run/netns/cni-7".to_owned()),
        arguments: Some(arguments.to_owned()),
    }
}

/// Calls the program.
fn program(command: &str, configuration: &Value) -> Output {
    let mut plugin = Command::new(env!("CARGO_BIN_EXE_leno-cni"));
    plugin.env_clear().env("CNI_COMMAND", command);
    plugin
        .env("CNI_NETNS", "/var/run/netns/cni-7")
        .env("CNI_ARGS", WEB);
    plugin
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut plugin = plugin.spawn().unwrap();
    let text = configuration.to_string();
    plugin
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    plugin.wait_with_output().unwrap()
}

/// Answers one question with this line, and gives that question.
fn proxy(folder: &Folder, answer: &str) -> JoinHandle<Value> {
    let listener = UnixListener::bind(folder.path().join("node.sock")).unwrap();
    let answer = format!("{answer}\n");
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).unwrap();
        stream.write_all(answer.as_bytes()).unwrap();
        serde_json::from_str(&line).unwrap()
    })
}

/// A configuration that asks such a proxy.
fn asking(folder: &Folder, version: &str) -> Value {
    let mut configuration = configuration(version);
    configuration["socket"] = json!(folder.path().join("node.sock"));
    configuration
}

#[test]
fn a_pod_that_is_served_starts_with_what_was_made_for_it() {
    for version in VERSIONS {
        let folder = Folder::new(&format!("served-{version}"));
        let asked = proxy(&folder, r#"{"served": true}"#);
        let ended = program("ADD", &asking(&folder, version));
        assert!(ended.status.success(), "{ended:?}");
        let result: Value = serde_json::from_slice(&ended.stdout).unwrap();
        assert_eq!(result, previous(version));
        let expect = json!({"add": {"namespace": "shop", "pod": "web-1", "uid": "7", "netns": "/var/run/netns/cni-7",
                                    "addresses": ["10.244.0.5", "fd00::5"]}});
        assert_eq!(asked.join().unwrap(), expect);
    }
}

#[test]
fn a_pod_that_the_proxy_refuses_does_not_start_and_its_code_is_said() {
    let folder = Folder::new("refused");
    let asked = proxy(
        &folder,
        r#"{"refused": {"code": "H006", "why": "no rule can be loaded"}}"#,
    );
    let ended = program("CHECK", &asking(&folder, "1.0.0"));
    assert_eq!(ended.status.code(), Some(1));
    let said: Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(said["msg"], "H006: no rule can be loaded");
    assert_eq!(
        (&said["code"], &said["cniVersion"]),
        (&json!(100), &json!("1.0.0"))
    );
    assert!(said["details"].as_str().unwrap().contains("kubectl logs"));
    assert_eq!(asked.join().unwrap()["check"]["pod"], "web-1");
}

#[test]
fn without_an_answer_no_pod_starts_unless_that_is_wanted() {
    let folder = Folder::new("away");
    let ended = program("ADD", &asking(&folder, "1.0.0"));
    assert_eq!(ended.status.code(), Some(1));
    let said: Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(said["code"], 113);
    assert!(
        said["msg"]
            .as_str()
            .unwrap()
            .starts_with("H013 node-proxy-away: nobody answers at "),
        "{said}"
    );

    let mut open = asking(&folder, "1.0.0");
    open["whileAway"] = "Open".into();
    let ended = program("ADD", &open);
    assert!(ended.status.success(), "{ended:?}");
    assert!(String::from_utf8_lossy(&ended.stderr).contains("starts uncaptured"));

    // One that is there and says nothing, and one whose words mean nothing.
    let _silent = UnixListener::bind(folder.path().join("node.sock")).unwrap();
    let mut short = asking(&folder, "1.0.0");
    short["timeoutSeconds"] = 0.into();
    let ended = program("ADD", &short);
    assert!(
        String::from_utf8_lossy(&ended.stdout).contains("says nothing within 0 s"),
        "{ended:?}"
    );
    let other = Folder::new("misread");
    let _asked = proxy(&other, "what?");
    let mut open = asking(&other, "1.0.0");
    open["whileAway"] = "Open".into();
    let ended = program("ADD", &open);
    assert_eq!(ended.status.code(), Some(1), "somebody is there: {ended:?}");
}

#[test]
fn where_nobody_can_say_whose_a_pod_is_the_mesh_says_whether_it_starts() {
    let undecided = r#"{"undecided": {"code": "H017", "why": "pod-not-placed: nobody says"}}"#;
    for command in ["ADD", "CHECK"] {
        let folder = Folder::new(&format!("closed-{command}"));
        let _asked = proxy(&folder, undecided);
        let ended = program(command, &asking(&folder, "1.0.0"));
        assert_eq!(ended.status.code(), Some(1));
        let said: Value = serde_json::from_slice(&ended.stdout).unwrap();
        assert_eq!(said["msg"], "H017: pod-not-placed: nobody says");

        let folder = Folder::new(&format!("open-{command}"));
        let _asked = proxy(&folder, undecided);
        let mut open = asking(&folder, "1.0.0");
        open["whileAway"] = "Open".into();
        let ended = program(command, &open);
        assert!(ended.status.success(), "{ended:?}");
        let note = String::from_utf8_lossy(&ended.stderr);
        assert!(note.contains("nobody says; whileAway is Open"), "{note}");
    }
}

/// A call about which nobody is to be asked.
fn unasked(called: &Called, input: &str) -> Ended {
    run(
        called,
        input.as_bytes(),
        |_, question| -> Result<_, NotAsked> { panic!("{question:?} was asked") },
    )
}

#[test]
fn pods_of_namespaces_that_are_left_out_and_what_is_no_pod_start_unasked() {
    let result = previous("1.0.0").to_string();
    let given = configuration("1.0.0").to_string();
    for arguments in [
        "K8S_POD_NAMESPACE=leno-system;K8S_POD_NAME=leno-node-x",
        "IgnoreUnknown=1",
        "",
        "K8S_POD_NAME=a",
    ] {
        let ended = unasked(&called("ADD", arguments), &given);
        assert_eq!(ended.out, result, "{arguments}");
        assert!(ended.is_fine);
    }
}

#[test]
fn what_others_have_made_keeps_its_bytes() {
    let check = |made: &str, expect: &str| {
        let given = format!(r#"{{"cniVersion": "1.0.0", "prevResult": {made}}}"#);
        assert_eq!(unasked(&called("ADD", ""), &given).out, expect);
    };
    let odd = "{ \"cniVersion\": \"1.0.0\",\n \"z\": 1.50, \"ips\": [ ] }";
    check(odd, odd);
    // Every result says its version.
    check(r#"{ "ips": []}"#, r#"{"cniVersion":"1.0.0","ips": []}"#);
    check("{}", r#"{"cniVersion":"1.0.0"}"#);
}

#[test]
fn a_pod_goes_whatever_is_said_of_it_and_a_node_is_never_held_up() {
    for command in ["DEL", "GC", "STATUS"] {
        for input in ["", "{", r#"{"cniVersion": "7.0.0"}"#] {
            let ended = unasked(&called(command, ""), input);
            assert!(ended.is_fine && ended.out.is_empty(), "{command} {input}");
        }
    }
}

#[test]
fn the_versions_are_told() {
    let told = |input: &str| -> Value {
        let ended = unasked(&called("VERSION", ""), input);
        serde_json::from_str(&ended.out).unwrap()
    };
    let expect = |version: &str| json!({"cniVersion": version, "supportedVersions": VERSIONS});
    assert_eq!(told(r#"{"cniVersion": "0.4.0"}"#), expect("0.4.0"));
    assert_eq!(told(""), expect("1.1.0"));
}

#[test]
fn what_cannot_be_answered_gets_the_numbers_of_the_specification() {
    let check = |called: &Called, input: &str, number: u32, words: &str| {
        let ended = unasked(called, input);
        let said: Value = serde_json::from_str(&ended.out).unwrap();
        assert_eq!(said["code"], number, "{input:.200}: {said}");
        let message = said["msg"].as_str().unwrap();
        assert!(
            message.starts_with("H014 plugin-misused: ") && message.contains(words),
            "{message}"
        );
        assert!(!ended.is_fine);
    };
    let add = called("ADD", WEB);
    check(&add, r#"{"cniVersion": "0.2.0"}"#, 1, "0.2.0");
    check(&add, r#"{"cniVersion": "1.2.0"}"#, 1, "1.2.0");
    check(&add, "{}", 1, "0.1.0");
    check(&add, "", 6, "cannot be read");
    check(&add, "[1]", 6, "cannot be read");
    check(&add, r#"{"cniVersion": "1.0.0"}"#, 7, "prevResult");
    check(
        &add,
        r#"{"cniVersion": "1.0.0", "prevResult": null}"#,
        7,
        "prevResult",
    );
    check(
        &add,
        r#"{"cniVersion": "1.0.0", "prevResult": {}, "whileAway": "Maybe"}"#,
        7,
        "Maybe",
    );
    check(
        &add,
        r#"{"cniVersion": "1.0.0", "prevResult": {"cniVersion": "0.4.0"}}"#,
        1,
        "0.4.0",
    );
    check(
        &add,
        r#"{"cniVersion": "1.0.0", "prevResult": {"ips": [{"address": "x/24"}]}}"#,
        6,
        "x/24",
    );
    check(
        &add,
        r#"{"cniVersion": "1.0.0", "prevResult": {"cniVersion": null}}"#,
        6,
        "version",
    );
    check(&add, &" ".repeat((1 << 20) + 1), 5, "longer");
    check(
        &called("CHECK", WEB),
        &configuration("0.3.1").to_string(),
        1,
        "CHECK",
    );
    check(&called("EXPLODE", WEB), "", 4, "EXPLODE");
    check(&Called::default(), "", 4, "CNI_COMMAND");
    let nowhere = Called {
        netns: None,
        ..add.clone()
    };
    check(
        &nowhere,
        &configuration("1.0.0").to_string(),
        4,
        "CNI_NETNS",
    );
    let relative = Called {
        netns: Some("cni-7".to_owned()),
        ..add
    };
    check(
        &relative,
        &configuration("1.0.0").to_string(),
        4,
        "CNI_NETNS",
    );
}
