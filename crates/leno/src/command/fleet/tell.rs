//! How a control plane's answers look to people.

use leno_admin::figures::moment;
use leno_admin::{
    Applied, AuditedOf, Change, Diff, FailingCa, Forgotten, Held, History, Link, NextRoot, Outcome,
    OverrideChanged, OverrideTold, Overrides, OwnBundle, Past, PeerState, Proxies, Readmitting,
    Recovered, Renewed, Revoked, RootStage, RootState, RootStep, Rotated, SilentHolder, TokenMade,
    Tokens, Trust,
};
use leno_model::role::PEOPLE;
use leno_model::{Code, Name};

use crate::command::Answer;
use crate::offline::count;
use crate::render::table::Table;
use crate::render::{self, head, short};
use crate::terminal::{Line, Terminal};

/// What became of a change. It holds until the file `until` changes, which is applied again then.
pub(super) fn applied(
    told: &Applied,
    until: Option<&str>,
    terminal: &mut Terminal,
) -> anyhow::Result<()> {
    terminal.line(head(&told.status))?;
    match (told.changes.is_empty() && told.held.is_none(), told.dry_run) {
        (true, _) => terminal.line("nothing to change")?,
        (false, true) => terminal.line("nothing was changed; what would be:")?,
        (false, false) => {}
    }
    changes(&told.changes, told.dry_run, terminal)?;
    for left in &told.left {
        terminal.line(Line::new().doubtful("! ").plain(left))?;
    }
    if let Some(held) = &told.held {
        self::held(held, told, terminal)?;
    }
    render::failure::findings(&told.findings, &told.status.now, terminal)?;
    if let Some(advice) = &told.advice {
        terminal.line(Line::new().dim("Next  ").plain(advice))?;
    }
    if told.dry_run && (!told.changes.is_empty() || told.held.is_some()) {
        terminal.gap()?;
        terminal.line(affected(&told.proxies))?;
    }
    if told.made && told.watch.is_none() && told.advice.is_none() {
        terminal.gap()?;
        if let Some(file) = until {
            let again = "then what stands there is applied again";
            terminal.line(format!("It holds until {file} changes: {again}."))?;
        }
        let next = Line::new().dim("Next  ").plain("leno check · leno proxies");
        terminal.line(match told.status.revision.saturating_sub(1) {
            0 => next,
            before => next.plain(format_args!(" · leno rollback {before}")),
        })?;
    }
    Ok(())
}

/// What others own and is served as it was.
fn held(held: &Held, told: &Applied, terminal: &mut Terminal) -> anyhow::Result<()> {
    changes(&held.changes, told.dry_run, terminal)?;
    let until = moment(&held.until, &told.status.now);
    let (count, served) = match held.changes.len() {
        1 => ("1 object".to_owned(), "is"),
        many => (format!("{many} objects"), "are"),
    };
    let line = match &held.id {
        Some(id) => Line::new()
            .plain("override ")
            .strong(id)
            .plain(format_args!(
                ": until {until} {count} {served} served as before"
            )),
        None => Line::new().plain(format_args!(
            "until {until} {count} would be served as before"
        )),
    };
    terminal.line(line.plain("; who owns them keeps what they say"))?;
    if let Some(id) = &held.id {
        let next = format!("leno override drop {id} · leno check");
        terminal.line(Line::new().dim("Next  ").plain(next))?;
    }
    Ok(())
}

/// Which proxies would decide by something else: `2 proxies would decide otherwise: shop/cart, shop/web`.
fn affected(proxies: &[String]) -> Line {
    const SHOWN: usize = 5;
    let count = match proxies.len() {
        0 => return Line::new().plain("no proxy that is connected would decide otherwise"),
        1 => "1 proxy".to_owned(),
        many => format!("{many} proxies"),
    };
    let shown = proxies.iter().take(SHOWN).cloned().collect::<Vec<_>>();
    let rest = if proxies.len() > SHOWN { ", .." } else { "" };
    let line = Line::new().plain(format_args!("{count} would decide otherwise"));
    line.dim(format_args!(": {}{rest}", shown.join(", ")))
}

