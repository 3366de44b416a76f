//! Questions that a control plane asks the proxies that are connected to it, and their answers: the
//! two ends as state machines that know nothing of sockets, nor of what is asked.
//!
//! The proxy holds one call open, [`call::ANSWER`](crate::call::ANSWER), on which the control plane
//! sends [`Posed`] and hears [`Told`]. Many questions may be under way on it; each has a number that
//! is never used twice, so that what comes late for a question that was given up is nobody's.

use alloc::{
    collections::{BTreeSet, VecDeque},
    vec::Vec,
};

use prost::{Message, Oneof};

use crate::carried::Misfit;

/// What the control plane says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Posed {
    /// A question.
    Ask {
        /// Its number, larger than that of any question before.
        number: u64,
        /// What is asked.
        question: Vec<u8>,
    },
    /// Nobody waits for the answer to this question any more.
    Cease {
        /// Its number.
        number: u64,
    },
}

/// What the proxy says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Told {
    /// A line of an answer.
    Line {
        /// The number of its question.
        number: u64,
        /// What it says.
        line: Vec<u8>,
    },
    /// An answer is complete.
    End {
        /// The number of its question.
        number: u64,
    },
}

/// How many questions may be under way between a control plane and one proxy.
pub const MOST_QUESTIONS: usize = 16;

/// The asking end.
#[derive(Debug, Default)]
pub struct Asking {
    next: u64,
    under_way: BTreeSet<u64>,
    to_say: VecDeque<Posed>,
}

/// What the asking end makes of what it is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Heard {
    /// A line of the answer to this question.
    Line(u64, Vec<u8>),
    /// The answer to this question is complete.
    End(u64),
}

impl Asking {
    /// Asks, and gives the question's number; nothing where [`MOST_QUESTIONS`] are under way.
    pub fn ask(&mut self, question: Vec<u8>) -> Option<u64> {
        if self.under_way.len() >= MOST_QUESTIONS {
            return None;
        }
        self.next = self.next.checked_add(1)?;
        let number = self.next;
        self.under_way.insert(number);
        self.to_say.push_back(Posed::Ask { number, question });
        Some(number)
    }

    /// Waits for the answer to this question no longer.
    pub fn cease(&mut self, number: u64) {
        if self.under_way.remove(&number) {
            self.to_say.push_back(Posed::Cease { number });
        }
    }

    /// The next thing to say.
    pub fn poll_posed(&mut self) -> Option<Posed> {
        self.to_say.pop_front()
    }

    /// Takes what the proxy says; nothing if nobody waits for it.
    pub fn handle_told(&mut self, told: Told) -> Option<Heard> {
        match told {
            Told::Line { number, line } => {
                let awaited = self.under_way.contains(&number);
                awaited.then_some(Heard::Line(number, line))
            }
            Told::End { number } => self.under_way.remove(&number).then_some(Heard::End(number)),
        }
    }
}

/// The answering end.
#[derive(Debug, Default)]
pub struct Answering {
    /// The number of the last question.
    last: u64,
    under_way: BTreeSet<u64>,
}

/// What the answering end is to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Order {
    /// Answer this question.
    Answer(u64, Vec<u8>),
    /// Say this: there is no room for one more question, and its answer is complete.
    TurnAway(Told),
    /// Answer this question no further.
    Cease(u64),
}

impl Answering {
    /// Takes what the control plane says; nothing if there is nothing to do about it.
    pub fn handle_posed(&mut self, posed: Posed) -> Result<Option<Order>, Misfit> {
        match posed {
            Posed::Ask { number, .. } if number <= self.last => {
                Err(Misfit::new("question", "its number was used before"))
            }
            Posed::Ask { number, question } => {
                self.last = number;
                if self.under_way.len() >= MOST_QUESTIONS {
                    return Ok(Some(Order::TurnAway(Told::End { number })));
                }
                self.under_way.insert(number);
                Ok(Some(Order::Answer(number, question)))
            }
            Posed::Cease { number } => {
                let ceases = self.under_way.remove(&number);
                Ok(ceases.then_some(Order::Cease(number)))
            }
        }
    }

    /// What to say of a line of an answer, or of its end where there is none; nothing if nobody
    /// waits for it any more.
    pub fn tell(&mut self, number: u64, line: Option<Vec<u8>>) -> Option<Told> {
        match line {
            Some(line) => {
                let awaited = self.under_way.contains(&number);
                awaited.then_some(Told::Line { number, line })
            }
            None => {
                let awaited = self.under_way.remove(&number);
                awaited.then_some(Told::End { number })
            }
        }
    }
}

impl Posed {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let (number, what) = match self {
            Self::Ask { number, question } => (*number, What::Text(question.clone())),
            Self::Cease { number } => (*number, What::Over(true)),
        };
        let what = Some(what);
        QuestionMessage { number, what }.encode_to_vec()
    }

    /// Reads what a control plane sent.
    pub fn decode(bytes: &[u8]) -> Result<Self, Misfit> {
        Ok(match read(bytes)? {
            (number, Some(question)) => Self::Ask { number, question },
            (number, None) => Self::Cease { number },
        })
    }
}

impl Told {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let (number, what) = match self {
            Self::Line { number, line } => (*number, What::Text(line.clone())),
            Self::End { number } => (*number, What::Over(true)),
        };
        let what = Some(what);
        QuestionMessage { number, what }.encode_to_vec()
    }

    /// Reads what a proxy sent.
    pub fn decode(bytes: &[u8]) -> Result<Self, Misfit> {
        Ok(match read(bytes)? {
            (number, Some(line)) => Self::Line { number, line },
            (number, None) => Self::End { number },
        })
    }
}

