//! What a compose file publishes on this machine: what programs reach there that are no workloads of
//! ours. Everything else in it is other programs' business.

use alloc::{
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use core::fmt;
use core::net::IpAddr;
use core::ops::RangeInclusive;

use leno_model::{Code, Note, Notes, Place, Severity};

use crate::object::span;
use crate::yaml::{self, At, Meaning, Node, Value};

/// The names that a compose file may have, the preferred one first.
pub const FILES: [&str; 4] = [
    "compose.yaml",
    "compose.yml",
    "docker-compose.yaml",
    "docker-compose.yml",
];

/// How many ports are read.
const MOST: usize = 256;

/// TCP ports of this machine behind which a service of a compose file is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Published {
    /// The service.
    pub service: Arc<str>,
    /// The address, unless it is all of them.
    pub ip: Option<IpAddr>,
    /// One port, or several in a row.
    pub ports: RangeInclusive<u16>,
    /// Where it is written.
    pub place: Place,
}

impl fmt::Display for Published {
    /// `localhost:5432`, `192.168.1.5:8080-8081`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ip {
            Some(IpAddr::V6(ip)) if !ip.is_loopback() => write!(f, "[{ip}]")?,
            Some(ip @ IpAddr::V4(_)) if !ip.is_loopback() => write!(f, "{ip}")?,
            Some(_) | None => f.write_str("localhost")?,
        }
        write!(f, ":{}", self.ports.start())?;
        if self.ports.start() == self.ports.end() {
            return Ok(());
        }
        write!(f, "-{}", self.ports.end())
    }
}

/// Reads a compose file. `variable` has the values of what it writes as `${NAME}`.
///
/// Never fails: what cannot be read, or is no TCP port of this machine, is left out and noted.
pub fn read(
    path: &str,
    bytes: &[u8],
    variable: &dyn Fn(&str) -> Option<String>,
) -> (Vec<Published>, Notes) {
    let mut reading = Reading {
        path: path.into(),
        variable,
        found: Vec::new(),
        notes: Notes::default(),
    };
    for document in yaml::documents(bytes) {
        match document {
            Ok(root) => reading.services(&root),
            Err(broken) => reading.note(broken.code, Severity::Warning, broken.at, broken.message),
        }
    }
    (reading.found, reading.notes)
}

struct Reading<'a> {
    path: Arc<str>,
    variable: &'a dyn Fn(&str) -> Option<String>,
    found: Vec<Published>,
    notes: Notes,
}

