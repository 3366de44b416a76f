//! From text to a tree whose types fit. What does not fit is told with its place, and with what was
//! probably meant.

use alloc::{
    borrow::ToOwned, boxed::Box, format, string::String, string::ToString as _, vec, vec::Vec,
};
use core::time::Duration;

use cel::common::ast::{
    CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SelectExpr, SourceInfo, operators,
};
use cel::parser::{ParseErrors, Parser};
use leno_model::{Pattern, near};

use crate::claims::{Claim, NamedClaim};
use crate::facts::{Fact, Kind};
use crate::tree::{Number, Operation, Relation, Span, Text, Truth};
use crate::{Condition, Flaw, Reads};

/// Reads an expression that is true or false, and says what it reads.
pub(crate) fn read(text: &str) -> Result<(Truth, Reads), Flaw> {
    let whole = |message: String| Flaw {
        at: (0, text.chars().count()),
        message,
        suggestion: None,
    };
    if text.len() > Condition::MOST_BYTES {
        let (length, most) = (text.len(), Condition::MOST_BYTES);
        return Err(whole(format!(
            "its {length} bytes are too many: {most} are read"
        )));
    }
    if depth(text) > DEEPEST {
        return Err(whole(format!("it is nested deeper than {DEEPEST} levels")));
    }
    let parser = Parser::new();
    let (root, places) = parser
        .parse_with_source_info(text)
        .map_err(|errors| syntax(&errors, text))?;
    let mut reader = Reader {
        places: &places,
        parts: 0,
        reads: Reads::default(),
    };
    let part = reader.part(&root)?.like(Some(Kind::Truth));
    let Part::Truth(truth) = part else {
        let is = part.described();
        return Err(whole(format!("it is {is}, and should be true or false")));
    };
    Ok((truth, reader.reads))
}

/// How deep brackets and `? :` may be nested. The parser recurses for each, over several frames, and
/// has no bound of its own that holds in every thread.
const DEEPEST: usize = 12;

/// At least how deep it is: brackets in strings count too.
fn depth(text: &str) -> usize {
    let (mut open, mut deepest, mut choices) = (0usize, 0usize, 0usize);
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' => open = open.saturating_add(1),
            b')' | b']' | b'}' => open = open.saturating_sub(1),
            b'?' => choices = choices.saturating_add(1),
            _ => {}
        }
        deepest = deepest.max(open);
    }
    deepest.saturating_add(choices)
}

/// The first thing that is no CEL.
fn syntax(errors: &ParseErrors, text: &str) -> Flaw {
    let first = errors.errors.iter().find(|error| error.pos.0 > 0);
    let message = first.map_or("it cannot be read", |error| error.msg.as_str());
    let message = message.strip_prefix("Syntax error: ").unwrap_or(message);
    // What would have fitted is a list of tokens that helps nobody.
    let (message, _) = message.split_once(" expecting").unwrap_or((message, ""));
    let unknown = message.strip_prefix("token recognition error at: ");
    let message = match unknown {
        Some(token) => format!("this is not CEL: {token}"),
        None if message.contains("<EOF>") => "it ends too early".to_owned(),
        None => format!("this is not CEL: {message}"),
    };
    let place = first.map_or(0, |error| {
        let (line, column) = error.pos;
        let before = usize::try_from(line).unwrap_or(1).saturating_sub(1);
        let lines = text.split_inclusive('\n').take(before);
        let before: usize = lines.map(|line| line.chars().count()).sum();
        before.saturating_add(usize::try_from(column).unwrap_or(0).saturating_sub(1))
    });
    Flaw {
        at: (place.min(text.chars().count().saturating_sub(1)), 1),
        message,
        suggestion: unknown
            .is_some_and(|token| token.starts_with("'="))
            .then(|| "did you mean ==?".to_owned()),
    }
}

/// Something with a type.
enum Part {
    Truth(Truth),
    Number(Number),
    Text(Text),
    Span(Span),
    Numbers(Vec<Number>),
    Texts(Vec<Text>),
    Headers,
    /// What only a token says the type of.
    Claim(Claim),
    /// All claims.
    Claims,
}

