//! What runs the containers of nodes: what it is told, how a kubelet reaches it, and how it gets images.

use std::path::Path;
use std::process::Command;

use leno_image::Image;

use crate::Failure;
use crate::images::PAUSE;
use crate::programs::CriO;
use crate::sandbox::{Component, Sandbox};

/// What runs the containers of a cluster's nodes.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Runtime {
    /// containerd, as Debian has it.
    #[default]
    Containerd,
    /// CRI-O, as its module has it, with Debian's conmon.
    CriO,
}

impl Runtime {
    /// The programs of the host that it takes, beside runc.
    pub(crate) fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Containerd => &["containerd", "ctr"],
            Self::CriO => &["cc", "conmon"],
        }
    }
}

/// A runtime with its programs.
#[derive(Clone, Debug)]
pub(crate) enum Engine {
    Containerd,
    CriO(CriO),
}

impl Engine {
    /// Makes what was not made before.
    pub(crate) fn make(runtime: Runtime) -> Result<Self, Failure> {
        Ok(match runtime {
            Runtime::Containerd => Self::Containerd,
            Runtime::CriO => Self::CriO(CriO::make()?),
        })
    }

    /// Where it is asked.
    pub(crate) fn socket(&self) -> &'static str {
        match self {
            Self::Containerd => "/run/containerd/containerd.sock",
            Self::CriO(_) => "/run/crio/crio.sock",
        }
    }

    /// Where it looks for network plugins: CRI-O elsewhere than runtimes do of themselves, as hosts of OpenShift have it.
    pub(crate) fn plugins(&self) -> &'static str {
        match self {
            Self::Containerd => "/opt/cni/bin",
            Self::CriO(_) => "/var/lib/cni/bin",
        }
    }

    /// What it finds in the folder of a node, and where.
    pub(crate) fn files(&self, folder: &Path) -> Vec<(&'static str, String)> {
        match self {
            Self::Containerd => vec![(
                "containerd.toml",
                containerd(self.socket(), self.plugins(), folder),
            )],
            Self::CriO(programs) => vec![
                (
                    "crio.toml",
                    crio(self.socket(), self.plugins(), programs, folder),
                ),
                (
                    POLICY,
                    r#"{"default": [{"type": "insecureAcceptAnything"}]}"#.to_owned(),
                ),
                (RUNC, RUNC_AS_IT_MAY.to_owned()),
            ],
        }
    }

    /// It, as what is started on a node with this folder.
    pub(crate) fn component(&self, folder: &Path) -> Component {
        let (name, program, file) = match self {
            Self::Containerd => ("containerd", "containerd".into(), "containerd.toml"),
            Self::CriO(programs) => ("crio", programs.crio.clone(), "crio.toml"),
        };
        let file = folder.join(file).display().to_string();
        Component {
            name: name.to_owned(),
            program,
            arguments: vec!["--config".to_owned(), file],
        }
    }

    /// What succeeds once it answers.
    pub(crate) fn asks(&self, node: &Sandbox) -> Command {
        match self {
            Self::Containerd => {
                let mut ctr = self.ctr(node);
                ctr.arg("version");
                ctr
            }
            Self::CriO(programs) => {
                let mut crio = node.enter(&programs.crio);
                crio.args(["status", "--socket", self.socket(), "info"]);
                crio
            }
        }
    }

    /// What makes an image known to it that is in a file.
    pub(crate) fn imports(
        &self,
        node: &Sandbox,
        folder: &Path,
        image: &Image,
        file: &Path,
    ) -> Vec<Command> {
        match self {
            Self::Containerd => {
                let mut ctr = self.ctr(node);
                ctr.args(["--namespace", "k8s.io", "images", "import"])
                    .arg(file);
                vec![ctr]
            }
            Self::CriO(programs) => {
                let import = |name: &String| {
                    let mut copy = node.enter(&programs.copyimg);
                    copy.args(["--storage-driver", "overlay", "--runroot", STORE_STATE]);
                    copy.arg("--root").arg(folder.join(STORE));
                    copy.arg("--signature-policy").arg(folder.join(POLICY));
                    // All in the file are the same image.
                    let tag = name.rsplit_once(':').map_or("", |(_, tag)| tag);
                    let from = format!("oci-archive:{}:{tag}", file.display());
                    copy.args(["--import-from", &from, "--image-name", name]);
                    copy
                };
                image.names.iter().map(import).collect()
            }
        }
    }

    /// The client of containerd.
    fn ctr(&self, node: &Sandbox) -> Command {
        let mut ctr = node.enter(Path::new("ctr"));
        ctr.args(["--address", self.socket()]);
        ctr
    }
}

fn containerd(socket: &str, plugins: &str, folder: &Path) -> String {
    format!(
        r#"version = 2
root = "{0}/containerd"
# Gone when the host starts again, as its processes are.
state = "/run/containerd"

[grpc]
address = "{socket}"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE}"
# Nobody may lower the score of a process here without CAP_SYS_RESOURCE.
restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{plugins}"
conf_dir = "/etc/cni/net.d"

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
options = {{ SystemdCgroup = false }}
"#,
        folder.display()
    )
}

fn crio(socket: &str, plugins: &str, programs: &CriO, folder: &Path) -> String {
    format!(
        r#"[crio]
root = "{0}/{STORE}"
# Gone when the host starts again, as its processes are.
runroot = "{STORE_STATE}"
storage_driver = "overlay"
version_file = "/run/crio/version"
clean_shutdown_file = "{0}/crio-ended-well"

[crio.api]
listen = "{socket}"

[crio.runtime]
default_runtime = "runc"
cgroup_manager = "cgroupfs"
pinns_path = "{1}"

[crio.runtime.runtimes.runc]
runtime_type = "oci"
runtime_path = "{0}/{RUNC}"
runtime_root = "/run/runc"
monitor_path = "/usr/bin/conmon"
monitor_cgroup = "pod"

[crio.image]
pause_image = "{PAUSE}"
signature_policy = "{0}/{POLICY}"

[crio.network]
network_dir = "/etc/cni/net.d"
plugin_dirs = ["{plugins}"]
"#,
        folder.display(),
        programs.pinns.display()
    )
}

/// The folder of images and containers in that of a node, and where they are said to be mounted.
const STORE: &str = "crio";
const STORE_STATE: &str = "/run/crio-storage";

/// Whose images may be used.
const POLICY: &str = "policy.json";

/// A runc for hosts where nobody may lower the score of a process (containerd has `restrict_oom_score_adj` for it), and where
/// a kernel that keeps huge pages by groups has no hierarchy mounted for them.
const RUNC: &str = "runc";
const RUNC_AS_IT_MAY: &str = r#"#!/bin/sh
is_bundle=
for word; do
  if [ "$is_bundle" ]; then
    sed -zi -e 's/"oomScoreAdj":\s*-[0-9]*/"oomScoreAdj":0/' -e 's/"hugepageLimits":\s*\[[^]]*\]/"hugepageLimits":[]/' "$word/config.json"
  fi
  case "$word" in --bundle|-b) is_bundle=1;; *) is_bundle=;; esac
done
exec /usr/sbin/runc "$@"
"#;
