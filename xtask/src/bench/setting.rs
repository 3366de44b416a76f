//! The origin, and the proxies in front of it: their files and how they are started. Each
//! does the same work: parse, choose, add a header, keep connections to the next for all calls.

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    Outcome,
    bench::{
        contestant::{Contestant, MEASURE},
        process::{Core, Running, said},
    },
};

/// The folder of files, the origin that runs, and which `leno` takes part.
pub(super) struct Setting {
    /// Where cargo builds.
    target: PathBuf,
    folder: PathBuf,
    lenos: Vec<Leno>,
    _origin: Running,
}

/// A `leno` that takes part, with ports of its own.
struct Leno {
    name: String,
    program: PathBuf,
    /// The port at which it takes calls that it carries in plain.
    hop: u16,
    /// The port at which the first of its pair takes calls.
    pair: u16,
    /// The port at which the second takes tunnels.
    tunnel: u16,
}

impl Setting {
    /// Writes the files below `target`, where cargo builds, and starts the origin.
    pub(super) fn new(target: &Path, leno: PathBuf, against: Option<PathBuf>) -> io::Result<Self> {
        let folder = target.join("bench");
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        let mut lenos = vec![Leno {
            name: "leno".into(),
            program: leno,
            hop: 8101,
            pair: 8111,
            tunnel: 15008,
        }];
        lenos.extend(against.map(|program| Leno {
            name: format!("leno against ({})", program.display()),
            program,
            hop: 8102,
            pair: 8112,
            tunnel: 15009,
        }));
        let origin = origin(&folder)?;
        fs::write(folder.join("mesh.yaml"), MESH)?;
        Ok(Self {
            target: target.to_owned(),
            folder,
            lenos,
            _origin: origin,
        })
    }

    /// The `leno` that is measured.
    pub(super) fn leno(&self) -> &Path {
        self.lenos
            .first()
            .map_or(Path::new("leno"), |leno| &leno.program)
    }

    /// Where cargo builds.
    pub(super) fn target(&self) -> &Path {
        &self.target
    }

    /// The folder of files.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Lets the kernel read the programs of all who take part from disk once more. How much of a file
    /// it maps at a time depends on how the file came into its cache: a build or a copy leaves
    /// another layout there than reading does.
    pub(super) fn forget_programs(&self) -> Outcome {
        let lenos = self.lenos.iter().map(|leno| leno.program.as_path());
        for program in lenos.chain([Path::new(HAPROXY_PROGRAM)]) {
            let file = format!("if={}", program.display());
            said(Command::new("dd").args([&file, "iflag=nocache", "count=0"]))?;
        }
        Ok(())
    }

    /// One proxy that calls the origin in plain.
    pub(super) fn hop(&self) -> Result<Vec<Contestant>, Box<dyn std::error::Error>> {
        let mut contestants = Vec::new();
        for leno in &self.lenos {
            let text = format!(
                "resources: [mesh.yaml]\nworkloads:\n- name: shop/web\n  upstreams: [{{service: cart, port: 8080, listen: 127.0.0.1:{}}}]\nworkers: 1\n",
                leno.hop
            );
            let proxy = self.start_leno(leno, "hop", &text, leno.hop)?;
            contestants.push(Contestant {
                name: leno.name.clone(),
                address: local(leno.hop),
                proxies: vec![proxy],
            });
        }
        let text = format!(
            "{HAPROXY}\nlisten hop\n  bind 127.0.0.1:8100\n  {HAPROXY_WORK}\n  server cart 127.0.0.1:8080\n"
        );
        let proxy = self.start_haproxy("hop", &text, 8100)?;
        contestants.push(Contestant {
            name: MEASURE.into(),
            address: local(8100),
            proxies: vec![proxy],
        });
        Ok(contestants)
    }

    /// Two proxies with mutual TLS 1.3 between, HTTP/2 inside.
    pub(super) fn pair(&self) -> Result<Vec<Contestant>, Box<dyn std::error::Error>> {
        self.issue()?;
        let mut contestants = Vec::new();
        for leno in &self.lenos {
            let Leno { pair, tunnel, .. } = leno;
            let called = format!(
                "{MEMBER}- name: shop/cart\n  key: certs/cart.key\n  chain: certs/cart.pem\ntunnel: 127.0.0.1:{tunnel}\n"
            );
            let called = self.start_leno(leno, "called", &called, *tunnel)?;
            let calling = format!(
                "{MEMBER}- name: shop/web\n  key: certs/web.key\n  chain: certs/web.pem\n  upstreams: [{{service: cart, port: 8080, listen: 127.0.0.1:{pair}}}]\ntunnels: [{{workload: shop/cart, address: 127.0.0.1:{tunnel}}}]\n"
            );
            let calling = self.start_leno(leno, "calling", &calling, *pair)?;
            contestants.push(Contestant {
                name: leno.name.clone(),
                address: local(*pair),
                proxies: vec![calling, called],
            });
        }
        let tls = |name: &str| {
            format!(
                "crt certs/{name}.both ca-file certs/roots.pem verify required alpn h2 ssl-min-ver TLSv1.3"
            )
        };
        let called = format!(
            "{HAPROXY}\nlisten called\n  bind 127.0.0.1:8120 ssl {}\n  {HAPROXY_WORK}\n  server cart 127.0.0.1:8080\n",
            tls("cart")
        );
        let called = self.start_haproxy("called", &called, 8120)?;
        let calling = format!(
            "{HAPROXY}\nlisten calling\n  bind 127.0.0.1:8110\n  {HAPROXY_WORK}\n  server cart 127.0.0.1:8120 ssl {}\n",
            tls("web")
        );
        let calling = self.start_haproxy("calling", &calling, 8110)?;
        contestants.push(Contestant {
            name: MEASURE.into(),
            address: local(8110),
            proxies: vec![calling, called],
        });
        Ok(contestants)
    }

