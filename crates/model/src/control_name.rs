//! What a control plane is called that stands beside the default one of its mesh.

use alloc::format;
use core::fmt;

use crate::name::Name;
use crate::role::{CONTROL_PLANE, SYSTEM};
use crate::spiffe::SpiffeId;

/// What the default control plane is called where a name is asked for. No other one is called so.
pub const DEFAULT_CONTROL: &str = "default";

/// The name of a control plane beside the default one: a DNS label with which all that is installed of it can be called.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ControlName(Name);

/// Why a text is no such name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadControlName {
    /// It is none that Kubernetes would take behind a hyphen.
    #[error(
        "it is no DNS label: lower-case letters, digits and hyphens, beginning and ending with a letter or a digit"
    )]
    NoLabel,
    /// What is called by it has no room.
    #[error("it is longer than {LONGEST} characters")]
    TooLong,
    /// It means the one that has no name.
    #[error("{DEFAULT_CONTROL} is the control plane that has no name")]
    Default,
}

/// A Service's name has 63 characters, and the first are `leno-control-`.
const LONGEST: usize = 63 - CONTROL_PLANE.len() - 1;

impl ControlName {
    /// Checks `text` and keeps it.
    pub fn new(text: &str) -> Result<Self, BadControlName> {
        if text == DEFAULT_CONTROL {
            return Err(BadControlName::Default);
        }
        if text.len() > LONGEST {
            return Err(BadControlName::TooLong);
        }
        match Name::new(text) {
            Ok(name) if !text.contains('.') => Ok(Self(name)),
            Ok(_) | Err(_) => Err(BadControlName::NoLabel),
        }
    }

    /// The name as it is written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Its account in Leno's own namespace, and its Service: `leno-control-canary`.
    pub fn account(&self) -> Name {
        let name = Name::new(&format!("{CONTROL_PLANE}-{self}"));
        name.expect("two DNS labels and a hyphen that are short enough together")
    }

    /// Which of them is proven by this identity: one of its accounts, which is never the default one's.
    pub fn proven_by(id: &SpiffeId) -> Option<Self> {
        if id.namespace.as_str() != SYSTEM {
            return None;
        }
        let name = id.service_account.as_str().strip_prefix(CONTROL_PLANE)?;
        Self::new(name.strip_prefix('-')?).ok()
    }
}

impl fmt::Display for ControlName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ControlName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_label_that_leaves_room_for_what_is_called_by_it() {
        let longest = "a".repeat(50);
        for good in ["canary", "v2", "0-2-0", &longest] {
            let name = ControlName::new(good).unwrap();
            assert_eq!(name.account().as_str(), format!("leno-control-{good}"));
            assert!(name.account().as_str().len() <= 63);
        }
        let check = |text: &str, expect| assert_eq!(ControlName::new(text), Err(expect), "{text}");
        check(&"a".repeat(51), BadControlName::TooLong);
        check("default", BadControlName::Default);
        for bad in ["", "-", "a-", "-a", "v1.2", "Canary", "a b", "ä"] {
            check(bad, BadControlName::NoLabel);
        }
    }

    #[test]
    fn an_account_proves_one_of_them_and_never_the_default_one() {
        let proves = |text: &str| {
            let id = SpiffeId::parse(&alloc::format!("spiffe://shop.local/{text}")).unwrap();
            ControlName::proven_by(&id)
        };
        let canary = ControlName::new("canary").unwrap();
        assert_eq!(
            proves("ns/leno-system/sa/leno-control-canary"),
            Some(canary)
        );
        for nobody in [
            "ns/leno-system/sa/leno-control",
            "ns/leno-system/sa/leno-control-",
            "ns/leno-system/sa/leno-controlcanary",
            "ns/leno-system/sa/leno-control-default",
            "ns/leno-system/sa/leno-node",
            "ns/shop/sa/leno-control-canary",
        ] {
            if let Ok(id) = SpiffeId::parse(&alloc::format!("spiffe://shop.local/{nobody}")) {
                assert_eq!(ControlName::proven_by(&id), None, "{nobody}");
            }
        }
    }
}
