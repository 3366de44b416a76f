//! What plays an older release: a Leno that lacks the features which `LENO_OLDER` names, with commas, or `all`. Only
//! `cargo build --features older` has this, for `cargo xtask matrix`.

use std::env;

use anyhow::anyhow;
use leno_wire::part::{FEATURES, older};

/// Lets this process lack what the environment names.
#[expect(
    clippy::disallowed_methods,
    reason = "nothing else reaches every process that a Leno starts"
)]
pub(crate) fn begin() -> anyhow::Result<()> {
    let named = env::var("LENO_OLDER").unwrap_or_default();
    let lacked = match &*named {
        "" => Ok(()),
        "all" => older::lack(FEATURES.iter().copied()),
        names => older::lack(names.split(',')),
    };
    lacked.map_err(|name| anyhow!("LENO_OLDER: {name} is no feature"))
}
