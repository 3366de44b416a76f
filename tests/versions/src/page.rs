//! The page that is made of the table.

use std::fmt::Write as _;

use crate::table::{Call, Reads, Row, TABLE, Used};

/// `docs/reference/skew.md`.
pub fn page() -> String {
    let mut page = String::from(HEAD);
    for row in TABLE {
        let Row {
            feature,
            what,
            refused,
            since,
            ..
        } = row;
        let (reads, ends) = (reads(row), ends(row));
        writeln!(
            page,
            "| {what} | `{feature}` | {reads} | {refused} | {ends} | {since} |"
        )
        .expect("a string takes any text");
    }
    page + FOOT
}

fn reads(row: &Row) -> &'static str {
    match row.reads {
        Reads::Caller => "of who calls",
        Reads::Called => "of who is called",
        Reads::Each => "each",
        Reads::Node => "of a node",
    }
}

/// How calls ended where the feature is lacked.
fn ends(row: &Row) -> String {
    let goes_on = |call: &&Call| call.older == call.newer && call.older == "200";
    let mut refused: Vec<_> = row
        .calls()
        .iter()
        .filter(|it| it.older != it.newer)
        .collect();
    refused.dedup_by_key(|call| call.older);
    let refused = refused.iter().map(|call| linked(call.older));
    let refused: Vec<_> = refused.collect();
    let others = row.calls().iter().find(goes_on);
    match (&row.used, &refused[..], others) {
        (Used::ByValues(test), ..) => format!("by values alone: `{test}`"),
        (_, [], _) => "200".to_owned(),
        (_, refused, None) => refused.join(", "),
        (_, refused, Some(_)) => format!("{}; others: 200", refused.join(", ")),
    }
}

/// `403 R005 policy-not-understood`, with a link.
fn linked(outcome: &str) -> String {
    match outcome.split(' ').collect::<Vec<_>>()[..] {
        [status, code, _] => format!("{status} [{code}](../errors/{code}.md)"),
        _ => outcome.to_owned(),
    }
}

const HEAD: &str = "\
<!-- Made by `cargo xtask generate` from tests/versions/src/table.rs, which `cargo xtask matrix` plays. -->

# Versions side by side

**The control plane is N+1 while proxies are N: what happens?** Calls go on, and changes reach the proxies, until there is something that they do
not know: it was written for the newer version, or stood there already and only that understands it. This a proxy refuses, and it carries all
else as it is written. It never does half of what is said.

- A rule of an AccessPolicy denies what it matches (403 [R005](../errors/R005.md)), also one that would allow it, and nobody is let in by it.
- A rule of a route answers 500 ([R011](../errors/R011.md)). Its requests do not fall to the next rule.
- `leno upgrade --check`, run by the version that is to come, names these proxies before ([guides/upgrading.md](../guides/upgrading.md#before-a-mesh-is-upgraded)),
  `leno check` while it lasts ([D007](../errors/D007.md)); `leno proxies`, `leno view` and `leno why` say it of the proxy that they are about.
- A newer process in the proxy's place ends it: `leno proxy .. --take-over`, without a gap.

So ask `leno upgrade --check`, upgrade the control plane, then the proxies, and only then write what is new. A control plane that is older than
its proxies tells them nothing that they would not know.

## What an older proxy refuses

A proxy that lacks the feature of a row, with a control plane that has it. The other proxy of a call does not matter, unless it lacks
it, too. `cargo xtask matrix` tried each row with real processes: the older one is a build that lacks the feature, and reads
nothing of what came with it.

| what uses it | feature | whose proxy reads it | what it refuses where it lacks it | how these calls end | since |
|---|---|---|---|---|---|
";

const FOOT: &str = "
The rest of a rule is what it says beside the field of the row. Where that is nothing, it is every call to the port, also one that another rule allows. A path of a
type that is not known is any path. What several features refuse adds up.

## The order of an upgrade, and the way back

What is tried for each row, in this order, once with the older proxy at who calls and once at who is called:

| step | what is seen |
|---|---|
| control plane and proxy are older | calls go on; `upgrade --check` of the newer version names the proxy, `leno check` does not |
| the control plane is replaced, with the same store | the proxy refuses what the table says, and nothing else; `leno check` names it, and the feature |
| the proxy is replaced by `--take-over` | what is written holds; `leno check` names nobody |
| the older proxy comes back by `--take-over` | as before it was replaced, also after it had kept what it did not understand |
| the older control plane comes back | `leno check` names nobody |

Where nothing uses a feature, proxies that lack all of them carry calls, and so do proxies beside a control plane that knows none of them, forth and back.

## What is not tried

- An older release itself: there is none yet. The vocabulary is what one would lack; what two releases say otherwise is not in it.
- An older control plane to which something new is written. It knows no such field, refuses it ([C003](../errors/C003.md)), and says so; here both have the fields of today.
- An older proxy that starts while the control plane is away, after a newer one kept what is of a kind that it does not know: it takes up nothing of that, and waits.
- What applications say of the mesh's own tokens where their proxy lacks `token-keys`.
- An older proxy of a node, by a cluster: what it is told of pods with a proxy of their own is compared as a value.
- What proxies say to each other, and what control planes of one mesh do: there is one form of each.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_whose_proxy_refuses_what_and_how_that_ends() {
        let page = page();
        let row = |feature: &str| {
            let is_of = |line: &&str| line.contains(&format!("| `{feature}` |"));
            page.lines().find(is_of).unwrap().to_owned()
        };
        assert_eq!(
            row("cors"),
            "| `HTTPRoute`: `CORS` in `rules[].filters` | `cors` | of who calls | what the rule matches \
             | 500 [R011](../errors/R011.md); others: 200 | 0.1.0 |"
        );
        assert!(row("isolation").ends_with("| 403 [R005](../errors/R005.md) | 0.1.0 |"));
        assert!(row("token-keys").ends_with("| 200 | 0.1.0 |"));
    }
}
