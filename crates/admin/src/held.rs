//! What a proxy holds, as people read it: each value with who said so.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::answer::Status;

/// What the proxies hold that somebody named.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Viewed {
    /// How the control plane is.
    pub status: Status,
    /// The proxies of that name, or those in front of that workload; at least one.
    pub proxies: Vec<ProxyView>,
}

/// What one proxy holds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ProxyView {
    /// What it calls itself.
    pub proxy: String,
    /// Who it proved to be.
    pub identity: String,
    /// The generation of the view that it decides by.
    pub generation: String,
    /// Whether that is the newest one.
    pub current: bool,
    /// Why it did not adopt the newest one, if it did not.
    pub refused: Option<String>,
    /// The features that what it holds needs and that it lacks: of that it refuses what the items say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lacks: Vec<String>,
    /// What it holds.
    pub items: Vec<Item>,
    /// The parts that it holds in a version which this control plane did not send it: only the
    /// proxy knows what they say.
    pub unknown: Vec<String>,
    /// In what that differs from what is in force for it; absent where nobody asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub differences: Option<Vec<Difference>>,
}

/// One thing that a proxy holds, and what belongs to it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Item {
    /// What it is: `service shop/cart`, `connect timeout`. Unique beside those that stand with it.
    pub name: String,
    /// What is so: `5s`; empty where all of it stands below.
    pub value: String,
    /// Who said so: `default`, or the line; absent where nobody needs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// What belongs to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<Item>,
}

/// One value that a proxy does not hold as it is in force.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Difference {
    /// Which: the names of the items that lead to it.
    pub path: Vec<String>,
    /// What the proxy holds, with its origin; absent where it holds nothing of the kind.
    pub held: Option<String>,
    /// What is in force, likewise.
    pub in_force: Option<String>,
}

impl Item {
    /// A thing whose values stand below it.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
            origin: None,
            items: Vec::new(),
        }
    }

    /// The same, said by somebody.
    pub fn by(self, origin: impl ToString) -> Self {
        Self {
            origin: Some(origin.to_string()),
            ..self
        }
    }

    /// The same with what belongs to it.
    pub fn with(self, items: Vec<Self>) -> Self {
        Self { items, ..self }
    }

    /// The value with its origin: `15s (default)`.
    pub fn told(&self) -> String {
        match (&self.origin, self.value.is_empty()) {
            (None, _) => self.value.clone(),
            (Some(origin), true) => format!("({origin})"),
            (Some(origin), false) => format!("{} ({origin})", self.value),
        }
    }
}

/// In what `held` differs from what is `in_force`, in the order of the names.
pub fn differences(held: &[Item], in_force: &[Item]) -> Vec<Difference> {
    let (held, in_force) = (values(held), values(in_force));
    let mut paths: Vec<_> = held.keys().chain(in_force.keys()).collect();
    paths.sort();
    paths.dedup();
    let differ = paths
        .into_iter()
        .filter(|path| held.get(*path) != in_force.get(*path));
    differ
        .map(|path| Difference {
            path: path.clone(),
            held: held.get(path).cloned(),
            in_force: in_force.get(path).cloned(),
        })
        .collect()
}

/// Every value by the names that lead to it.
fn values(items: &[Item]) -> BTreeMap<Vec<String>, String> {
    let mut values = BTreeMap::new();
    let mut waiting: Vec<_> = items.iter().map(|item| (Vec::new(), item)).collect();
    while let Some((mut path, item)) = waiting.pop() {
        path.push(item.name.clone());
        values.insert(path.clone(), item.told());
        waiting.extend(item.items.iter().map(|item| (path.clone(), item)));
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(items: Vec<Item>) -> Vec<Item> {
        let port = Item::new("port 8080", "HTTP").with(items);
        vec![Item::new("service shop/cart", "").with(vec![port])]
    }

    fn check(held: Vec<Item>, in_force: Vec<Item>, expect: &[&str]) {
        let told = differences(&port(held), &port(in_force));
        let told = told.iter().map(|one| {
            let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
            let path = one.path.join(" / ");
            format!("{path}: {} | {}", value(&one.held), value(&one.in_force))
        });
        assert_eq!(told.collect::<Vec<_>>(), expect);
    }

    #[test]
    fn values_differ_where_they_or_their_origins_do() {
        let timeout = |value: &str| Item::new("connect timeout", value);
        check(vec![timeout("5s")], vec![timeout("5s")], &[]);
        check(
            vec![timeout("5s").by("default")],
            vec![timeout("5s").by("cart.yaml:12")],
            &["service shop/cart / port 8080 / connect timeout: 5s (default) | 5s (cart.yaml:12)"],
        );
    }

    #[test]
    fn what_stands_on_one_side_only_is_told() {
        check(
            vec![Item::new("endpoint shop/cart-1", "10.0.0.3:8080")],
            vec![Item::new("endpoint shop/cart-2", "10.0.0.4:8080")],
            &[
                "service shop/cart / port 8080 / endpoint shop/cart-1: 10.0.0.3:8080 | -",
                "service shop/cart / port 8080 / endpoint shop/cart-2: - | 10.0.0.4:8080",
            ],
        );
    }
}
