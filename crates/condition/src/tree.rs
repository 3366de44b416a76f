//! An expression whose types fit, and what it comes to.

use alloc::{borrow::Cow, boxed::Box, sync::Arc, vec::Vec};
use core::cmp::Ordering;
use core::time::Duration;

use leno_model::Pattern;

use crate::Failure;
use crate::claims::{self, Claim};
use crate::facts::{Fact, Facts, Value};

/// Why there is no value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stop {
    Unknown(Fact),
    Failed(Failure),
}

/// Something that is true or false.
#[derive(Debug)]
pub(crate) enum Truth {
    Is(bool),
    Not(Box<Self>),
    /// Of these at least two, all.
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
    If(Box<(Self, Self, Self)>),
    Same(Box<(Self, Self)>),
    Numbers(Relation, Box<(Number, Number)>),
    Texts(Relation, Box<(Text, Text)>),
    Spans(Relation, Box<(Span, Span)>),
    NumberIn(Box<Number>, Vec<Number>),
    TextIn(Text, Vec<Text>),
    Header(Text),
    Claim(Claim),
    HasClaim(Claim),
    HasToken,
    TextInClaim(Text, Claim),
    NumberInClaim(Box<Number>, Claim),
    Starts(Box<(Text, Text)>),
    Ends(Box<(Text, Text)>),
    Contains(Box<(Text, Text)>),
    Matches(Text, Pattern),
}

/// How two values are compared.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Relation {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A whole number.
#[derive(Debug)]
pub(crate) enum Number {
    Is(i64),
    Of(Fact),
    Claim(Claim),
    /// The length of a text, in characters.
    Size(Box<Text>),
    /// The length of a claim that is a text or a list.
    SizeOfClaim(Claim),
    Negative(Box<Self>),
    Both(Operation, Box<(Self, Self)>),
    If(Box<(Truth, Self, Self)>),
}

/// What is done with two numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// A text.
#[derive(Debug)]
pub(crate) enum Text {
    Is(Arc<str>),
    Of(Fact),
    Header(Box<Self>),
    Claim(Claim),
    If(Box<(Truth, Self, Self)>),
}

/// A span of time.
#[derive(Debug)]
pub(crate) enum Span {
    Is(Duration),
    Of(Fact),
    If(Box<(Truth, Self, Self)>),
}

impl Truth {
    pub(crate) fn of(&self, facts: &dyn Facts) -> Result<bool, Stop> {
        Ok(match self {
            Self::Is(value) => *value,
            Self::Not(of) => !of.of(facts)?,
            Self::And(left, right) => return both(left, right, false, facts),
            Self::Or(left, right) => return both(left, right, true, facts),
            Self::If(parts) => {
                let (condition, yes, no) = &**parts;
                return if condition.of(facts)? { yes } else { no }.of(facts);
            }
            Self::Same(pair) => pair.0.of(facts)? == pair.1.of(facts)?,
            Self::Numbers(relation, pair) => relation.holds(&pair.0.of(facts)?, &pair.1.of(facts)?),
            Self::Texts(relation, pair) => relation.holds(&pair.0.of(facts)?, &pair.1.of(facts)?),
            Self::Spans(relation, pair) => relation.holds(&pair.0.of(facts)?, &pair.1.of(facts)?),
            Self::NumberIn(number, list) => {
                let number = number.of(facts)?;
                return any(list, |item| Ok(item.of(facts)? == number));
            }
            Self::TextIn(text, list) => {
                let text = text.of(facts)?;
                return any(list, |item| Ok(item.of(facts)? == text));
            }
            Self::Header(name) => header(&name.of(facts)?, facts)?.is_some(),
            Self::Claim(claim) => return claim.truth(facts),
            Self::HasClaim(claim) => return claim.is_there(facts),
            Self::HasToken => return claims::is_token_there(facts),
            Self::TextInClaim(text, claim) => return claim.lists_text(&text.of(facts)?, facts),
            Self::NumberInClaim(number, claim) => {
                return claim.lists_number(number.of(facts)?, facts);
            }
            Self::Starts(pair) => pair.0.of(facts)?.starts_with(&*pair.1.of(facts)?),
            Self::Ends(pair) => pair.0.of(facts)?.ends_with(&*pair.1.of(facts)?),
            Self::Contains(pair) => pair.0.of(facts)?.contains(&*pair.1.of(facts)?),
            Self::Matches(text, pattern) => pattern.matches(text.of(facts)?.bytes()),
        })
    }
}