pub(super) fn link(told: &Link, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    terminal.line(head(&told.status))?;
    terminal.line(Line::new().plain("  Page   ").strong(&told.url))?;
    terminal.line(Line::new().dim("         good once, for an hour, in a browser on this host"))?;
    Ok(Answer::Fine)
}

pub(super) fn overrides(told: &Overrides, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    terminal.line(head(&told.status))?;
    if told.overrides.is_empty() {
        terminal.line("no override holds: everything is as it was written")?;
        return Ok(Answer::Fine);
    }
    let now = &told.status.now;
    let mut table = Table::new(&["ID", "WHAT", "UNTIL", "SINCE", "WHO", "WHY"]);
    for one in &told.overrides {
        table.row([
            Line::new().strong(&one.id),
            one.measure.as_str().into(),
            moment(&one.until, now).into(),
            moment(&one.at, now).into(),
            one.who.as_str().into(),
            one.reason.as_str().into(),
        ]);
    }
    table.print(terminal)?;
    Ok(Answer::Fine)
}

/// A measure that was taken or taken back: `holds`.
pub(super) fn override_changed(
    told: &OverrideChanged,
    now: &str,
    terminal: &mut Terminal,
) -> anyhow::Result<Answer> {
    terminal.line(head(&told.status))?;
    if let Some(OverrideTold {
        id, measure, until, ..
    }) = &told.told
    {
        let line = Line::new()
            .plain("override ")
            .strong(id)
            .plain(format_args!(" {now}"));
        let ends = match now {
            "holds" => format!(" until {}", moment(until, &told.status.now)),
            _ => String::new(),
        };
        terminal.line(line.plain(ends).plain(format_args!(": {measure}")))?;
        let next = match now {
            "holds" => format!("leno override drop {id} · leno check"),
            _ => "leno check".to_owned(),
        };
        terminal.line(Line::new().dim("Next  ").plain(next))?;
    }
    Ok(Answer::Fine)
}

pub(super) fn history(told: &History, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    terminal.line(head(&told.status))?;
    if told.revisions.is_empty() {
        terminal.line("nothing was applied yet")?;
        return Ok(Answer::Fine);
    }
    let mut table = Table::new(&["REVISION", "AT", "WHO", "WHAT", "CHANGED", "WHY"]);
    for past in &told.revisions {
        table.row([
            Line::new().strong(past.revision),
            moment(&past.at, &told.status.now).into(),
            short(&past.who, &told.status.context).into(),
            what(past),
            format!("+{} ~{} -{}", past.added, past.changed, past.removed).into(),
            past.message.lines().next().unwrap_or_default().into(),
        ]);
    }
    table.print(terminal)?;
    Ok(Answer::Fine)
}

/// `apply shop`, with what came of its watch.
fn what(past: &Past) -> Line {
    let line = Line::new().plain(&past.what);
    match past.watch.as_deref() {
        None => line,
        Some("watched") => line.doubtful(" (is watched)"),
        Some("went-back" | "unseen") => line.bad(" (went back)"),
        Some("stuck") => line.bad(" (could not go back)"),
        Some("taken-back") => line.dim(" (watched, taken back)"),
        Some(_) => line.dim(" (watched, stayed)"),
    }
}

/// The audit log, newest first.
pub(super) fn audited(told: &AuditedOf, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    terminal.line(head(&told.status))?;
    if told.records.is_empty() {
        terminal.line("nothing was changed, looked at or refused yet")?;
        return Ok(Answer::Fine);
    }
    let mut table = Table::new(&["", "AT", "WHO", "FROM", "WHAT", "RESULT", "REVISION"]);
    for record in &told.records {
        let what = format!("{} {}", record.what, record.about);
        let code = record.code.as_deref().unwrap_or_default();
        table.row([
            Line::new().dim(record.number),
            moment(&record.at, &told.status.now).into(),
            short(&record.who, &told.status.context).into(),
            record.from.as_str().into(),
            what.trim_end().into(),
            match record.outcome {
                Outcome::Done => Line::new().plain("done"),
                Outcome::Failed => Line::new().doubtful(format_args!("failed {code}")),
                Outcome::Refused => Line::new().bad(format_args!("refused {code}")),
            },
            record.revision.to_string().into(),
        ]);
    }
    table.print(terminal)?;
    Ok(Answer::Fine)
}

