//! Where namespaces are forbidden, nothing is captured: a workload is told by its environment where
//! the mesh takes its calls, and the mesh is told by the kernel where the workload takes its own.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::iter;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::ops::Range;

use leno_model::view::{PortRef, Protocol};
use leno_model::{Dice, Name, Namespace, ServiceName};
use socket2::{Domain, Socket, Type};

use crate::command::seed;

/// A port of this machine that somebody wants for calls of a workload to a service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Pin {
    /// Who calls; without it, the one workload that it can be.
    pub(crate) caller: Option<Name>,
    /// The service.
    pub(crate) service: Name,
    /// The port.
    pub(crate) port: u16,
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(caller) = &self.caller {
            write!(f, "{caller}:")?;
        }
        write!(f, "{}={}", self.service, self.port)
    }
}

impl Pin {
    /// Reads `cart=18081`, or `web:cart=18081`.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let (names, port) = text
            .split_once('=')
            .ok_or("SERVICE=PORT is expected: cart=18081")?;
        let (caller, service) = match names.split_once(':') {
            Some((caller, service)) => (Some(caller), service),
            None => (None, names),
        };
        let name = |text: &str| Name::new(text).map_err(|error| error.to_string());
        Ok(Self {
            caller: caller.map(name).transpose()?,
            service: name(service)?,
            port: match port.parse() {
                Ok(0) | Err(_) => return Err(format!("{port:?} is not a port")),
                Ok(port) => port,
            },
        })
    }
}

/// A service that a workload may want to call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Callee {
    /// Which one.
    pub(crate) service: ServiceName,
    /// Its port and what is spoken there; unknown until its workload listens.
    pub(crate) port: Option<(u16, Protocol)>,
}

/// Where the mesh takes the calls of one workload: for as long as the workload is known, however
/// often it is started.
#[derive(Debug)]
pub(crate) struct Doors {
    http_proxy: TcpListener,
    upstreams: Vec<Upstream>,
    /// The port that it declares, and the one that it is told to listen on.
    own_port: Option<(u16, u16)>,
    environment: Vec<(String, String)>,
}

/// Where the mesh takes the calls to one service port.
#[derive(Debug)]
struct Upstream {
    service: ServiceName,
    /// `None` until it is known: connections are refused until then.
    port: Option<u16>,
    socket: Socket,
}

impl Doors {
    /// Opens those of a workload in `home`. Ports are free ones but for those that `pins` want.
    pub(crate) fn open(
        home: &Namespace,
        callees: &[Callee],
        pins: &BTreeMap<Name, u16>,
        own_port: Option<(u16, u16)>,
    ) -> io::Result<Self> {
        let http_proxy = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let at = http_proxy.local_addr()?;
        let mut environment = Vec::new();
        let mut say = |name: String, value: String| environment.push((name, value));
        for name in ["http_proxy", "https_proxy"] {
            say(name.to_owned(), format!("http://{at}"));
            say(name.to_ascii_uppercase(), format!("http://{at}"));
        }
        // Whoever asks localhost for the port of a workload means that workload.
        say("no_proxy".to_owned(), String::new());
        say("NO_PROXY".to_owned(), String::new());
        if let Some((_, given)) = own_port {
            say("PORT".to_owned(), given.to_string());
        }
        let mut upstreams = Vec::new();
        let mut named = BTreeSet::new();
        for callee in callees {
            let is_first = named.insert(callee.service.clone());
            let pin = pins.get(&callee.service.name).filter(|_| is_first);
            let socket = reserve(pin.copied().unwrap_or(0))?;
            let at = address_of(&socket)?;
            let name = variable(&callee.service, home);
            let name = match callee.port {
                Some((port, _)) if !is_first => format!("{name}_{port}"),
                Some(_) | None => name,
            };
            if callee.port.is_none_or(|(_, spoken)| spoken.is_http()) {
                say(format!("{name}_URL"), format!("http://{at}"));
            }
            say(format!("{name}_SERVICE_HOST"), at.ip().to_string());
            say(format!("{name}_SERVICE_PORT"), at.port().to_string());
            upstreams.push(Upstream {
                service: callee.service.clone(),
                port: callee.port.map(|(port, _)| port),
                socket,
            });
        }
        Ok(Self {
            http_proxy,
            upstreams,
            own_port,
            environment,
        })
    }

