//! Calls to hosts outside the mesh. What a connection says of its host counts as far as DNS told the
//! caller the same; only [`Outside::judge`] makes the [`Leave`] that lets it out.

use alloc::{boxed::Box, format, string::String, sync::Arc, vec::Vec};
use core::fmt;
use core::net::{Ipv4Addr, SocketAddr};

use leno_model::view::{Effect, HostMatch, Outbound, OutboundRule, Stance, Unknown, WorkloadId};
use leno_model::{Code, HostName, Origin, SpiffeId};

use crate::matching::host_matches;
use crate::table::Table;
use crate::told::all_lead_inside;

/// What stands before the calls that one workload makes to one address outside the mesh.
#[derive(Clone, Copy, Debug)]
pub struct Outside<'t> {
    caller: &'t WorkloadId,
    identity: &'t SpiffeId,
    outbound: &'t Outbound,
    otherwise: Otherwise<'t>,
    address: SocketAddr,
    blocks: Blocks,
}

/// Which rules about addresses speak of the call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Blocks {
    /// Those whose addresses have this one.
    ByAddress,
    /// Those that let out: it is not known which address it is.
    AllThatAllow,
    /// Those that do not, likewise, as far as a name may lead there.
    AllThatDeny,
    /// None.
    None,
}

/// What would become of a call of which only the name is known.
#[derive(Clone, Debug)]
pub enum Imagined<'t> {
    /// It leaves the mesh, if DNS tells the caller this name.
    Leaves(Leave<'t>),
    /// It does not.
    Stays(Box<NotLetOut>),
    /// It hangs on the address; this is what becomes of it if no rule about addresses speaks of that.
    HangsOnAddress(Result<Leave<'t>, Box<NotLetOut>>),
}

/// What holds for hosts that no rule speaks of.
#[derive(Clone, Copy, Debug)]
struct Otherwise<'t> {
    stance: Stance,
    origin: Option<&'t Origin>,
}

/// What is known of the host that is called.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Host {
    /// The names that the caller was told to have the address.
    pub told: Vec<HostName>,
    /// What the connection says itself.
    pub said: Said,
}

/// What a connection says of its host, in the open: the server name of TLS, the host of a request.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Said {
    /// Nothing.
    #[default]
    Nothing,
    /// This name.
    Name(HostName),
    /// Something that is no name: an address.
    NoName,
}

impl Said {
    /// What `text` says.
    pub fn of(text: &str) -> Self {
        HostName::new(text).map_or(Self::NoName, Self::Name)
    }
}

/// Leave to call an address outside the mesh. Only [`Outside::judge`] makes one.
#[derive(Clone, Debug)]
pub struct Leave<'t> {
    address: SocketAddr,
    caller: &'t WorkloadId,
    host: Host,
    rule: Option<(&'t Arc<OutboundRule>, Option<&'t HostMatch>)>,
    by_name: bool,
}

impl<'t> Leave<'t> {
    /// Where the call may go.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The rule that lets it out, if one had to.
    pub fn rule(&self) -> Option<&'t Arc<OutboundRule>> {
        self.rule.map(|(rule, _)| rule)
    }

    /// The entry of a rule that the host matches.
    pub fn host(&self) -> Option<&'t HostMatch> {
        self.rule.and_then(|(_, host)| host)
    }

    /// Whether it was let out by a name, or for want of one that is denied.
    pub fn is_by_name(&self) -> bool {
        self.by_name
    }

    /// What is kept of the leave while a stream lives.
    pub(crate) fn keep(&self) -> Left {
        Left {
            caller: self.caller.clone(),
            address: self.address,
            host: Some(self.host.clone()),
        }
    }
}

/// A leave that was given: what it was given for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Left {
    pub(crate) caller: WorkloadId,
    address: SocketAddr,
    /// Absent for one of the mesh in front of which no proxy is.
    host: Option<Host>,
}

impl Left {
    /// Leave to call `address` in the mesh in plain.
    pub(crate) fn plain(caller: &WorkloadId, address: SocketAddr) -> Self {
        Self {
            caller: caller.clone(),
            address,
            host: None,
        }
    }
}

