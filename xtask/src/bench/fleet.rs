//! A control plane and the proxies that follow it, each a process of its own on one of two cores, in
//! a mesh of many services of which one has two versions.

use std::{
    error::Error,
    fmt::Write as _,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::bench::setting::Setting;
use crate::rig::folder;
use crate::rig::process::{Core, Memory, PATIENCE, Running, local, pause, said};

/// A control plane in a folder of its own, and whoever asks it there.
pub(super) struct Plane {
    folder: PathBuf,
    leno: PathBuf,
    control: Running,
}

impl Plane {
    /// Starts one in a folder `name`.
    pub(super) fn start(setting: &Setting, name: &str) -> Result<Self, Box<dyn Error>> {
        let folder = setting.folder().join(name);
        fs::create_dir_all(&folder)?;
        let control = start_control(&folder, setting.leno())?;
        // It takes care of proxies a moment before it can be asked.
        for _ in 0..PATIENCE {
            if folder.join("socket").exists() {
                break;
            }
            pause(Duration::from_millis(20));
        }
        Ok(Self {
            folder,
            leno: setting.leno().to_owned(),
            control,
        })
    }

    /// Applies a set of objects. When this returns, the control plane has committed it.
    pub(super) fn apply(&self, set: &str, text: &str) -> Result<(), Box<dyn Error>> {
        let file = format!("{set}.yaml");
        fs::write(self.folder.join(&file), text)?;
        self.tell(&["apply", "-n", "shop", "-f", &file])
    }

    /// Makes a token by which so many proxies join as `account`.
    pub(super) fn token(&self, account: &str, uses: usize) -> Result<String, Box<dyn Error>> {
        let uses = uses.to_string();
        let told = said(
            self.ask()
                .args(["token", "create", account, "--uses", &uses]),
        )?;
        let token = told.split_whitespace().last().ok_or("no token is told")?;
        Ok(token.to_owned())
    }

    /// Joins a proxy by `token` and starts it in front of `workload`, with further arguments; it may not listen yet.
    pub(super) fn proxy(
        &self,
        token: &str,
        workload: &str,
        more: &[&str],
    ) -> Result<Running, Box<dyn Error>> {
        self.join(token, workload)?;
        self.begin_proxy(workload, workload, more)
    }

    /// Does what `leno` is told with these words.
    pub(super) fn tell(&self, words: &[&str]) -> Result<(), Box<dyn Error>> {
        said(self.ask().args(words))?;
        Ok(())
    }

    fn join(&self, token: &str, state: &str) -> Result<(), Box<dyn Error>> {
        self.tell(&["join", token, "--state", state])
    }

    fn begin_proxy(
        &self,
        state: &str,
        workload: &str,
        more: &[&str],
    ) -> Result<Running, Box<dyn Error>> {
        let words = ["proxy", "--joined", "-n", "shop", "--state", state];
        let words = [&words[..], &["--workload", workload], more].concat();
        let begun = Running::begin(Core::Both, &self.folder, state, &self.leno, &words)?;
        Ok(begun)
    }

    fn ask(&self) -> Command {
        folder::asking(&self.folder, &self.leno)
    }
}

/// A control plane and the proxies that follow it.
pub(super) struct Fleet {
    plane: Plane,
    pub(super) proxies: Vec<Running>,
    /// What each proxy is told beside what all are.
    told: &'static [&'static [&'static str]],
}

/// Which version of the service answers all calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Version {
    One,
    Two,
}

impl Version {
    /// The version that answers after the change of this number.
    pub(super) fn after(change: usize) -> Self {
        match change % 2 {
            0 => Self::One,
            _ => Self::Two,
        }
    }

    /// What it answers.
    pub(super) fn answer(self) -> &'static str {
        match self {
            Self::One => "v1",
            Self::Two => "v2",
        }
    }
}

impl Fleet {
    /// Starts a control plane in a folder `name`, joins so many proxies and starts them. The first
    /// version answers.
    pub(super) fn start(
        setting: &Setting,
        name: &str,
        proxies: usize,
    ) -> Result<Self, Box<dyn Error>> {
        Self::start_told(setting, name, proxies, &[], "")
    }