    /// What the workload finds in its environment.
    pub(crate) fn environment(&self) -> &[(String, String)] {
        &self.environment
    }

    /// The port that the workload is told to listen on.
    pub(crate) fn own_port(&self) -> Option<u16> {
        self.own_port.map(|(_, given)| given)
    }

    /// The listener of whatever its requests name.
    pub(crate) fn http_proxy(&self) -> io::Result<TcpListener> {
        self.http_proxy.try_clone()
    }

    /// The listeners of service ports that are known.
    pub(crate) fn upstreams(&self) -> io::Result<Vec<(PortRef, TcpListener)>> {
        let mut listeners = Vec::new();
        for upstream in &self.upstreams {
            if let Some(port) = upstream.port {
                // Listening twice is listening.
                upstream.socket.listen(BACKLOG)?;
                let port = PortRef {
                    service: upstream.service.clone(),
                    port,
                };
                listeners.push((port, upstream.socket.try_clone()?.into()));
            }
        }
        Ok(listeners)
    }

    /// Learns the ports of services that were not known, and returns their listeners.
    pub(crate) fn learn(
        &mut self,
        port_of: impl Fn(&ServiceName) -> Option<u16>,
    ) -> io::Result<Vec<(PortRef, TcpListener)>> {
        let mut listeners = Vec::new();
        for upstream in &mut self.upstreams {
            if upstream.port.is_none()
                && let Some(port) = port_of(&upstream.service)
            {
                upstream.port = Some(port);
                upstream.socket.listen(BACKLOG)?;
                let service = upstream.service.clone();
                let socket = upstream.socket.try_clone()?.into();
                listeners.push((PortRef { service, port }, socket));
            }
        }
        Ok(listeners)
    }

    /// Where each port of the workload is reached that listens at these addresses.
    pub(crate) fn reach(&self, listening: &BTreeSet<SocketAddr>) -> BTreeMap<u16, SocketAddr> {
        let mut ports = BTreeMap::new();
        for address in listening {
            ports.entry(address.port()).or_insert(reach(*address));
        }
        if let Some((declared, given)) = self.own_port
            && let Some(at) = ports.get(&given).copied()
        {
            ports.entry(declared).or_insert(at);
        }
        ports
    }
}

/// Where a program of this machine is reached that listens on `bound`.
pub(crate) fn reach(bound: SocketAddr) -> SocketAddr {
    let ip = match bound.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, bound.port())
}

/// The port that a workload is told to listen on which declares `declared`: that one if it is free
/// and nobody else was told so.
pub(crate) fn own_port(declared: u16, given: &BTreeSet<u16>) -> io::Result<u16> {
    let is_free = |port: &u16| {
        !given.contains(port) && TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port)).is_ok()
    };
    let mut dice = Dice::new(seed());
    let among = u64::from(QUIET.end - QUIET.start);
    let quiet = iter::from_fn(|| u16::try_from(dice.next_u64() % among).ok());
    let quiet = quiet.map(|number| QUIET.start + number).take(TRIES);
    let mut ports = iter::once(declared).chain(quiet);
    if let Some(free) = ports.find(is_free) {
        return Ok(free);
    }
    let free = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    Ok(free.local_addr()?.port())
}

/// Ports that the kernel gives to nobody who asks for any one, neither to listen nor to connect from
/// (`ip_local_port_range`, as it is if nobody changes it): one of them stays free until its program listens there.
const QUIET: Range<u16> = 20_000..32_768;
/// How many of them are tried.
const TRIES: usize = 64;

/// Which pinned ports are of the calls of `caller`, of all workloads.
pub(crate) fn pins_of(pins: &[Pin], caller: &Name, all: &[Name]) -> BTreeMap<Name, u16> {
    let is_meant = |pin: &&Pin| match &pin.caller {
        Some(named) => named == caller,
        None => caller != &pin.service && all.iter().all(|n| n == caller || n == &pin.service),
    };
    let meant = pins.iter().filter(is_meant);
    meant.map(|pin| (pin.service.clone(), pin.port)).collect()
}

