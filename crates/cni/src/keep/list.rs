//! The text of a list of plugins, with our entry and without it. All else keeps its bytes: they are other people's.

use std::ops::Range;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::given::VERSIONS;
use crate::place;
use crate::{Options, PLUGIN};

/// Why nothing can be put into a configuration.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Unfit {
    /// It is not the JSON of a configuration, or not yet.
    Unread(String),
    /// It is of this version.
    Version(String),
}

/// A list in which our entry stands last, and nowhere else.
pub(super) fn with(text: &str, entry: &str) -> Result<String, Unfit> {
    spoken(text)?;
    let without = without(text)?;
    let items = items(&without)?;
    let (Some(first), Some(last)) = (items.first(), items.last()) else {
        return Err(Unfit::Unread("its list of plugins is empty".to_owned()));
    };
    let (before, _) = without.split_at(first.start);
    let margin = before.trim_end().len();
    let (_, margin) = before.split_at(margin);
    let (before, behind) = without.split_at(last.end);
    Ok(format!("{before},{margin}{entry}{behind}"))
}

/// A list without our entry.
pub(super) fn without(text: &str) -> Result<String, Unfit> {
    let items = items(text)?;
    let is_ours = |item: &Range<usize>| text.get(item.clone()).is_some_and(is_ours);
    let mut kept = text.to_owned();
    // From the end, so that what comes before keeps its place.
    for (at, item) in items
        .iter()
        .enumerate()
        .rev()
        .filter(|(_, item)| is_ours(item))
    {
        let others = items.iter().take(at).rev();
        let cut = match (others.clone().next(), items.get(at + 1)) {
            (Some(before), _) => before.end..item.end,
            (None, Some(behind)) => item.start..behind.start,
            (None, None) => item.clone(),
        };
        kept.replace_range(cut, "");
    }
    Ok(kept)
}

/// What our entry says in a list, if there is one that the plugin understands.
pub(super) fn said(text: &str) -> Option<Options> {
    let items = items(text).ok()?;
    let mut entries = items.into_iter().filter_map(|item| text.get(item));
    let ours = entries.find(|item| is_ours(item))?;
    serde_json::from_str(ours).ok()
}

/// The plugins that a configuration names beside ours, of a list or of one alone.
pub(super) fn others(text: &str) -> Result<Vec<String>, Unfit> {
    #[derive(Deserialize)]
    struct Named {
        r#type: String,
    }
    #[derive(Deserialize)]
    struct Either {
        r#type: Option<String>,
        #[serde(default)]
        plugins: Vec<Named>,
    }
    let said: Either = read(text)?;
    let listed = said.plugins.into_iter().map(|plugin| plugin.r#type);
    let mut names: Vec<_> = said.r#type.into_iter().chain(listed).collect();
    names.retain(|name| name != PLUGIN);
    Ok(names)
}

/// A list of a configuration of one plugin, and our entry.
pub(super) fn of_one(text: &str, entry: &str) -> Result<String, Unfit> {
    #[derive(Deserialize)]
    struct One {
        name: String,
        r#type: String,
    }
    let version = spoken(text)?;
    let one: One = read(text)?;
    if one.r#type.is_empty() {
        return Err(Unfit::Unread("it names no plugin".to_owned()));
    }
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    Ok(format!(
        "{{\n  \"cniVersion\": {},\n  \"name\": {},\n  \"plugins\": [\n    {},\n    {entry}\n  ]\n}}\n",
        quoted(&version),
        quoted(&one.name),
        text.trim(),
    ))
}

/// The version of a configuration, all of whose versions our plugin speaks.
fn spoken(text: &str) -> Result<String, Unfit> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Versions {
        // What says none is of the first.
        #[serde(default = "oldest")]
        cni_version: String,
        #[serde(default)]
        cni_versions: Vec<String>,
    }
    let said: Versions = read(text)?;
    let is_known = |version: &String| VERSIONS.contains(&version.as_str());
    let mut others = said.cni_versions.into_iter();
    match others.find(|version| !is_known(version)) {
        Some(unknown) => Err(Unfit::Version(unknown)),
        None if is_known(&said.cni_version) => Ok(said.cni_version),
        None => Err(Unfit::Version(said.cni_version)),
    }
}

fn oldest() -> String {
    "0.1.0".to_owned()
}

