//! What a plain scalar means: the core schema (YAML 1.2.2 section 10.3.2).

use super::Meaning;

/// What the text means where it stands plain.
pub(super) fn meaning(text: &str) -> Meaning {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Meaning::Null,
        "true" | "True" | "TRUE" => Meaning::Bool(true),
        "false" | "False" | "FALSE" => Meaning::Bool(false),
        _ => number(text).unwrap_or(Meaning::Plain),
    }
}

fn number(text: &str) -> Option<Meaning> {
    let based = |digits: &str, base: u32| {
        let all = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(base));
        all.then(|| i64::from_str_radix(digits, base).map_or(Meaning::Number, Meaning::Integer))
    };
    if let Some(digits) = text.strip_prefix("0x") {
        return based(digits, 16);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return based(digits, 8);
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(text.parse().map_or(Meaning::Number, Meaning::Integer));
    }
    (is_fraction(unsigned) || is_special(text, unsigned)).then_some(Meaning::Number)
}

/// `( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?`
fn is_fraction(text: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let exponent_fits = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !exponent.is_empty() && digits(exponent)
    });
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    exponent_fits && digits(whole) && digits(part) && !(whole.is_empty() && part.is_empty())
}

fn is_special(text: &str, unsigned: &str) -> bool {
    matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_core_schema_decides_what_plain_text_means() {
        for (text, expect) in [
            ("", Meaning::Null),
            ("~", Meaning::Null),
            ("Null", Meaning::Null),
            ("TRUE", Meaning::Bool(true)),
            ("false", Meaning::Bool(false)),
            ("0", Meaning::Integer(0)),
            ("-17", Meaning::Integer(-17)),
            ("+8", Meaning::Integer(8)),
            ("0080", Meaning::Integer(80)),
            ("0o17", Meaning::Integer(15)),
            ("0xFf", Meaning::Integer(255)),
            ("9223372036854775808", Meaning::Number),
            ("1.10", Meaning::Number),
            (".5", Meaning::Number),
            ("1e3", Meaning::Number),
            ("-1.5E-7", Meaning::Number),
            ("-.inf", Meaning::Number),
            (".NaN", Meaning::Number),
        ] {
            assert_eq!(meaning(text), expect, "{text:?}");
        }
    }

    #[test]
    fn all_else_is_text() {
        for text in [
            "yes", "on", "No", "y", "nULL", "tRUE", "1.2.3", "10.0.0.1", "1_000", "0b1", "0x",
            "-0x1", ".", "-", "+", "e3", "1e", "1e+", "+.nan", "12:30", "10s", "\u{661}",
        ] {
            assert_eq!(meaning(text), Meaning::Plain, "{text:?}");
        }
    }
}
