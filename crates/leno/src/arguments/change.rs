//! The commands that change the configuration, or say beforehand what a change would mean.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::fleet::Context;
use super::{Input, time};

/// On which terms something is changed.
#[derive(Args)]
pub(crate) struct Terms {
    /// Only if this is the newest revision
    #[arg(long, value_name = "REVISION")]
    pub(crate) if_revision: Option<u64>,

    /// Why
    #[arg(short = 'm', long, value_name = "TEXT", default_value = "")]
    pub(crate) message: String,

    /// Accept errors that the revision before lacks
    #[arg(long)]
    pub(crate) allow_errors: bool,

    /// Only say what would change: objects line by line, what would not hold, which proxies would decide otherwise
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Watch for so long what becomes of calls: the change goes back by itself if more of a kind fail
    /// that it can have touched, or a proxy cannot take it. The control plane watches, not this
    /// command: Ctrl-C leaves it to go on, leno watch shows it again
    #[arg(long, value_name = "TIME", value_parser = time, conflicts_with = "dry_run")]
    pub(crate) watch: Option<Duration>,

    /// With --watch: of each kind of call (who calls whom for what), so many more may fail than before
    #[arg(long, value_name = "SHARE", value_parser = share, default_value = "1%", requires = "watch")]
    pub(crate) tolerate: u32,
}

/// How it is printed what makes a cluster what it was.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Commands {
    /// Commands that a shell takes: kubectl patch, create and delete
    Kubectl,
}

/// A share in percent as millionths: `1%`, `0.25%`.
fn share(text: &str) -> Result<u32, String> {
    let bad = || "a share is expected: 1%, 0.25%, 0%".to_owned();
    let number = text.strip_suffix('%').ok_or_else(bad)?;
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let is_number = |text: &str| text.chars().all(|digit| digit.is_ascii_digit());
    if whole.is_empty() || part.len() > 4 || !is_number(whole) || !is_number(part) {
        return Err(bad());
    }
    let parts: u32 = format!("{part:0<4}").parse().map_err(|_| bad())?;
    let whole: u32 = whole.parse().map_err(|_| bad())?;
    match whole {
        0..100 => Ok(whole * 10_000 + parts),
        100 if parts == 0 => Ok(1_000_000),
        _ => Err(bad()),
    }
}

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    leno plan -f mesh/                            before it is applied\n  \
    leno plan -f mesh/ --fail-on changes -o json  in CI: exit code 1 if a call would break or change\n  \
    leno plan --with mtls=Strict -n shop          who would break if shop were strict?\n  \
    leno plan --with default=Deny --since 7d      or if nobody may call whom no rule allows?\n  \
    leno plan --with outbound.default=Deny        or no host outside that no rule allows?\n  \
    leno plan -f mesh/ --record 24h               keep what the change reads, for a plan tomorrow\n\n\
Recorded calls are judged by the code that decides real ones, once by what is in force and once by \
what would be. BREAKS: carried, and would be refused. changes: another way, or let in that is \
refused. undecided: a rule reads something that was not recorded; --record lets it be kept. silent: known from before that while, \
and not in it.")]
pub(crate) struct Plan {
    /// A file, a folder with everything below it, or - for standard input; repeatable
    #[arg(
        short = 'f',
        long = "file",
        value_name = "FILE|DIR|-",
        required_unless_present = "with"
    )]
    pub(crate) files: Vec<PathBuf>,

    /// Imagine a change without a file: mtls=Strict|Permissive, default=Allow|Deny,
    /// outbound.default=Allow|Deny; repeatable
    #[arg(long, value_name = "FIELD=VALUE")]
    pub(crate) with: Vec<String>,

    /// The namespace of objects that name none, and the one that --with is about; without it --with is
    /// about the whole mesh
    #[arg(short = 'n', long, value_name = "NAMESPACE")]
    pub(crate) namespace: Option<String>,

    /// The calls of so long ago until this moment
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "24h")]
    pub(crate) since: Duration,

    /// What makes it a bad answer beside calls that would break; repeatable. Exit code 3 then says that no
    /// call was recorded that could tell
    #[arg(long, value_name = "WHAT", value_enum, value_delimiter = ',')]
    pub(crate) fail_on: Vec<FailOn>,

    /// Let what the change reads of calls, and nothing in force does, be recorded for so long from now on
    /// (10s to 24h; leno override list)
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) record: Option<Duration>,

    /// The set the objects belong to; else the name of the folder they are in
    #[arg(long, value_name = "NAME")]
    pub(crate) set: Option<String>,

    /// As if what the same set applied before and is not in the files were deleted
    #[arg(long)]
    pub(crate) prune: bool,

    #[command(flatten)]
    pub(crate) context: Context,
}