impl Reading<'_> {
    fn services(&mut self, root: &Node) {
        let services = root.get("services").and_then(Node::as_map);
        for service in services.into_iter().flatten() {
            let own = service.value.get("ports");
            // A merged mapping stands in for what the service does not say itself.
            let merged = service.value.get("<<").and_then(|base| base.get("ports"));
            let Some(ports) = own.or(merged).filter(|ports| !ports.is_null()) else {
                continue;
            };
            let Some(ports) = ports.as_list() else {
                let message = "ports is a list".to_string();
                self.note(Code::C004, Severity::Warning, ports.at, message);
                continue;
            };
            for port in ports {
                if self.found.len() == MOST {
                    let message = format!("more than {MOST} ports are published");
                    return self.note(Code::C009, Severity::Warning, port.at, message);
                }
                self.port(&service.key, port);
            }
        }
    }

    fn port(&mut self, service: &Arc<str>, port: &Node) {
        let read = match &port.value {
            Value::Scalar(text, _) => self.short(text),
            Value::Map(_) => self.long(port),
            Value::List(_) => Err(Left::Wrong(format!("a list is no port of {service}"))),
        };
        let (code, severity, message) = match read {
            Ok((ip, ports)) => {
                let At { line, column, .. } = port.at;
                return self.found.push(Published {
                    service: service.clone(),
                    ip: ip.filter(|ip| !ip.is_unspecified()),
                    ports,
                    place: Place {
                        file: self.path.clone(),
                        line,
                        column,
                    },
                });
            }
            Err(Left::Unpublished) => return,
            Err(Left::Chosen) => (
                Code::C114,
                Severity::Info,
                format!("the port of {service} on this machine is chosen when it starts"),
            ),
            Err(Left::Protocol(protocol)) => (
                Code::R042,
                Severity::Info,
                format!("{service} speaks {protocol}, and only TCP is carried"),
            ),
            Err(Left::Wrong(message)) => (Code::C007, Severity::Warning, message),
        };
        self.note(code, severity, port.at, message);
    }

    /// `[IP:][PUBLISHED:]TARGET[/PROTOCOL]`.
    fn short(&self, text: &str) -> Result<Reached, Left> {
        let text = self.filled(text)?;
        let (text, protocol) = text.split_once('/').unwrap_or((&text, "tcp"));
        tcp(protocol)?;
        // Without a port of this machine it has none that is known.
        let (before, target) = text.rsplit_once(':').ok_or(Left::Chosen)?;
        ports(target)?;
        let (ip, published) = match before.rsplit_once(':') {
            Some((ip, published)) => (Some(ip), published),
            None => (None, before),
        };
        if published.is_empty() {
            return Err(Left::Chosen);
        }
        Ok((ip.map(address).transpose()?, ports(published)?))
    }

    /// The same in words: `{target: 80, published: "8080", protocol: tcp, host_ip: 127.0.0.1}`.
    fn long(&self, port: &Node) -> Result<Reached, Left> {
        let field = |name: &str| match port.get(name).map(|node| &node.value) {
            None | Some(Value::Scalar(_, Meaning::Null)) => Ok(None),
            Some(Value::Scalar(text, _)) => self.filled(text).map(Some),
            Some(Value::List(_) | Value::Map(_)) => {
                Err(Left::Wrong(format!("{name} is a single value")))
            }
        };
        tcp(field("protocol")?.as_deref().unwrap_or("tcp"))?;
        let target = field("target")?;
        ports(&target.ok_or_else(|| Left::Wrong("a port has a target".to_string()))?)?;
        let published = field("published")?.filter(|published| !published.is_empty());
        let Some(published) = published else {
            return Err(match field("mode")?.as_deref() {
                Some("ingress") => Left::Unpublished,
                Some(_) | None => Left::Chosen,
            });
        };
        let ip = field("host_ip")?.filter(|ip| !ip.is_empty());
        Ok((ip.as_deref().map(address).transpose()?, ports(&published)?))
    }

    /// With the values of variables: `$NAME`, `${NAME}`, `${NAME:-5432}`, `${NAME-5432}`, `$$`.
    fn filled(&self, text: &str) -> Result<String, Left> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('$') {
            filled.push_str(before);
            if let Some(behind) = behind.strip_prefix('$') {
                filled.push('$');
                rest = behind;
                continue;
            }
            let (inner, after) = match behind.strip_prefix('{') {
                Some(inner) => inner.split_once('}').ok_or_else(|| unknown(text))?,
                None => {
                    let end = behind.find(|letter| !is_of_name(letter));
                    behind.split_at(end.unwrap_or(behind.len()))
                }
            };
            filled.push_str(&self.value(inner).ok_or_else(|| unknown(text))?);
            rest = after;
        }
        filled.push_str(rest);
        Ok(filled)
    }

    fn value(&self, expression: &str) -> Option<String> {
        let end = expression.find(|letter| !is_of_name(letter));
        let (name, how) = expression.split_at(end.unwrap_or(expression.len()));
        let value = (self.variable)(name);
        match (how.strip_prefix(":-"), how.strip_prefix('-')) {
            (Some(default), _) => Some(
                value
                    .filter(|value| !value.is_empty())
                    .unwrap_or_else(|| default.into()),
            ),
            (None, Some(default)) => Some(value.unwrap_or_else(|| default.into())),
            (None, None) if how.is_empty() => value,
            (None, None) => None,
        }
    }

    fn note(&mut self, code: Code, severity: Severity, at: At, message: String) {
        self.notes.push(Note {
            code,
            severity,
            origin: None,
            span: Some(span(&self.path, at)),
            message,
            suggestion: None,
            in_force: "it is not shown as outside of the mesh; calls to it go on".to_string(),
        });
    }
}

/// An address of this machine, if one is said, and ports.
type Reached = (Option<IpAddr>, RangeInclusive<u16>);

/// Why something is not shown.
enum Left {
    /// It is for other containers.
    Unpublished,
    /// Nobody knows its port before it runs.
    Chosen,
    /// It is not TCP.
    Protocol(String),
    /// It cannot be read.
    Wrong(String),
}

fn tcp(protocol: &str) -> Result<(), Left> {
    if protocol.eq_ignore_ascii_case("tcp") {
        return Ok(());
    }
    Err(Left::Protocol(protocol.to_ascii_uppercase()))
}

fn address(text: &str) -> Result<IpAddr, Left> {
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    let wrong = |_| Left::Wrong(format!("{text:?} is no address"));
    bare.unwrap_or(text).parse().map_err(wrong)
}

