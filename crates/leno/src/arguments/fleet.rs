//! The commands about a control plane and the proxies that follow it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::{Input, Output, time};

#[derive(Subcommand)]
pub(crate) enum Fleet {
    /// Run a control plane
    Control(Control),
    /// Make this host's proxy part of a mesh, by a token
    Join(Join),
    /// Let this host go away from its mesh for good
    Leave(Leave),
    /// Make these files part of the configuration
    Apply(Apply),
    /// Take objects out of the configuration
    Delete(Delete),
    /// What was changed, when and by whom?
    History(History),
    /// What leads from one revision to another?
    Diff(Diff),
    /// Make the configuration what it was at a revision, as a new revision
    Rollback(Rollback),
    /// Tokens by which hosts join
    Token(Token),
    /// Is it well? One screen, one verdict
    Status(Status),
    /// Who is connected, and how far behind is each?
    Proxies(Proxies),
    /// What does a proxy hold? Each value with who said so
    View(View),
    /// A link to the page that shows how the mesh is
    Dashboard(Dashboard),
}

/// Which control plane is asked, and how the answer is written.
#[derive(Args, Clone)]
pub(crate) struct Context {
    /// The control plane's socket; else $LENO_CONTEXT, else the mesh that is up in this folder,
    /// else this machine's
    #[arg(long, value_name = "SOCKET")]
    pub(crate) context: Option<PathBuf>,

    /// How the answer is written
    #[arg(short = 'o', long, value_enum, default_value = "text")]
    pub(crate) output: Output,
}

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
}

#[derive(Args)]
#[command(after_help = "Example: leno control --advertise 10.0.0.1:15012\n  \
    then:  leno apply -f mesh/   leno token create shop/cart")]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Control {
    #[command(subcommand)]
    pub(crate) command: Option<ControlCommand>,

    #[command(flatten)]
    pub(crate) run: ControlRun,
}

#[derive(Subcommand)]
pub(crate) enum ControlCommand {
    /// Let every proxy follow a store that was put back from a backup, or made anew
    ///
    /// A proxy never goes back: it refuses what is older than the view it holds (D004), and goes on
    /// serving that. This begins an epoch in which all of them take what the store says. What was
    /// applied or revoked after the backup was made is gone then: apply and revoke it again before.
    Recover(Context),
}

#[derive(Args)]
pub(crate) struct ControlRun {
    /// Where proxies are taken care of
    #[arg(long, value_name = "ADDRESS", default_value = "[::]:15012")]
    pub(crate) listen: SocketAddr,

    /// Host and port at which proxies find it; it stands in tokens
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:15012")]
    pub(crate) advertise: String,

    /// The folder of the store
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    /// Seal the CA's keys in the store by the secret in this file: 16 bytes or more, a pass phrase or
    /// random
    #[arg(long, value_name = "FILE")]
    pub(crate) seal_keys_with: Option<PathBuf>,

    /// The socket on which it is asked; else that of this host
    #[arg(long, value_name = "SOCKET")]
    pub(crate) socket: Option<PathBuf>,

    /// A folder of objects that is watched; repeatable
    #[arg(long, value_name = "DIR")]
    pub(crate) watch: Vec<PathBuf>,

    /// The trust domain of its CA; else that of the first Mesh object
    #[arg(long, value_name = "DOMAIN")]
    pub(crate) trust_domain: Option<String>,

    /// Where metrics and readiness are read: 127.0.0.1:15020
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) metrics: Option<SocketAddr>,

    /// Show how the mesh is to a browser on this host, at this port of its loopback: 7070
    #[arg(long, value_name = "ADDRESS", value_parser = loopback)]
    pub(crate) dashboard: Option<u16>,
}

/// A port of the loopback: `7070`, or `localhost:7070`.
pub(crate) fn loopback(text: &str) -> Result<u16, String> {
    let (host, port) = text.rsplit_once(':').unwrap_or(("localhost", text));
    if !matches!(host, "localhost" | "127.0.0.1" | "[::1]") {
        let port = port.parse().unwrap_or(7070);
        return Err(format!(
            "the dashboard is shown on the loopback only. From another host: \
             ssh -L {port}:localhost:{port} HOST"
        ));
    }
    port.parse().map_err(|_| format!("{port:?} is not a port"))
}

#[derive(Args)]
#[command(after_help = "Example: leno join leno-join:shop.local:...\n  \
    then:  leno proxy --joined --workload shop/cart-1 --tunnel 10.0.0.7:15008")]
pub(crate) struct Join {
    /// What `leno token create` printed
    #[arg(value_name = "TOKEN")]
    pub(crate) token: String,

    /// The service account to act as, where the token leaves a choice
    #[arg(long, value_name = "ACCOUNT")]
    pub(crate) account: Option<String>,

    /// The folder in which identity and views are kept
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
}

#[derive(Args)]
#[command(
    after_help = "Tells the control plane, so that nobody calls this host any more; ends its proxy once\n\
    what lives there has ended; removes its keys, certificates and views."
)]
pub(crate) struct Leave {
    /// The folder in which identity and views are kept
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,

