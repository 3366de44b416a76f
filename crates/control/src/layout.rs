//! Lays stored documents out as files again, each at the line where it stood, so that whatever is
//! found in one is told with the place where people can open it.

use std::collections::BTreeMap;
use std::sync::Arc;

use leno_model::Namespace;
use leno_store::Object;

/// A file of documents that share the namespace of objects that name none.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Laid {
    pub(crate) path: Arc<str>,
    pub(crate) namespace: Namespace,
    pub(crate) text: Arc<[u8]>,
}

/// Files that hold each of `objects`. Where two of one file claim the same lines, as they do when
/// only one was applied again, each is laid into a file of its own.
pub(crate) fn lay<'a>(objects: impl IntoIterator<Item = &'a Object>) -> Vec<Laid> {
    let mut by_file = BTreeMap::<(Arc<str>, Namespace), Vec<(u32, &Object)>>::new();
    for object in objects {
        let (path, line) = match &object.place {
            Some(place) => (Arc::clone(&place.file), place.line),
            None => (Arc::from(object.key.to_string()), 1),
        };
        let namespace = object.key.namespace.clone();
        let namespace = namespace.unwrap_or_else(Namespace::default_namespace);
        by_file
            .entry((path, namespace))
            .or_default()
            .push((line, object));
    }
    let mut files = Vec::new();
    for ((path, namespace), mut documents) in by_file {
        documents.sort_by_key(|(line, _)| *line);
        let mut sheet = Sheet::default();
        let mut sheets = Vec::new();
        for (line, object) in documents {
            if !sheet.has_room(line, &object.text) {
                sheets.push(std::mem::take(&mut sheet));
            }
            sheet.put(line, &object.text);
        }
        sheets.push(sheet);
        files.extend(sheets.into_iter().map(|sheet| Laid {
            path: Arc::clone(&path),
            namespace: namespace.clone(),
            text: sheet.text.into(),
        }));
    }
    files
}

/// A file while documents are put into it from top to bottom.
#[derive(Default)]
struct Sheet {
    text: Vec<u8>,
    /// How many lines it has.
    lines: u32,
}

impl Sheet {
    fn has_room(&self, line: u32, document: &str) -> bool {
        self.lines == 0 || (self.lines < line && document.starts_with("---"))
    }

    fn put(&mut self, line: u32, document: &str) {
        while self.lines + 1 < line {
            self.text.push(b'\n');
            self.lines += 1;
        }
        self.text.extend(document.as_bytes());
        if !document.ends_with('\n') {
            self.text.push(b'\n');
        }
        let lines = u32::try_from(document.lines().count()).unwrap_or(u32::MAX);
        self.lines = self.lines.saturating_add(lines);
    }
}

#[cfg(test)]
mod tests {
    use leno_admin::read_object;
    use leno_model::Place;
    use leno_store::{Label, Owner};

    use super::*;

    fn object(key: &str, file: &str, line: u32, text: &str) -> Object {
        let label = |text| Label::new(text).unwrap();
        Object {
            key: read_object(key).unwrap(),
            owner: Owner {
                source: label("store"),
                set: label("shop"),
            },
            place: Some(Place {
                file: file.into(),
                line,
                column: 1,
            }),
            text: text.into(),
        }
    }

    fn laid(objects: &[Object]) -> Vec<(String, String, String)> {
        let told = |laid: Laid| {
            let text = String::from_utf8(laid.text.to_vec()).unwrap();
            (laid.path.to_string(), laid.namespace.to_string(), text)
        };
        lay(objects).into_iter().map(told).collect()
    }

    fn file(path: &str, namespace: &str, text: &str) -> (String, String, String) {
        (path.into(), namespace.into(), text.into())
    }

    #[test]
    fn documents_stand_where_they_stood() {
        let objects = [
            object("Service shop/b", "a.yaml", 5, "---\nb: 1\n"),
            object("Service shop/a", "a.yaml", 1, "a: 1\n"),
            object("Service shop/c", "c.yaml", 3, "---\nc: 1"),
        ];
        assert_eq!(
            laid(&objects),
            [
                file("a.yaml", "shop", "a: 1\n\n\n\n---\nb: 1\n"),
                file("c.yaml", "shop", "\n\n---\nc: 1\n"),
            ]
        );
    }

    #[test]
    fn documents_that_claim_the_same_lines_are_laid_apart() {
        let objects = [
            object("Service shop/a", "a.yaml", 1, "a: 1\na: 2\na: 3\n"),
            object("Service shop/b", "a.yaml", 3, "---\nb: 1\n"),
            object("Service shop/c", "a.yaml", 9, "c: 1\n"),
        ];
        assert_eq!(
            laid(&objects),
            [
                file("a.yaml", "shop", "a: 1\na: 2\na: 3\n"),
                file("a.yaml", "shop", "\n\n---\nb: 1\n"),
                file("a.yaml", "shop", "\n\n\n\n\n\n\n\nc: 1\n"),
            ]
        );
    }

    #[test]
    fn each_namespace_has_files_of_its_own() {
        let objects = [
            object("Service shop/a", "a.yaml", 1, "a: 1\n"),
            object("Service bank/a", "a.yaml", 1, "a: 1\n"),
            object("Mesh shop", "a.yaml", 3, "---\nm: 1\n"),
        ];
        let files = laid(&objects);
        let namespaces: Vec<_> = files
            .iter()
            .map(|(_, namespace, _)| namespace.as_str())
            .collect();
        assert_eq!(namespaces, ["bank", "default", "shop"]);
    }
}