/// Why a call may not leave the mesh.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NotLetOut {
    /// Who calls.
    pub caller: SpiffeId,
    /// Where to.
    pub address: SocketAddr,
    /// By which name, if one is known.
    pub host: Option<HostName>,
    /// Why not.
    pub why: WhyNotOut,
}

/// Why a call may not leave the mesh.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum WhyNotOut {
    /// A rule denies it.
    Denied(Arc<OutboundRule>),
    /// A rule covers it that needs a feature this proxy lacks, or that could not be read.
    NotUnderstood(Arc<OutboundRule>),
    /// No rule lets it out, and this says that nothing else goes.
    NoRule(Option<Origin>),
    /// No rule speaks of the caller's calls at all, and the mesh lets nothing unknown pass.
    Unknown(Option<Origin>),
    /// A rule lets the host out that it names, and that host was never told to have the address.
    NotProven(Arc<OutboundRule>),
    /// These have the address, not all of which may be called, and it says none of them.
    NotToldApart(Box<[HostName]>),
}

impl NotLetOut {
    /// What kind of refusal it is.
    pub fn code(&self) -> Code {
        match self.why {
            WhyNotOut::Denied(_) | WhyNotOut::NoRule(_) => Code::R067,
            WhyNotOut::NotUnderstood(_) => Code::R005,
            WhyNotOut::Unknown(_) => Code::R001,
            WhyNotOut::NotProven(_) => Code::R068,
            WhyNotOut::NotToldApart(_) => Code::R069,
        }
    }

    /// Who said so.
    pub fn origin(&self) -> Option<&Origin> {
        match &self.why {
            WhyNotOut::Denied(rule)
            | WhyNotOut::NotUnderstood(rule)
            | WhyNotOut::NotProven(rule) => Some(&rule.origin),
            WhyNotOut::NoRule(origin) | WhyNotOut::Unknown(origin) => origin.as_ref(),
            WhyNotOut::NotToldApart(_) => None,
        }
    }
}

/// In one sentence without its full stop.
impl fmt::Display for NotLetOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            caller,
            address,
            host,
            why,
        } = self;
        let called = Called(host.as_ref(), *address);
        let caller = format!("{}/{}", caller.namespace, caller.service_account);
        match why {
            WhyNotOut::Denied(rule) => {
                write!(
                    f,
                    "{called} is denied to {caller}: {} ({rule})",
                    place(&rule.origin)
                )
            }
            WhyNotOut::NotUnderstood(rule) => write!(
                f,
                "{called}: {} needs a feature that this proxy lacks, or could not be read",
                place(&rule.origin)
            ),
            WhyNotOut::NoRule(_) if host.is_none() => write!(
                f,
                "no outbound rule lets {caller} call {address}, for which it was told no name"
            ),
            WhyNotOut::NoRule(_) => write!(f, "no outbound rule lets {caller} call {called}"),
            WhyNotOut::Unknown(_) => write!(
                f,
                "{address} is not in the mesh, and the mesh lets no unknown destination pass"
            ),
            WhyNotOut::NotProven(_) => write!(
                f,
                "{called} is allowed by name, and DNS never told that this name has the address {}",
                address.ip()
            ),
            WhyNotOut::NotToldApart(names) => {
                write!(
                    f,
                    "{} has several names, not all of which {caller} may call: ",
                    address.ip()
                )?;
                for (place, name) in names.iter().take(MOST_TOLD).enumerate() {
                    write!(f, "{}{name}", if place == 0 { "" } else { ", " })?;
                }
                match names.len().saturating_sub(MOST_TOLD) {
                    0 => {}
                    more => write!(f, " and {more} more")?,
                }
                f.write_str("; the connection says none of them")
            }
        }
    }
}

/// How many names of one address are told.
const MOST_TOLD: usize = 4;

/// `api.stripe.com:443 (192.0.2.1)`, or the address alone.
struct Called<'a>(Option<&'a HostName>, SocketAddr);

impl fmt::Display for Called<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self(Some(host), address) if address.ip().is_unspecified() => {
                write!(f, "{host}:{}", address.port())
            }
            Self(Some(host), address) => write!(f, "{host}:{} ({})", address.port(), address.ip()),
            Self(None, address) => write!(f, "{address}"),
        }
    }
}

