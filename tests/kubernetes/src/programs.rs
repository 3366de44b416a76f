//! The programs of a cluster: what Debian has, and what is made here from its sources.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use leno_e2e::made::{OUTPUT, Recipe};

use crate::Failure;
use crate::cluster::said;
use crate::runtime::{Engine, Runtime};

/// The programs that a cluster is made of.
#[derive(Clone, Debug)]
pub struct Programs {
    /// Every program of Kubernetes in one file; its first argument says which.
    pub kube: PathBuf,
    /// What runs in pods that nobody brings an image for.
    pub pod: PathBuf,
    /// `leno-cluster`, which takes care of a cluster from outside and from inside.
    pub(crate) own: PathBuf,
    /// What runs containers.
    pub(crate) engine: Engine,
}

impl Programs {
    /// Makes what was not made before: the first time that takes about ten minutes, for Kubernetes.
    pub fn make(runtime: Runtime) -> Result<Self, Failure> {
        Ok(Self {
            kube: kube()?,
            pod: pod()?,
            own: own()?,
            engine: Engine::make(runtime)?,
        })
    }
}

/// What Gateway API's conformance suite is made of.
#[derive(Clone, Debug)]
pub(crate) struct Suite {
    /// The suite, as a program.
    pub(crate) tests: PathBuf,
    /// What its pods serve, and ask, with.
    pub(crate) server: PathBuf,
    pub(crate) client: PathBuf,
    /// The folder of the suite's module, with its manifests.
    pub(crate) conformance: PathBuf,
}

impl Suite {
    /// Makes what was not made before.
    pub(crate) fn make() -> Result<Self, Failure> {
        let program = |name, package: &str| go(name, "echo", &STRIPPED, package);
        Ok(Self {
            tests: make(Recipe {
                name: "conformance",
                sources: &source("conformance"),
                command: &["go", "test", "-trimpath", "-c", "-o", OUTPUT, "."],
            })?,
            server: program("echo-server", "istio.io/istio/pkg/test/echo/cmd/server")?,
            client: program("echo-client", "istio.io/istio/pkg/test/echo/cmd/client")?,
            conformance: module("conformance", "sigs.k8s.io/gateway-api/conformance")?,
        })
    }
}

/// The folder of the CRDs of Gateway API's standard channel.
pub(crate) fn gateway_api() -> Result<PathBuf, Failure> {
    Ok(module("conformance", "sigs.k8s.io/gateway-api")?.join("config/crd/standard"))
}

/// cert-manager, as a program.
pub(crate) fn cert_manager() -> Result<PathBuf, Failure> {
    go("cert-manager", "cert-manager", &STRIPPED, ".")
}

/// The folder of its CRDs.
pub(crate) fn cert_manager_kinds() -> Result<PathBuf, Failure> {
    Ok(module("cert-manager", "github.com/cert-manager/cert-manager")?.join("deploy/crds"))
}

/// Where a module lies that the one in this folder needs.
fn module(folder: &str, path: &str) -> Result<PathBuf, Failure> {
    let mut go = Command::new("go");
    go.args(["list", "-m", "-f", "{{.Dir}}", path]);
    let folder = said(go.current_dir(source(folder)))?;
    Ok(folder.trim_end().into())
}

/// Kubernetes, from its Go modules.
fn kube() -> Result<PathBuf, Failure> {
    let version = "-s -w -X k8s.io/component-base/version.gitVersion=v1.36.3";
    go("kube", "kube", &["-ldflags", version], ".")
}

/// The programs of CRI-O.
#[derive(Clone, Debug)]
pub(crate) struct CriO {
    pub(crate) crio: PathBuf,
    /// Gives images to its store.
    pub(crate) copyimg: PathBuf,
    /// Keeps the namespaces of its pods.
    pub(crate) pinns: PathBuf,
}

impl CriO {
    /// Makes what was not made before.
    pub(crate) fn make() -> Result<Self, Failure> {
        const MODULE: &str = "github.com/cri-o/cri-o";
        // Without what takes libraries in C.
        let tags =
            "containers_image_openpgp containers_image_ostree_stub exclude_graphdriver_btrfs";
        let options = [&["-tags", tags], &STRIPPED[..]].concat();
        let program = |name, package| go(name, "cri-o", &options, &format!("{MODULE}/{package}"));
        Ok(Self {
            crio: program("crio", "cmd/crio")?,
            copyimg: program("copyimg", "test/copyimg")?,
            pinns: make(Recipe {
                name: "pinns",
                sources: &module("cri-o", MODULE)?.join("pinns/src"),
                command: &[
                    "cc", "-std=c99", "-Os", "-static", "-s", "-o", OUTPUT, "pinns.c", "sysctl.c",
                ],
            })?,
        })
    }
}

/// A package of the Go module in this folder.
fn go(name: &str, folder: &str, options: &[&str], package: &str) -> Result<PathBuf, Failure> {
    let [build, out] = [["go", "build", "-trimpath"], ["-o", OUTPUT, package]];
    make(Recipe {
        name,
        sources: &source(folder),
        command: &[&build, options, &out].concat(),
    })
}

/// Of what only its author looks into, nothing is linked.
const STRIPPED: [&str; 2] = ["-ldflags", "-s -w"];

/// Helm of this line, `v4` or `v3`, from its Go module.
pub fn helm(line: &str) -> Result<PathBuf, Failure> {
    let package = format!("helm.sh/helm/{line}/cmd/helm");
    go(&format!("helm-{line}"), "helm", &STRIPPED, &package)
}

/// What runs in pods: linked statically, for their images hold nothing else.
fn pod() -> Result<PathBuf, Failure> {
    make(Recipe {
        name: "pod",
        sources: &source("pod"),
        command: &[
            "rustc",
            "--edition=2024",
            "-Copt-level=s",
            "-Cpanic=abort",
            "-Cstrip=symbols",
            "-Ctarget-feature=+crt-static",
            "-o",
            OUTPUT,
            "pod.rs",
        ],
    })
}

/// This package's program, which may be the one that asks.
fn own() -> Result<PathBuf, Failure> {
    let name = env!("CARGO_PKG_NAME");
    let asking = std::env::current_exe().map_err(Failure::of("the program of this process"))?;
    if asking.file_name().is_some_and(|file| file == name) {
        return Ok(asking);
    }
    Ok(leno_e2e::built(name))
}

fn make(recipe: Recipe<'_>) -> Result<PathBuf, Failure> {
    recipe.make().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Failure::Missing {
            what: recipe.command.first().map_or("", |word| word).to_owned(),
            remedy: "install it: Go 1.26 or later makes Kubernetes, Rust what runs in pods",
        },
        _ => Failure::SetUp {
            what: format!("{} cannot be made", recipe.name),
            error,
        },
    })
}

/// A folder of this package.
fn source(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)
}