/// `8080`, or `8080-8081`.
fn ports(text: &str) -> Result<RangeInclusive<u16>, Left> {
    let port = |text: &str| match text.parse() {
        Ok(0) | Err(_) => Err(Left::Wrong(format!("{text:?} is no port"))),
        Ok(port) => Ok(port),
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let ports = port(first)?..=port(last)?;
    if ports.is_empty() {
        return Err(Left::Wrong(format!("{text:?} ends before it begins")));
    }
    Ok(ports)
}

fn unknown(text: &str) -> Left {
    Left::Wrong(format!("the value of a variable in {text:?} is not known"))
}

fn is_of_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    /// What is published, a line each, then what was noted.
    fn check(yaml: &str, expect: &[&str]) {
        let variable = |name: &str| match name {
            "PORT" => Some("7000".to_string()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        let (found, notes) = read("compose.yaml", yaml.as_bytes(), &variable);
        let mut told = Vec::new();
        for found in &found {
            told.push(format!("{} {found} {}", found.service, found.place.line));
        }
        for note in &notes {
            let line = note.span.as_ref().map_or(0, |span| span.start.line);
            told.push(format!("{line} {} {}", note.code, note.message));
        }
        assert_eq!(told, expect, "{yaml}");
    }

    fn one(port: &str, expect: &str) {
        check(
            &format!("services:\n  db:\n    ports: [{port}]\n"),
            &[expect],
        );
    }

    #[test]
    fn ports_are_read_in_both_forms() {
        for (port, expect) in [
            ("5432:5432", "db localhost:5432 3"),
            ("\"5433:5432/tcp\"", "db localhost:5433 3"),
            ("127.0.0.1:5432:5432", "db localhost:5432 3"),
            ("\"[::1]:5432:5432\"", "db localhost:5432 3"),
            ("\"0.0.0.0:5432:5432\"", "db localhost:5432 3"),
            ("192.168.1.5:5432:5432", "db 192.168.1.5:5432 3"),
            ("\"[fd00::5]:5432:5432\"", "db [fd00::5]:5432 3"),
            ("9090-9091:8080-8081", "db localhost:9090-9091 3"),
            ("\"${PORT}:5432\"", "db localhost:7000 3"),
            ("\"$PORT:5432\"", "db localhost:7000 3"),
            ("\"${LACKING:-6000}:5432\"", "db localhost:6000 3"),
            ("\"${EMPTY:-6000}:5432\"", "db localhost:6000 3"),
            ("{target: 80, published: 8080}", "db localhost:8080 3"),
            (
                "{target: 80, published: \"8080-8081\", protocol: tcp, host_ip: 10.0.0.1, mode: host}",
                "db 10.0.0.1:8080-8081 3",
            ),
        ] {
            one(port, expect);
        }
    }

    #[test]
    fn what_is_left_out_is_said() {
        for (port, expect) in [
            ("53:53/udp", "3 R042 db speaks UDP, and only TCP is carried"),
            (
                "{target: 53, published: 53, protocol: udp}",
                "3 R042 db speaks UDP, and only TCP is carried",
            ),
            (
                "3000",
                "3 C114 the port of db on this machine is chosen when it starts",
            ),
            (
                "\"127.0.0.1::3000\"",
                "3 C114 the port of db on this machine is chosen when it starts",
            ),
            (
                "{target: 3000}",
                "3 C114 the port of db on this machine is chosen when it starts",
            ),
            ("0:80", "3 C007 \"0\" is no port"),
            ("65536:80", "3 C007 \"65536\" is no port"),
            ("a:80", "3 C007 \"a\" is no port"),
            ("9-8:80", "3 C007 \"9-8\" ends before it begins"),
            ("1.2.3:80:80", "3 C007 \"1.2.3\" is no address"),
            (
                "\"${LACKING}:80\"",
                "3 C007 the value of a variable in \"${LACKING}:80\" is not known",
            ),
            (
                "\"${PORT:80\"",
                "3 C007 the value of a variable in \"${PORT:80\" is not known",
            ),
            ("[80]", "3 C007 a list is no port of db"),
            ("{published: 80}", "3 C007 a port has a target"),
        ] {
            one(port, expect);
        }
        check("services: {a: {ports: x}}", &["1 C004 ports is a list"]);
    }

    #[test]
    fn the_rest_of_the_file_is_not_ours() {
        check(
            "version: '3'\nx-base: &base\n  ports: ['6379:6379']\nservices:\n  \
             web: {build: ., networks: {a: {}}}\n  redis:\n    <<: *base\n    image: redis\nvolumes: {}\n",
            &["redis localhost:6379 3"],
        );
        for nothing in [
            "",
            "services:\n",
            "[]",
            "services: 7\n",
            "services: {a: 7}\n",
        ] {
            check(nothing, &[]);
        }
    }

    #[test]
    fn what_is_no_yaml_is_noted_and_too_much_is_too_much() {
        let (found, notes) = read("compose.yaml", b"services: [\n", &|_| None);
        assert_eq!((found.len(), notes.iter().count()), (0, 1));
        let many = vec!["1:1"; MOST + 5].join(", ");
        let yaml = format!("services: {{a: {{ports: [{many}]}}}}");
        let (found, notes) = read("compose.yaml", yaml.as_bytes(), &|_| None);
        assert_eq!(found.len(), MOST);
        let noted = notes.iter().map(|note| note.code).collect::<Vec<_>>();
        assert_eq!(noted, [Code::C009]);
    }
}
