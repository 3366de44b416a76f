//! Trace context: `traceparent` (W3C Trace Context, level 1), and B3 for those who still send it.

use core::fmt;
use core::num::{NonZeroU64, NonZeroU128};

use crate::octets::hex_digit;
use crate::request::Request;

/// Which trace a request belongs to, and the span it comes from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TraceContext {
    /// The trace.
    pub trace: NonZeroU128,
    /// The span in which the request was sent.
    pub parent: NonZeroU64,
    /// Whether the caller records the trace.
    pub sampled: bool,
}

impl TraceContext {
    /// The name of the header that carries it.
    pub const HEADER: &'static str = "traceparent";

    /// The name of the header with what vendors say of the trace.
    pub const STATE_HEADER: &'static str = "tracestate";

    /// The context of a request: of its `traceparent`, else of its B3 headers. One that is
    /// malformed or there more than once is none.
    pub fn of(request: &Request<'_>) -> Option<Self> {
        // Most requests are in no trace, which one look at each header tells.
        if !request.headers.iter().any(|header| may_tell(header.name)) {
            return None;
        }
        let only = |name| {
            let mut values = request.header(name);
            values.next().filter(|_| values.next().is_none())
        };
        if let Some(context) = only(Self::HEADER).and_then(Self::parse) {
            return Some(context);
        }
        if let Some(context) = only("b3").and_then(Self::parse_b3) {
            return Some(context);
        }
        Some(Self {
            trace: read_trace(only("x-b3-traceid")?)?,
            parent: read_span(only("x-b3-spanid")?)?,
            sampled: only("x-b3-sampled") == Some(b"1") || only("x-b3-flags") == Some(b"1"),
        })
    }

    /// The `tracestate` of a request, as far as it is worth to be kept: `None` if its `traceparent` is
    /// not one, to which alone it could belong. One that stands in several headers is the first of them.
    pub fn state_of<'a>(request: &Request<'a>) -> Option<&'a str> {
        let mut parents = request.header(Self::HEADER);
        parents.next().and_then(Self::parse)?;
        if parents.next().is_some() {
            return None;
        }
        let state = request.header(Self::STATE_HEADER).next();
        let state = state.and_then(|state| str::from_utf8(state).ok());
        //= W3C Trace Context section 3.3.1.5: "Vendors SHOULD propagate at least 512 characters of a
        //= combined header."
        Some(state.filter(|state| state.len() <= 512).unwrap_or_default())
    }

    /// Reads a `traceparent`: `00-<32 digits>-<16 digits>-<2 digits>`. Of a later version, only what
    /// stands where version 00 has it is read.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (version, rest) = value.split_at_checked(2)?;
        let (trace, rest) = rest.strip_prefix(b"-")?.split_at_checked(32)?;
        let (parent, rest) = rest.strip_prefix(b"-")?.split_at_checked(16)?;
        let (flags, rest) = rest.strip_prefix(b"-")?.split_at_checked(2)?;
        //= W3C Trace Context section 3.2.2.1: "Version ff is invalid."
        let ends = match read_hex(version)? {
            0 => rest.is_empty(),
            0xff => false,
            _ => rest.is_empty() || rest.starts_with(b"-"),
        };
        if !ends {
            return None;
        }
        Some(Self {
            trace: read_trace(trace)?,
            parent: read_span(parent)?,
            sampled: read_hex(flags)? & 1 == 1,
        })
    }

    /// Reads a `b3`: `<trace>-<span>`, perhaps with `-<sampled>` and `-<parent span>`.
    fn parse_b3(value: &[u8]) -> Option<Self> {
        let mut parts = value.split(|octet| *octet == b'-');
        Some(Self {
            trace: read_trace(parts.next()?)?,
            parent: read_span(parts.next()?)?,
            sampled: matches!(parts.next(), Some(b"1" | b"d")),
        })
    }

    /// The context of what is sent in the span `span`, which is part of this trace.
    pub fn child(&self, span: NonZeroU64) -> Self {
        Self {
            parent: span,
            ..*self
        }
    }

    /// The value of the header.
    pub fn encode(&self) -> [u8; 55] {
        let Self {
            trace,
            parent,
            sampled,
        } = self;
        let flags: &[u8] = if *sampled { b"-01" } else { b"-00" };
        let octets = (b"00-".iter().copied())
            .chain(digits(trace.get(), 32))
            .chain([b'-'])
            .chain(digits(u128::from(parent.get()), 16))
            .chain(flags.iter().copied());
        let mut value = [0; 55];
        for (free, octet) in value.iter_mut().zip(octets) {
            *free = octet;
        }
        value
    }
}

