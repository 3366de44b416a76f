//! Health checks from outside: let in by where they come from and what they ask, before anything else is
//! asked of them.

use alloc::sync::Arc;

use leno_model::view::{Check, PathMatch, Probe};

use crate::caller::{Claim, Fact, Missing};
use crate::policy::meets::{Asked, Call};
use crate::policy::{Allowed, Before, Policy, Target, Verdict};

impl<'t> Policy<'t> {
    /// Whether health checks ask this port by requests.
    pub(super) fn is_probed(&self, target: Target<'t>) -> bool {
        let mut probes = self.probes(target);
        probes.any(|probe| matches!(probe.check, Check::Request(_)))
    }

    /// The health checks of a port.
    fn probes(&self, target: Target<'t>) -> impl Iterator<Item = &'t Probe> + use<'t> {
        let everywhere = &self.table.view().settings.probes;
        let all = everywhere.iter().map(Arc::as_ref).chain(&*target.of.probes);
        all.filter(move |probe| probe.port == target.port)
    }

    /// The verdict of a health check; `None` for any other call.
    pub(super) fn judge_probe(&self, call: Call<'_>) -> Option<Verdict<'t>> {
        let asked = call.asked?;
        let Before::Port(target, _) = self.before else {
            return None;
        };
        if matches!(call.claim.caller, Fact::Known(Some(_))) {
            return None;
        }
        let mut missing = None;
        for probe in self.probes(target) {
            match (
                is_asked(&probe.check, asked),
                call.claim.caller,
                call.claim.address,
            ) {
                (Ok(false), _, _) => {}
                (_, Fact::Unknown, _) => missing = Some(Missing::CallerIdentity),
                (_, Fact::Known(_), Fact::Unknown) => missing = Some(Missing::CallerAddress),
                (asked, Fact::Known(_), Fact::Known(address)) => {
                    let comes = probe.from.iter().any(|block| block.contains(address));
                    match asked {
                        Ok(_) if comes => return Some(Verdict::Allow(Allowed::Probe(probe))),
                        Err(open) if comes => missing = Some(open),
                        Ok(_) | Err(_) => {}
                    }
                }
            }
        }
        missing.map(Verdict::Undecided)
    }

    /// The verdict of a stream that nothing else allows, if it may be a health check: by TLS, where that is asked so.
    pub(super) fn judge_check(&self, claim: &Claim<'_>) -> Option<Verdict<'t>> {
        let Before::Port(target, _) = self.before else {
            return None;
        };
        let is_stream = |probe: &&Probe| matches!(probe.check, Check::Tls | Check::Connection);
        let mut probes = self.probes(target).filter(is_stream);
        match (claim.caller, claim.address) {
            (Fact::Known(Some(_)) | Fact::Unknown, _) => None,
            (Fact::Known(None), Fact::Unknown) => {
                let any = probes.next();
                any.map(|_| Verdict::Undecided(Missing::CallerAddress))
            }
            (Fact::Known(None), Fact::Known(address)) => {
                let comes = |probe: &&Probe| probe.from.iter().any(|it| it.contains(address));
                let first = probes.filter(comes).min_by_key(|probe| &probe.check);
                first.map(|probe| Verdict::Allow(Allowed::Probe(probe)))
            }
        }
    }
}

/// Whether a health check asks so, or what would have to be known to tell.
fn is_asked(check: &Check, asked: Asked<'_>) -> Result<bool, Missing> {
    let path = match check {
        Check::Request(path) => path,
        Check::Tls | Check::Connection => return Ok(false),
    };
    let by_path = asked.path.meets(&PathMatch::Exact(path.clone()));
    let by_method = asked.method.known().map(|method| match method {
        "GET" | "HEAD" => true,
        "POST" => &**path == Probe::GRPC_PATH,
        _ => false,
    });
    let mut headers = asked.headers.iter();
    let asks_for_stream = headers.any(|header| header.name.eq_ignore_ascii_case("upgrade"));
    if by_path == Some(false) || by_method == Some(false) || asks_for_stream {
        return Ok(false);
    }
    by_path.ok_or(Missing::Path)?;
    by_method.ok_or(Missing::Method)
}
