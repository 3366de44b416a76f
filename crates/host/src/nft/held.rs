//! The rules that hold, beside those that should: what the kernel tells is compared with what we would
//! tell it.

use std::{
    fmt::{self, Display, Formatter},
    io,
};

use rustix::io::Errno;

use super::{Chain, Rule, Ruleset, Table, encode};
use crate::netlink::{Socket, Writer, attribute, attributes, holds, holds_only};

/// In what the rules that hold differ from those that should.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Difference {
    /// The table changes faster than it can be looked at.
    Unsettled(Table),
    /// The table is not there.
    NoTable(Table),
    /// The table is there and switched off.
    Dormant(Table),
    /// A chain is not there.
    NoChain(&'static str),
    /// A chain is at another place than it should be, or decides otherwise about what no rule decides.
    OtherChain(&'static str),
    /// Somebody has added a chain.
    ChainOfOthers(String),
    /// A chain lacks a rule.
    NoRule(&'static str, Rule),
    /// Somebody has added so many rules to a chain.
    RulesOfOthers(&'static str, usize),
    /// A chain has its rules in another order.
    OtherOrder(&'static str),
}

impl Display for Difference {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsettled(table) => write!(f, "table {table} changes all the time"),
            Self::NoTable(table) => write!(f, "table {table} is missing"),
            Self::Dormant(table) => write!(f, "table {table} is switched off (dormant)"),
            Self::NoChain(chain) => write!(f, "chain {chain} is missing"),
            Self::OtherChain(chain) => write!(f, "chain {chain} is at another hook or priority"),
            Self::ChainOfOthers(chain) => write!(f, "chain {chain} is none of Leno's"),
            Self::NoRule(chain, rule) => write!(f, "chain {chain} lacks \"{rule}\""),
            Self::RulesOfOthers(chain, 1) => write!(f, "chain {chain} has a rule of somebody else"),
            Self::RulesOfOthers(chain, count) => {
                write!(f, "chain {chain} has {count} rules of somebody else")
            }
            Self::OtherOrder(chain) => write!(f, "chain {chain} has its rules in another order"),
        }
    }
}

/// How often it is asked again when somebody changes rules meanwhile.
const ATTEMPTS: usize = 8;

pub(super) fn differences(socket: &Socket, ruleset: &Ruleset) -> io::Result<Vec<Difference>> {
    let mut held = Held::ask(socket, ruleset.table);
    for _ in 1..ATTEMPTS {
        if !matches!(held, Err(Errno::INTR)) {
            break;
        }
        held = Held::ask(socket, ruleset.table);
    }
    Ok(match held {
        Ok(Some(held)) => held.differences(ruleset),
        Ok(None) => vec![Difference::NoTable(ruleset.table)],
        Err(Errno::INTR) => vec![Difference::Unsettled(ruleset.table)],
        Err(errno) => return Err(errno.into()),
    })
}

/// What the kernel holds in a table.
struct Held {
    is_dormant: bool,
    /// The attributes of each chain.
    chains: Vec<Vec<u8>>,
    /// Those of each rule, in their order.
    rules: Vec<Vec<u8>>,
}

impl Held {
    /// `None` if there is no such table.
    fn ask(socket: &Socket, table: Table) -> Result<Option<Self>, Errno> {
        let mut is_dormant = false;
        let asked = each(socket, &encode::ask_table(table), |answer| {
            let flags = attribute(answer, encode::TABLE_FLAGS).and_then(|it| it.try_into().ok());
            let flags = flags.map_or(0, u32::from_be_bytes);
            is_dormant |= flags & encode::TABLE_IS_DORMANT != 0;
        });
        match asked {
            Err(Errno::NOENT) => return Ok(None),
            asked => asked?,
        }
        let mut chains = Vec::new();
        each(socket, &encode::ask_chains(table), |answer| {
            if text(answer, encode::CHAIN_TABLE) == table.name {
                chains.push(answer.to_vec());
            }
        })?;
        let mut rules = Vec::new();
        each(socket, &encode::ask_rules(table), |answer| {
            rules.push(answer.to_vec())
        })?;
        Ok(Some(Self {
            is_dormant,
            chains,
            rules,
        }))
    }

    fn differences(&self, ruleset: &Ruleset) -> Vec<Difference> {
        let mut told = Vec::new();
        if self.is_dormant {
            told.push(Difference::Dormant(ruleset.table));
        }
        for chain in &ruleset.chains {
            self.compare(ruleset.table, chain, &mut told);
        }
        let names = self.chains.iter().map(|it| text(it, encode::CHAIN_NAME));
        let of_others = names.filter(|name| ruleset.chains.iter().all(|it| it.name != *name));
        told.extend(of_others.map(Difference::ChainOfOthers));
        told
    }

    fn compare(&self, table: Table, chain: &Chain, told: &mut Vec<Difference>) {
        let name = chain.name;
        let mut chains = self.chains.iter();
        let Some(held) = chains.find(|it| text(it, encode::CHAIN_NAME) == name) else {
            return told.push(Difference::NoChain(name));
        };
        if !is_there(held, table, chain) {
            told.push(Difference::OtherChain(name));
        }
        let rules = self.rules.iter();
        let mut rules: Vec<_> = rules
            .filter(|it| text(it, encode::RULE_CHAIN) == name)
            .map(Some)
            .collect();
        let mut places = Vec::new();
        for rule in &chain.rules {
            let said = written(|to| encode::put_rule(to, table, name, rule));
            let is_it = |held: &Option<&Vec<u8>>| held.is_some_and(|it| is_rule(it, said.bytes()));
            match rules.iter().position(is_it) {
                Some(place) => {
                    rules[place] = None;
                    places.push(place);
                }
                None => told.push(Difference::NoRule(name, rule.clone())),
            }
        }
        match rules.iter().flatten().count() {
            0 if !places.is_sorted() => told.push(Difference::OtherOrder(name)),
            0 => {}
            count => told.push(Difference::RulesOfOthers(name, count)),
        }
    }
}

/// Whether a chain that is held is at the place that we said. At which devices is not looked at: they come and go by
/// themselves, and their chain knows it.
fn is_there(held: &[u8], table: Table, chain: &Chain) -> bool {
    let place = Chain {
        devices: Vec::new(),
        rules: Vec::new(),
        ..*chain
    };
    let said = written(|to| encode::put_chain(to, table, &place));
    if chain.devices.is_empty() {
        return holds(held, said.bytes());
    }
    let [held, said] =
        [held, said.bytes()].map(|chain| attribute(chain, encode::CHAIN_HOOK).unwrap_or_default());
    holds(held, said)
}

/// Whether a rule that is held does just what we said.
fn is_rule(held: &[u8], said: &[u8]) -> bool {
    let [held, said] = [held, said].map(|rule| {
        let expressions = attribute(rule, encode::RULE_EXPRESSIONS).unwrap_or_default();
        attributes(expressions)
            .filter(|(kind, _)| *kind == encode::LIST_ITEM)
            .map(|(_, expression)| expression)
            .collect::<Vec<_>>()
    });
    held.len() == said.len()
        && held
            .iter()
            .zip(said)
            .all(|(held, said)| holds_only(held, said))
}

fn written(body: impl FnOnce(&mut Writer)) -> Writer {
    let mut to = Writer::default();
    body(&mut to);
    to
}

fn each(socket: &Socket, request: &Writer, mut each: impl FnMut(&[u8])) -> Result<(), Errno> {
    socket.dump(request, |answer| {
        each(answer.body.get(encode::HEADER_LENGTH..).unwrap_or_default());
    })
}

/// The text of an attribute, without the zero byte at its end.
fn text(attributes: &[u8], kind: u16) -> String {
    let value = attribute(attributes, kind).unwrap_or_default();
    let value = value.strip_suffix(&[0]).unwrap_or(value);
    String::from_utf8_lossy(value).into_owned()
}
