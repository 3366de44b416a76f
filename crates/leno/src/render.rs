//! How values of the lower layers look to people and to programs.

pub(crate) mod change;
pub(crate) mod edges;
pub(crate) mod failure;
pub(crate) mod note;
pub(crate) mod story;
pub(crate) mod table;

use leno_admin::Status;

use crate::terminal::Line;

/// The first line of what a control plane answers: which mesh, which revision, how many proxies, when.
pub(crate) fn head(status: &Status) -> Line {
    let proxies = match status.proxies {
        1 => "1 proxy".to_owned(),
        many => format!("{many} proxies"),
    };
    let line = Line::new().dim("context ").plain(&status.context);
    let line = line.dim(" · revision ").plain(status.revision);
    line.dim(format_args!(
        " · {proxies} · {}",
        moment(&status.now, &status.now)
    ))
}

/// A moment in RFC 3339 for people: `02:38 UTC`, with its day unless that is the day of `now`.
pub(crate) fn moment(at: &str, now: &str) -> String {
    let parts = at
        .split_once('T')
        .and_then(|(day, time)| Some((day, time.get(..5)?)));
    match parts {
        None => at.to_owned(),
        Some((day, time)) if now.starts_with(day) => format!("{time} UTC"),
        Some((day, time)) => format!("{day} {time} UTC"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_of_the_same_day_is_told_without_it() {
        let now = "2026-11-20T03:01:10.000Z";
        assert_eq!(moment("2026-11-20T02:38:59.250Z", now), "02:38 UTC");
        assert_eq!(
            moment("2026-11-19T23:59:59.250Z", now),
            "2026-11-19 23:59 UTC"
        );
        assert_eq!(moment("yesterday", now), "yesterday");
    }
}