#[derive(Args)]
pub(crate) struct Policy {
    #[command(subcommand)]
    pub(crate) command: PolicyCommand,
}

#[derive(Subcommand)]
pub(crate) enum PolicyCommand {
    /// Which AccessPolicy lets in what was recorded, and nothing else? Prints YAML that can be applied
    Suggest(Suggest),
}

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    leno policy suggest shop/cart --since 7d > cart.yaml\n  \
    leno plan -f cart.yaml                                  who would break?\n\n\
Who called is allowed what it asked for, paths with their identifiers as templates. Left out, and listed \
as comments: what was too rare to be trusted, callers that proved nothing, what was refused. The \
suggestion is judged as leno plan does; exit code 1 if a call would break that it does not leave out.")]
pub(crate) struct Suggest {
    /// Of which service: NAME or NAMESPACE/NAME; else of every one that was called
    #[arg(value_name = "SERVICE")]
    pub(crate) service: Option<String>,

    /// The namespace of a name that states none
    #[arg(short = 'n', long, value_name = "NAMESPACE", default_value = "default")]
    pub(crate) namespace: String,

    /// By the calls of so long ago until this moment
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "7d")]
    pub(crate) since: Duration,

    /// What was called less often is too rare to be trusted
    #[arg(long, value_name = "CALLS", default_value_t = 3)]
    pub(crate) at_least: u64,

    #[command(flatten)]
    pub(crate) context: Context,
}

/// What makes a plan a bad one.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOn {
    /// Calls that would be refused
    Breaks,
    /// Calls that would go another way, or be let in that are refused
    Changes,
    /// Calls of which it cannot be told
    Undecided,
}

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    leno apply -f mesh/ -m 'cart v2 gets a tenth'\n  \
    leno apply -f mesh/ --prune --if-revision 418\n  \
    leno apply -f mesh/ --watch 5m               goes back by itself if calls fail by it\n\n\
Where the mesh is what a cluster of Kubernetes says, the cluster is changed, by your kubeconfig and rights: all is tried \
before anything is written, and a field that somebody else has set is theirs (K005). The set is the label leno.dev/set. \
--watch is refused there.\n\n\
Exit codes with --watch: 0 it stayed · 1 it went back · 3 nobody could tell, or this was left before the end.")]
pub(crate) struct Apply {
    #[command(flatten)]
    pub(crate) input: Input,

    /// The set the objects belong to; else the name of the folder they are in
    #[arg(long, value_name = "NAME")]
    pub(crate) set: Option<String>,

    /// Delete what the same set applied before and is not in the files
    #[arg(long)]
    pub(crate) prune: bool,

    #[command(flatten)]
    pub(crate) terms: Terms,

    #[command(flatten)]
    pub(crate) context: Context,
}

#[derive(Args)]
#[command(after_help = "Example: leno delete HTTPRoute/cart -n shop\n\n\
What a cluster of Kubernetes has is deleted there, by your kubeconfig and rights, unless somebody else has written it.")]
pub(crate) struct Delete {
    /// What: KIND/NAME or KIND/NAMESPACE/NAME
    #[arg(value_name = "OBJECT", required = true)]
    pub(crate) objects: Vec<String>,

    /// The namespace of objects that name none
    #[arg(short = 'n', long, value_name = "NAMESPACE", default_value = "default")]
    pub(crate) namespace: String,

