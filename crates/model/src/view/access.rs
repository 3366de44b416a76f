//! Access: who may call a workload's port, as the receiving proxy enforces it.

mod external;
mod jwt;
mod words;

use alloc::{sync::Arc, vec::Vec};
use core::net::IpAddr;

use crate::name::{Name, Namespace};
use crate::origin::Origin;
use crate::pattern::Pattern;
use crate::spiffe::TrustDomain;
use crate::view::route::{HostMatch, PathMatch};

pub use external::{AuthProtocol, ExternalAuth, OnFailure};
pub use jwt::{ClaimHeader, IssuerKeys, Jwt, JwtIssuer, KeyPlace, KeySource, TokenPlace};

/// All rules that stand over one port of one workload, gathered from every policy that targets it.
///
/// The verdict, in this order: a deny rule that matches denies; an allow rule that matches allows;
/// where any allow rule exists, nobody else is allowed; else the stance decides. Where it cannot be told
/// whether a rule matches, one that denies does, and one that allows does not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Access {
    /// Whether plain callers are refused before anything else is asked.
    pub mtls: Mtls,
    /// Who said so; absent for the default.
    pub mtls_origin: Option<Origin>,
    /// Whose tokens are believed; `None` where nobody's are.
    pub jwt: Option<Arc<Jwt>>,
    /// Who is asked about requests that the rules let in, in this order; everyone must let them.
    pub external: Vec<Arc<ExternalAuth>>,
    /// The rules that decide, in no order that matters.
    pub rules: Vec<Arc<AccessRule>>,
    /// The rules that only tell what they match.
    pub audits: Vec<Arc<AccessRule>>,
    /// What holds for calls that no rule speaks of.
    pub stance: Stance,
    /// Who said so; absent for the default.
    pub stance_origin: Option<Origin>,
}

impl Access {
    /// A port that everyone may call, proven or not: what holds where nothing is said.
    pub fn open() -> Self {
        Self {
            mtls: Mtls::Permissive,
            mtls_origin: None,
            jwt: None,
            external: Vec::new(),
            rules: Vec::new(),
            audits: Vec::new(),
            stance: Stance::Allow,
            stance_origin: None,
        }
    }
}

/// Whether plain callers are let in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Mtls {
    /// Plain callers are refused ([`crate::Code::R002`]).
    Strict,
    /// Plain callers are let in, without an identity.
    Permissive,
}

/// What holds for calls that no rule speaks of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Stance {
    /// They are allowed.
    Allow,
    /// They are denied ([`crate::Code::R003`]).
    Deny,
}

/// One rule of an `AccessPolicy`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccessRule {
    /// The rule in the object: `AccessPolicy shop/payments /spec/rules/0`.
    pub origin: Origin,
    /// What follows when it matches.
    pub effect: Effect,
    /// Whose calls: one of these must match. Empty is everyone, proven or not.
    pub callers: Vec<CallerMatch>,
    /// What its policy is about: one of these must match, or the rule says nothing of the call, not
    /// even by being one that allows others. Empty is everything.
    pub within: Vec<Within>,
    /// Which requests: one of these must match. Empty is every request and every byte stream.
    pub requests: Vec<RequestMatch>,
    /// What it does not speak of, although all of the above does.
    pub except: Except,
    /// A CEL expression that must be true too.
    pub when: Option<Arc<str>>,
}

/// Requests that a policy is about.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Within {
    /// These,
    pub takes: RequestMatch,
    /// but none of these, which others take first.
    pub leaves: Vec<RequestMatch>,
}

impl Within {
    /// All that it looks at.
    pub fn requests(&self) -> impl Iterator<Item = &RequestMatch> {
        core::iter::once(&self.takes).chain(&self.leaves)
    }
}

/// What a rule does not speak of: the calls of any of these callers, and any of these requests.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Except {
    /// Nobody's calls that one of these matches.
    pub callers: Vec<CallerMatch>,
    /// No request that one of these matches.
    pub requests: Vec<RequestMatch>,
}

