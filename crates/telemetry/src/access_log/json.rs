//! Lines for programs: one JSON object each (RFC 8259), with the names of the table.

use leno_model::Wall;
use leno_model::origin::RouteName;

use super::fields::{Said, fields};
use super::line::{Line, is_plain};
use crate::event::{Consents, Event};
use crate::series::RuleNames;

pub(super) fn write(event: &Event<'_>, line: &mut Line) {
    let mut before = "{\"";
    fields(event, |name, said| {
        begin(line, before, name);
        value(line, said);
        before = ",\"";
    });
    line.add("}\n");
}

pub(super) fn write_dropped(time: Wall, dropped: u64, line: &mut Line) {
    begin(line, "{\"", "time");
    value(line, Said::Time(time));
    begin(line, ",\"", "event");
    value(line, Said::Word("dropped"));
    begin(line, ",\"", "dropped");
    value(line, Said::Number(dropped));
    line.add("}\n");
}

fn begin(line: &mut Line, before: &str, name: &str) {
    line.add(before);
    line.add(name);
    line.add("\":");
}

fn value(line: &mut Line, said: Said<'_>) {
    match said {
        Said::Number(number) => line.number(number),
        Said::Took(took) => {
            line.thousandths(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        }
        Said::Time(time) => quoted(line, |line| line.time(time)),
        Said::Word(word) => quoted(line, |line| line.add(word)),
        Said::Outside(text) => quoted(line, |line| line.outside(text, is_plain, escape)),
        Said::Id(id) => quoted(line, |line| line.ascii(&id.digits())),
        Said::Party(party) => quoted(line, |line| line.party(party)),
        Said::Route(route) => quoted(line, |line| line.show(RouteName(route))),
        Said::Rules(rules) => quoted(line, |line| line.show(RuleNames(rules))),
        Said::Consents(asked) => quoted(line, |line| line.show(Consents(asked))),
        Said::Address(address) => quoted(line, |line| line.address(address)),
        Said::Trace(trace) => quoted(line, |line| line.show(format_args!("{trace:032x}"))),
        Said::Span(span) => quoted(line, |line| line.show(format_args!("{span:016x}"))),
        Said::Headers(headers) => {
            let mut before = "{\"";
            for (name, value) in headers {
                begin(line, before, name);
                quoted(line, |line| line.outside(value, is_plain, escape));
                before = ",\"";
            }
            line.add("}");
        }
    }
}

fn quoted(line: &mut Line, value: impl FnOnce(&mut Line)) {
    line.add("\"");
    value(line);
    line.add("\"");
}

/// As in a string of JSON: `\u001b`, above U+FFFF as a pair.
fn escape(line: &mut Line, letter: char) {
    for unit in letter.encode_utf16(&mut [0; 2]) {
        line.show(format_args!("\\u{unit:04x}"));
    }
}
