//! What workloads are called at this machine: `cart`, and `shop/cart` outside the namespace of objects
//! that state none.

use anyhow::Context as _;
use leno_model::view::WorkloadId;
use leno_model::{Name, Namespace};

/// What people call a workload here.
pub(crate) fn called(id: &WorkloadId) -> String {
    match id.namespace == Namespace::default_namespace() {
        true => id.name.to_string(),
        false => id.to_string(),
    }
}

/// The workload that people call so.
pub(crate) fn meant(text: &str) -> anyhow::Result<WorkloadId> {
    meant_in(text, &Namespace::default_namespace())
}

/// The workload that people call so where names that state no namespace mean `home`.
pub(crate) fn meant_in(text: &str, home: &Namespace) -> anyhow::Result<WorkloadId> {
    let namespace = |text| Namespace::new(text).with_context(|| format!("{text:?}"));
    let (namespace, name) = match text.split_once('/') {
        Some((written, name)) => (namespace(written)?, name),
        None => (home.clone(), text),
    };
    let name = Name::new(name).with_context(|| format!("{text:?}"))?;
    Ok(WorkloadId { namespace, name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_called_so_is_meant() {
        for (text, id) in [("cart", "default/cart"), ("shop/cart", "shop/cart")] {
            let meant = meant(text).unwrap();
            assert_eq!(meant.to_string(), id);
            assert_eq!(called(&meant), text);
        }
        assert_eq!(called(&meant("default/cart").unwrap()), "cart");
        for wrong in ["", "/", "shop/", "/cart", "../cart", "a/b/c", "Cart"] {
            assert!(meant(wrong).is_err(), "{wrong}");
        }
    }
}
