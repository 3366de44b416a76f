//! Where values stand in a text of JSON: what is passed on, and what stays beside something new, keeps its bytes.

use std::ops::Range;

use serde::de::IgnoredAny;
use serde_json::Deserializer;

/// The value of a field of an object, `null` too. The text has to be that of an object.
pub(crate) fn field(text: &str, name: &str) -> Option<Range<usize>> {
    let parts = parts(text);
    let mut fields = parts.chunks_exact(2);
    fields.find_map(|field| {
        let [key, value] = field else { return None };
        let key: String = serde_json::from_str(text.get(key.clone())?).ok()?;
        (key == name).then(|| value.clone())
    })
}

/// The items of a list, from the place where that stands in the text.
pub(crate) fn items(text: &str, list: &Range<usize>) -> Vec<Range<usize>> {
    let items = parts(text.get(list.clone()).unwrap_or_default()).into_iter();
    let moved = |item: Range<usize>| list.start + item.start..list.start + item.end;
    items.map(moved).collect()
}

/// The items of a list, or the names and values of an object.
fn parts(text: &str) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let mut rest = text.trim_start_matches(SPACE).get(1..).unwrap_or_default();
    loop {
        rest = rest
            .trim_start_matches(SPACE)
            .trim_start_matches([',', ':']);
        rest = rest.trim_start_matches(SPACE);
        let start = text.len() - rest.len();
        let mut values = Deserializer::from_str(rest).into_iter::<IgnoredAny>();
        // Behind the last one there is a bracket, which is no value.
        let Some(Ok(IgnoredAny)) = values.next() else {
            return parts;
        };
        let length = values.byte_offset();
        parts.push(start..start + length);
        rest = rest.get(length..).unwrap_or_default();
    }
}

/// What may stand between values.
const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_with_all_of_their_bytes() {
        let text = " {\"a\\u0062\" : 1.50,\"x,:\": [ \"]}\" ,{}, null,-0 ],\"s\":\"\\\"\" } ";
        let value = |name| text.get(field(text, name)?);
        assert_eq!(value("ab"), Some("1.50"));
        assert_eq!(value("s"), Some("\"\\\"\""));
        assert_eq!(value("x"), None);
        let list = field(text, "x,:").unwrap();
        let items: Vec<_> = items(text, &list).into_iter().map(|at| &text[at]).collect();
        assert_eq!(items, ["\"]}\"", "{}", "null", "-0"]);
        assert_eq!(field("{}", "a"), None);
        assert_eq!(field("", "a"), None);
    }
}
