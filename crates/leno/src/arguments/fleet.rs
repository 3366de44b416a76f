//! The commands about a control plane and the proxies that follow it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use leno_model::Name;

use super::{Input, Output, time};

#[derive(Subcommand)]
pub(crate) enum Fleet {
    /// Run a control plane
    Control(Control),
    /// Make this host's proxy part of a mesh, by a token or by what it is
    Join(Join),
    /// Let this host go away from its mesh for good
    Leave(Leave),
    /// What would these files change, and which recorded calls would break? Nothing is changed
    Plan(Plan),
    /// Policies made of what was recorded
    Policy(Policy),
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
    /// Changes that are watched, and go back by themselves if calls fail
    Watch(Watch),
    /// Measures of an emergency that end by themselves
    Override(Override),
    /// Tokens by which hosts join
    Token(Token),
    /// Control planes on other hosts, and who you are to them
    Context(Contexts),
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
    /// A context that leno context add made, or the control plane's socket; else $LENO_CONTEXT, else the
    /// mesh that is up in this folder, else what leno context use chose, else this machine's
    #[arg(long, value_name = "NAME|SOCKET")]
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

    /// Watch for so long what becomes of calls: the change goes back by itself if more of a kind fail
    /// that it can have touched, or a proxy cannot take it. The control plane watches, not this
    /// command: Ctrl-C leaves it to go on, leno watch shows it again
    #[arg(long, value_name = "TIME", value_parser = time, conflicts_with = "dry_run")]
    pub(crate) watch: Option<Duration>,

    /// With --watch: of each kind of call (who calls whom for what), so many more may fail than before
    #[arg(long, value_name = "SHARE", value_parser = share, default_value = "1%", requires = "watch")]
    pub(crate) tolerate: u32,
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

    /// The folder in which policies may name files of keys that prove tokens (jwt.issuers[].jwks.file);
    /// without it they may name none
    #[arg(long, value_name = "DIR")]
    pub(crate) keys: Option<PathBuf>,

    /// Let policies take such keys from http:// URLs of this host, too (jwks.url)
    #[arg(long)]
    pub(crate) keys_on_loopback: bool,

    /// The socket on which it is asked; else that of this host
    #[arg(long, value_name = "SOCKET")]
    pub(crate) socket: Option<PathBuf>,

    /// A socket on which processes of this host join without a token, as their MeshWorkload says who they
    /// are (spec.attestation.processes); everybody who may enter its folder can ask
    #[arg(long, value_name = "SOCKET")]
    pub(crate) join_socket: Option<PathBuf>,

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
#[command(after_help = "Examples:\n  \
    leno join leno-join:shop.local:...           by a token\n  \
    leno join leno-mesh:shop.local:... --oidc-token FILE   by a token of GitLab, GitHub, a cloud\n  \
    leno join --socket /run/leno/join.sock       by user, group, path and SHA-256 of this process\n  \
    then:  leno proxy --joined --workload shop/cart-1 --tunnel 10.0.0.7:15008")]
pub(crate) struct Join {
    /// What `leno token create` printed; with --oidc-token, what `leno token list` says of the mesh
    #[arg(value_name = "TOKEN", required_unless_present = "socket")]
    pub(crate) token: Option<String>,

    /// A file with a token of somebody whom the mesh knows (Mesh.spec.tokenIssuers)
    #[arg(long, value_name = "FILE", requires = "token")]
    pub(crate) oidc_token: Option<PathBuf>,

    /// The join socket of a control plane on this host, which sees who this process is
    #[arg(long, value_name = "SOCKET", conflicts_with = "token")]
    pub(crate) socket: Option<PathBuf>,

    /// Whom to act as, where that leaves a choice: ACCOUNT or NAMESPACE/ACCOUNT
    #[arg(long, value_name = "WHO")]
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
    leno plan -f mesh/                            before it is applied\n  \
    leno plan -f mesh/ --fail-on changes -o json  in CI: exit code 1 if a call would break or change\n  \
    leno plan --with mtls=Strict -n shop          who would break if shop were strict?\n  \
    leno plan --with default=Deny --since 7d      or if nobody may call whom no rule allows?\n  \
    leno plan --with outbound.default=Deny        or no host outside that no rule allows?\n\n\
Recorded calls are judged by the code that decides real ones, once by what is in force and once by \
what would be. BREAKS: carried, and would be refused. changes: another way, or let in that is \
refused. undecided: a rule reads something that was not recorded. silent: known from before that while, \
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
pub(crate) struct OverrideDrop {
    /// What it is called
    #[arg(value_name = "ID")]
    pub(crate) id: String,