/// The pins of which it cannot be said whose calls they mean.
pub(crate) fn unclear<'p>(pins: &'p [Pin], all: &[Name]) -> Option<&'p Pin> {
    let callers = |pin: &Pin| all.iter().filter(|name| **name != pin.service).count();
    let mut pins = pins.iter();
    pins.find(|pin| match &pin.caller {
        Some(caller) => !all.contains(caller),
        None => callers(pin) != 1,
    })
}

/// The lines that give a shell the same way into the mesh.
pub(crate) fn exports(environment: &[(String, String)]) -> Vec<String> {
    let written = |(name, value): &(String, String)| format!("{name}={value}");
    let is_proxy = |(name, _): &&(String, String)| name.ends_with("_proxy");
    // A service is named once: by its URL, or else by its port.
    let is_callee = |(name, _): &&(String, String)| match name.strip_suffix("_SERVICE_PORT") {
        Some(service) => {
            let url = format!("{service}_URL");
            environment.iter().all(|(name, _)| *name != url)
        }
        None => name.ends_with("_URL"),
    };
    let proxy = environment.iter().filter(is_proxy).map(written);
    let lines = [proxy.collect::<Vec<_>>().join(" ")].into_iter();
    let lines = lines.chain(environment.iter().filter(is_callee).map(written));
    lines.map(|line| format!("export {line}")).collect()
}

/// `cart` as a variable begins: `CART`; `CART_SHOP` of another namespace, `MY_CART` for `my-cart`.
fn variable(service: &ServiceName, home: &Namespace) -> String {
    let name = match &service.namespace == home {
        true => service.name.to_string(),
        false => format!("{}_{}", service.name, service.namespace),
    };
    let name = name.replace(['-', '.'], "_").to_ascii_uppercase();
    match name.starts_with(|first: char| first.is_ascii_digit()) {
        true => format!("_{name}"),
        false => name,
    }
}

/// A port of the loopback at which nobody is answered yet.
fn reserve(port: u16) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    let at = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{at}: {error}"));
    socket.bind(&at.into()).map_err(named)?;
    Ok(socket)
}

fn address_of(socket: &Socket) -> io::Result<SocketAddr> {
    let address = socket.local_addr()?.as_socket();
    address.ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}

