//! What is said, as JSON.

use std::net::SocketAddr;
use std::time::Duration;

use leno_host::{Exit, Layout};
use leno_model::view::{Protocol, WorkloadId};
use leno_model::{Name, Namespace};
use serde_json::{Value, json};

use crate::up::engine::{Guest, Joined};
use crate::up::explicit::Pin;
use crate::up::news::{Ended, Published, Row, State};

pub(super) fn id(id: &WorkloadId) -> Value {
    json!([id.namespace.as_str(), id.name.as_str()])
}

pub(super) fn read_id(value: &Value) -> Option<WorkloadId> {
    Some(WorkloadId {
        namespace: Namespace::new(value[0].as_str()?).ok()?,
        name: Name::new(value[1].as_str()?).ok()?,
    })
}

pub(super) fn row(row: &Row) -> Value {
    let (state, after) = match &row.state {
        State::Starting => ("starting", Duration::ZERO),
        State::Up(after) => ("up", *after),
        State::Ended { after, .. } => ("ended", *after),
    };
    let how = match &row.state {
        State::Ended { how, last_line, .. } => json!({ "how": ended(how), "last": last_line }),
        State::Starting | State::Up(_) => Value::Null,
    };
    json!({
        "workload": id(&row.id),
        "typed": row.typed,
        "place": row.place,
        "state": state,
        "afterMs": u64::try_from(after.as_millis()).unwrap_or(u64::MAX),
        "ended": how,
        "published": row.published.iter().map(published).collect::<Vec<_>>(),
        "pid": row.pid,
        "udpRefused": row.udp_refused,
    })
}

pub(super) fn read_row(value: &Value) -> Option<Row> {
    let text = |key: &str| Some(value[key].as_str()?.to_owned());
    let after = Duration::from_millis(value["afterMs"].as_u64()?);
    let state = match value["state"].as_str()? {
        "starting" => State::Starting,
        "up" => State::Up(after),
        "ended" => State::Ended {
            after,
            how: read_ended(&value["ended"]["how"])?,
            last_line: value["ended"]["last"].as_str()?.to_owned(),
        },
        _ => return None,
    };
    let published = value["published"].as_array()?.iter().map(read_published);
    Some(Row {
        id: read_id(&value["workload"])?,
        typed: text("typed")?,
        place: text("place")?,
        state,
        published: published.collect::<Option<_>>()?,
        pid: value["pid"].as_u64().and_then(|pid| pid.try_into().ok()),
        udp_refused: value["udpRefused"].as_u64()?,
    })
}

fn ended(how: &Ended) -> Value {
    match how {
        Ended::NotStarted(errno) => json!({ "notStarted": errno }),
        Ended::Exit(Exit::Code(code)) => json!({ "code": code }),
        Ended::Exit(Exit::Signal(signal)) => json!({ "signal": signal }),
        Ended::Exit(Exit::Lost) => json!({ "lost": true }),
    }
}

fn read_ended(value: &Value) -> Option<Ended> {
    let number = |key: &str| {
        value[key]
            .as_i64()
            .and_then(|number| number.try_into().ok())
    };
    if let Some(errno) = number("notStarted") {
        return Some(Ended::NotStarted(errno));
    }
    let exit = number("code").map(Exit::Code);
    let exit = exit.or_else(|| number("signal").map(Exit::Signal));
    Some(Ended::Exit(exit.unwrap_or(Exit::Lost)))
}

fn published(published: &Published) -> Value {
    json!({
        "port": published.port,
        "protocol": if published.protocol.is_http() { "HTTP" } else { "TCP" },
        "at": published.at.to_string(),
        "host": published.host,
        "taken": published.taken,
    })
}

fn read_published(value: &Value) -> Option<Published> {
    Some(Published {
        port: value["port"].as_u64()?.try_into().ok()?,
        protocol: match value["protocol"].as_str()? {
            "HTTP" => Protocol::Http,
            _ => Protocol::Tcp,
        },
        at: value["at"].as_str()?.parse().ok()?,
        host: value["host"].as_str().map(str::to_owned),
        taken: value["taken"].as_bool()?,
    })
}

pub(super) fn guest(guest: &Guest) -> Value {
    json!({
        "of": id(&guest.of),
        "ports": guest.ports,
        "callsOnly": guest.calls_only,
        "explicit": guest.explicit.as_ref().map(|pins| pins.iter().map(pin).collect::<Vec<_>>()),
        "typed": guest.typed,
    })
}

/// A guest is its own only caller.
fn pin(pin: &Pin) -> Value {
    json!([pin.service.as_str(), pin.port])
}

fn read_pin(value: &Value) -> Option<Pin> {
    Some(Pin {
        caller: None,
        service: Name::new(value[0].as_str()?).ok()?,
        port: value[1].as_u64()?.try_into().ok()?,
    })
}