/// What follows when a rule matches.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Effect {
    /// The call is allowed, unless a deny rule matches too.
    Allow,
    /// The same, and nobody else is left out for it.
    AllowAlso,
    /// The call is denied.
    Deny,
    /// It is told that the rule matched, and nothing else.
    Audit,
    /// A feature this proxy lacks: it denies whatever it matches ([`crate::Code::R005`]).
    NotUnderstood,
    /// Somebody would have to be asked about the call by whom, over others, questions come back: it denies
    /// whatever it matches ([`crate::Code::R070`]).
    Ring,
}

/// Whose calls a rule speaks of: all parts that are present must match. An identity, namespace or
/// trust domain is only ever matched by a caller that proved it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CallerMatch {
    /// The trust domain; with `namespace` or `service_account` it is always present.
    pub trust_domain: Option<TrustDomain>,
    /// The namespace.
    pub namespace: Option<Namespace>,
    /// The service account in that namespace.
    pub service_account: Option<Name>,
    /// The address the connection came from.
    pub block: Option<IpBlock>,
}

/// Addresses that share their first bits (CIDR).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct IpBlock {
    address: IpAddr,
    bits: u8,
}

impl IpBlock {
    /// The block of addresses that share their first `bits` with `address`; `None` if there are
    /// not that many. One of IPv4 that is written as IPv6 (`::ffff:10.0.0.0/104`) is that of IPv4, and
    /// there is none that has others beside it.
    pub fn new(address: IpAddr, bits: u8) -> Option<Self> {
        let (address, bits) = match address {
            IpAddr::V6(written) => match written.to_ipv4_mapped() {
                Some(address) => (IpAddr::V4(address), bits.checked_sub(96)?),
                None => (address, bits),
            },
            IpAddr::V4(_) => (address, bits),
        };
        let most = if address.is_ipv4() { 32 } else { 128 };
        (bits <= most).then_some(Self { address, bits })
    }

    /// The block of one address.
    pub fn host(address: IpAddr) -> Self {
        let address = address.to_canonical();
        let bits = if address.is_ipv4() { 32 } else { 128 };
        Self { address, bits }
    }

    /// The block that is written so: `10.0.0.0/8`.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        if bits.starts_with('+') {
            return None;
        }
        Self::new(address.parse().ok()?, bits.parse().ok()?)
    }

    /// The address it was made of.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// How many bits are shared.
    pub fn bits(&self) -> u8 {
        self.bits
    }

    /// The first of its addresses: that which it was made of, without the bits that are not shared.
    pub fn first(&self) -> IpAddr {
        let others = |width: u32| width.saturating_sub(u32::from(self.bits));
        match self.address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(others(32)).unwrap_or(0);
                IpAddr::V4((address.to_bits() & mask).into())
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(others(128)).unwrap_or(0);
                IpAddr::V6((address.to_bits() & mask).into())
            }
        }
    }

    /// Whether `address` is one of them. An IPv4 address written as IPv6 (`::ffff:10.0.0.1`) is
    /// the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let differ = match (self.address, address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                u128::from(ours.to_bits() ^ theirs.to_bits()) << 96
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => ours.to_bits() ^ theirs.to_bits(),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return false,
        };
        differ.leading_zeros() >= u32::from(self.bits)
    }
}

/// Which requests a rule speaks of: all parts that are not empty must match, each by one of its
/// entries. A byte stream has none of these facts: it never matches a part that is not empty.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RequestMatch {
    /// The workload's ports, as it listens on them.
    pub ports: Vec<u16>,
    /// Methods, compared exactly.
    pub methods: Vec<Arc<str>>,
    /// Hosts.
    pub hosts: Vec<HostMatch>,
    /// Paths.
    pub paths: Vec<PathMatch>,
    /// Headers; all of these must match.
    pub headers: Vec<FieldMatch>,
    /// Claims of its token; all of these must match.
    pub claims: Vec<ClaimMatch>,
}

