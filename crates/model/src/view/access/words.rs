//! What a rule speaks of, in short.

use core::fmt;

use super::{
    AccessRule, CallerMatch, ClaimMatch, FieldMatch, FieldValue, IpBlock, RequestMatch, Within,
};
use crate::view::outbound::OutboundRule;
use crate::view::route::{HostMatch, PathMatch};

/// Of whose calls to what, with `#` also of which trust domains: `shop/web or of namespace ops GET /items/* except POST when true`.
impl fmt::Display for AccessRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            origin: _,
            effect: _,
            callers,
            within,
            requests,
            except,
            when,
        } = self;
        any_of(callers, "everyone", f)?;
        f.write_str(" ")?;
        any_of(requests, "everything", f)?;
        if !within.is_empty() {
            f.write_str(" within ")?;
            any_of(within, "", f)?;
        }
        if !except.callers.is_empty() || !except.requests.is_empty() {
            f.write_str(" except ")?;
            any_of(&except.callers, "", f)?;
            if !except.callers.is_empty() && !except.requests.is_empty() {
                f.write_str(" or ")?;
            }
            any_of(&except.requests, "", f)?;
        }
        match when {
            Some(condition) => write!(f, " when {condition}"),
            None => Ok(()),
        }
    }
}

fn any_of<T: fmt::Display>(all: &[T], none: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Some((first, others)) = all.split_first() else {
        return f.write_str(none);
    };
    first.fmt(f)?;
    others.iter().try_for_each(|other| {
        f.write_str(" or ")?;
        other.fmt(f)
    })
}

/// `GET /items/* but not /items/admin/*`.
impl fmt::Display for Within {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { takes, leaves } = self;
        match *takes == RequestMatch::default() {
            true => f.write_str("everything")?,
            false => takes.fmt(f)?,
        }
        if !leaves.is_empty() {
            f.write_str(" but not ")?;
            any_of(leaves, "", f)?;
        }
        Ok(())
    }
}

/// `10.0.0.0/8`.
impl fmt::Display for IpBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address(), self.bits())
    }
}

/// `shop/web in 10.0.0.0/8`; with `#` also of which trust domain.
impl fmt::Display for CallerMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            trust_domain,
            namespace,
            service_account,
            block,
        } = self;
        let in_full = f.alternate();
        let mut words = Words::new(f);
        match (namespace, service_account, trust_domain) {
            (Some(namespace), Some(account), _) => {
                words.word(format_args!("{namespace}/{account}"))?;
            }
            (None, Some(account), _) => words.word(format_args!("service account {account}"))?,
            (Some(namespace), None, _) => words.word(format_args!("of namespace {namespace}"))?,
            (None, None, Some(domain)) => words.word(format_args!("of trust domain {domain}"))?,
            (None, None, None) => {}
        }
        if let Some(domain) = trust_domain
            .as_ref()
            .filter(|_| in_full && namespace.is_some())
        {
            words.word(format_args!("of {domain}"))?;
        }
        if let Some(block) = block {
            words.word(format_args!("in {block}"))?;
        }
        words.or("anyone")
    }
}

/// `GET cart /items/* :8080`.
impl fmt::Display for RequestMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            ports,
            methods,
            hosts,
            paths,
            headers,
            claims,
        } = self;
        let mut words = Words::new(f);
        for method in methods {
            words.word(format_args!("{method}"))?;
        }
        for host in hosts {
            words.word(format_args!("{host}"))?;
        }
        for path in paths {
            match path {
                PathMatch::Exact(path) => words.word(format_args!("{path}"))?,
                PathMatch::Prefix(prefix) => words.word(format_args!("{prefix}/*"))?,
                PathMatch::Regex(pattern) => words.word(format_args!("~{pattern}"))?,
                PathMatch::Template(template) => words.word(format_args!("{template}"))?,
            }
        }
        for header in headers {
            words.word(format_args!("{header}"))?;
        }
        for claim in claims {
            words.word(format_args!("{claim}"))?;
        }
        for port in ports {
            words.word(format_args!(":{port}"))?;
        }
        words.or("anything")
    }
}

/// `api.stripe.com *.amazonaws.com in 10.0.0.0/8 :443`.
impl fmt::Display for OutboundRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            origin: _,
            effect: _,
            hosts,
            blocks,
            ports,
        } = self;
        let mut words = Words::new(f);
        for host in hosts {
            words.word(format_args!("{host}"))?;
        }
        for block in blocks {
            words.word(format_args!("in {block}"))?;
        }
        for port in ports {
            words.word(format_args!(":{port}"))?;
        }
        words.or("every host")
    }
}

/// `cart.shop`, `*.shop.example`, `any host`.
impl fmt::Display for HostMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any host"),
            Self::Exact(name) => f.write_str(name),
            Self::Suffix(suffix) => write!(f, "*{suffix}"),
        }
    }
}

/// `x-role=admin`, `x-role=ad*`, `x-role~ad.*`, `with x-role`.
impl fmt::Display for FieldMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, value } = self;
        field(name, value, f)
    }
}

/// `claim role=admin`, `with claim role`.
impl fmt::Display for ClaimMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, value } = self;
        match value {
            FieldValue::Present => write!(f, "with claim {name}"),
            FieldValue::Exact(_) | FieldValue::Prefix(_) | FieldValue::Regex(_) => {
                f.write_str("claim ")?;
                field(name, value, f)
            }
        }
    }
}

fn field(name: &str, value: &FieldValue, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match value {
        FieldValue::Present => write!(f, "with {name}"),
        FieldValue::Exact(text) => write!(f, "{name}={text}"),
        FieldValue::Prefix(text) => write!(f, "{name}={text}*"),
        FieldValue::Regex(pattern) => write!(f, "{name}~{pattern}"),
    }
}

/// Words with spaces between them.
struct Words<'f, 'g> {
    out: &'f mut fmt::Formatter<'g>,
    any: bool,
}

impl<'f, 'g> Words<'f, 'g> {
    fn new(out: &'f mut fmt::Formatter<'g>) -> Self {
        Self { out, any: false }
    }

    fn word(&mut self, word: fmt::Arguments<'_>) -> fmt::Result {
        if self.any {
            self.out.write_str(" ")?;
        }
        self.any = true;
        self.out.write_fmt(word)
    }

    /// Ends; says `nothing` if there was no word.
    fn or(self, nothing: &str) -> fmt::Result {
        match self.any {
            true => Ok(()),
            false => self.out.write_str(nothing),
        }
    }
}