pub(super) fn read_guest(value: &Value) -> Option<Guest> {
    let port = |value: &Value| u16::try_from(value.as_u64()?).ok();
    let pair = |pair: &Value| Some((port(&pair[0])?, port(&pair[1])?));
    Some(Guest {
        of: read_id(&value["of"])?,
        ports: value["ports"]
            .as_array()?
            .iter()
            .map(pair)
            .collect::<Option<_>>()?,
        calls_only: value["callsOnly"].as_bool()?,
        explicit: match value["explicit"].as_array() {
            Some(pins) => Some(pins.iter().map(read_pin).collect::<Option<_>>()?),
            None => None,
        },
        typed: value["typed"].as_str()?.to_owned(),
    })
}

pub(super) fn joined(joined: &Joined) -> Value {
    let Layout {
        v4,
        v6,
        resolver,
        search,
    } = &joined.layout;
    json!({
        "workload": id(&joined.id),
        "run": joined.run,
        "v4": v4.to_string(),
        "v6": v6.to_string(),
        "resolver": resolver.to_string(),
        "search": search,
        "environment": joined.environment,
        "workloadApi": joined.workload_api,
    })
}

pub(super) fn read_joined(value: &Value) -> Option<Joined> {
    let text = |key: &str| value[key].as_str();
    let search = value["search"].as_array()?.iter();
    Some(Joined {
        id: read_id(&value["workload"])?,
        run: value["run"].as_u64()?.try_into().ok()?,
        layout: Layout {
            v4: text("v4")?.parse().ok()?,
            v6: text("v6")?.parse().ok()?,
            resolver: text("resolver")?.parse().ok()?,
            search: search
                .map(|domain| Some(domain.as_str()?.to_owned()))
                .collect::<Option<_>>()?,
        },
        environment: match value["environment"].as_array() {
            Some(told) => Some(told.iter().map(variable).collect::<Option<_>>()?),
            None => None,
        },
        workload_api: match &value["workloadApi"] {
            Value::Null => None,
            told => Some(variable(told)?),
        },
    })
}

fn variable(told: &Value) -> Option<(String, String)> {
    Some((told[0].as_str()?.to_owned(), told[1].as_str()?.to_owned()))
}

pub(super) fn addresses<'a>(addresses: impl IntoIterator<Item = &'a SocketAddr>) -> Value {
    let texts = addresses.into_iter().map(ToString::to_string);
    texts.collect::<Vec<_>>().into()
}

pub(super) fn read_addresses<T: FromIterator<SocketAddr>>(value: &Value) -> Option<T> {
    let texts = value.as_array()?.iter();
    texts.map(|text| text.as_str()?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::up::meant;

    #[test]
    fn what_is_said_is_understood() {
        let at = "127.0.0.1:3000".parse().unwrap();
        for state in [
            State::Starting,
            State::Up(Duration::from_millis(1100)),
            State::Ended {
                after: Duration::from_millis(200),
                how: Ended::Exit(Exit::Code(127)),
                last_line: "mailer: not found".into(),
            },
            State::Ended {
                after: Duration::ZERO,
                how: Ended::NotStarted(2),
                last_line: String::new(),
            },
            State::Ended {
                after: Duration::ZERO,
                how: Ended::Exit(Exit::Signal(9)),
                last_line: String::new(),
            },
        ] {
            let said = Row {
                id: meant("shop/web").unwrap(),
                typed: "./web".into(),
                place: "Procfile:1".into(),
                state,
                published: vec![Published {
                    port: 3000,
                    protocol: Protocol::Http,
                    at,
                    host: Some("web.localhost".into()),
                    taken: false,
                }],
                pid: Some(7),
                udp_refused: 3,
            };
            assert_eq!(read_row(&row(&said)), Some(said));
        }
        let said = Guest {
            of: meant("web").unwrap(),
            ports: vec![(3000, 8080)],
            calls_only: true,
            explicit: Some(vec![Pin::read("cart=18081").unwrap()]),
            typed: "./web".into(),
        };
        assert_eq!(read_guest(&guest(&said)), Some(said));
        let said = Joined {
            id: meant("web").unwrap(),
            run: 2,
            layout: Layout {
                v4: "198.19.0.1".parse().unwrap(),
                v6: "fd00::1".parse().unwrap(),
                resolver: "198.18.0.1".parse().unwrap(),
                search: vec!["svc.cluster.local".into()],
            },
            environment: Some(vec![("PORT".into(), "3000".into())]),
            workload_api: Some(("SPIFFE_ENDPOINT_SOCKET".into(), "unix:///run/w.sock".into())),
        };
        assert_eq!(read_joined(&joined(&said)), Some(said));
        let said = [at];
        assert_eq!(read_addresses(&addresses(&said)), Some(said.to_vec()));
    }

    #[test]
    fn nonsense_is_not_understood() {
        for text in ["null", "{}", "[]", "{\"name\":\"web\"}"] {
            let value = serde_json::from_str(text).unwrap();
            assert_eq!(read_row(&value), None);
            assert_eq!(read_guest(&value), None);
            assert_eq!(read_joined(&value), None);
        }
    }
}