    /// Also where the control plane cannot be told
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    leno apply -f mesh/ -m 'cart v2 gets a tenth'\n  \
    leno apply -f mesh/ --prune --if-revision 418")]
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
#[command(after_help = "Example: leno delete HTTPRoute/cart -n shop")]
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
pub(crate) struct History {
    /// How many revisions
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    pub(crate) limit: u32,

    /// Those right before this one
    #[arg(long, value_name = "REVISION")]
    pub(crate) before: Option<u64>,

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
#[command(after_help = "Example: leno rollback 416 -m 'v2 answers 500'")]
pub(crate) struct Rollback {
    /// The revision to go back to
    #[arg(value_name = "REVISION")]
    pub(crate) to: u64,

    #[command(flatten)]
    pub(crate) terms: Terms,

    #[command(flatten)]
    pub(crate) context: Context,
}

#[derive(Args)]
pub(crate) struct Token {
    #[command(subcommand)]
    pub(crate) command: TokenCommand,
}

#[derive(Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token; it is printed once
    Create(TokenCreate),
    /// Which tokens are there?
    List(Context),
    /// Make a token good for nothing
    Drop(TokenDrop),
}

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    leno token create shop/cart         a proxy of workloads that act as cart\n  \
    leno token create shop --uses 10    nodes, which act as every workload of shop")]
pub(crate) struct TokenCreate {
    /// Whom it lets join: NAMESPACE/ACCOUNT, or NAMESPACE for nodes
    #[arg(value_name = "WHO")]
    pub(crate) who: String,

    /// How often it can be used
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    pub(crate) uses: u32,

    /// For how long it is good
    #[arg(long = "for", value_name = "TIME", value_parser = time, default_value = "1h")]
    pub(crate) lasts: Duration,

    #[command(flatten)]
    pub(crate) context: Context,
}

#[derive(Args)]
pub(crate) struct TokenDrop {
    /// The token's id
    #[arg(value_name = "ID")]
    pub(crate) id: String,

    #[command(flatten)]
    pub(crate) context: Context,
}

#[derive(Args)]
#[command(
    after_help = "Opens once, in a browser on this host. A control plane shows it where it was told to:\n  \
    leno control --dashboard 7070"
)]
pub(crate) struct Dashboard {
    #[command(flatten)]
    pub(crate) context: Context,
}

#[derive(Args)]
#[command(
    after_help = "Exit codes: 0 it is well, or merely doubtful · 1 something is wrong · 3 it could not be found out.\n\
    leno check tells all that is wrong, leno stat what goes over each edge."
)]
pub(crate) struct Status {
    #[command(flatten)]
    pub(crate) context: Context,
}

#[derive(Args)]
pub(crate) struct Proxies {
    #[command(flatten)]
    pub(crate) context: Context,
}

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    leno view web            what the proxy in front of web decides by\n  \
    leno view web --diff     in what that differs from what is in force; exit code 1 if it does")]
pub(crate) struct View {
    /// A proxy as leno proxies names it, or a workload: NAME or NAMESPACE/NAME
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// Only what differs from what is in force for it
    #[arg(long)]
    pub(crate) diff: bool,

    /// The namespace of a name that states none
    #[arg(short = 'n', long, value_name = "NAMESPACE", default_value = "default")]
    pub(crate) namespace: String,

    #[command(flatten)]
    pub(crate) context: Context,
}

#[derive(Subcommand)]
pub(crate) enum Certificates {
    /// Whom does the mesh trust, and whom not any more?
    List(Context),
    /// Let proxies ask for a new certificate at once, and say what comes of it
    Renew(CertsRenew),
    /// Let proxies in again whose certificates have ended, for a while
    Readmit(CertsReadmit),
    /// Replace the root before its time, or let the announced one sign at once
    Rotate(CertsRotate),
    /// Refuse an identity from here on, also where it is connected
    Revoke(CertsRevoke),
    /// Refuse an identity no longer
    Reinstate(CertsReinstate),
}

#[derive(Args)]
#[command(after_help = "Example: leno certs renew shop/cart --dry-run")]
pub(crate) struct CertsRenew {
    /// Whose: NAMESPACE/ACCOUNT, or a SPIFFE ID
    #[arg(value_name = "IDENTITY")]
    pub(crate) identity: String,

    /// Only say who would ask, and what the CA would answer
    #[arg(long)]
    pub(crate) dry_run: bool,

    #[command(flatten)]
    pub(crate) context: Context,
}

#[derive(Args)]
#[command(
    long_about = "Let proxies in again whose certificates have ended, for a while.

After a control plane that was away for longer than certificates last, every proxy has an ended one
and cannot renew it. Each goes on asking; while this holds, it gets another one for the ended one, by
the key that belongs to it. Nothing is restarted, and nobody who was revoked is let in.",
    after_help = "Examples:
  leno certs readmit
  leno certs readmit --for 1h
  leno certs readmit --for 0s"
)]
pub(crate) struct CertsReadmit {
    /// For how long, at most a day
    #[arg(long = "for", value_name = "TIME", value_parser = super::time, default_value = "10m")]
    pub(crate) lasts: Duration,