/// `AccessPolicy shop/checkout outbound rule 1`.
fn place(origin: &Origin) -> String {
    let number = origin.pointer.strip_prefix("/spec/outbound/rules/");
    let number = number.and_then(|number| number.parse::<u32>().ok());
    match number {
        Some(number) => format!(
            "{} outbound rule {}",
            origin.object,
            number.saturating_add(1)
        ),
        None => format!("{}", origin.object),
    }
}

impl<'t> Outside<'t> {
    /// What stands before the calls of `caller` to `address`; `None` if it is no workload of this proxy.
    pub(crate) fn new(table: &'t Table, caller: &WorkloadId, address: SocketAddr) -> Option<Self> {
        let (caller, workload) = table.view().workloads.get_key_value(caller)?;
        let settings = &table.view().settings;
        let outbound = &*workload.outbound;
        let otherwise = match &outbound.default {
            Some((stance, origin)) => Otherwise {
                stance: *stance,
                origin: Some(origin),
            },
            None => Otherwise {
                stance: match settings.unknown_destinations {
                    Unknown::Pass => Stance::Allow,
                    Unknown::Refuse => Stance::Deny,
                },
                origin: settings.origin_of_unknown(),
            },
        };
        Some(Self {
            caller,
            identity: &workload.identity,
            outbound,
            otherwise,
            address,
            blocks: Blocks::ByAddress,
        })
    }