/// Where the entries of a list stand in its text.
fn items(text: &str) -> Result<Vec<Range<usize>>, Unfit> {
    #[derive(Deserialize)]
    struct List {
        #[expect(
            dead_code,
            reason = "that there is one, and only one, is what is read of it"
        )]
        plugins: Vec<IgnoredAny>,
    }
    let _: List = read(text)?;
    let list = place::field(text, "plugins");
    Ok(list.map_or_else(Vec::new, |list| place::items(text, &list)))
}

fn is_ours(item: &str) -> bool {
    #[derive(Deserialize)]
    struct Typed {
        r#type: String,
    }
    serde_json::from_str::<Typed>(item).is_ok_and(|item| item.r#type == PLUGIN)
}

fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Unfit> {
    serde_json::from_str(text).map_err(|why| Unfit::Unread(why.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: &str = r#"{"type":"leno-cni"}"#;

    #[test]
    fn an_entry_comes_and_goes_and_all_else_keeps_its_bytes() {
        let check = |list: &str, expect: &str| {
            let added = with(list, ENTRY).unwrap();
            assert_eq!(added, expect);
            assert_eq!(with(&added, ENTRY).unwrap(), added, "once is enough");
            assert_eq!(without(&added).unwrap(), list);
        };
        check(
            r#"{"cniVersion":"1.0.0","plugins":[{"type":"a"}],"name":"n"}"#,
            r#"{"cniVersion":"1.0.0","plugins":[{"type":"a"},{"type":"leno-cni"}],"name":"n"}"#,
        );
        check(
            "{\n  \"plugins\": [\n    {\"type\": \"a\"},\n    {\"type\": \"b\",  \"x\": 1.50}\n  ],\n  \"cniVersion\": \"0.3.1\"\n}\n",
            "{\n  \"plugins\": [\n    {\"type\": \"a\"},\n    {\"type\": \"b\",  \"x\": 1.50},\n    {\"type\":\"leno-cni\"}\n  ],\n  \
             \"cniVersion\": \"0.3.1\"\n}\n",
        );
    }

    #[test]
    fn however_often_it_stands_somewhere_it_stands_last_once() {
        let of = |types: &str| {
            let items = types.split(' ').map(|it| format!(r#"{{"type":"{it}"}}"#));
            let items = items.collect::<Vec<_>>().join(", ");
            format!(r#"{{"cniVersion":"1.0.0","plugins":[{items}]}}"#)
        };
        for types in [
            "leno-cni a",
            "a leno-cni",
            "a leno-cni leno-cni",
            "leno-cni leno-cni a leno-cni",
        ] {
            assert_eq!(without(&of(types)).unwrap(), of("a"), "{types}");
            let expect = r#"{"cniVersion":"1.0.0","plugins":[{"type":"a"},{"type":"leno-cni"}]}"#;
            assert_eq!(with(&of(types), ENTRY).unwrap(), expect, "{types}");
        }
        assert_eq!(without(&of("leno-cni a b leno-cni")).unwrap(), of("a b"));
    }

    #[test]
    fn plugins_are_named_by_a_list_and_by_one_alone() {
        let list =
            r#"{"cniVersion":"1.0.0","plugins":[{"type":"a"},{"type":"b"},{"type":"leno-cni"}]}"#;
        assert_eq!(others(list).unwrap(), ["a", "b"]);
        let one = r#"{"cniVersion":"1.0.0","name":"n","type":"a"}"#;
        assert_eq!(others(one).unwrap(), ["a"]);
    }

    #[test]
    fn nothing_is_put_where_no_pod_would_start_then() {
        let unread = |text: &str| matches!(with(text, ENTRY), Err(Unfit::Unread(_)));
        assert!(
            unread("") && unread("{\"plugins\": [{\"ty") && unread(r#"{"cniVersion":"1.0.0"}"#)
        );
        assert!(unread(r#"{"cniVersion":"1.0.0","plugins":[]}"#));
        let version = |text: &str| match with(text, ENTRY) {
            Err(Unfit::Version(version)) => version,
            other => panic!("{other:?}"),
        };
        assert_eq!(version(r#"{"plugins":[{}]}"#), "0.1.0");
        assert_eq!(version(r#"{"cniVersion":"0.2.0","plugins":[{}]}"#), "0.2.0");
        let several = r#"{"cniVersion":"1.0.0","cniVersions":["1.1.0","2.0.0"],"plugins":[{}]}"#;
        assert_eq!(version(several), "2.0.0");
        let nameless = r#"{"cniVersion":"1.0.0","type":"bridge"}"#;
        assert!(matches!(of_one(nameless, ENTRY), Err(Unfit::Unread(_))));
    }
}
