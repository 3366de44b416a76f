//! Objects as people name them.

use leno_model::{Name, Namespace, ObjectRef};

/// Reads the form that an [`ObjectRef`] prints as: `Mesh shop`, `HTTPRoute shop/cart`.
pub fn read_object(text: &str) -> Result<ObjectRef, NotAnObject> {
    let bad = || NotAnObject(text.to_owned());
    let (kind, name) = text.split_once(' ').ok_or_else(bad)?;
    let (namespace, name) = match name.split_once('/') {
        Some((namespace, name)) => (Some(Namespace::new(namespace).map_err(|_| bad())?), name),
        None => (None, name),
    };
    if kind.is_empty() || !kind.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(bad());
    }
    Ok(ObjectRef {
        kind: kind.into(),
        namespace,
        name: Name::new(name).map_err(|_| bad())?,
    })
}

/// The text names no object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no object: write `Kind namespace/name`, or `Kind name` for those without one")]
pub struct NotAnObject(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_reads_as_it_prints() {
        for text in [
            "Mesh shop",
            "HTTPRoute shop/cart-v2",
            "MeshWorkload default/web",
        ] {
            assert_eq!(read_object(text).unwrap().to_string(), text);
        }
        for bad in [
            "",
            "cart",
            "HTTPRoute shop/",
            "HTTPRoute /cart",
            "HTTPRoute a/b/c",
            " a/b",
        ] {
            assert!(read_object(bad).is_err(), "{bad:?}");
        }
    }
}