/// The value of the header.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(str::from_utf8(&self.encode()).unwrap_or_default())
    }
}

/// Whether a header of this name may be one without which there is no context: `traceparent`, `b3` or
/// `x-b3-traceid`.
fn may_tell(name: &str) -> bool {
    matches!(
        (name.len(), name.as_bytes().first()),
        (11, Some(b't' | b'T')) | (2, Some(b'b' | b'B')) | (12, Some(b'x' | b'X'))
    )
}

/// B3 may write a trace in 16 digits.
fn read_trace(digits: &[u8]) -> Option<NonZeroU128> {
    matches!(digits.len(), 16 | 32)
        .then(|| read_hex(digits))
        .flatten()
        .and_then(NonZeroU128::new)
}

fn read_span(digits: &[u8]) -> Option<NonZeroU64> {
    let span = (digits.len() == 16).then(|| read_hex(digits)).flatten()?;
    u64::try_from(span).ok().and_then(NonZeroU64::new)
}

/// At most 32 digits, in lower case.
fn read_hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0u128, |number, digit| {
        let value = hex_digit(*digit).filter(|_| !digit.is_ascii_uppercase())?;
        Some(number << 4 | u128::from(value))
    })
}

fn digits(number: u128, count: u32) -> impl Iterator<Item = u8> {
    (0..count).rev().map(move |place| {
        let nibble = number.unbounded_shr(place.saturating_mul(4)) & 0xf;
        let digit = u32::try_from(nibble)
            .ok()
            .and_then(|nibble| char::from_digit(nibble, 16));
        digit
            .and_then(|digit| u8::try_from(digit).ok())
            .unwrap_or(b'0')
    })
}

#[cfg(test)]
mod tests {
    use leno_model::Dice;

    use super::*;
    use crate::{Fields, HeadReader};

    const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn parse(value: &str) -> Option<String> {
        TraceContext::parse(value.as_bytes()).map(|context| context.to_string())
    }

    #[test]
    fn a_traceparent_reads_and_prints_alike() {
        assert_eq!(parse(TRACEPARENT).as_deref(), Some(TRACEPARENT));
        let unsampled = TRACEPARENT.replace("-01", "-00");
        assert_eq!(parse(&unsampled), Some(unsampled));
    }

    #[test]
    fn unknown_flags_and_later_versions_are_not_passed_on() {
        let read = Some(TRACEPARENT.to_owned());
        assert_eq!(parse(&TRACEPARENT.replace("-01", "-ff")), read);
        assert_eq!(parse(&TRACEPARENT.replace("00-4", "cc-4")), read);
        assert_eq!(
            parse(&format!(
                "{}-what-the-future",
                TRACEPARENT.replace("00-4", "cc-4")
            )),
            read
        );
    }

