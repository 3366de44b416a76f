//! Which calls are traced, and where they stand in their trace.
//!
//! A call that comes within a trace keeps to what was decided there. One that comes without begins a
//! trace by its own name, whose bits are random: so both of its proxies decide alike and find each
//! other's spans, also where nothing was sent along.

use core::num::{NonZeroU64, NonZeroU128};

use leno_model::CallId;
use leno_model::view::Tracing;
use leno_protocol::TraceContext;

/// What is decided about a call before anything of it is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Traced {
    /// It is told as a span, and those behind it are told so.
    Yes(Place),
    /// It is told as a span if it fails, of which nobody behind it knows.
    IfItFails(Place),
    /// It is not told.
    No,
}

/// Where what a proxy does of a call stands in a trace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// The trace.
    pub trace: NonZeroU128,
    /// What this proxy does.
    pub span: NonZeroU64,
    /// Within what; none at the root.
    pub parent: Option<NonZeroU64>,
}

impl Place {
    /// What is sent along.
    pub fn context(&self) -> TraceContext {
        TraceContext {
            trace: self.trace,
            parent: self.span,
            sampled: true,
        }
    }
}

/// Which proxy of a call asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// The first that sees it.
    First,
    /// One to which another proxy of the mesh carried it, with its name.
    Second,
}

/// Whether the call `id` is traced, which came within `context`.
pub fn traced(tracing: &Tracing, end: End, id: CallId, context: Option<TraceContext>) -> Traced {
    let Some(own) = NonZeroU128::new(id.number()) else {
        return Traced::No;
    };
    let span = span(id, end);
    if let Some(context) = context.filter(|context| context.sampled) {
        return Traced::Yes(Place {
            trace: context.trace,
            span,
            parent: Some(context.parent),
        });
    }
    let begins = context.is_none() && end == End::First && is_sampled(tracing.sample, id);
    if !begins && !tracing.errors {
        return Traced::No;
    }
    let place = Place {
        trace: context.map_or(own, |context| context.trace),
        span,
        parent: match end {
            End::First => context.map(|context| context.parent),
            // What failed here has failed for the first proxy too, which tells it alike.
            End::Second => Some(self::span(id, End::First)),
        },
    };
    if begins {
        Traced::Yes(place)
    } else {
        Traced::IfItFails(place)
    }
}

/// Whether a call is one of so many in a million, by the 56 bits that W3C Trace Context (level 2) wants
/// to be random.
fn is_sampled(millionths: u32, id: CallId) -> bool {
    const BITS: u32 = 56;
    let random = id.number() & ((1 << BITS) - 1);
    // Without a division: it would cost each call more than the rest of this.
    random * u128::from(Tracing::EVERY) < u128::from(millionths) << BITS
}

/// The span of one end of a call: its name, mixed so that no two ends of any call have the same.
fn span(id: CallId, end: End) -> NonZeroU64 {
    let number = id.number();
    let both = (number ^ (number >> 64)) & u128::from(u64::MAX);
    let seed = u64::try_from(both).unwrap_or_default();
    let seed = seed.wrapping_add(match end {
        End::First => 0x9e37_79b9_7f4a_7c15,
        End::Second => 0x3c6e_f372_fe94_f82a,
    });
    // The finalizer of SplitMix64, which is a bijection.
    let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    NonZeroU64::new(mixed ^ (mixed >> 31)).unwrap_or(NonZeroU64::MIN)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use leno_model::Dice;

    use super::*;

    const ALL: Tracing = Tracing {
        sample: Tracing::EVERY,
        errors: false,
    };
    const NONE: Tracing = Tracing {
        sample: 0,
        errors: false,
    };
    const ERRORS: Tracing = Tracing {
        sample: 0,
        errors: true,
    };

    fn parent(sampled: bool) -> Option<TraceContext> {
        Some(TraceContext {
            trace: NonZeroU128::new(7).unwrap(),
            parent: NonZeroU64::new(9).unwrap(),
            sampled,
        })
    }

    /// `yes`, `no` or `if it fails`; in which trace and under whom.
    fn told(tracing: &Tracing, end: End, context: Option<TraceContext>) -> String {
        let id = CallId::roll(&mut Dice::new(3));
        let (word, place) = match traced(tracing, end, id, context) {
            Traced::No => return "no".to_owned(),
            Traced::Yes(place) => ("yes", place),
            Traced::IfItFails(place) => ("if it fails", place),
        };
        assert_eq!(place.span, span(id, end));
        let trace = if place.trace.get() == id.number() {
            "its own"
        } else {
            "the caller's"
        };
        let under = match place.parent {
            None => "the root",
            Some(parent) if parent == span(id, End::First) => "under the first proxy",
            Some(_) => "under the caller",
        };
        format!("{word}, {trace} trace, {under}")
    }

    #[test]
    fn what_the_caller_decided_is_kept() {
        let check = |tracing, end, context, expect| assert_eq!(told(tracing, end, context), expect);
        let within = "yes, the caller's trace, under the caller";
        check(&NONE, End::First, parent(true), within);
        check(&NONE, End::Second, parent(true), within);
        check(&ALL, End::First, parent(false), "no");
        check(&ALL, End::Second, parent(false), "no");
        // The first proxy began none.
        check(&ALL, End::Second, None, "no");
        check(&ALL, End::First, None, "yes, its own trace, the root");
        check(&NONE, End::First, None, "no");
    }

    #[test]
    fn what_fails_is_told_by_both_proxies_in_one_trace() {
        let check = |end, context, expect| assert_eq!(told(&ERRORS, end, context), expect);
        check(End::First, None, "if it fails, its own trace, the root");
        check(
            End::Second,
            None,
            "if it fails, its own trace, under the first proxy",
        );
        check(
            End::First,
            parent(false),
            "if it fails, the caller's trace, under the caller",
        );
        check(
            End::Second,
            parent(false),
            "if it fails, the caller's trace, under the first proxy",
        );
    }

    #[test]
    fn so_many_of_a_million_begin_a_trace() {
        let mut dice = Dice::new(5);
        let ids: Vec<_> = (0..200_000).map(|_| CallId::roll(&mut dice)).collect();
        for millionths in [0, 1_000, 10_000, 500_000, Tracing::EVERY] {
            let count = ids.iter().filter(|id| is_sampled(millionths, **id)).count();
            let expect = ids.len() * millionths as usize / 1_000_000;
            assert!(count.abs_diff(expect) <= 300, "{millionths}: {count}");
        }
        assert!(ids.iter().all(|id| is_sampled(Tracing::EVERY, *id)));
        let spans: BTreeSet<_> = ids
            .iter()
            .flat_map(|id| [span(*id, End::First), span(*id, End::Second)])
            .collect();
        assert_eq!(spans.len(), 2 * ids.len());
    }
}