/// `&&`, where false decides alone, and `||`, where true does, whatever the other side comes to.
fn both(left: &Truth, right: &Truth, decides: bool, facts: &dyn Facts) -> Result<bool, Stop> {
    let left = left.of(facts);
    if matches!(left, Ok(value) if value == decides) {
        return Ok(decides);
    }
    match (left, right.of(facts)) {
        (_, Ok(right)) if right == decides => Ok(decides),
        (Err(Stop::Unknown(fact)), _) | (_, Err(Stop::Unknown(fact))) => Err(Stop::Unknown(fact)),
        (Err(failed), _) | (_, Err(failed)) => Err(failed),
        (Ok(_), Ok(_)) => Ok(!decides),
    }
}

/// Whether one of the items is it; one without a value counts if none is.
fn any<T>(list: &[T], is: impl Fn(&T) -> Result<bool, Stop>) -> Result<bool, Stop> {
    let mut stopped = Ok(false);
    for item in list {
        match is(item) {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(stop) => stopped = Err(stop),
        }
    }
    stopped
}

impl Relation {
    fn holds<T: Ord>(self, left: &T, right: &T) -> bool {
        let order = left.cmp(right);
        match self {
            Self::Equal => order == Ordering::Equal,
            Self::NotEqual => order != Ordering::Equal,
            Self::Less => order == Ordering::Less,
            Self::LessOrEqual => order != Ordering::Greater,
            Self::Greater => order == Ordering::Greater,
            Self::GreaterOrEqual => order != Ordering::Less,
        }
    }
}

impl Number {
    fn of(&self, facts: &dyn Facts) -> Result<i64, Stop> {
        Ok(match self {
            Self::Is(value) => *value,
            Self::Of(fact) => match facts.value(*fact) {
                Some(Value::Number(value)) => value,
                Some(Value::Text(_) | Value::Span(_)) | None => return Err(Stop::Unknown(*fact)),
            },
            Self::Claim(claim) => return claim.number(facts),
            Self::SizeOfClaim(claim) => return claim.size(facts),
            Self::Size(text) => {
                let characters = text.of(facts)?.chars().count();
                i64::try_from(characters).unwrap_or(i64::MAX)
            }
            Self::Negative(of) => of.of(facts)?.checked_neg().ok_or(OVERFLOW)?,
            Self::Both(operation, pair) => {
                let (left, right) = (pair.0.of(facts)?, pair.1.of(facts)?);
                match operation {
                    Operation::Add => left.checked_add(right),
                    Operation::Subtract => left.checked_sub(right),
                    Operation::Multiply => left.checked_mul(right),
                    Operation::Divide | Operation::Remainder if right == 0 => {
                        return Err(Stop::Failed(Failure::DivisionByZero));
                    }
                    Operation::Divide => left.checked_div(right),
                    Operation::Remainder => left.checked_rem(right),
                }
                .ok_or(OVERFLOW)?
            }
            Self::If(parts) => {
                let (condition, yes, no) = &**parts;
                return if condition.of(facts)? { yes } else { no }.of(facts);
            }
        })
    }
}

const OVERFLOW: Stop = Stop::Failed(Failure::Overflow);

impl Text {
    fn of<'a>(&'a self, facts: &'a dyn Facts) -> Result<Cow<'a, str>, Stop> {
        match self {
            Self::Is(text) => Ok(Cow::Borrowed(text)),
            Self::Of(fact) => match facts.value(*fact) {
                Some(Value::Text(text)) => Ok(text),
                Some(Value::Number(_) | Value::Span(_)) | None => Err(Stop::Unknown(*fact)),
            },
            Self::Header(name) => {
                let value = header(&name.of(facts)?, facts)?;
                value.ok_or(Stop::Failed(Failure::NoSuchHeader))
            }
            Self::Claim(claim) => claim.text(facts),
            Self::If(parts) => {
                let (condition, yes, no) = &**parts;
                if condition.of(facts)? { yes } else { no }.of(facts)
            }
        }
    }
}

fn header<'a>(name: &str, facts: &'a dyn Facts) -> Result<Option<Cow<'a, str>>, Stop> {
    facts.header(name).ok_or(Stop::Unknown(Fact::Headers))
}

impl Span {
    fn of(&self, facts: &dyn Facts) -> Result<Duration, Stop> {
        match self {
            Self::Is(value) => Ok(*value),
            Self::Of(fact) => match facts.value(*fact) {
                Some(Value::Span(value)) => Ok(value),
                Some(Value::Number(_) | Value::Text(_)) | None => Err(Stop::Unknown(*fact)),
            },
            Self::If(parts) => {
                let (condition, yes, no) = &**parts;
                if condition.of(facts)? { yes } else { no }.of(facts)
            }
        }
    }
}