    /// Certificates for both ends, the same for all who take part.
    fn issue(&self) -> Outcome {
        let certs = self.folder.join("certs");
        let mut issue = Command::new(self.leno());
        issue.args(["certs", "issue", "--trust-domain", "shop.local", "--into"]);
        said(issue.arg(&certs).args(["shop/web", "shop/cart"]))?;
        for name in ["web", "cart"] {
            let read = |kind: &str| fs::read_to_string(certs.join(format!("{name}.{kind}")));
            fs::write(
                certs.join(format!("{name}.both")),
                read("key")? + &read("pem")?,
            )?;
        }
        Ok(())
    }

    fn start_leno(&self, leno: &Leno, role: &str, text: &str, port: u16) -> io::Result<Running> {
        let file = format!("{role}-{port}.yaml");
        fs::write(self.folder.join(&file), text)?;
        let words = ["proxy", "--static", &file];
        Running::start(
            Core::Proxy,
            &self.folder,
            &file,
            &leno.program,
            &words,
            local(port),
        )
    }

    fn start_haproxy(&self, role: &str, text: &str, port: u16) -> io::Result<Running> {
        let file = format!("haproxy-{role}.cfg");
        fs::write(self.folder.join(&file), text)?;
        let program = Path::new(HAPROXY_PROGRAM);
        Running::start(
            Core::Proxy,
            &self.folder,
            &file,
            program,
            &["-db", "-f", &file],
            local(port),
        )
    }
}

/// Starts nginx, one process that answers 1 KB to everything, and two versions that say which they are.
fn origin(folder: &Path) -> io::Result<Running> {
    let text = NGINX.replace("BODY", &"leno".repeat(256));
    fs::write(folder.join("nginx.conf"), text)?;
    let prefix = folder.display().to_string();
    let words = ["-p", &prefix, "-e", "nginx-error.log", "-c", "nginx.conf"];
    Running::start(
        Core::Other,
        folder,
        "nginx",
        Path::new("/usr/sbin/nginx"),
        &words,
        local(8080),
    )
}

/// An address of this host.
pub(super) fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// Nothing is logged, nothing is closed that can be kept.
const NGINX: &str = "\
daemon off;
master_process off;
pid nginx.pid;
events { worker_connections 4096; }
http {
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  server {
    listen 127.0.0.1:8080;
    location / { return 200 BODY; }
  }
  server {
    listen 127.0.0.1:8081;
    location / { return 200 v1; }
  }
  server {
    listen 127.0.0.1:8082;
    location / { return 200 v2; }
  }
  server {
    listen 127.0.0.1:4318;
    location / { default_type application/x-protobuf; return 200; }
  }
}
";

const HAPROXY_PROGRAM: &str = "/usr/sbin/haproxy";

const HAPROXY: &str = "\
global
  nbthread 1
  maxconn 4096
defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
";

/// What HAProxy does with each call.
const HAPROXY_WORK: &str = "\
option forwardfor
  http-request set-header x-request-id 1234567890abcdef
  http-reuse always";

/// A strict mesh in which one rule admits the calls.
const MESH: &str = "\
apiVersion: leno.dev/v1alpha1
kind: Mesh
metadata: {name: shop}
spec: {trustDomain: shop.local, mtls: Strict, default: Deny}
---
apiVersion: leno.dev/v1alpha1
kind: MeshWorkload
metadata: {name: web, namespace: shop}
spec:
  ports: [{port: 3000, protocol: HTTP}]
  instances: [{address: 127.0.0.2}]
---
apiVersion: leno.dev/v1alpha1
kind: MeshWorkload
metadata: {name: cart, namespace: shop}
spec:
  ports: [{port: 8080, protocol: HTTP}]
  instances: [{address: 127.0.0.1}]
---
apiVersion: leno.dev/v1alpha1
kind: AccessPolicy
metadata: {name: cart, namespace: shop}
spec:
  targetRefs: [{kind: Service, name: cart}]
  rules:
  - callers: [{identity: shop/web}]
    requests: [{methods: [GET]}]
";

/// How the file of a proxy begins that proves itself.
const MEMBER: &str = "\
resources: [mesh.yaml]
bundle: certs/roots.pem
workers: 1
workloads:
";