impl Part {
    /// A claim as a value of this type.
    fn like(self, kind: Option<Kind>) -> Self {
        match (self, kind) {
            (Self::Claim(claim), Some(Kind::Truth)) => Self::Truth(Truth::Claim(claim)),
            (Self::Claim(claim), Some(Kind::Number)) => Self::Number(Number::Claim(claim)),
            (Self::Claim(claim), Some(Kind::Text)) => Self::Text(Text::Claim(claim)),
            (part, Some(_) | None) => part,
        }
    }

    /// The type of a single value; a claim beside another is taken for a text.
    fn kind(&self) -> Option<Kind> {
        match self {
            Self::Truth(_) => Some(Kind::Truth),
            Self::Number(_) => Some(Kind::Number),
            Self::Text(_) | Self::Claim(_) => Some(Kind::Text),
            Self::Span(_) => Some(Kind::Span),
            Self::Numbers(_) | Self::Texts(_) | Self::Headers | Self::Claims => None,
        }
    }

    /// Two that are compared: a claim as what stands on the other side.
    fn alike(left: Self, right: Self) -> (Self, Self) {
        let left = left.like(right.kind());
        let right = right.like(left.kind());
        (left, right)
    }

    fn described(&self) -> &'static str {
        match self {
            Self::Truth(_) => "a bool",
            Self::Number(_) => "an int",
            Self::Text(_) => "a string",
            Self::Span(_) => "a duration",
            Self::Numbers(_) => "a list of ints",
            Self::Texts(_) => "a list of strings",
            Self::Headers => "a map of headers",
            Self::Claim(_) => "a claim",
            Self::Claims => "a map of claims",
        }
    }

    fn of(fact: Fact) -> Self {
        match fact.value_kind() {
            Some(Kind::Number) => Self::Number(Number::Of(fact)),
            Some(Kind::Text) => Self::Text(Text::Of(fact)),
            Some(Kind::Span) => Self::Span(Span::Of(fact)),
            Some(Kind::Truth) | None if fact == Fact::Claims => Self::Claims,
            Some(Kind::Truth) | None => Self::Headers,
        }
    }
}

struct Reader<'a> {
    places: &'a SourceInfo,
    parts: usize,
    reads: Reads,
}

