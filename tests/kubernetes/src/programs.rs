//! The programs of a cluster: what Debian has, and what is made here from its sources.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use leno_e2e::made::{OUTPUT, Recipe};

use crate::Failure;
use crate::cluster::said;

/// The programs that a cluster is made of.
#[derive(Clone, Debug)]
pub struct Programs {
    /// Every program of Kubernetes in one file; its first argument says which.
    pub kube: PathBuf,
    /// What runs in pods that nobody brings an image for.
    pub pod: PathBuf,
    /// `leno-cluster`, which takes care of a cluster from outside and from inside.
    pub(crate) own: PathBuf,
}

impl Programs {
    /// Makes what was not made before: the first time that takes about ten minutes, for Kubernetes.
    pub fn make() -> Result<Self, Failure> {
        Ok(Self {
            kube: kube()?,
            pod: pod()?,
            own: own()?,
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
        let program = |name, package: &str| go(name, "echo", "-s -w", package);
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
    go("cert-manager", "cert-manager", "-s -w", ".")
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
    go("kube", "kube", version, ".")
}

/// A package of the Go module in this folder.
fn go(name: &str, folder: &str, linked: &str, package: &str) -> Result<PathBuf, Failure> {
    make(Recipe {
        name,
        sources: &source(folder),
        command: &[
            "go",
            "build",
            "-trimpath",
            "-ldflags",
            linked,
            "-o",
            OUTPUT,
            package,
        ],
    })
}

/// Helm of this line, `v4` or `v3`, from its Go module.
pub fn helm(line: &str) -> Result<PathBuf, Failure> {
    make(Recipe {
        name: &format!("helm-{line}"),
        sources: &source("helm"),
        command: &[
            "go",
            "build",
            "-trimpath",
            "-ldflags",
            "-s -w",
            "-o",
            OUTPUT,
            &format!("helm.sh/helm/{line}/cmd/helm"),
        ],
    })
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
