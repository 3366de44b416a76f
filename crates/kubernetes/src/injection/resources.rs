//! What the containers that are added to a pod ask of its node, and how much they may take: little and whatever is there,
//! unless the pod says otherwise.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Map, Value, json};

use super::added::said;

/// Something that a node has so much of, and the annotations of a pod by which the added containers get some of it.
struct Resource {
    name: &'static str,
    request: &'static str,
    limit: &'static str,
    /// What they ask for if nothing is said.
    usual: &'static str,
    /// How much that is which is written so, in the smallest unit that can be.
    read: fn(&str) -> Option<u64>,
    /// What is expected, in words.
    expected: &'static str,
}

const RESOURCES: [Resource; 2] = [
    Resource {
        name: "cpu",
        request: "leno.dev/proxy-cpu-request",
        limit: "leno.dev/proxy-cpu-limit",
        usual: "10m",
        read: millis,
        expected: "number of processors like 100m or 0.5",
    },
    Resource {
        name: "memory",
        request: "leno.dev/proxy-memory-request",
        limit: "leno.dev/proxy-memory-limit",
        usual: "24Mi",
        read: bytes,
        expected: "amount of memory like 64Mi",
    },
];

/// What each of the added containers says of its `resources`; else why what the pod says cannot hold.
pub(super) fn resources(meta: &ObjectMeta) -> Result<Value, String> {
    let (mut requests, mut limits) = (Map::new(), Map::new());
    for resource in &RESOURCES {
        let (request, limit) = resource.of(meta)?;
        requests.insert(resource.name.to_owned(), request.into());
        if let Some(limit) = limit {
            limits.insert(resource.name.to_owned(), limit.into());
        }
    }
    Ok(match limits.is_empty() {
        true => json!({"requests": requests}),
        false => json!({"requests": requests, "limits": limits}),
    })
}

impl Resource {
    /// What is asked for, and the most that there may be.
    fn of<'a>(&self, meta: &'a ObjectMeta) -> Result<(&'a str, Option<&'a str>), String> {
        let request = self.said(meta, self.request)?;
        let limit = self.said(meta, self.limit)?;
        let usual = (self.usual, (self.read)(self.usual).unwrap_or_default());
        Ok(match (request, limit) {
            (None, None) => (usual.0, None),
            (Some((request, _)), None) => (request, None),
            (None, Some((limit, most))) if most < usual.1 => (limit, Some(limit)),
            (None, Some((limit, _))) => (usual.0, Some(limit)),
            (Some((request, least)), Some((limit, most))) if least <= most => {
                (request, Some(limit))
            }
            (Some((request, _)), Some((limit, _))) => {
                return Err(format!(
                    "{}: {request} is more than {}: {limit}",
                    self.request, self.limit
                ));
            }
        })
    }

    /// What an annotation says, and how much that is.
    fn said<'a>(
        &self,
        meta: &'a ObjectMeta,
        annotation: &str,
    ) -> Result<Option<(&'a str, u64)>, String> {
        let Some(said) = said(meta, annotation) else {
            return Ok(None);
        };
        let much = (self.read)(said).filter(|much| *much > 0);
        match much {
            Some(much) => Ok(Some((said, much))),
            None => Err(format!("{annotation}: {said:.32?} is no {}", self.expected)),
        }
    }
}

/// Thousandths of a processor.
fn millis(said: &str) -> Option<u64> {
    if let Some(millis) = said.strip_suffix('m') {
        return number(millis);
    }
    let (whole, part) = said.split_once('.').unwrap_or((said, "0"));
    let digits = u32::try_from(part.len()).ok()?;
    let part = number(part)?.checked_mul(10u64.pow(3u32.checked_sub(digits)?))?;
    number(whole)?.checked_mul(1000)?.checked_add(part)
}

fn bytes(said: &str) -> Option<u64> {
    let suffix = UNITS.iter().find(|(suffix, _)| said.ends_with(suffix));
    let (suffix, bytes) = suffix.copied().unwrap_or(("", 1));
    number(said.strip_suffix(suffix)?)?.checked_mul(bytes)
}

/// A number of digits alone: `parse` takes a sign, too.
fn number(said: &str) -> Option<u64> {
    let is_number = said.bytes().all(|it| it.is_ascii_digit());
    said.parse().ok().filter(|_| is_number)
}

/// Units of memory, in bytes.
const UNITS: [(&str, u64); 8] = [
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("Ti", 1 << 40),
    ("k", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// What the added containers say by these annotations, without their `leno.dev/proxy-`.
    fn check(annotations: &[(&str, &str)], expect: Result<Value, &str>) {
        let annotations = annotations
            .iter()
            .map(|(name, value)| (format!("leno.dev/proxy-{name}"), (*value).to_owned()));
        let meta = ObjectMeta {
            annotations: Some(annotations.collect()),
            ..ObjectMeta::default()
        };
        assert_eq!(resources(&meta), expect.map_err(str::to_owned));
    }

    #[test]
    fn a_pod_says_what_its_proxy_asks_for_and_may_take() {
        let of = |cpu: &str, memory: &str| json!({"cpu": cpu, "memory": memory});
        check(&[], Ok(json!({"requests": of("10m", "24Mi")})));
        check(
            &[("cpu-request", "0.1"), ("memory-request", "64Mi")],
            Ok(json!({"requests": of("0.1", "64Mi")})),
        );
        check(
            &[("cpu-limit", "1"), ("memory-limit", "256Mi")],
            Ok(json!({"requests": of("10m", "24Mi"), "limits": of("1", "256Mi")})),
        );
        check(
            &[("memory-limit", "16M")],
            Ok(json!({"requests": of("10m", "16M"), "limits": {"memory": "16M"}})),
        );
        check(
            &[("cpu-request", "500m"), ("cpu-limit", "0.5")],
            Ok(json!({"requests": of("500m", "24Mi"), "limits": {"cpu": "0.5"}})),
        );
    }

    #[test]
    fn what_cannot_hold_is_said() {
        check(
            &[("cpu-request", "501m"), ("cpu-limit", "0.5")],
            Err("leno.dev/proxy-cpu-request: 501m is more than leno.dev/proxy-cpu-limit: 0.5"),
        );
        for said in [
            "",
            "0",
            "m",
            "-1",
            "+1",
            "1.",
            ".5",
            "0.0001",
            "1Gi",
            "much",
            "18446744073709551615",
        ] {
            let why = format!(
                "leno.dev/proxy-cpu-limit: {said:?} is no number of processors like 100m or 0.5"
            );
            check(&[("cpu-limit", said)], Err(&why));
        }
        for said in ["0", "Mi", "64MB", "64 Mi", "0.5Gi", "16777216Ti"] {
            let why =
                format!("leno.dev/proxy-memory-request: {said:?} is no amount of memory like 64Mi");
            check(&[("memory-request", said)], Err(&why));
        }
    }
}