pub(super) fn diff(told: &Diff, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    terminal.line(head(&told.status))?;
    terminal.line(format!("from revision {} to {}", told.from, told.to))?;
    if told.changes.is_empty() {
        terminal.line("they are the same")?;
    }
    changes(&told.changes, true, terminal)?;
    Ok(Answer::Fine)
}

pub(super) fn proxies(told: &Proxies, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    terminal.line(head(&told.status))?;
    if told.proxies.is_empty() && told.away.is_empty() {
        terminal.line("no proxy has joined yet: leno token create --help")?;
        return Ok(Answer::Fine);
    }
    let now = &told.status.now;
    let mut table = Table::new(&["PROXY", "ACTS AS", "TUNNEL", "SINCE", "HOLDS"]);
    for proxy in &told.proxies {
        table.row([
            Line::new().strong(&proxy.name),
            short(&proxy.identity, &told.status.context).into(),
            proxy.tunnel.as_deref().unwrap_or("-").into(),
            moment(&proxy.since, now).into(),
            match (&proxy.refused, proxy.current) {
                (Some(why), _) => {
                    let code = proxy.code.as_deref().unwrap_or(Code::D002.as_str());
                    Line::new().bad(format_args!("{code} {why}"))
                }
                (None, true) if !proxy.lacks.is_empty() => {
                    let lacks = proxy.lacks.join(", ");
                    Line::new().doubtful(format_args!("D007 the newest, without {lacks}"))
                }
                (None, true) => Line::new().good("the newest"),
                (None, false) => Line::new().doubtful(format_args!("behind: {}", proxy.generation)),
            },
        ]);
        for workload in &proxy.not_entitled {
            let line = Line::new().plain("  ").doubtful("! ").plain(workload);
            let told = format!("{} {}", Code::D006, Code::D006.slug());
            let nothing = [Line::new(), Line::new(), Line::new()];
            let told = Line::new().doubtful(told);
            table.row([line].into_iter().chain(nothing).chain([told]));
        }
    }
    for away in &told.away {
        let since = away.since.as_deref();
        table.row([
            Line::new().strong(&away.workload),
            "-".into(),
            away.tunnel.as_str().into(),
            since
                .map_or_else(|| "-".to_owned(), |since| moment(since, now))
                .into(),
            Line::new().bad(format_args!("{} {}", Code::D005, Code::D005.slug())),
        ]);
    }
    table.print(terminal)?;
    let is_bad = told.proxies.iter().any(|proxy| proxy.refused.is_some());
    Ok(if is_bad || !told.away.is_empty() {
        Answer::Bad
    } else {
        Answer::Fine
    })
}

pub(super) fn recovered(told: &Recovered, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    terminal.line(head(&told.status))?;
    let line = Line::new().good("recovered").plain("  epoch ");
    let line = line.strong(told.epoch);
    terminal.line(line.plain(": every proxy follows this store from here on"))?;
    for ahead in &told.ahead {
        let line = Line::new().plain("  ").strong(&ahead.name);
        terminal.line(line.plain(format_args!("  held {}", ahead.generation)))?;
    }
    terminal.gap()?;
    terminal.line("Next  leno proxies · leno history · leno certs list")?;
    Ok(Answer::Fine)
}

pub(super) fn token_made(told: &TokenMade, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    terminal.line(head(&told.status))?;
    let line = Line::new().good("token ").strong(&told.token.id);
    let line = line.plain("  for ").strong(&told.token.grants);
    let uses = usize::try_from(told.token.uses).unwrap_or(usize::MAX);
    let until = moment(&told.token.expires, &told.status.now);
    terminal.line(line.plain(format_args!(", {}, until {until}", count(uses, "use"))))?;
    let (whose, command) = match told.token.grants.strip_prefix(PEOPLE) {
        Some(_) => ("On that person's host:", "leno context add NAME"),
        None => ("On the host that is to join:", "leno join"),
    };
    terminal.line(Line::new().dim(format_args!("It is shown this once. {whose}")))?;
    terminal.gap()?;
    terminal.line(format!("{command} {}", told.text))?;
    Ok(Answer::Fine)
}

