//! The plugin in the network configuration of a node, whoever else writes that.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;

use leno_cni::{Change, Keeper, NotKept, Options, Places, WhileAway};
use leno_model::Code;

use crate::Folder;

/// A node's folders, and who keeps the plugin there.
struct Node {
    folder: Folder,
    keeper: Keeper,
}

impl Node {
    fn new(name: &str) -> Self {
        let folder = Folder::new(name);
        for part in ["bin", "net.d"] {
            fs::create_dir(folder.path().join(part)).unwrap();
        }
        for plugin in PLUGINS {
            fs::write(folder.path().join("bin").join(plugin), "a program").unwrap();
        }
        fs::write(folder.path().join("leno-cni"), "the program").unwrap();
        let places = Places {
            program: folder.path().join("leno-cni"),
            plugins: folder.path().join("bin"),
            configurations: folder.path().join("net.d"),
        };
        let keeper = Keeper::new(places, Options::default());
        Self { folder, keeper }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join("net.d").join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.file(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap()
    }

    /// The configurations that are there.
    fn files(&self) -> Vec<String> {
        self.names("net.d")
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let files = fs::read_dir(self.folder.path().join(folder)).unwrap();
        let mut files: Vec<_> = files
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        files
    }

    /// What one look changed, which has to find all as it is to be.
    fn ensure(&mut self) -> Vec<Change> {
        let (changes, missing) = self.keeper.ensure();
        assert!(missing.is_none(), "{missing:?}");
        changes
    }

    /// What one look changed, and what it missed.
    fn miss(&mut self) -> (Vec<Change>, NotKept) {
        let (changes, missing) = self.keeper.ensure();
        (changes, missing.unwrap())
    }

    fn remove(&mut self) {
        let (_, missing) = self.keeper.remove();
        assert!(missing.is_none(), "{missing:?}");
        assert_eq!(self.names("bin"), PLUGINS);
    }
}

/// The plugins of the networks below: where a list names several, the runtime finds some of them elsewhere.
const PLUGINS: [&str; 5] = ["bridge", "overlay", "policy", "programs", "ptp"];

const ENTRY: &str = r#"{"type":"leno-cni","socket":"/run/leno/node.sock","timeoutSeconds":20,"excludeNamespaces":["kube-system","leno-system"],"whileAway":"Closed"}"#;

/// As networks of several makes write theirs.
const LISTS: [(&str, &str); 4] = [
    (
        "10-flat.conflist",
        "{\n  \"name\": \"cbr0\",\n  \"cniVersion\": \"0.3.1\",\n  \"plugins\": [\n    {\n      \"type\": \"overlay\",\n      \
         \"delegate\": {\"hairpinMode\": true}\n    },\n    {\n      \"type\": \"portmap\",\n      \"capabilities\": \
         {\"portMappings\": true}\n    }\n  ]\n}\n",
    ),
    (
        "10-one-line.conflist",
        r#"{"cniVersion":"0.4.0","name":"kind","plugins":[{"type":"ptp","ipMasq":false,"mtu":1500},{"type":"portmap"}]}"#,
    ),
    (
        "10-policy.conflist",
        "{\"name\": \"pods\",\n\t\"plugins\": [\n\t\t{\"type\": \"policy\", \"log_level\": \"info\"},\n\t\t{\"type\": \
         \"bandwidth\"}],\n\t\"cniVersion\": \"1.0.0\"}",
    ),
    (
        "05-programs.conflist",
        "{\r\n  \"cniVersion\": \"1.1.0\",\r\n  \"name\": \"programs\",\r\n  \"plugins\": [\r\n    {\"type\": \"programs\"}\r\n  \
         ]\r\n}\r\n",
    ),
];

#[test]
fn it_stands_last_in_the_list_of_any_make_and_leaves_it_as_it_was() {
    for (name, text) in LISTS {
        let mut node = Node::new(name);
        node.write(name, text);
        fs::set_permissions(node.file(name), fs::Permissions::from_mode(0o640)).unwrap();
        let copy = node.folder.path().join("bin/leno-cni");
        let expect = [Change::Copied(copy.clone()), Change::Added(node.file(name))];
        assert_eq!(node.ensure(), expect);
        assert_eq!(
            fs::metadata(&copy).unwrap().permissions().mode() & 0o777,
            0o755
        );
        let mode = fs::metadata(node.file(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        let added = node.read(name);
        assert_eq!(added.matches(ENTRY).count(), 1, "{added}");
        let read: serde_json::Value = serde_json::from_str(&added).unwrap();
        let last = read["plugins"].as_array().unwrap().last().unwrap();
        assert_eq!(last["type"], "leno-cni");
        assert_eq!(node.ensure(), []);
        assert_eq!(node.files(), [name]);
        node.remove();
        assert_eq!(node.read(name), text);
        assert_eq!(node.files(), [name]);
    }
}

#[test]
fn the_runtime_uses_the_first_and_so_does_it() {
    let mut node = Node::new("first");
    let (_, text) = LISTS[1];
    node.write("99-late.conflist", text);
    node.ensure();
    // Another network comes, and sorts before the one that was there.
    node.write("10-early.conflist", text);
    let changes = node.ensure();
    assert_eq!(changes, [Change::PutBack(node.file("10-early.conflist"))]);
    assert!(node.read("10-early.conflist").contains(ENTRY));
    node.write("README.md", "no configuration");
    assert_eq!(node.ensure(), []);
    node.remove();
    assert_eq!(
        (
            node.read("10-early.conflist"),
            node.read("99-late.conflist")
        ),
        (text.to_owned(), text.to_owned())
    );
}

#[test]
fn a_configuration_that_somebody_writes_anew_gets_it_back_and_that_is_said() {
    let mut node = Node::new("anew");
    let (name, text) = LISTS[0];
    node.write(name, text);
    node.ensure();
    node.write(name, text);
    let changes = node.ensure();
    assert_eq!(changes, [Change::PutBack(node.file(name))]);
    assert_eq!(changes[0].code(), Some(Code::H016));
    let told = changes[0].to_string();
    assert!(
        told.ends_with("10-flat.conflist, and was put back"),
        "{told}"
    );
    // Its program, too.
    let copy = node.folder.path().join("bin/leno-cni");
    fs::write(&copy, "another").unwrap();
    assert_eq!(node.ensure(), [Change::Copied(copy.clone())]);
    fs::remove_file(&copy).unwrap();
    assert_eq!(node.ensure(), [Change::Copied(copy)]);
}

#[test]
fn what_is_not_there_yet_or_is_being_written_is_waited_for() {
    let mut node = Node::new("waits");
    let (changes, missing) = node.miss();
    assert_eq!(changes.len(), 1, "the program is there: {changes:?}");
    assert!(
        matches!(missing, NotKept::NoConfiguration { .. }),
        "{missing}"
    );
    assert_eq!(missing.code(), Code::H015);
    let (name, text) = LISTS[0];
    let (half, _) = text.split_at(text.len() / 2);
    node.write(name, half);
    assert!(matches!(node.miss().1, NotKept::Unread { .. }));
    assert_eq!(node.read(name), half);
    node.write(name, text);
    assert_eq!(node.ensure(), [Change::Added(node.file(name))]);

    // In a version that it does not speak, every pod would fail.
    node.write(name, &text.replace("0.3.1", "2.0.0"));
    let (_, missing) = node.miss();
    assert!(missing.to_string().contains("is of CNI 2.0.0"), "{missing}");
}

#[test]
fn where_the_runtime_would_not_find_it_no_pod_is_kept_from_starting() {
    let mut node = Node::new("elsewhere");
    let text = r#"{"cniVersion":"1.0.0","name":"n","plugins":[{"type":"far"},{"type":"further"}]}"#;
    node.write("10-far.conflist", text);
    let (_, missing) = node.miss();
    assert!(matches!(missing, NotKept::Elsewhere { .. }), "{missing}");
    let told = missing.to_string();
    let folder = node.folder.path().join("bin");
    let expect = format!("names far, which is not in {}:", folder.display());
    assert!(told.contains(&expect), "{told}");
    assert_eq!(node.read("10-far.conflist"), text);
    // Of several folders it may look through, this is one.
    fs::write(folder.join("further"), "a program").unwrap();
    assert_eq!(node.ensure(), [Change::Added(node.file("10-far.conflist"))]);
    fs::remove_file(folder.join("further")).unwrap();
    // So is it where it has links to a folder of the node that is not here.
    node.write("10-far.conflist", text);
    assert!(matches!(node.miss().1, NotKept::Elsewhere { .. }));
    symlink("/nowhere/further", folder.join("further")).unwrap();
    assert_eq!(
        node.ensure(),
        [Change::PutBack(node.file("10-far.conflist"))]
    );
    fs::remove_file(folder.join("further")).unwrap();

    let one = r#"{"cniVersion":"1.0.0","name":"n","type":"far"}"#;
    node.write("05-one.conf", one);
    assert!(matches!(node.miss().1, NotKept::Elsewhere { .. }));
    assert_eq!(node.files(), ["05-one.conf", "10-far.conflist"]);
}

#[test]
fn of_a_configuration_of_one_plugin_a_list_is_made_that_is_used_before_it() {
    let mut node = Node::new("one");
    let one = "{\n  \"cniVersion\": \"0.3.1\", \"name\": \"bridge\",\n  \"type\": \"bridge\", \"mtu\": 1500\n}\n";
    node.write("10-bridge.conf", one);
    let made = "10-bridge-leno.conflist";
    assert_eq!(node.ensure().last(), Some(&Change::Added(node.file(made))));
    assert_eq!(
        node.files(),
        [made, "10-bridge.conf"],
        "in the order of runtimes"
    );
    assert_eq!(node.read("10-bridge.conf"), one);
    let list: serde_json::Value = serde_json::from_str(&node.read(made)).unwrap();
    assert_eq!(
        (&list["name"], &list["cniVersion"]),
        (&"bridge".into(), &"0.3.1".into())
    );
    assert_eq!(list["plugins"][0]["mtu"], 1500);
    assert_eq!(list["plugins"][1]["type"], "leno-cni");
    assert_eq!(node.ensure(), []);
    // It follows what it was made of.
    node.write("10-bridge.conf", &one.replace("1500", "9000"));
    assert_eq!(node.ensure(), [Change::PutBack(node.file(made))]);
    assert!(node.read(made).contains("9000"));
    // And goes with it.
    fs::rename(node.file("10-bridge.conf"), node.file("20-bridge.conf")).unwrap();
    let expect = [
        Change::PutBack(node.file("20-bridge-leno.conflist")),
        Change::Gone(node.file(made)),
    ];
    assert_eq!(node.ensure(), expect);
    node.remove();
    assert_eq!(node.files(), ["20-bridge.conf"]);
}

#[test]
fn a_link_stays_one() {
    let mut node = Node::new("link");
    let (_, text) = LISTS[1];
    let real = node.folder.path().join("network");
    fs::write(&real, text).unwrap();
    symlink("../network", node.file("10-net.conflist")).unwrap();
    node.ensure();
    assert!(
        fs::symlink_metadata(node.file("10-net.conflist"))
            .unwrap()
            .is_symlink()
    );
    assert!(fs::read_to_string(&real).unwrap().contains(ENTRY));
    assert_eq!(node.ensure(), []);
}

#[test]
fn what_the_mesh_says_takes_the_place_of_what_stood_there() {
    let mut node = Node::new("said");
    node.write(
        "10-one.conf",
        r#"{"cniVersion":"1.0.0","name":"one","type":"bridge"}"#,
    );
    assert_eq!(node.keeper.standing(), None);
    node.ensure();
    assert_eq!(node.keeper.standing(), Some(Options::default()));
    let open = Options {
        while_away: WhileAway::Open,
        exclude_namespaces: vec!["storage".to_owned()],
        ..Options::default()
    };
    node.keeper.say(open.clone());
    // Nobody took the entry away.
    let list = node.file("10-one-leno.conflist");
    assert_eq!(node.ensure(), [Change::Added(list.clone())]);
    // Who keeps it next finds what held.
    assert_eq!(node.keeper.standing(), Some(open.clone()));
    node.keeper.say(open);
    assert_eq!(node.ensure(), []);
    node.write("10-one-leno.conflist", "{}");
    assert_eq!(node.keeper.standing(), None);
    assert_eq!(node.ensure(), [Change::PutBack(list)]);
}

#[test]
#[ignore = "changes the node whose folders are in this container: leno-host's tests of SELinux run it there"]
fn on_the_node_whose_folders_are_here() {
    let mut keeper = Keeper::new(
        Places {
            program: "/leno-cni".into(),
            plugins: "/host/opt/cni/bin".into(),
            configurations: "/host/etc/cni/net.d".into(),
        },
        Options::default(),
    );
    let (changes, missing) = keeper.ensure();
    assert!(missing.is_none(), "{missing:?}");
    assert!(!changes.is_empty());
}