    #[test]
    fn anything_else_is_no_traceparent() {
        let long = format!("{TRACEPARENT}-");
        for (from, to) in [
            ("00-4", "ff-4"),
            ("00-4", "0-4"),
            ("4bf92f", "4BF92F"),
            ("4bf92f", "4bf92g"),
            ("4bf92f", "bf92f"),
            (
                "4bf92f3577b34da6a3ce929d0e0e4736",
                "00000000000000000000000000000000",
            ),
            ("00f067aa0ba902b7", "0000000000000000"),
            ("-01", ""),
            ("-01", "-1"),
            ("-01", "-0x"),
            ("-00f", "_00f"),
        ] {
            let bad = TRACEPARENT.replace(from, to);
            assert_eq!(parse(&bad), None, "{bad}");
        }
        for bad in [
            "",
            "00",
            "-",
            &long,
            &format!("cc{}x", &TRACEPARENT[2..]),
            &format!(" {TRACEPARENT}"),
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_child_stays_in_its_trace() {
        let parent = TraceContext::parse(TRACEPARENT.as_bytes()).unwrap();
        let child = parent.child(NonZeroU64::new(0xabc).unwrap());
        assert_eq!(
            child.to_string(),
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000abc-01"
        );
    }

    #[test]
    fn a_request_has_one_context_or_none() {
        let of = |headers: &str| {
            let head = format!("GET / HTTP/1.1\r\nHost: cart\r\n{headers}\r\n");
            let mut fields = Fields::new();
            let head = HeadReader::default()
                .request(head.as_bytes(), &mut fields)
                .unwrap()
                .unwrap();
            TraceContext::of(&head.request).map(|context| context.to_string())
        };
        let some = Some(TRACEPARENT.to_owned());
        assert_eq!(of(&format!("TraceParent: {TRACEPARENT}\r\n")), some);
        assert_eq!(
            of(&format!(
                "traceparent: {TRACEPARENT}\r\ntraceparent: {TRACEPARENT}\r\n"
            )),
            None
        );
        assert_eq!(
            of("b3: 4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1-05e3ac9a4f6e3b90\r\n"),
            some
        );
        assert_eq!(
            of("b3: 4bf92f3577b34da6-00f067aa0ba902b7\r\n").as_deref(),
            Some("00-00000000000000004bf92f3577b34da6-00f067aa0ba902b7-00")
        );
        assert_eq!(
            of(
                "X-B3-TraceId: 4bf92f3577b34da6a3ce929d0e0e4736\r\nX-B3-SpanId: 00f067aa0ba902b7\r\nX-B3-Sampled: 1\r\n"
            ),
            some
        );
        assert_eq!(of("b3: 0\r\n"), None);
        assert_eq!(of(""), None);
    }

    #[test]
    fn whatever_is_sent_as_a_context_is_one_or_none() {
        const WORDS: &[&str] = &[
            "00",
            "ff",
            "01",
            "-",
            "--",
            "4bf92f3577b34da6a3ce929d0e0e4736",
            "00f067aa0ba902b7",
            "0",
            "00000000000000000000000000000000",
            "0000000000000000",
            "d",
            "G",
            "\t",
            ",",
            "=",
            "\u{e9}",
        ];
        const NAMES: &[&str] = &[
            "traceparent",
            "tracestate",
            "b3",
            "X-B3-TraceId",
            "x-b3-spanid",
        ];
        let mut dice = Dice::new(11);
        let mut below = |most: usize| usize::try_from(dice.next_u64() % most as u64).unwrap();
        let mut read = 0;
        for _ in 0..20_000 {
            let mut text = "GET / HTTP/1.1\r\nHost: cart\r\n".to_owned();
            for _ in 0..=below(3) {
                let words: Vec<_> = (0..=below(8)).map(|_| WORDS[below(WORDS.len())]).collect();
                let mut value = words.join(if below(2) == 0 { "" } else { "-" });
                if below(2) == 0 {
                    value = TRACEPARENT.to_owned();
                    let place = below(2 * value.len());
                    if place < value.len() {
                        value.replace_range(place..=place, WORDS[below(WORDS.len())]);
                    }
                }
                text += &format!("{}: {value}\r\n", NAMES[below(NAMES.len())]);
            }
            text += "\r\n";
            let mut fields = Fields::new();
            let head = HeadReader::default().request(text.as_bytes(), &mut fields);
            let Ok(Some(head)) = head else { continue };
            let context = TraceContext::of(&head.request);
            // What is sent on is what any other reader would take.
            if let Some(context) = context {
                read += 1;
                assert_eq!(TraceContext::parse(&context.encode()), Some(context));
            }
            if let Some(state) = TraceContext::state_of(&head.request) {
                assert!(context.is_some() && state.len() <= 512);
            }
        }
        assert!(read > 100, "{read}");
    }
}