fn read(bytes: &[u8]) -> Result<(u64, Option<Vec<u8>>), Misfit> {
    let message = QuestionMessage::decode(bytes);
    let message = message.map_err(|error| Misfit::new("question", error))?;
    match message.what {
        Some(What::Text(text)) => Ok((message.number, Some(text))),
        Some(What::Over(true)) => Ok((message.number, None)),
        Some(What::Over(false)) | None => Err(Misfit::missing("question")),
    }
}

/// Both directions have the same shape.
#[derive(Clone, PartialEq, Message)]
struct QuestionMessage {
    #[prost(uint64, tag = "1")]
    number: u64,
    #[prost(oneof = "What", tags = "2, 3")]
    what: Option<What>,
}

#[derive(Clone, PartialEq, Oneof)]
enum What {
    #[prost(bytes = "vec", tag = "2")]
    Text(Vec<u8>),
    #[prost(bool, tag = "3")]
    Over(bool),
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::String, vec};

    use super::*;

    /// Both ends, and what is on its way between them.
    #[derive(Default)]
    struct World {
        asking: Asking,
        answering: Answering,
        to_proxy: VecDeque<Vec<u8>>,
        to_control: VecDeque<Vec<u8>>,
        /// What the proxy was told to do, and what the control plane heard.
        story: Vec<String>,
    }

    impl World {
        /// Does what one word says: `ask NAME`, `cease N`, `line N`, `end N`, and `carry`, which
        /// delivers all that is on its way.
        fn act(&mut self, word: &str) {
            let (verb, rest) = word.split_once(' ').unwrap_or((word, ""));
            let number = || rest.parse::<u64>().unwrap();
            match verb {
                "ask" => {
                    let asked = self.asking.ask(rest.as_bytes().to_vec());
                    if asked.is_none() {
                        self.story.push("no room".into());
                    }
                }
                "cease" => self.asking.cease(number()),
                "line" => self.tell(number(), Some(b"so".to_vec())),
                "end" => self.tell(number(), None),
                _ => self.carry(),
            }
            while let Some(posed) = self.asking.poll_posed() {
                self.to_proxy.push_back(posed.encode());
            }
        }

        fn tell(&mut self, number: u64, line: Option<Vec<u8>>) {
            let told = self.answering.tell(number, line);
            self.to_control.extend(told.map(|told| told.encode()));
        }

        fn carry(&mut self) {
            while let Some(bytes) = self.to_proxy.pop_front() {
                let posed = Posed::decode(&bytes).unwrap();
                let order = self.answering.handle_posed(posed).unwrap();
                self.story.extend(order.map(|order| match order {
                    Order::Answer(number, question) => {
                        format!("{number}? {}", String::from_utf8(question).unwrap())
                    }
                    Order::TurnAway(told) => format!("turned away: {told:?}"),
                    Order::Cease(number) => format!("{number} ceases"),
                }));
            }
            while let Some(bytes) = self.to_control.pop_front() {
                let heard = self.asking.handle_told(Told::decode(&bytes).unwrap());
                self.story.extend(heard.map(|heard| match heard {
                    Heard::Line(number, line) => {
                        format!("{number}: {}", String::from_utf8(line).unwrap())
                    }
                    Heard::End(number) => format!("{number}."),
                }));
            }
        }
    }

    fn check(words: &[&str], expect: &[&str]) {
        let mut world = World::default();
        words.iter().for_each(|word| world.act(word));
        assert_eq!(world.story, expect, "{words:?}");
    }

    #[test]
    fn each_question_gets_its_own_answer_in_whatever_order() {
        check(
            &[
                "ask kept", "ask tap", "carry", "line 2", "line 1", "end 1", "line 2", "carry",
            ],
            &["1? kept", "2? tap", "2: so", "1: so", "1.", "2: so"],
        );
    }

    #[test]
    fn what_comes_late_for_a_question_that_was_given_up_is_nobodys() {
        check(
            &[
                "ask tap", "carry", "line 1", "cease 1", "carry", "line 1", "end 1", "ask tap",
                "carry", "line 2", "carry",
            ],
            &["1? tap", "1 ceases", "2? tap", "2: so"],
        );
        check(
            &["ask tap", "carry", "end 1", "cease 1", "carry"],
            &["1? tap"],
        );
    }

    #[test]
    fn neither_end_lets_the_other_begin_without_end() {
        let asks = vec!["ask a"; MOST_QUESTIONS + 1];
        let mut world = World::default();
        asks.iter().for_each(|word| world.act(word));
        assert_eq!(world.story, ["no room"]);
        world.carry();
        let mut further = |number| {
            let question = Vec::new();
            world
                .answering
                .handle_posed(Posed::Ask { number, question })
        };
        let away = Order::TurnAway(Told::End { number: 99 });
        assert_eq!(further(99), Ok(Some(away)));
        assert!(further(99).is_err(), "a number is used once");
    }

    #[test]
    fn bytes_that_say_nothing_are_refused() {
        for bytes in [&[][..], &[8, 1], &[8, 1, 24, 0], &[255]] {
            assert!(Posed::decode(bytes).is_err(), "{bytes:?}");
            assert!(Told::decode(bytes).is_err(), "{bytes:?}");
        }
    }
}
