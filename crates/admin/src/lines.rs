//! An answer as lines, whoever carries them: a question is one line, and so is most of what is
//! answered; what goes on is a line for each thing that it shows.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::sync::mpsc;

use crate::VERSION;
use crate::answer::Answer;
use crate::calls::Tapped;
use crate::failure::{Failure, NotAsked};
use crate::question::Question;

/// What is answered: at once, or for as long as somebody listens.
#[derive(Debug)]
pub enum Reply {
    /// All of it.
    Whole(Box<Answer>),
    /// Each thing as it happens. Whoever sends finds the channel closed when nobody listens any
    /// more, and full when the listener is slow.
    Tap(mpsc::Receiver<Tapped>),
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        Self::Whole(Box::new(answer))
    }
}

/// One line of an answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Told<A> {
    /// All of it.
    Answer(A),
    /// There is none.
    Failure(Failure),
    /// One thing of many.
    Item(A),
    /// There are no more.
    End(()),
}

/// Answers the question in the line `asked`. Each line of the answer comes from the channel, without
/// its end; when that is dropped, no more is answered. Needs a runtime around it.
pub fn answer_in_lines<F, R>(
    asked: &[u8],
    answer: impl FnOnce(Question) -> F,
) -> mpsc::Receiver<Vec<u8>>
where
    F: Future<Output = Result<R, Failure>> + Send + 'static,
    R: Into<Reply>,
{
    let (sender, lines) = mpsc::channel(1);
    match question(asked) {
        Ok(question) => {
            let answer = answer(question);
            tokio::spawn(async move {
                let told = tokio::select! {
                    told = answer => told.map(Into::into),
                    () = sender.closed() => return,
                };
                match told {
                    Ok(Reply::Whole(answer)) => tell(&sender, Told::Answer(answer)).await,
                    Ok(Reply::Tap(items)) => tell_each(&sender, items).await,
                    Err(failure) => tell(&sender, Told::<()>::Failure(failure)).await,
                };
            });
        }
        Err(failure) => {
            // The channel has room for one.
            drop(sender.try_send(line(&Told::<()>::Failure(failure))));
        }
    }
    lines
}

async fn tell_each(sender: &mpsc::Sender<Vec<u8>>, mut items: mpsc::Receiver<Tapped>) -> bool {
    loop {
        let item = tokio::select! {
            item = items.recv() => item,
            () = sender.closed() => return false,
        };
        let Some(item) = item else {
            return tell(sender, Told::<()>::End(())).await;
        };
        if !tell(sender, Told::Item(item)).await {
            return false;
        }
    }
}

/// Whether somebody listens still.
async fn tell<A: Serialize>(sender: &mpsc::Sender<Vec<u8>>, told: Told<A>) -> bool {
    sender.send(line(&told)).await.is_ok()
}

fn line<A: Serialize>(told: &Told<A>) -> Vec<u8> {
    serde_json::to_vec(told).expect("answers are maps of plain values")
}

/// The line that asks a question.
pub fn ask_in_line(question: impl Into<Question>) -> Vec<u8> {
    let asked = Asked {
        version: VERSION,
        question: question.into(),
    };
    serde_json::to_vec(&asked).expect("questions are maps of plain values")
}

/// What a line says that answers at once.
pub fn read_answer<A: DeserializeOwned>(line: &[u8]) -> Result<A, NotAsked> {
    match read(line)? {
        Told::Answer(answer) => Ok(answer),
        Told::Failure(failure) => Err(failure.into()),
        Told::Item(_) | Told::End(()) => Err(NotAsked::Misfit(
            "it goes on, where it should be whole".into(),
        )),
    }
}

/// What a line says of something that goes on; nothing if that was the last.
pub fn read_item<A: DeserializeOwned>(line: &[u8]) -> Result<Option<A>, NotAsked> {
    match read(line)? {
        Told::Item(item) => Ok(Some(item)),
        Told::End(()) => Ok(None),
        Told::Failure(failure) => Err(failure.into()),
        Told::Answer(_) => Err(NotAsked::Misfit(
            "it is whole, where it should go on".into(),
        )),
    }
}

fn read<A: DeserializeOwned>(line: &[u8]) -> Result<Told<A>, NotAsked> {
    serde_json::from_slice(line).map_err(|error| NotAsked::Misfit(error.to_string()))
}

#[derive(Serialize)]
struct Asked {
    version: u32,
    #[serde(flatten)]
    question: Question,
}

#[derive(Deserialize)]
struct Heard {
    version: u32,
    #[serde(flatten)]
    rest: serde_json::Value,
}

fn question(asked: &[u8]) -> Result<Question, Failure> {
    let not_understood =
        |error| Failure::plain(format_args!("the question is not understood: {error}"));
    let Heard { version, rest } = serde_json::from_slice(asked).map_err(not_understood)?;
    if version != VERSION {
        let message = format!(
            "the question is of version {version}, and this process answers {VERSION}: \
             use the same Leno on both ends"
        );
        return Err(Failure::plain(message));
    }
    serde_json::from_value(rest).map_err(not_understood)
}