    #[command(flatten)]
    pub(crate) terms: Terms,

    #[command(flatten)]
    pub(crate) context: Context,
}

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    leno history                     each revision, with who made it\n  \
    leno history --audit --limit 50  who asked for what, from where, and what came of it")]
pub(crate) struct History {
    /// How many revisions or records
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    pub(crate) limit: u32,

    /// Those right before this one
    #[arg(long, value_name = "NUMBER")]
    pub(crate) before: Option<u64>,

    /// The audit log: also looks at calls, tokens, revocations and what was refused, each with who
    /// asked and from where
    #[arg(long)]
    pub(crate) audit: bool,

    #[command(flatten)]
    pub(crate) context: Context,
}

#[derive(Args)]
#[command(after_help = "Example: leno diff 416 417")]
pub(crate) struct Diff {
    /// The one revision
    #[arg(value_name = "FROM")]
    pub(crate) from: u64,

    /// The other; else the newest
    #[arg(value_name = "TO")]
    pub(crate) to: Option<u64>,

    #[command(flatten)]
    pub(crate) context: Context,
}

#[derive(Args)]
#[command(after_help = "Examples:
  leno rollback 416 -m 'v2 answers 500'   what was applied by leno is as it was, as a new revision; in a cluster what
                                          nobody else has written, by your kubeconfig and rights
  leno rollback 416 --hold 1h             so is what a cluster has: served as it was, while the cluster keeps
                                          what it has, until somebody mends it there or the hour is over
  leno rollback 416 --hold 1h --dry-run   what that would change, and for which proxies
  leno rollback 416 --print kubectl       the commands that make the cluster say so again, for whoever owns it")]
pub(crate) struct Rollback {
    /// The revision to go back to
    #[arg(value_name = "REVISION")]
    pub(crate) to: u64,

    /// For so long, serve what others own (a cluster) as it was then, too: 10s to 24h. Nothing is written there,
    /// every output says so, and leno override drop ends it before
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) hold: Option<Duration>,

    /// Change nothing: print what makes a cluster say what it said then
    #[arg(long, value_enum, value_name = "FORM", conflicts_with_all = ["hold", "dry_run", "watch", "output"])]
    pub(crate) print: Option<Commands>,

    #[command(flatten)]
    pub(crate) terms: Terms,

    #[command(flatten)]
    pub(crate) context: Context,
}

#[derive(Args)]
#[command(
    long_about = "Changes that are watched, and go back by themselves if calls fail.

leno apply, delete and rollback watch with --watch TIME. The control plane looks at the calls that the
change can have touched and compares them with the same time before; if more of a kind fail, or a proxy
cannot take it, the change is undone, as a revision of its own, and nothing that others changed since.
What a watched change has changed stands still meanwhile (S012).",
    after_help = "Examples:
  leno watch             the one that runs, as it goes on; else what came of the last ones
  leno watch 43 --keep   it stays, whatever fails
  leno watch 43 --back   it goes back at once

Exit codes: 0 it stayed · 1 it went back · 3 nobody could tell, or this was left before the end."
)]
pub(crate) struct Watch {
    /// The revision that is watched; else the only one
    #[arg(value_name = "REVISION")]
    pub(crate) revision: Option<u64>,

    /// Let it stay
    #[arg(long)]
    pub(crate) keep: bool,

    /// Take it back, and nothing that came after it
    #[arg(long, conflicts_with = "keep")]
    pub(crate) back: bool,

    #[command(flatten)]
    pub(crate) context: Context,
}

#[derive(Args)]
pub(crate) struct Override {
    #[command(subcommand)]
    pub(crate) command: OverrideCommand,
}

#[derive(Subcommand)]
pub(crate) enum OverrideCommand {
    /// Let a measure hold from here on
    #[command(subcommand)]
    Add(OverrideAdd),
    /// Which measures hold, until when, and who took them?
    List(Context),
    /// Take a measure back before its time is over
    Drop(OverrideDrop),
}