    /// Who calls.
    pub fn caller(&self) -> &'t WorkloadId {
        self.caller
    }

    /// Where it goes.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it hangs on the host's name. Else nothing needs to be known of the host.
    pub fn hangs_on_name(&self) -> bool {
        let (mut allows, mut denies) = (false, false);
        let mut is_allowed = self.otherwise.stance == Stance::Allow;
        for rule in self.here(&self.outbound.rules) {
            match (is_allow(rule), rule.hosts.is_empty()) {
                (true, true) => is_allowed = true,
                (true, false) => allows = true,
                (false, true) => return false,
                (false, false) => denies = true,
            }
        }
        let mut audits = self.here(&self.outbound.audits);
        denies || allows && !is_allowed || audits.any(|rule| !rule.hosts.is_empty())
    }

    /// Whether a rule lets out the host that the connection names, which was not told to have the address:
    /// whether it does may be asked.
    pub fn wants_proof(&self, host: &Host) -> bool {
        let judged = self.judge(host);
        judged.is_err_and(|not| matches!(not.why, WhyNotOut::NotProven(_)))
    }

    /// Says whether the call may leave.
    pub fn judge(&self, host: &Host) -> Result<Leave<'t>, Box<NotLetOut>> {
        let proven = match &host.said {
            Said::Name(name) => host.told.contains(name),
            Said::Nothing | Said::NoName => false,
        };
        if let Some(rule) = self.of(false).find(|rule| rule.hosts.is_empty()) {
            return Err(self.denied(rule, host.name()));
        }
        self.not_denied(host, proven)?;
        let leave = |rule| Leave {
            address: self.address,
            caller: self.caller,
            host: host.clone(),
            rule,
            by_name: self.hangs_on_name(),
        };
        let is_open = self.otherwise.stance == Stance::Allow;
        match &host.said {
            Said::Name(name) => {
                if let Some(found) = self.allows(name)
                    && (proven || is_open)
                {
                    return Ok(leave(
                        proven
                            .then_some(found)
                            .map(|(rule, host)| (rule, Some(host))),
                    ));
                }
            }
            Said::Nothing => {
                let mut allowed = host.told.iter().map(|name| self.allows(name));
                if let Some(Some((rule, entry))) = allowed.next()
                    && allowed.all(|other| other.is_some())
                {
                    return Ok(leave(Some((rule, Some(entry)))));
                }
            }
            Said::NoName => {}
        }
        if let Some(rule) = self.of(true).find(|rule| rule.hosts.is_empty()) {
            return Ok(leave(Some((rule, None))));
        }
        if is_open {
            return Ok(leave(None));
        }
        let why = match &host.said {
            Said::Name(name) => self
                .allows(name)
                .map(|(rule, _)| WhyNotOut::NotProven(rule.clone())),
            Said::Nothing if host.told.iter().any(|name| self.allows(name).is_some()) => {
                Some(WhyNotOut::NotToldApart(host.told.clone().into()))
            }
            Said::Nothing | Said::NoName => None,
        };
        let by = self.otherwise.origin.cloned();
        let no_rule = || match self.outbound.is_unsaid() {
            true => WhyNotOut::Unknown(by),
            false => WhyNotOut::NoRule(by),
        };
        Err(self.not(host.name(), why.unwrap_or_else(no_rule)))
    }

    /// Says whether the call may go in plain to whoever is declared to be of the mesh at this address: rules
    /// that hold everywhere are asked, and what else is said is about hosts that nobody declares.
    fn judge_plain(&self) -> Result<(), Box<NotLetOut>> {
        let mut denying = self.here(&self.outbound.rules);
        let denying = denying.find(|rule| rule.holds_everywhere());
        denying.map_or(Ok(()), |rule| Err(self.denied(rule, None)))
    }

    /// The rules that only tell what they match, and match the call.
    pub fn audits(&self, host: &Host) -> Vec<&'t Arc<OutboundRule>> {
        let is_meant = |rule: &&Arc<OutboundRule>| {
            rule.hosts.is_empty() || host.names().any(|name| entry(rule, name).is_some())
        };
        self.here(&self.outbound.audits).filter(is_meant).collect()
    }

    /// Whether rules that deny some hosts leave this one out. A name that is not proven is only a claim:
    /// it denies, and hides none of those that were told.
    fn not_denied(&self, host: &Host, proven: bool) -> Result<(), Box<NotLetOut>> {
        let by = |name: &HostName| self.of(false).find(|rule| entry(rule, name).is_some());
        if let Said::Name(name) = &host.said
            && let Some(rule) = by(name)
        {
            return Err(self.denied(rule, Some(name)));
        }
        if proven {
            return Ok(());
        }
        let mut told = host.told.iter();
        let denied = told.find_map(|name| Some((by(name)?, name)));
        let Some((rule, name)) = denied else {
            return Ok(());
        };
        let all = host.told.iter().all(|name| by(name).is_some());
        if all || host.said != Said::Nothing {
            return Err(self.denied(rule, Some(name)));
        }
        let names = host.told.clone().into();
        Err(self.not(None, WhyNotOut::NotToldApart(names)))
    }

    /// The rule that lets a host of this name out, and its entry.
    fn allows(&self, name: &HostName) -> Option<(&'t Arc<OutboundRule>, &'t HostMatch)> {
        self.of(true)
            .find_map(|rule| Some((rule, entry(rule, name)?)))
    }

    /// The rules about this address and port that let out, or those that do not.
    fn of(&self, allow: bool) -> impl Iterator<Item = &'t Arc<OutboundRule>> {
        let rules = self.here(&self.outbound.rules);
        rules.filter(move |rule| is_allow(rule) == allow)
    }

    /// Those of `rules` that are about this address and port.
    fn here(&self, rules: &'t [Arc<OutboundRule>]) -> impl Iterator<Item = &'t Arc<OutboundRule>> {
        let (address, lean) = (self.address, self.blocks);
        rules.iter().filter(move |rule| {
            let OutboundRule { blocks, ports, .. } = &***rule;
            let is_in = |of: Blocks| match of {
                Blocks::ByAddress => blocks.iter().any(|block| block.contains(address.ip())),
                Blocks::AllThatAllow => is_allow(rule),
                Blocks::AllThatDeny => !is_allow(rule) && !blocks.iter().all(all_lead_inside),
                Blocks::None => false,
            };
            (ports.is_empty() || ports.contains(&address.port()))
                && (blocks.is_empty() || is_in(lean))
        })
    }

    fn denied(&self, rule: &Arc<OutboundRule>, name: Option<&HostName>) -> Box<NotLetOut> {
        let why = match rule.effect {
            Effect::Deny => WhyNotOut::Denied(rule.clone()),
            Effect::Allow
            | Effect::AllowAlso
            | Effect::Audit
            | Effect::Ring
            | Effect::NotUnderstood => WhyNotOut::NotUnderstood(rule.clone()),
        };
        self.not(name, why)
    }

    fn not(&self, name: Option<&HostName>, why: WhyNotOut) -> Box<NotLetOut> {
        Box::new(NotLetOut {
            caller: self.identity.clone(),
            address: self.address,
            host: name.cloned(),
            why,
        })
    }
}

