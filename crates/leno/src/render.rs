//! How values of the lower layers look to people and to programs.

pub(crate) mod calls;
pub(crate) mod change;
pub(crate) mod edges;
pub(crate) mod failure;
pub(crate) mod foreseen;
pub(crate) mod holding;
pub(crate) mod note;
pub(crate) mod story;
pub(crate) mod table;
pub(crate) mod watched;

use leno_admin::Status;
use leno_admin::figures::moment;

use crate::terminal::Line;

/// The first line of what a control plane answers: which mesh, which revision, how many proxies, when.
pub(crate) fn head(status: &Status) -> Line {
    let proxies = match status.proxies {
        1 => "1 proxy".to_owned(),
        many => format!("{many} proxies"),
    };
    let line = Line::new().dim("context ").plain(&status.context);
    let line = line.dim(" · revision ").plain(status.revision);
    let line = line.dim(format_args!(
        " · {proxies} · {}",
        moment(&status.now, &status.now)
    ));
    let line = match status.watches {
        0 => line,
        1 => line.dim(" · ").doubtful("1 change is watched"),
        many => line
            .dim(" · ")
            .doubtful(format_args!("{many} changes are watched")),
    };
    match status.overrides {
        0 => line,
        1 => line.dim(" · ").doubtful("1 override holds"),
        many => line
            .dim(" · ")
            .doubtful(format_args!("{many} overrides hold")),
    }
}

/// An identity as people name it: `shop/cart` within its own trust domain.
pub(crate) fn short(identity: &str, trust_domain: &str) -> String {
    let parts = || {
        let rest = identity.strip_prefix("spiffe://")?;
        let path = rest.strip_prefix(trust_domain)?;
        path.strip_prefix("/ns/")?.split_once("/sa/")
    };
    match parts() {
        Some((namespace, account)) => format!("{namespace}/{account}"),
        None => identity.to_owned(),
    }
}