#[derive(Subcommand)]
pub(crate) enum OverrideAdd {
    /// An AccessPolicy refuses nobody: what it denies is let through and told
    Audit(OverrideAudit),
    /// An instance answers for no service
    Eject(OverrideEject),
    /// Wherever the routes of a service can send calls to one backend, all go there
    #[command(name = "all-to")]
    AllTo(OverrideAllTo),
    /// Of calls to a Service flows keep this too, whether a rule asks for it or not: for leno plan
    Record(OverrideRecord),
}

/// How long a measure holds, and why.
#[derive(Args)]
pub(crate) struct OverrideTerms {
    /// How long: 10s to 24h
    #[arg(long = "for", value_name = "TIME", default_value = "30m", value_parser = time)]
    pub(crate) lasts: Duration,

    /// Why
    #[arg(short = 'm', long, value_name = "TEXT", default_value = "")]
    pub(crate) message: String,

    /// Also where nobody would answer any more
    #[arg(long)]
    pub(crate) force: bool,

    /// The namespace of names that state none
    #[arg(short = 'n', long, value_name = "NAMESPACE", default_value = "default")]
    pub(crate) namespace: String,

    #[command(flatten)]
    pub(crate) context: Context,
}

#[derive(Args)]
#[command(
    after_help = "Example: leno override add audit payments -n shop --for 30m -m 'incident 7'"
)]
pub(crate) struct OverrideAudit {
    /// The AccessPolicy: NAME or NAMESPACE/NAME
    #[arg(value_name = "POLICY")]
    pub(crate) policy: String,

    #[command(flatten)]
    pub(crate) terms: OverrideTerms,
}

#[derive(Args)]
#[command(after_help = "Example: leno override add eject cart-v1-0 -n shop")]
pub(crate) struct OverrideEject {
    /// The instance, as leno view names it: NAME or NAMESPACE/NAME
    #[arg(value_name = "INSTANCE")]
    pub(crate) instance: String,

    #[command(flatten)]
    pub(crate) terms: OverrideTerms,
}

#[derive(Args)]
#[command(after_help = "Example: leno override add all-to cart cart-v1 -n shop")]
pub(crate) struct OverrideAllTo {
    /// The Service whose routes these are: NAME or NAMESPACE/NAME
    #[arg(value_name = "SERVICE")]
    pub(crate) service: String,

    /// The Service that gets the calls: NAME or NAMESPACE/NAME
    #[arg(value_name = "BACKEND")]
    pub(crate) backend: String,

    #[command(flatten)]
    pub(crate) terms: OverrideTerms,
}

#[derive(Args)]
#[command(
    after_help = "Example: leno override add record header:x-role claim:role --to payments -n shop --for 24h\n\n\
Callers' proxies keep hosts, headers and queries, the proxies of who is called hosts, headers and, where \
tokens are believed, claims. What a TelemetryPolicy hides, and what a name says is a secret, is not kept. \
leno plan -f DIR --record TIME finds out by itself what is to be kept for a change."
)]
pub(crate) struct OverrideRecord {
    /// What is kept: host, header:NAME, query:NAME, or claim:NAME; 16 at most
    #[arg(value_name = "FACT", required = true)]
    pub(crate) facts: Vec<String>,

    /// The Service that is called: NAME or NAMESPACE/NAME
    #[arg(long = "to", value_name = "SERVICE")]
    pub(crate) service: String,

    #[command(flatten)]
    pub(crate) terms: OverrideTerms,
}

#[derive(Args)]
pub(crate) struct OverrideDrop {
    /// What it is called
    #[arg(value_name = "ID")]
    pub(crate) id: String,

    #[command(flatten)]
    pub(crate) context: Context,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_percents() {
        for (text, millionths) in [
            ("1%", 10_000),
            ("0%", 0),
            ("0.25%", 2_500),
            ("100%", 1_000_000),
        ] {
            assert_eq!(share(text), Ok(millionths), "{text}");
        }
        for text in ["1", "%", "101%", "100.5%", "-1%", "1.00001%", "a%"] {
            assert!(share(text).is_err(), "{text}");
        }
    }
}