pub(super) fn tokens(told: &Tokens, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    terminal.line(head(&told.status))?;
    if told.tokens.is_empty() {
        terminal.line("there is no token: leno token create --help")?;
        return address(told, terminal);
    }
    let mut table = Table::new(&["ID", "FOR", "USES LEFT", "UNTIL", "MADE BY"]);
    for token in &told.tokens {
        // Moments in RFC 3339 and in UTC are in the order of their texts.
        let is_over = token.uses == 0 || token.expires < told.status.now;
        let until = moment(&token.expires, &told.status.now);
        table.row([
            Line::new().strong(&token.id),
            token.grants.as_str().into(),
            token.uses.to_string().into(),
            match is_over {
                true => Line::new().dim(format_args!("{until}, good for nothing")),
                false => until.into(),
            },
            token.made_by.as_str().into(),
        ]);
    }
    table.print(terminal)?;
    address(told, terminal)
}

/// What leads to the mesh, for whoever has a token of somebody else.
fn address(told: &Tokens, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    if let Some(mesh) = &told.mesh {
        terminal.gap()?;
        let line = Line::new().dim("By a token of a CI system, a cloud or a cluster  ");
        terminal.line(line.plain(format_args!("leno join {mesh} --oidc-token FILE")))?;
    }
    Ok(Answer::Fine)
}

pub(super) fn forgotten(told: &Forgotten, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    terminal.line(head(&told.status))?;
    if !told.was_there {
        terminal.line(Line::new().bad("✗ ").plain("there is no such token"))?;
        terminal.line(Line::new().dim("Next  ").plain("leno token list"))?;
        return Ok(Answer::Bad);
    }
    terminal.line("the token is good for nothing from here on; who has joined by it stays")?;
    Ok(Answer::Fine)
}

pub(super) fn trust(told: &Trust, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let now = &told.status.now;
    terminal.line(head(&told.status))?;
    let row = |name: &str, value: String| Line::new().dim(name).column(14, 1).plain(value);
    terminal.line(row("trust domain", told.trust_domain.clone()))?;
    for root in &told.roots {
        terminal.line(row("root", told_root(root, now)))?;
    }
    let until = moment(&told.intermediate_ends, now);
    let by = match &told.intermediate_source {
        None => "replaced at half of its life".to_owned(),
        Some(source) => format!("by {source}"),
    };
    terminal.line(row("intermediate", format!("until {until}, {by}")))?;
    if let Some(failing) = &told.failing_ca {
        failing_ca(failing, now, terminal)?;
    }
    let life = lifetime(told.lifetime_seconds);
    terminal.line(row(
        "certificates",
        format!("live {life}, renewed at half of it"),
    ))?;
    if let Some(next) = &told.next_root {
        next_root(next, now, terminal)?;
    }
    let mut table = Table::new(&["ACTS AS", "PROXIES", "UNTIL", "RENEWAL"]);
    for certificate in &told.certificates {
        let until = certificate.ends.as_deref().map(|ends| moment(ends, now));
        table.row([
            Line::new().strong(short(&certificate.identity, &told.status.context)),
            certificate.proxies.to_string().into(),
            until.unwrap_or_else(|| "-".to_owned()).into(),
            match &certificate.failed {
                None => Line::new().good("well"),
                Some(why) => Line::new().bad(format_args!("{} {why}", Code::T007)),
            },
        ]);
    }
    if !table.is_empty() {
        terminal.gap()?;
        table.print(terminal)?;
    }
    let mut table = Table::new(&["REFUSED", "SINCE", "BY", "WHY"]);
    for revoked in &told.revoked {
        table.row([
            Line::new().bad(short(&revoked.identity, &told.status.context)),
            moment(&revoked.at, now).into(),
            revoked.who.as_str().into(),
            revoked.reason.as_str().into(),
        ]);
    }
    if !table.is_empty() {
        terminal.gap()?;
        table.print(terminal)?;
    }
    let is_peer_bad = peers(&told.peers, now, terminal)?;
    if told.failing_ca.is_some() || is_peer_bad {
        return Ok(Answer::Bad);
    }
    let has_failed = |one: &leno_admin::CertificateState| one.failed.is_some();
    Ok(match told.certificates.iter().any(has_failed) {
        true => Answer::Bad,
        false => Answer::Fine,
    })
}