    /// The same, where the first proxies are told `told` on their command lines, and all of them `spec` by
    /// the mesh.
    pub(super) fn start_told(
        setting: &Setting,
        name: &str,
        proxies: usize,
        told: &'static [&'static [&'static str]],
        spec: &str,
    ) -> Result<Self, Box<dyn Error>> {
        let mut fleet = Self {
            plane: Plane::start(setting, name)?,
            proxies: Vec::new(),
            told,
        };
        fleet.apply("mesh", &mesh(proxies, spec))?;
        fleet.weigh(Version::One)?;
        let token = fleet.plane.token("shop/web", proxies)?;
        for number in 0..proxies {
            fleet.plane.join(&token, &state(number))?;
            let proxy = fleet.begin_proxy(number)?;
            fleet.proxies.push(proxy);
        }
        for (number, proxy) in fleet.proxies.iter_mut().enumerate() {
            proxy.until_listening(address(number))?;
        }
        Ok(fleet)
    }

    /// Lets a version answer all calls. When this returns, the control plane has committed it.
    pub(super) fn weigh(&self, version: Version) -> Result<(), Box<dyn Error>> {
        self.apply("route", &route(version))
    }

    /// Ends the control plane by `kill -9`.
    pub(super) fn kill_control(&mut self) -> Result<(), Box<dyn Error>> {
        Ok(self.plane.control.kill()?)
    }

    /// Starts the control plane again, after it was killed.
    pub(super) fn restart_control(&mut self) -> Result<(), Box<dyn Error>> {
        self.plane.control = start_control(&self.plane.folder, &self.plane.leno)?;
        Ok(())
    }

    /// Starts a proxy again, after it was killed; it may not listen yet.
    pub(super) fn restart_proxy(&mut self, number: usize) -> Result<(), Box<dyn Error>> {
        let again = self.begin_proxy(number)?;
        *self
            .proxies
            .get_mut(number)
            .ok_or("there is no such proxy")? = again;
        Ok(())
    }

    /// The CPU time that the control plane has used, and that all proxies have.
    pub(super) fn cpu(&self) -> Result<[Duration; 2], Box<dyn Error>> {
        let proxies = self
            .proxies
            .iter()
            .map(Running::cpu)
            .sum::<Result<_, _>>()?;
        Ok([self.plane.control.cpu()?, proxies])
    }

    /// What a proxy holds on average, in bytes: RSS, PSS, private.
    pub(super) fn memory(&self) -> Result<[u64; 3], Box<dyn Error>> {
        let mut sums = [0; 3];
        for proxy in &self.proxies {
            let Memory {
                resident,
                proportional,
                private,
            } = proxy.memory()?;
            for (sum, figure) in sums.iter_mut().zip([resident, proportional, private]) {
                *sum += figure;
            }
        }
        Ok(sums.map(|sum| sum / self.proxies.len().max(1) as u64))
    }

    /// Applies a set of objects.
    pub(super) fn apply(&self, set: &str, text: &str) -> Result<(), Box<dyn Error>> {
        self.plane.apply(set, text)
    }

    fn begin_proxy(&self, number: usize) -> Result<Running, Box<dyn Error>> {
        let workload = format!("web-{number}");
        let upstreams: Vec<_> = (0..CALLED)
            .map(|service| {
                let port = FIRST_PORT + number * CALLED + service;
                format!("service-{service}:80=127.0.0.1:{port}")
            })
            .collect();
        let upstreams = upstreams.iter().map(String::as_str);
        let mut words: Vec<_> = upstreams.flat_map(|one| ["--upstream", one]).collect();
        words.extend(self.told.get(number).copied().unwrap_or_default());
        self.plane.begin_proxy(&state(number), &workload, &words)
    }
}

/// The folder of the proxy of this number.
fn state(number: usize) -> String {
    format!("proxy-{number}")
}

/// Where the proxy of this number takes calls of the service with two versions.
pub(super) fn address(number: usize) -> SocketAddr {
    let port = FIRST_PORT + number * CALLED;
    local(u16::try_from(port).expect("there are ports for all proxies"))
}

/// Where it takes calls of another service.
pub(super) fn address_of_another(number: usize) -> SocketAddr {
    let mut another = address(number);
    another.set_port(another.port() + 1);
    another
}

fn start_control(folder: &Path, leno: &Path) -> Result<Running, Box<dyn Error>> {
    let at = local(15012);
    let listen = at.to_string();
    let mut words = vec!["control", "--listen", &listen, "--advertise", &listen];
    words.extend(["--data", "store", "--socket", "socket"]);
    Ok(Running::start(
        Core::Both,
        folder,
        "control",
        leno,
        &words,
        at,
    )?)
}

/// A mesh of [`SERVICES`] services, so many callers, and both versions of what they call.
fn mesh(callers: usize, spec: &str) -> String {
    let mut text = "\
apiVersion: leno.dev/v1alpha1
kind: Mesh
metadata: {name: shop}
SPEC
---
apiVersion: leno.dev/v1alpha1
kind: MeshWorkload
metadata: {name: v1, labels: {app: v1}}
spec: {ports: [{port: 8081, protocol: HTTP}], instances: [{name: v1, address: 127.0.0.1}]}
---
apiVersion: leno.dev/v1alpha1
kind: MeshWorkload
metadata: {name: v2, labels: {app: v2}}
spec: {ports: [{port: 8082, protocol: HTTP}], instances: [{name: v2, address: 127.0.0.1}]}
---
apiVersion: v1
kind: Service
metadata: {name: v2}
spec: {selector: {app: v2}, ports: [{port: 80, targetPort: 8082, appProtocol: http}]}
---
apiVersion: leno.dev/v1alpha1
kind: MeshWorkload
metadata: {name: web}
spec:
  serviceAccount: web
  instances:
"
    .replace("SPEC\n", spec);
    for caller in 0..callers {
        let (high, low) = (caller / 250, caller % 250 + 1);
        writeln!(
            text,
            "  - {{name: web-{caller}, address: 127.1.{high}.{low}}}"
        )
        .expect("a string takes all");
    }
    for service in 0..SERVICES {
        write!(
            text,
            "---\napiVersion: v1\nkind: Service\nmetadata: {{name: service-{service}}}\n\
             spec: {{selector: {{app: v1}}, ports: [{{port: 80, targetPort: 8081, appProtocol: http}}]}}\n"
        )
        .expect("a string takes all");
    }
    text
}

fn route(version: Version) -> String {
    let weight = |other| u32::from(version == other);
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: service-0}}\nspec:\n  \
         parentRefs: [{{group: '', kind: Service, name: service-0, port: 80}}]\n  \
         rules:\n  - backendRefs:\n    - {{name: service-0, port: 80, weight: {}}}\n    - {{name: v2, port: 80, weight: {}}}\n",
        weight(Version::One),
        weight(Version::Two)
    )
}

/// How many services the mesh has.
const SERVICES: usize = 200;

/// How many of them each proxy knows; the first has two versions.
const CALLED: usize = 10;

/// Where the ports of proxies begin.
const FIRST_PORT: usize = 20000;
