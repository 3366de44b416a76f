//! A conversation as it is written: who sends what, and what must come at the others.
//!
//! It begins with `# ` and its title. Each step is a line (`client sends`), and what is sent or comes
//! stands below it, indented: with the escapes of Rust, and no line ends of its own.

use std::fmt::Write as _;

use crate::escapes::unescaped;
use crate::stage::{Stage, Who};

/// One conversation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Conversation {
    /// What it is about.
    pub title: String,
    steps: Vec<Step>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Step {
    who: Who,
    does: Does,
    /// The lines below it.
    lines: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Does {
    /// Sends the bytes of its lines, in one segment if they fit into one.
    Sends,
    /// Has got this, and nothing else, since it was asked last.
    Gets,
    /// Says that it sends nothing more.
    Ends,
    /// Closes its connection.
    Closes,
    /// Breaks its connection off.
    BreaksOff,
}

const DEEDS: [(&str, Does); 5] = [
    ("sends", Does::Sends),
    ("gets", Does::Gets),
    ("ends", Does::Ends),
    ("closes", Does::Closes),
    ("breaks off", Does::BreaksOff),
];

/// The conversations of a file.
///
/// # Panics
///
/// If a line is none of the form.
pub fn read(text: &str) -> Vec<Conversation> {
    let mut read = Vec::<Conversation>::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(title) = line.strip_prefix("# ") {
            read.push(Conversation {
                title: title.to_owned(),
                steps: Vec::new(),
            });
            continue;
        }
        let steps = &mut read.last_mut().expect("a title comes first").steps;
        match line.strip_prefix("    ") {
            Some(line) => {
                let step = steps.last_mut().expect("a step comes first");
                step.lines.push(line.to_owned());
            }
            None => steps.push(step(line).unwrap_or_else(|| panic!("no step: {line}"))),
        }
    }
    read
}

fn step(line: &str) -> Option<Step> {
    let (who, does) = line.split_once(' ')?;
    let who = Who::ALL.into_iter().find(|known| known.name() == who)?;
    let (_, does) = DEEDS.into_iter().find(|(word, _)| *word == does)?;
    Some(Step {
        who,
        does,
        lines: Vec::new(),
    })
}

/// Conversations as a file.
pub fn written(conversations: &[Conversation]) -> String {
    let mut text = String::new();
    for Conversation { title, steps } in conversations {
        writeln!(text, "# {title}").expect("a string takes any text");
        for Step { who, does, lines } in steps {
            let (word, _) = DEEDS.iter().find(|(_, known)| known == does).expect("all");
            writeln!(text, "{} {word}", who.name()).expect("a string takes any text");
            for line in lines {
                writeln!(text, "    {line}").expect("a string takes any text");
            }
        }
        text.push('\n');
    }
    text
}

/// Plays a conversation, and says how it went: the same one, with what really came. To record it, what
/// was expected counts for nothing.
pub fn play(conversation: &Conversation, stage: &mut Stage, record: bool) -> Conversation {
    stage.clear();
    let mut steps = Vec::new();
    for Step { who, does, lines } in conversation.steps.clone() {
        let mut step = Step { who, does, lines };
        match does {
            Does::Sends => stage.send(who, &unescaped(&step.lines.concat())),
            Does::Gets => step.lines = stage.gets(who, (!record).then_some(&step.lines)),
            Does::Ends => stage.end(who),
            Does::Closes => stage.close(who),
            Does::BreaksOff => stage.break_off(who),
        }
        steps.push(step);
    }
    for who in Who::ALL {
        let lines = stage.left(who);
        if !lines.is_empty() {
            let does = Does::Gets;
            steps.push(Step { who, does, lines });
        }
    }
    Conversation {
        title: conversation.title.clone(),
        steps,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_and_written_as_it_was() {
        let text = "# one\nclient sends\n    GET / HTTP/1.1\\r\\n\nserver breaks off\n\n# two\nvictim gets\n    (nothing)\n\n";
        let read = read(text);
        assert_eq!((read.len(), written(&read)), (2, text.to_owned()));
    }
}