/// The other trust domains whose identities are believed; says whether something is wrong with one.
fn peers(peers: &[PeerState], now: &str, terminal: &mut Terminal) -> anyhow::Result<bool> {
    let mut table = Table::new(&["BELIEVED TOO", "ROOTS", "UNTIL", "TOKENS", "KEYS"]);
    for peer in peers {
        let ends = peer.ends.as_deref().map(|ends| moment(ends, now));
        let got = match &peer.got {
            Some(got) => format!("of {}", moment(got, now)),
            None if peer.roots > 0 || peer.proves_tokens => "as they are written".to_owned(),
            None => "none yet".to_owned(),
        };
        let domain = Line::new();
        table.row([
            match peer.roots > 0 || peer.proves_tokens {
                true => domain.strong(&peer.trust_domain),
                false => domain.bad(&peer.trust_domain),
            },
            peer.roots.to_string().into(),
            ends.unwrap_or_else(|| "-".to_owned()).into(),
            if peer.proves_tokens { "yes" } else { "no" }.into(),
            match &peer.trouble {
                None => Line::new().plain(got),
                Some(trouble) => {
                    let why = format_args!("{} {}", trouble.code, trouble.why);
                    Line::new().plain(got).plain("; ").bad(why)
                }
            },
        ]);
    }
    if !table.is_empty() {
        terminal.gap()?;
        table.print(terminal)?;
    }
    Ok(peers.iter().any(|peer| peer.trouble.is_some()))
}

/// The bundle as it is; in a MeshPeer, if it is to have a name.
pub(super) fn own_bundle(
    told: &OwnBundle,
    name: Option<&Name>,
    terminal: &mut Terminal,
) -> anyhow::Result<Answer> {
    let OwnBundle {
        trust_domain,
        bundle,
        endpoint,
        identity,
        ..
    } = told;
    let Some(name) = name else {
        terminal.text(bundle)?;
        return Ok(Answer::Fine);
    };
    let note = match told.is_served {
        true => "",
        false => "# It is answered there once that mesh has a MeshPeer of its own.\n",
    };
    // JSON of base64, hexadecimal digits and numbers has no quote of this kind.
    terminal.text(&format!(
        "# Lets identities of {trust_domain} be believed by the mesh that this is applied to. The url must be one by which\n\
         # that mesh's control plane reaches the one of {trust_domain}.\n\
         {note}\
         apiVersion: leno.dev/v1alpha1\n\
         kind: MeshPeer\n\
         metadata: {{name: {name}}}\n\
         spec:\n  \
           trustDomain: {trust_domain}\n  \
           endpoint:\n    \
             url: {endpoint}\n    \
             profile: Spiffe\n    \
             spiffeId: {identity}\n  \
           bundle:\n    \
             inline: '{bundle}'"
    ))?;
    Ok(Answer::Fine)
}

/// Why nothing comes from the authority that is to sign.
fn failing_ca(failing: &FailingCa, now: &str, terminal: &mut Terminal) -> anyhow::Result<()> {
    let FailingCa { code, slug, .. } = failing;
    let line = Line::new().bad(format_args!("✗ {code} {slug}"));
    terminal.line(line.plain(format_args!("  {}", failing.source)))?;
    let since = moment(&failing.since, now);
    let detail = |name: &str, value: String| Line::new().dim(name).column(14, 1).plain(value);
    terminal.line(detail(
        "  why",
        format!("{} ({})", failing.why, failing.place),
    ))?;
    terminal.line(detail(
        "  tries",
        format!("{} since {since}", failing.count),
    ))?;
    Ok(())
}