impl Reader<'_> {
    fn part(&mut self, expr: &IdedExpr) -> Result<Part, Flaw> {
        self.parts = self.parts.saturating_add(1);
        if self.parts > Condition::MOST_PARTS {
            let most = Condition::MOST_PARTS;
            return Err(self.flaw(expr, format!("it has more than {most} parts")));
        }
        if let Some(steps) = self.claim_steps(expr)? {
            return Ok(Part::Claim(self.claim(&steps)));
        }
        match &expr.expr {
            Expr::Ident(_) => self.name(expr),
            Expr::Select(select) => self.select(expr, select),
            Expr::Literal(value) => self.literal(expr, value),
            Expr::List(list) => self.list(expr, &list.elements),
            Expr::Call(call) => self.call(expr, call),
            Expr::Comprehension(_) => {
                let message = "all, exists, map and filter are not read".to_owned();
                Err(self.flaw_with(expr, message, "write: value in [\"one\", \"other\"]"))
            }
            Expr::Map(_) => Err(self.flaw(expr, "maps are not read".to_owned())),
            Expr::Struct(_) => Err(self.flaw(expr, "messages are not read".to_owned())),
            Expr::Unspecified => Err(self.flaw(expr, "nothing stands here".to_owned())),
        }
    }

    /// A fact, by its name.
    fn name(&mut self, expr: &IdedExpr) -> Result<Part, Flaw> {
        let name = dotted(expr).unwrap_or_default();
        if let Some(fact) = Fact::named(&name) {
            self.reads.facts.insert(fact);
            return Ok(Part::of(fact));
        }
        let named = NamedClaim::ALL.iter().map(|claim| claim.name);
        let names = || Fact::all().map(Fact::name).chain(named.clone());
        let below = names().filter(|fact| {
            let rest = fact.strip_prefix(&*name);
            rest.is_some_and(|rest| rest.starts_with('.'))
        });
        let below = below.collect::<Vec<_>>();
        let mut flaw = self.flaw(expr, format!("nothing is called {name}"));
        flaw.suggestion = if below.is_empty() {
            let of_token = name.starts_with("jwt.");
            let of_token = of_token.then(|| "claims are read as jwt.claims.name".to_owned());
            near::did_you_mean(&name, names()).or(of_token)
        } else {
            Some(format!("there is {}", below.join(", ")))
        };
        Err(flaw)
    }

    /// The steps to a claim, if that is what stands here.
    fn claim_steps(&self, expr: &IdedExpr) -> Result<Option<Vec<String>>, Flaw> {
        if let Expr::Select(select) = &expr.expr
            && !select.test
        {
            return self.claim_below(&select.operand, select.field.clone());
        }
        let Expr::Call(call) = &expr.expr else {
            return Ok(None);
        };
        let ([of, step], operators::INDEX) = (&*call.args, &*call.func_name) else {
            return Ok(None);
        };
        match written_out(step) {
            Some(step) => self.claim_below(of, step.to_owned()),
            None if self.is_of_claims(of)? => Err(self.not_written_out(step)),
            None => Ok(None),
        }
    }

    /// The steps to the claim that is called so below something.
    fn claim_below(&self, of: &IdedExpr, step: String) -> Result<Option<Vec<String>>, Flaw> {
        let above = dotted(of);
        if above.as_deref() == Some(Fact::Claims.name()) {
            return Ok(Some(vec![step]));
        }
        let named = above.and_then(|above| NamedClaim::named(&format!("{above}.{step}")));
        if let Some(named) = named {
            return Ok(Some(vec![named.claim.to_owned()]));
        }
        let steps = self.claim_steps(of)?;
        Ok(steps.map(|mut steps| {
            steps.push(step);
            steps
        }))
    }

    fn is_of_claims(&self, expr: &IdedExpr) -> Result<bool, Flaw> {
        let is_all = dotted(expr).as_deref() == Some(Fact::Claims.name());
        Ok(is_all || self.claim_steps(expr)?.is_some())
    }

    fn not_written_out(&self, step: &IdedExpr) -> Flaw {
        let message = "the name of a claim is written out, so that it is known what is read";
        self.flaw_with(step, message.to_owned(), "write: jwt.claims[\"name\"]")
    }

    fn claim(&mut self, steps: &[String]) -> Claim {
        let claim = Claim::at(steps);
        self.reads.facts.insert(Fact::Claims);
        self.reads.claims.insert(claim.0.clone());
        claim
    }

    /// `has(..)` of a claim, or of all of them: whether there is a token that makes any.
    fn has_claim(&mut self, select: &SelectExpr) -> Result<Option<Truth>, Flaw> {
        let above = dotted(&select.operand).unwrap_or_default();
        if format!("{above}.{}", select.field) == Fact::Claims.name() {
            self.reads.facts.insert(Fact::Claims);
            return Ok(Some(Truth::HasToken));
        }
        let steps = self.claim_below(&select.operand, select.field.clone())?;
        Ok(steps.map(|steps| Truth::HasClaim(self.claim(&steps))))
    }

    /// A fact, a header as a field, or `has(..)` of a header or a claim.
    fn select(&mut self, expr: &IdedExpr, select: &SelectExpr) -> Result<Part, Flaw> {
        if select.test
            && let Some(has) = self.has_claim(select)?
        {
            return Ok(Part::Truth(has));
        }
        let of_headers = dotted(&select.operand).as_deref() == Some(Fact::Headers.name());
        if !of_headers && select.test {
            let message =
                "only of a header or a claim it can be asked whether it is there".to_owned();
            let instead = "write: has(request.headers.name) or has(jwt.claims.name)";
            return Err(self.flaw_with(expr, message, instead));
        }
        if !of_headers {
            return self.name(expr);
        }
        let name = self.header_name(expr, &select.field)?;
        Ok(if select.test {
            Part::Truth(Truth::Header(name))
        } else {
            Part::Text(Text::Header(Box::new(name)))
        })
    }

    /// The name of a header, which is looked up in lower case.
    fn header_name(&mut self, expr: &IdedExpr, name: &str) -> Result<Text, Flaw> {
        let lower = name.to_ascii_lowercase();
        if lower != name {
            let message = format!("names of headers are in lower case here, and {name} is not");
            return Err(self.flaw_with(expr, message, &format!("did you mean {lower}?")));
        }
        self.reads.facts.insert(Fact::Headers);
        self.reads.headers.insert(name.into());
        Ok(Text::Is(name.into()))
    }

    fn literal(&self, expr: &IdedExpr, value: &LiteralValue) -> Result<Part, Flaw> {
        let refused = |what: &str, instead: &str| {
            Err(self.flaw_with(expr, format!("{what} are not read"), instead))
        };
        match value {
            LiteralValue::Boolean(value) => Ok(Part::Truth(Truth::Is(*value.inner()))),
            LiteralValue::Int(value) => Ok(Part::Number(Number::Is(*value.inner()))),
            LiteralValue::String(value) => Ok(Part::Text(Text::Is(value.inner().into()))),
            LiteralValue::Double(_) => refused("fractions", "write a whole number"),
            LiteralValue::UInt(_) => refused("unsigned numbers", "write it without u"),
            LiteralValue::Bytes(_) => refused("bytes", "write a string"),
            LiteralValue::Null => refused("nulls", "what there is nothing of is \"\" or 0"),
        }
    }

    fn list(&mut self, expr: &IdedExpr, items: &[IdedExpr]) -> Result<Part, Flaw> {
        let Some((first, rest)) = items.split_first() else {
            return Err(self.flaw(expr, "nothing is in an empty list".to_owned()));
        };
        match self.part(first)? {
            Part::Number(number) => {
                let mut numbers = vec![number];
                for item in rest {
                    numbers.push(self.number(item)?);
                }
                Ok(Part::Numbers(numbers))
            }
            part @ (Part::Text(_) | Part::Claim(_)) => {
                let mut texts = vec![self.as_text(first, part)?];
                for item in rest {
                    texts.push(self.text(item)?);
                }
                Ok(Part::Texts(texts))
            }
            other @ (Part::Truth(_)
            | Part::Span(_)
            | Part::Numbers(_)
            | Part::Texts(_)
            | Part::Headers
            | Part::Claims) => {
                let message = format!(
                    "a list is of strings or ints, and this is {}",
                    other.described()
                );
                Err(self.flaw(first, message))
            }
        }
    }

    fn call(&mut self, expr: &IdedExpr, call: &CallExpr) -> Result<Part, Flaw> {
        let arguments = call.target.as_deref().into_iter().chain(&call.args);
        let arguments = arguments.collect::<Vec<_>>();
        if let (Some(relation), [left, right]) = (relation(&call.func_name), &*arguments) {
            return self
                .comparison(expr, relation, left, right)
                .map(Part::Truth);
        }
        if let (Some(operation), [left, right]) = (operation(&call.func_name), &*arguments) {
            let pair = Box::new((self.number(left)?, self.number(right)?));
            return Ok(Part::Number(Number::Both(operation, pair)));
        }
        Ok(match (call.func_name.as_str(), &*arguments) {
            (operators::LOGICAL_AND, [left, right]) => {
                let left = Box::new(self.truth(left)?);
                Part::Truth(Truth::And(left, Box::new(self.truth(right)?)))
            }
            (operators::LOGICAL_OR, [left, right]) => {
                let left = Box::new(self.truth(left)?);
                Part::Truth(Truth::Or(left, Box::new(self.truth(right)?)))
            }
            (operators::LOGICAL_NOT, [of]) => Part::Truth(Truth::Not(Box::new(self.truth(of)?))),
            (operators::NEGATE, [of]) => Part::Number(Number::Negative(Box::new(self.number(of)?))),
            (operators::CONDITIONAL, [condition, yes, no]) => {
                self.conditional(condition, yes, no)?
            }
            (operators::IN, [item, list]) => Part::Truth(self.contained(item, list)?),
            (operators::INDEX, [of, name]) => {
                let Part::Headers = self.part(of)? else {
                    let message = "only request.headers is looked into by name".to_owned();
                    return Err(self.flaw(expr, message));
                };
                Part::Text(Text::Header(Box::new(self.key(name)?)))
            }
            ("size", [of]) => Part::Number(self.size(of)?),
            ("startsWith", [of, with]) => Part::Truth(Truth::Starts(self.texts(of, with)?)),
            ("endsWith", [of, with]) => Part::Truth(Truth::Ends(self.texts(of, with)?)),
            ("contains", [of, what]) => Part::Truth(Truth::Contains(self.texts(of, what)?)),
            ("matches", [of, pattern]) => {
                let of = self.text(of)?;
                Part::Truth(Truth::Matches(of, self.pattern(pattern)?))
            }
            ("duration", [of]) => Part::Span(self.span_of(of)?),
            (name, _) => return Err(self.no_function(expr, name)),
        })
    }

    fn size(&mut self, of: &IdedExpr) -> Result<Number, Flaw> {
        let part = self.part(of)?;
        if let Part::Claim(claim) = part {
            return Ok(Number::SizeOfClaim(claim));
        }
        Ok(Number::Size(Box::new(self.as_text(of, part)?)))
    }

    fn no_function(&self, expr: &IdedExpr, name: &str) -> Flaw {
        let count = "takes another number of values";
        if FUNCTIONS.contains(&name) {
            return self.flaw(expr, format!("{name} {count}"));
        }
        let mut flaw = self.flaw(expr, format!("there is no function {name}"));
        flaw.suggestion = near::did_you_mean(name, FUNCTIONS.iter().copied());
        flaw
    }

    fn comparison(
        &mut self,
        expr: &IdedExpr,
        relation: Relation,
        left: &IdedExpr,
        right: &IdedExpr,
    ) -> Result<Truth, Flaw> {
        Ok(match Part::alike(self.part(left)?, self.part(right)?) {
            (Part::Number(left), Part::Number(right)) => {
                Truth::Numbers(relation, Box::new((left, right)))
            }
            (Part::Text(left), Part::Text(right)) => {
                Truth::Texts(relation, Box::new((left, right)))
            }
            (Part::Span(left), Part::Span(right)) => {
                Truth::Spans(relation, Box::new((left, right)))
            }
            (Part::Truth(left), Part::Truth(right)) => match relation {
                Relation::Equal => Truth::Same(Box::new((left, right))),
                Relation::NotEqual => Truth::Not(Box::new(Truth::Same(Box::new((left, right))))),
                Relation::Less
                | Relation::LessOrEqual
                | Relation::Greater
                | Relation::GreaterOrEqual => {
                    return Err(self.flaw(expr, "true and false have no order".to_owned()));
                }
            },
            (left, right) => {
                let (left, right) = (left.described(), right.described());
                let message = format!("{left} and {right} cannot be compared");
                let mut flaw = self.flaw(expr, message);
                flaw.suggestion = (left == "a duration" || right == "a duration")
                    .then(|| "a duration is written duration(\"250ms\")".to_owned());
                return Err(flaw);
            }
        })
    }

    fn conditional(
        &mut self,
        condition: &IdedExpr,
        yes: &IdedExpr,
        no: &IdedExpr,
    ) -> Result<Part, Flaw> {
        let condition = self.truth(condition)?;
        let (chosen, other) = Part::alike(self.part(yes)?, self.part(no)?);
        let wanted = chosen.kind();
        Ok(match (chosen, other) {
            (Part::Truth(yes), Part::Truth(no)) => {
                Part::Truth(Truth::If(Box::new((condition, yes, no))))
            }
            (Part::Number(yes), Part::Number(no)) => {
                Part::Number(Number::If(Box::new((condition, yes, no))))
            }
            (Part::Text(yes), Part::Text(no)) => {
                Part::Text(Text::If(Box::new((condition, yes, no))))
            }
            (Part::Span(yes), Part::Span(no)) => {
                Part::Span(Span::If(Box::new((condition, yes, no))))
            }
            (_, other) => {
                let single = "only a single value can be chosen";
                return Err(match wanted {
                    Some(wanted) => self.other(no, &other, wanted),
                    None => self.flaw(yes, single.to_owned()),
                });
            }
        })
    }

    fn contained(&mut self, item: &IdedExpr, list: &IdedExpr) -> Result<Truth, Flaw> {
        match self.part(list)? {
            Part::Numbers(list) => Ok(Truth::NumberIn(Box::new(self.number(item)?), list)),
            Part::Texts(list) => Ok(Truth::TextIn(self.text(item)?, list)),
            Part::Headers => Ok(Truth::Header(self.key(item)?)),
            Part::Claim(claim) => {
                let part = self.part(item)?;
                if let Part::Number(number) = part {
                    return Ok(Truth::NumberInClaim(Box::new(number), claim));
                }
                Ok(Truth::TextInClaim(self.as_text(item, part)?, claim))
            }
            Part::Claims => {
                let name = written_out(item).ok_or_else(|| self.not_written_out(item))?;
                Ok(Truth::HasClaim(self.claim(&[name.to_owned()])))
            }
            other @ (Part::Truth(_) | Part::Number(_) | Part::Text(_) | Part::Span(_)) => {
                let message = format!("nothing is in {}", other.described());
                Err(self.flaw_with(list, message, "write a list: [\"one\", \"other\"]"))
            }
        }
    }

    /// The name of a header that stands in a string.
    fn key(&mut self, name: &IdedExpr) -> Result<Text, Flaw> {
        match self.text(name)? {
            Text::Is(text) => self.header_name(name, &text),
            text @ (Text::Of(_) | Text::Header(_) | Text::Claim(_) | Text::If(_)) => {
                self.reads.any_header = true;
                Ok(text)
            }
        }
    }

    /// A regular expression, which in CEL matches anywhere in the text.
    fn pattern(&self, expr: &IdedExpr) -> Result<Pattern, Flaw> {
        let Expr::Literal(LiteralValue::String(written)) = &expr.expr else {
            let message = "a pattern is written out, so that its cost is known".to_owned();
            return Err(self.flaw(expr, message));
        };
        let bad = |error: leno_model::BadPattern| self.flaw(expr, error.to_string());
        // By itself first: one that closes a group of ours would be read as something else.
        Pattern::new(written.inner()).map_err(bad)?;
        Pattern::new(&format!("(?s:.*)(?:{})(?s:.*)", written.inner())).map_err(bad)
    }

    fn span_of(&self, expr: &IdedExpr) -> Result<Span, Flaw> {
        let Expr::Literal(LiteralValue::String(written)) = &expr.expr else {
            return Err(self.flaw(expr, "a duration is written out".to_owned()));
        };
        let span = duration(written.inner()).map(Span::Is);
        span.ok_or_else(|| {
            let message = format!("{:?} is not a duration", written.inner());
            self.flaw_with(expr, message, "like 250ms, 10s or 1h30m")
        })
    }

    fn truth(&mut self, expr: &IdedExpr) -> Result<Truth, Flaw> {
        let part = self.part(expr)?.like(Some(Kind::Truth));
        let Part::Truth(truth) = part else {
            return Err(self.other(expr, &part, Kind::Truth));
        };
        Ok(truth)
    }

    fn number(&mut self, expr: &IdedExpr) -> Result<Number, Flaw> {
        let part = self.part(expr)?.like(Some(Kind::Number));
        let Part::Number(number) = part else {
            return Err(self.other(expr, &part, Kind::Number));
        };
        Ok(number)
    }

    fn text(&mut self, expr: &IdedExpr) -> Result<Text, Flaw> {
        let part = self.part(expr)?;
        self.as_text(expr, part)
    }

    fn as_text(&self, expr: &IdedExpr, part: Part) -> Result<Text, Flaw> {
        match part.like(Some(Kind::Text)) {
            Part::Text(text) => Ok(text),
            other @ (Part::Truth(_)
            | Part::Number(_)
            | Part::Span(_)
            | Part::Numbers(_)
            | Part::Texts(_)
            | Part::Headers
            | Part::Claim(_)
            | Part::Claims) => Err(self.other(expr, &other, Kind::Text)),
        }
    }

    fn texts(&mut self, left: &IdedExpr, right: &IdedExpr) -> Result<Box<(Text, Text)>, Flaw> {
        Ok(Box::new((self.text(left)?, self.text(right)?)))
    }

    fn other(&self, expr: &IdedExpr, is: &Part, wanted: Kind) -> Flaw {
        let message = format!(
            "this is {}, and {} is expected",
            is.described(),
            wanted.name()
        );
        self.flaw(expr, message)
    }

    fn flaw_with(&self, expr: &IdedExpr, message: String, suggestion: &str) -> Flaw {
        Flaw {
            suggestion: Some(suggestion.to_owned()),
            ..self.flaw(expr, message)
        }
    }

    fn flaw(&self, expr: &IdedExpr, message: String) -> Flaw {
        let (first, last) = self.place(expr).unwrap_or((0, 0));
        let length = last.saturating_sub(first).saturating_add(1);
        Flaw {
            at: (first, length),
            message,
            suggestion: None,
        }
    }

    /// The first and last character of all that belongs to `expr`.
    fn place(&self, expr: &IdedExpr) -> Option<(usize, usize)> {
        // Of a field the parser keeps the place of its dot.
        let field = if let Expr::Select(select) = &expr.expr {
            Some(&select.field).filter(|_| !select.test)
        } else {
            None
        };
        let behind = field.map_or(0, |field| field.chars().count());
        let own = self.places.offset_for(expr.id).and_then(|(first, last)| {
            let (first, last) = (usize::try_from(first).ok()?, usize::try_from(last).ok()?);
            Some((first, last.saturating_add(behind)))
        });
        let inner: Vec<&IdedExpr> = match &expr.expr {
            Expr::Select(select) => vec![&*select.operand],
            Expr::Call(call) => call
                .target
                .as_deref()
                .into_iter()
                .chain(&call.args)
                .collect(),
            Expr::List(list) => list.elements.iter().collect(),
            Expr::Map(map) => map
                .entries
                .iter()
                .filter_map(|entry| match &entry.expr {
                    EntryExpr::MapEntry(entry) => Some(&entry.value),
                    EntryExpr::StructField(_) => None,
                })
                .collect(),
            Expr::Comprehension(_)
            | Expr::Struct(_)
            | Expr::Ident(_)
            | Expr::Literal(_)
            | Expr::Unspecified => Vec::new(),
        };
        let places = inner
            .into_iter()
            .filter_map(|inner| self.place(inner))
            .chain(own);
        places.reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))
    }
}