impl RequestMatch {
    /// Whether it looks at what a byte stream has not.
    pub fn reads_requests(&self) -> bool {
        let Self {
            ports: _,
            methods,
            hosts,
            paths,
            headers,
            claims,
        } = self;
        !(methods.is_empty()
            && hosts.is_empty()
            && paths.is_empty()
            && headers.is_empty()
            && claims.is_empty())
    }
}

/// A header that a request must have.
///
/// A header may come more than once, in fields or in the elements of a list, and servers read that
/// differently. So it surely matches only if all its fields do, alone and joined by `, ` (RFC 9110
/// section 5.3), and surely does not only if neither these nor elements of the list do. A field counts
/// whose name differs only by `_` for `-`: some servers cannot tell them apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldMatch {
    /// Its name, in lower case.
    pub name: Arc<str>,
    /// What it must say.
    pub value: FieldValue,
}

/// A claim that the token of a request must make: one that is proven by an issuer whom the policy of the
/// rule itself believes ([`Jwt::issuers_of`]). What others believe of the same port says nothing to it.
///
/// Of a list, one item must match; of `scope` and `scp`, one of the words. Numbers and truths are compared
/// as JSON writes them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClaimMatch {
    /// Its name, or a JSON pointer to it.
    pub name: Arc<str>,
    /// What it must say.
    pub value: FieldValue,
}

/// What a header or a claim must say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FieldValue {
    /// Anything: it is there.
    Present,
    /// This.
    Exact(Arc<str>),
    /// Something that begins so.
    Prefix(Arc<str>),
    /// Something that this pattern matches as a whole.
    Regex(Pattern),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(text: &str) -> IpBlock {
        IpBlock::parse(text).unwrap()
    }

    #[test]
    fn a_block_holds_the_addresses_that_share_its_bits() {
        let holds = |b: &str, a: &str| block(b).contains(a.parse().unwrap());
        assert!(holds("10.0.0.0/8", "10.255.0.1"));
        assert!(!holds("10.0.0.0/8", "11.0.0.1"));
        assert!(holds("10.0.0.0/8", "::ffff:10.0.0.1"));
        assert!(holds("::ffff:10.0.0.0/104", "10.1.2.3"));
        assert!(!holds("::ffff:10.0.0.0/104", "11.0.0.0"));
        assert!(holds("::ffff:0:0/96", "192.0.2.1"));
        assert!(holds("0.0.0.0/0", "1.2.3.4"));
        assert!(!holds("0.0.0.0/0", "::1"));
        assert!(holds("10.0.0.7/32", "10.0.0.7"));
        assert!(!holds("10.0.0.7/32", "10.0.0.6"));
        assert!(holds("fd00::/8", "fdff::1"));
        assert!(!holds("fd00::/8", "fe00::1"));
        assert!(holds("::/0", "::1"));
    }

    #[test]
    fn a_block_begins_with_what_its_addresses_share() {
        let first = |b: &str| block(b).first().to_string();
        assert_eq!(first("10.1.2.3/8"), "10.0.0.0");
        assert_eq!(first("10.255.2.3/9"), "10.128.0.0");
        assert_eq!(first("10.1.2.3/32"), "10.1.2.3");
        assert_eq!(first("10.1.2.3/0"), "0.0.0.0");
        assert_eq!(first("fd00:ff::1/28"), "fd00:f0::");
        assert_eq!(first("fd00::1/0"), "::");
        let host = IpBlock::host("::ffff:10.0.0.7".parse().unwrap());
        assert_eq!(host, block("10.0.0.7/32"));
    }

    #[test]
    fn a_block_has_no_more_bits_than_its_addresses() {
        assert!(IpBlock::new("10.0.0.0".parse().unwrap(), 33).is_none());
        assert!(IpBlock::new("::".parse().unwrap(), 129).is_none());
        for bits in [95, 129] {
            assert!(IpBlock::new("::ffff:10.0.0.0".parse().unwrap(), bits).is_none());
        }
    }
}