    #[command(flatten)]
    pub(crate) context: Context,
}

#[derive(Args)]
pub(crate) struct Contexts {
    #[command(subcommand)]
    pub(crate) command: ContextCommand,
}

#[derive(Subcommand)]
pub(crate) enum ContextCommand {
    /// Get a certificate for a token, and keep it under a name
    Add(ContextAdd),
    /// Which contexts are there?
    List(ContextList),
    /// Ask this one where nothing else is named
    Use(ContextName),
    /// Give a certificate back, and forget the context
    Drop(ContextDrop),
}

#[derive(Args)]
#[command(
    long_about = "Get a certificate for a token, and keep it under a name.

The key is made on this host and never leaves it. The certificate is renewed whenever the context is
used past half of its life; one that has ended takes another token. What it allows is said in the Mesh:

  administration:
    - {person: anna, role: Editor, namespaces: [shop]}",
    after_help = "Example, on the control plane's host:  leno token create --person anna\n  \
    then, on yours:  leno context add prod leno-join:shop.local:...\n  \
                     leno status --context prod"
)]
pub(crate) struct ContextAdd {
    /// What you call it
    #[arg(value_name = "NAME", value_parser = context_name)]
    pub(crate) name: String,

    /// What leno token create printed
    #[arg(value_name = "TOKEN")]
    pub(crate) token: String,
}

#[derive(Args)]
pub(crate) struct ContextList {
    /// How the answer is written
    #[arg(short = 'o', long, value_enum, default_value = "text")]
    pub(crate) output: Output,
}

#[derive(Args)]
pub(crate) struct ContextName {
    /// Which
    #[arg(value_name = "NAME", value_parser = context_name)]
    pub(crate) name: String,
}

#[derive(Args)]
pub(crate) struct ContextDrop {
    /// Which
    #[arg(value_name = "NAME", value_parser = context_name)]
    pub(crate) name: String,

    /// Also where the control plane cannot be told
    #[arg(long)]
    pub(crate) force: bool,
}

/// A name that is one folder, and cannot be taken for a path.
fn context_name(text: &str) -> Result<String, String> {
    let name = Name::new(text).map_err(|error| error.to_string())?;
    Ok(name.to_string())
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
    leno token create shop --uses 10    nodes, which act as every workload of shop\n  \
    leno token create --person anna     a person, who asks from another host: leno context add")]
pub(crate) struct TokenCreate {
    /// Whom it lets join: NAMESPACE/ACCOUNT, or NAMESPACE for nodes
    #[arg(
        value_name = "WHO",
        required_unless_present = "person",
        conflicts_with = "person"
    )]
    pub(crate) who: Option<String>,

    /// A person, who may do what the Mesh says of them
    #[arg(long, value_name = "NAME")]
    pub(crate) person: Option<String>,

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
    /// Print what proves this mesh's identities to others: a SPIFFE bundle, or a MeshPeer for another mesh
    Bundle(CertsBundle),
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
#[command(
    long_about = "Print what proves this mesh's identities to others.

A SPIFFE bundle: the roots of this mesh and the keys that sign its tokens, public all of them. Serve it from a web
server for those who ask there, or give it to whoever shall believe this mesh.

With --peer it stands in a MeshPeer, ready to be applied to another mesh of Leno, which from then on asks this
control plane for newer keys by itself. It has to come there unchanged: whoever changes it on the way can be
everybody of this mesh.",
    after_help = "Examples:
  leno certs bundle > bundle.json
  leno certs bundle --peer shop > shop.yaml"
)]
pub(crate) struct CertsBundle {
    /// Print a MeshPeer of this name
    #[arg(long, value_name = "NAME", value_parser = |text: &str| Name::new(text).map_err(|why| why.to_string()))]
    pub(crate) peer: Option<Name>,

    #[command(flatten)]
    pub(crate) context: Context,
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

    /// Serve the SPIFFE Workload API to applications of this host on this socket: each gets the identity
    /// of the workload whose spec.attestation.processes it meets
    #[arg(long, value_name = "SOCKET", requires = "joined")]
    pub(crate) workload_api: Option<PathBuf>,

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