/// As many as the kernel allows.
const BACKLOG: i32 = i32::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    #[test]
    fn a_program_whose_port_is_taken_is_told_one_that_nobody_is_given_meanwhile() {
        let taken = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        let declared = taken.local_addr().unwrap().port();
        let given = own_port(declared, &BTreeSet::new()).unwrap();
        assert!(QUIET.contains(&given), "{given}");
        let other = own_port(given, &[given].into()).unwrap();
        assert!(QUIET.contains(&other) && other != given, "{other}");
    }

    fn service(namespace: &str, called: &str) -> ServiceName {
        ServiceName::new(Namespace::new(namespace).unwrap(), name(called))
    }

    #[test]
    fn a_pin_names_a_service_and_perhaps_who_calls() {
        let read = |text: &str| Pin::read(text).map_err(|_| ());
        let pin = |caller: Option<&str>| Pin {
            caller: caller.map(name),
            service: name("cart"),
            port: 18081,
        };
        assert_eq!(read("cart=18081"), Ok(pin(None)));
        assert_eq!(read("web:cart=18081"), Ok(pin(Some("web"))));
        for bad in [
            "cart",
            "cart=",
            "cart=0",
            "cart=65536",
            "=1",
            ":cart=1",
            "a:b:c=1",
        ] {
            assert_eq!(read(bad), Err(()), "{bad}");
        }
    }

    #[test]
    fn a_pin_without_a_caller_means_the_only_one_there_can_be() {
        let (web, cart, mail) = (name("web"), name("cart"), name("mail"));
        let pins = [Pin::read("cart=18081").unwrap()];
        let two = [web.clone(), cart.clone()];
        let all = [web.clone(), cart.clone(), mail];
        assert_eq!(unclear(&pins, &two), None);
        assert_eq!(unclear(&pins, &all), Some(&pins[0]));
        assert_eq!(pins_of(&pins, &web, &two), [(cart.clone(), 18081)].into());
        assert_eq!(pins_of(&pins, &cart, &two), BTreeMap::new());
        let named = [Pin::read("web:cart=18081").unwrap()];
        assert_eq!(unclear(&named, &all), None);
        assert_eq!(pins_of(&named, &web, &all), [(cart, 18081)].into());
    }

    #[test]
    fn a_workload_is_told_where_the_mesh_is() {
        let home = Namespace::new("default").unwrap();
        let callee = |service, port| Callee { service, port };
        let callees = [
            callee(service("default", "cart"), Some((8080, Protocol::Http))),
            callee(service("default", "cart"), Some((9090, Protocol::Http))),
            callee(service("default", "my-mail"), None),
            callee(service("shop", "redis"), Some((6379, Protocol::Tcp))),
        ];
        let mut doors =
            Doors::open(&home, &callees, &BTreeMap::new(), Some((8080, 41000))).unwrap();
        let port = doors.http_proxy().unwrap().local_addr().unwrap().port();
        let told = doors.environment();
        let names = told.iter().map(|(name, _)| name.as_str());
        let names = names.collect::<Vec<_>>().join(" ");
        assert_eq!(
            names,
            "http_proxy HTTP_PROXY https_proxy HTTPS_PROXY no_proxy NO_PROXY PORT \
             CART_URL CART_SERVICE_HOST CART_SERVICE_PORT \
             CART_9090_URL CART_9090_SERVICE_HOST CART_9090_SERVICE_PORT \
             MY_MAIL_URL MY_MAIL_SERVICE_HOST MY_MAIL_SERVICE_PORT \
             REDIS_SHOP_SERVICE_HOST REDIS_SHOP_SERVICE_PORT"
        );
        let lines = exports(told);
        let at = format!("http://127.0.0.1:{port}");
        let proxy = format!("export http_proxy={at} https_proxy={at} no_proxy=");
        assert_eq!(lines[0], proxy);
        let shown = lines.iter().skip(1);
        let shown = shown.map(|line| line.split(['=', ' ']).nth(1).unwrap());
        assert_eq!(
            shown.collect::<Vec<_>>().join(" "),
            "CART_URL CART_9090_URL MY_MAIL_URL REDIS_SHOP_SERVICE_PORT"
        );

        // What is not known yet refuses, and is known once.
        assert_eq!(doors.upstreams().unwrap().len(), 3);
        let at = address_of(&doors.upstreams[2].socket).unwrap();
        assert!(std::net::TcpStream::connect(at).is_err());
        let learned = doors.learn(|_| Some(25)).unwrap();
        assert_eq!(learned[0].0.to_string(), "default/my-mail:25");
        assert!(std::net::TcpStream::connect(at).is_ok());
        assert!(doors.learn(|_| Some(25)).unwrap().is_empty());
    }

    #[test]
    fn a_workload_is_reached_where_it_listens_and_nowhere_else() {
        let home = Namespace::new("default").unwrap();
        let open = |own| Doors::open(&home, &[], &BTreeMap::new(), own).unwrap();
        let told = |doors: &Doors, listening: &[&str]| {
            let listening = listening.iter().map(|at| at.parse().unwrap());
            let ports = doors.reach(&listening.collect()).into_iter();
            let ports = ports.map(|(port, at)| format!("{port} {at}"));
            ports.collect::<Vec<_>>().join(", ")
        };
        let moved = open(Some((8080, 41000)));
        assert_eq!(told(&moved, &[]), "");
        let expect = "8080 127.0.0.1:41000, 41000 127.0.0.1:41000";
        assert_eq!(told(&moved, &["0.0.0.0:41000"]), expect);
        // It does not care what it was told.
        assert_eq!(told(&moved, &["127.0.0.1:8080"]), "8080 127.0.0.1:8080");
        let both = ["[::]:3000", "127.0.0.1:3000", "[::]:3001"];
        let expect = "3000 127.0.0.1:3000, 3001 [::1]:3001";
        assert_eq!(told(&open(None), &both), expect);
    }
}