/// What can be called.
const FUNCTIONS: &[&str] = &[
    "contains",
    "duration",
    "endsWith",
    "has",
    "matches",
    "size",
    "startsWith",
];

/// A text that stands in the expression itself.
fn written_out(expr: &IdedExpr) -> Option<&str> {
    if let Expr::Literal(LiteralValue::String(text)) = &expr.expr {
        return Some(text.inner());
    }
    None
}

/// `a.b.c`, where names stand between the dots.
fn dotted(expr: &IdedExpr) -> Option<String> {
    if let Expr::Ident(name) = &expr.expr {
        return Some(name.clone());
    }
    let Expr::Select(select) = &expr.expr else {
        return None;
    };
    let operand = dotted(&select.operand).filter(|_| !select.test)?;
    Some(format!("{operand}.{}", select.field))
}

fn relation(function: &str) -> Option<Relation> {
    Some(match function {
        operators::EQUALS => Relation::Equal,
        operators::NOT_EQUALS => Relation::NotEqual,
        operators::LESS => Relation::Less,
        operators::LESS_EQUALS => Relation::LessOrEqual,
        operators::GREATER => Relation::Greater,
        operators::GREATER_EQUALS => Relation::GreaterOrEqual,
        _ => return None,
    })
}

fn operation(function: &str) -> Option<Operation> {
    Some(match function {
        operators::ADD => Operation::Add,
        operators::SUBSTRACT => Operation::Subtract,
        operators::MULTIPLY => Operation::Multiply,
        operators::DIVIDE => Operation::Divide,
        operators::MODULO => Operation::Remainder,
        _ => return None,
    })
}

/// Numbers with their units, as CEL writes them, without signs and fractions.
fn duration(text: &str) -> Option<Duration> {
    const UNITS: [(&str, u64); 6] = [
        ("ns", 1),
        ("us", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("m", 60_000_000_000),
        ("h", 3_600_000_000_000),
    ];
    let (mut rest, mut total) = (text, 0u64);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, behind) = rest.split_at_checked(digits)?;
        let letters = behind.bytes().take_while(u8::is_ascii_lowercase).count();
        let (unit, behind) = behind.split_at_checked(letters)?;
        let (_, unit) = UNITS.iter().find(|(name, _)| *name == unit)?;
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(*unit)?)?;
        rest = behind;
    }
    (!text.is_empty()).then(|| Duration::from_nanos(total))
}
