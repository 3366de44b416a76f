//! The commands about who is believed: tokens by which hosts join, and certificates.

use std::time::Duration;

use clap::{Args, Subcommand};
use leno_model::Name;

use super::fleet::Context;
use super::time;

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
