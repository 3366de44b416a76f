//! `leno certs`: whom a mesh trusts, and certificates for proxies that run from files alone.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use leno_channel::{files, generate_key};
use leno_identity::{INTERMEDIATE_LIFE, Intermediate, LEAF_LIFE, ROOT_LIFE, Root};
use leno_model::{Dice, SpiffeId, TrustDomain, Wall};
use leno_proxy::Clocks;
use leno_resources::static_proxy::Named;

use crate::arguments::{Certs, CertsCommand, Issue};
use crate::command::{Answer, fleet};
use crate::terminal::{Line, Terminal};

/// Runs the subcommand.
pub(crate) fn run(options: &Certs, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    match &options.command {
        CertsCommand::Issue(issue) => run_issue(issue, terminal),
        CertsCommand::Mesh(command) => fleet::run_certificates(command, terminal),
    }
}

/// Signs a certificate for each name, by an authority that lives in the folder.
fn run_issue(options: &Issue, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let domain = TrustDomain::new(&options.trust_domain)?;
    let life = options.lifetime.map_or(LEAF_LIFE, Duration::from_secs);
    let folder = &options.into;
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let now = Clocks::start().now().wall;
    let mut dice = Dice::new(super::seed());
    let authority = authority(folder, &domain, now, &mut dice, terminal)?;
    for text in &options.names {
        let named = Named::read(text)
            .ok_or_else(|| anyhow!("{text:?} is not namespace/service-account"))?;
        let id = SpiffeId {
            trust_domain: domain.clone(),
            namespace: named
                .namespace
                .unwrap_or_else(leno_model::Namespace::default_namespace),
            service_account: named.name.clone(),
        };
        let key = generate_key();
        let chain = authority.sign_leaf(&key.public(), &id, life, now, &mut dice)?;
        files::write_key(&folder.join(format!("{}.key", named.name)), &key)?;
        files::write_certificates(&folder.join(format!("{}.pem", named.name)), &chain)?;
        let line = Line::new().good("issued ").strong(&id).plain("  ");
        let line = line.plain(format_args!("{0}.key, {0}.pem", named.name));
        terminal.line(line.dim(format_args!("  until {}", now + life)))?;
    }
    Ok(Answer::Fine)
}

/// The authority of `folder`, established if there is none.
fn authority(
    folder: &Path,
    domain: &TrustDomain,
    now: Wall,
    dice: &mut Dice,
    terminal: &mut Terminal,
) -> anyhow::Result<Intermediate> {
    let (key_file, chain_file) = (folder.join("ca.key"), folder.join("ca.pem"));
    if key_file.exists() {
        let key = files::read_key(&key_file)?;
        let certificate = files::read_certificates(&chain_file)?.into_iter().next();
        let certificate = certificate.context("ca.pem is empty")?;
        let authority = Intermediate::restore(certificate, key)?;
        if authority.domain() != domain {
            anyhow::bail!(
                "the authority in {} is of {}, not of {domain}",
                folder.display(),
                authority.domain()
            );
        }
        return Ok(authority);
    }
    let root = Root::establish(domain, generate_key(), ROOT_LIFE, now, dice)?;
    let key = generate_key();
    let certificate = root.sign_intermediate(&key.public(), INTERMEDIATE_LIFE, now, dice)?;
    // The root's key is not kept: a new root is a new folder.
    files::write_certificates(&folder.join("roots.pem"), &[root.certificate().to_vec()])?;
    files::write_certificates(&chain_file, std::slice::from_ref(&certificate))?;
    files::write_key(&key_file, &key)?;
    let line = Line::new().good("established ").strong(domain);
    terminal.line(line.plain("  roots.pem, ca.pem, ca.key"))?;
    Ok(Intermediate::restore(certificate, key)?)
}