/// `c0ffee.. signs, until 2036-11-17 10:00`.
fn told_root(root: &RootState, now: &str) -> String {
    let until = moment(&root.ends, now);
    let needed = moment(&root.needed_until, now);
    let fingerprint = &root.fingerprint;
    match root.stage {
        RootStage::Active => format!("{fingerprint}  signs, until {until}"),
        RootStage::Leaving => {
            format!("{fingerprint}  leaves at {needed}, when what it signed has ended")
        }
        RootStage::Announced => format!("{fingerprint}  announced, and signs next"),
    }
}

/// What happens next to the roots, and for whom that waits.
fn next_root(next: &NextRoot, now: &str, terminal: &mut Terminal) -> anyhow::Result<()> {
    let at = moment(&next.due, now);
    let (confirmed, holders) = (next.confirmed, next.holders);
    let what = match (next.step, next.silent.is_empty()) {
        (RootStep::Announce, _) => format!("announced at {at}, by itself"),
        (_, true) if next.abroad.is_some() => {
            format!("signs at {at}, when other trust domains have had time to look at it")
        }
        (_, true) => format!("signs at once: {confirmed} of {holders} holders have confirmed it"),
        (_, false) => {
            format!(
                "signs at {at} at the latest: {confirmed} of {holders} holders have confirmed it"
            )
        }
    };
    let name = Line::new().dim("next root").column(14, 1);
    terminal.line(name.plain(what))?;
    silent(&next.silent, "SILENT", now, terminal)
}

fn silent(
    silent: &[SilentHolder],
    title: &'static str,
    now: &str,
    terminal: &mut Terminal,
) -> anyhow::Result<()> {
    let mut table = Table::new(&[title, "ACTS AS", "LAST HEARD OF", "CERTIFICATE UNTIL"]);
    for one in silent.iter().take(MOST_SILENT) {
        let name = match one.name.as_str() {
            "" => "joined, never connected",
            name => name,
        };
        table.row([
            Line::new().doubtful(name),
            one.identity.as_str().into(),
            moment(&one.seen, now).into(),
            moment(&one.ends, now).into(),
        ]);
    }
    if table.is_empty() {
        return Ok(());
    }
    terminal.gap()?;
    table.print(terminal)?;
    if let Some(others @ 1..) = silent.len().checked_sub(MOST_SILENT) {
        terminal.line(format!("and {others} more: leno certs list -o json"))?;
    }
    Ok(())
}

/// How many holders are named, where people read.
const MOST_SILENT: usize = 20;

pub(super) fn readmitting(told: &Readmitting, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let now = &told.status.now;
    terminal.line(head(&told.status))?;
    match &told.until {
        Some(until) => terminal.line(Line::new().good("open").plain(format_args!(
            "  until {}: whose certificate has ended gets another one for it",
            moment(until, now)
        )))?,
        None => terminal.line("closed: whose certificate has ended gets none for it")?,
    }
    for waiting in told.waiting.iter().take(MOST_SILENT) {
        let line = Line::new()
            .plain("  ")
            .strong(short(&waiting.identity, &told.status.context));
        terminal.line(line.plain(format_args!("  asked at {}", moment(&waiting.asked, now))))?;
    }
    if told.waiting.is_empty() {
        terminal.line(Line::new().dim("nobody has asked within a minute"))?;
    }
    terminal.gap()?;
    terminal.line(
        Line::new()
            .dim("Next  ")
            .plain("leno proxies · leno certs list"),
    )?;
    Ok(Answer::Fine)
}