impl Host {
    /// The one name by which it is known, if it is one.
    fn name(&self) -> Option<&HostName> {
        match (&self.said, self.told.as_slice()) {
            (Said::Name(name), _) | (Said::Nothing, [name]) => Some(name),
            (Said::Nothing | Said::NoName, _) => None,
        }
    }

    /// Every name that it may have.
    fn names(&self) -> impl Iterator<Item = &HostName> {
        let said = match &self.said {
            Said::Name(name) => Some(name),
            Said::Nothing | Said::NoName => None,
        };
        said.into_iter().chain(&self.told)
    }
}

impl Table {
    /// What stands before the calls of `caller`, a workload of this proxy, to `address`, where that is
    /// outside the mesh.
    pub fn outside(&self, caller: &WorkloadId, address: SocketAddr) -> Option<Outside<'_>> {
        Outside::new(self, caller, address)
    }

    /// Says whether `caller`, a workload of this proxy, may call in plain who is declared to be of the mesh
    /// and has this address. Grows with the rules about its calls, and costs nothing where there are none.
    pub fn lets_call_plain(
        &self,
        caller: &WorkloadId,
        address: SocketAddr,
    ) -> Result<(), Box<NotLetOut>> {
        let outside = self.outside(caller, address);
        outside.map_or(Ok(()), |outside| outside.judge_plain())
    }

    /// What would become of a call of `caller` to a host of this name, whose address is not known; `None` if
    /// the caller is no workload of this proxy.
    pub fn outside_named(
        &self,
        caller: &WorkloadId,
        name: &HostName,
        port: u16,
    ) -> Option<Imagined<'_>> {
        let host = Host {
            told: [name.clone()].into(),
            said: Said::Name(name.clone()),
        };
        self.outside_somewhere(caller, &host, port)
    }

    /// The same of a call to any host of which this is known.
    pub(crate) fn outside_somewhere(
        &self,
        caller: &WorkloadId,
        host: &Host,
        port: u16,
    ) -> Option<Imagined<'_>> {
        let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
        let outside = self.outside(caller, nowhere)?;
        let judged = |blocks| Outside { blocks, ..outside }.judge(host);
        let (best, worst) = (judged(Blocks::AllThatAllow), judged(Blocks::AllThatDeny));
        Some(match (best, worst) {
            (Ok(_), Ok(leave)) => Imagined::Leaves(leave),
            (Err(not), Err(_)) => Imagined::Stays(not),
            (Ok(_), Err(_)) | (Err(_), Ok(_)) => Imagined::HangsOnAddress(judged(Blocks::None)),
        })
    }

    /// Whether rules about the calls of `caller` to hosts outside the mesh ask for their names.
    pub fn asks_names_of(&self, caller: &WorkloadId) -> bool {
        let workload = self.view().workloads.get(caller);
        workload.is_some_and(|workload| workload.outbound.asks_names())
    }

    /// Whether a leave that an earlier table gave would be given again.
    pub(crate) fn still_lets_out(&self, left: &Left) -> Option<Result<(), Box<NotLetOut>>> {
        let Some(host) = &left.host else {
            return Some(self.lets_call_plain(&left.caller, left.address));
        };
        let outside = self.outside(&left.caller, left.address)?;
        Some(outside.judge(host).map(drop))
    }
}

fn is_allow(rule: &OutboundRule) -> bool {
    matches!(rule.effect, Effect::Allow | Effect::AllowAlso)
}

fn entry<'r>(rule: &'r OutboundRule, name: &HostName) -> Option<&'r HostMatch> {
    let mut hosts = rule.hosts.iter();
    hosts.find(|expected| host_matches(expected, name.as_str()))
}