    #[command(flatten)]
    pub(crate) context: Context,
}

#[derive(Args)]
#[command(
    long_about = "Replace the root before its time.

Roots replace each other by themselves at half of their life. This begins it at once: the next root is
announced to every proxy, and signs as soon as all of them are known to hold it, which takes seconds
where all are connected. Those who are silent are waited for until their certificates end; leno certs
list names them. No call fails by it.

With --force the announced root signs at once. Whoever does not hold it refuses those it is signed
for, until it hears of it.",
    after_help = "Examples:
  leno certs rotate
  leno certs rotate --force --dry-run
  leno certs rotate --force"
)]
pub(crate) struct CertsRotate {
    /// Let the root that is announced sign at once, and name those who do not hold it
    #[arg(long)]
    pub(crate) force: bool,

    /// Only say who would be waited for, or would break
    #[arg(long)]
    pub(crate) dry_run: bool,

    #[command(flatten)]
    pub(crate) context: Context,
}

#[derive(Args)]
#[command(after_help = "Example: leno certs revoke shop/cart -m 'key was copied'")]
pub(crate) struct CertsRevoke {
    /// Whom: NAMESPACE/ACCOUNT, or a SPIFFE ID
    #[arg(value_name = "IDENTITY")]
    pub(crate) identity: String,

    /// Why
    #[arg(short = 'm', long, value_name = "TEXT", default_value = "")]
    pub(crate) message: String,

    #[command(flatten)]
    pub(crate) context: Context,
}

#[derive(Args)]
pub(crate) struct CertsReinstate {
    /// Whom: NAMESPACE/ACCOUNT, or a SPIFFE ID
    #[arg(value_name = "IDENTITY")]
    pub(crate) identity: String,

    #[command(flatten)]
    pub(crate) context: Context,
}

/// How `leno proxy --joined` listens.
#[derive(Args)]
pub(crate) struct Joined {
    /// Follow the control plane that `leno join` has joined
    #[arg(long, conflicts_with = "static_file")]
    pub(crate) joined: bool,

    /// The folder in which identity and views are kept
    #[arg(long, value_name = "DIR", requires = "joined")]
    pub(crate) state: Option<PathBuf>,

    /// A workload it stands in front of: NAME or NAMESPACE/NAME; repeatable. The first one is
    /// whom the listeners below belong to
    #[arg(long = "workload", value_name = "WORKLOAD", requires = "joined")]
    pub(crate) workloads: Vec<String>,

    /// Where it takes mesh calls
    #[arg(long, value_name = "ADDRESS", requires = "joined")]
    pub(crate) tunnel: Option<SocketAddr>,

    /// Where others reach that address; else the address itself
    #[arg(long, value_name = "ADDRESS", requires = "tunnel")]
    pub(crate) advertise: Option<SocketAddr>,

    /// A service port that is called at an address of its own: cart:80=127.0.0.1:8081; repeatable
    #[arg(
        long = "upstream",
        value_name = "SERVICE:PORT=ADDRESS",
        requires = "workloads"
    )]
    pub(crate) upstreams: Vec<String>,

    /// Where connections arrive that were captured on their way out
    #[arg(long, value_name = "ADDRESS", requires = "workloads")]
    pub(crate) outbound: Option<SocketAddr>,

    /// Where connections arrive that were captured on their way in
    #[arg(long, value_name = "ADDRESS", requires = "workloads")]
    pub(crate) inbound: Option<SocketAddr>,

    /// Where metrics and readiness are read
    #[arg(long, value_name = "ADDRESS", requires = "joined")]
    pub(crate) metrics: Option<SocketAddr>,

    /// Write a line for each call to standard output; a TelemetryPolicy says for which
    #[arg(long, value_name = "FORMAT", requires = "joined")]
    pub(crate) access_log: Option<AccessLog>,

    /// Count, keep and tell nothing of calls, to measure what that costs
    #[arg(long, requires = "joined", conflicts_with_all = ["metrics", "access_log"])]
    pub(crate) blind: bool,
}

/// How a line of the access log is written.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum AccessLog {
    /// For people
    Text,
    /// For programs
    Json,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dashboard_is_on_the_loopback_only() {
        for text in ["7070", "localhost:7070", "127.0.0.1:7070", "[::1]:7070"] {
            assert_eq!(loopback(text), Ok(7070), "{text}");
        }
        for text in ["0.0.0.0:7070", "10.0.0.1:7070", "[::]:7070", "host:7070"] {
            let refused = loopback(text).unwrap_err();
            assert!(refused.contains("ssh -L 7070:localhost:7070"), "{refused}");
        }
        for text in ["", "port", "70700", "localhost", "localhost:"] {
            assert!(loopback(text).is_err(), "{text}");
        }
    }
}