pub(super) fn rotated(told: &Rotated, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let now = &told.status.now;
    terminal.line(head(&told.status))?;
    for root in &told.roots {
        let name = Line::new().dim("root").column(14, 1);
        terminal.line(name.plain(told_root(root, now)))?;
    }
    if !told.done && !told.forced {
        terminal.line(match told.next.step {
            RootStep::Announce => {
                "NOTHING IS CHANGED: it would be announced to every proxy at once"
            }
            RootStep::Activate => "a root is announced already",
        })?;
    }
    if told.forced {
        silent(
            &told.broken,
            if told.done { "BROKEN" } else { "WOULD BREAK" },
            now,
            terminal,
        )?;
        for domain in &told.abroad {
            let name = Line::new().plain("  ").strong(domain).column(22, 2);
            let until =
                "may not have looked since the root was announced, and refuses it until then";
            terminal.line(name.plain(until))?;
        }
        if told.broken.is_empty() && told.abroad.is_empty() {
            terminal.line("nobody breaks: all who have certificates hold it")?;
        } else if !told.broken.is_empty() {
            let until = "Each refuses what the new root signs until it is connected again.";
            terminal.line(Line::new().dim(until))?;
        }
    } else if told.done && !told.next.silent.is_empty() {
        // Nobody had the time to confirm it.
        let (holders, due) = (told.next.holders, moment(&told.next.due, now));
        let name = Line::new().dim("next root").column(14, 1);
        terminal.line(name.plain(format_args!(
            "signs once all {holders} holders have confirmed it, at {due} at the latest"
        )))?;
    } else {
        next_root(&told.next, now, terminal)?;
    }
    terminal.gap()?;
    let next = Line::new().dim("Next  ").plain("leno certs list");
    let is_waiting = !told.forced && !told.done && !told.next.silent.is_empty();
    terminal.line(match is_waiting {
        true => next.plain(" · leno certs rotate --force --dry-run"),
        false => next,
    })?;
    Ok(Answer::Fine)
}

pub(super) fn renewed(told: &Renewed, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let now = &told.status.now;
    let at = |moment_at: &Option<String>| {
        let known = moment_at.as_deref().map(|at| moment(at, now));
        known.unwrap_or_else(|| "a time that is not known".to_owned())
    };
    terminal.line(head(&told.status))?;
    let identity = short(&told.identity, &told.status.context);
    if told.dry_run {
        let would = moment(&told.would_end, now);
        let line = Line::new().strong(identity);
        terminal.line(line.plain(format_args!(
            "  the CA would sign for it, until {would}. NOTHING IS ASKED FOR"
        )))?;
        for proxy in &told.proxies {
            let line = Line::new().plain("  ").strong(&proxy.proxy);
            terminal.line(line.plain(format_args!("  has one until {}", at(&proxy.ended))))?;
        }
        let next = Line::new().dim("Next  ").plain("leno certs renew ");
        terminal.line(next.plain(short(&told.identity, &told.status.context)))?;
        return Ok(Answer::Fine);
    }
    terminal.line(Line::new().strong(identity))?;
    for proxy in &told.proxies {
        terminal.line(match &proxy.failed {
            None => Line::new()
                .good("✓ ")
                .strong(&proxy.proxy)
                .plain(format_args!("  renewed, until {}", at(&proxy.ends))),
            Some(why) => Line::new()
                .bad("✗ ")
                .strong(&proxy.proxy)
                .plain(format_args!("  not renewed: {why}")),
        })?;
        if proxy.failed.is_some() {
            let meanwhile = format!("the certificate until {}", at(&proxy.ended));
            terminal.line(Line::new().dim("    In force  ").plain(meanwhile))?;
        }
    }
    let has_failed = told.proxies.iter().any(|proxy| proxy.failed.is_some());
    Ok(if has_failed {
        Answer::Bad
    } else {
        Answer::Fine
    })
}

pub(super) fn revoked(
    told: &Revoked,
    done: &str,
    nothing: &str,
    terminal: &mut Terminal,
) -> anyhow::Result<Answer> {
    terminal.line(head(&told.status))?;
    let line = Line::new().strong(short(&told.identity, &told.status.context));
    let outcome = if told.changed { done } else { nothing };
    terminal.line(line.plain("  ").plain(outcome))?;
    Ok(Answer::Fine)
}

/// `24 h`, `90 s`.
fn lifetime(seconds: u64) -> String {
    match (seconds % 3600, seconds % 60) {
        (0, _) => format!("{} h", seconds / 3600),
        (_, 0) => format!("{} min", seconds / 60),
        (_, _) => format!("{seconds} s"),
    }
}

fn changes(changes: &[Change], texts: bool, terminal: &mut Terminal) -> anyhow::Result<()> {
    for line in render::change::lines(changes, texts) {
        terminal.line(line)?;
    }
    Ok(())
}
