//! The asking end.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::net::UnixStream;

use crate::failure::{Failure, NotAsked};
use crate::question::{Ask, Question};
use crate::reach::through_folder;
use crate::{LONGEST_ANSWER, VERSION, line};

/// Asks the control plane behind one socket.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
}

#[derive(Serialize)]
struct Asked {
    version: u32,
    #[serde(flatten)]
    question: Question,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Told<A> {
    Answer(A),
    Failure(Failure),
}

impl Client {
    /// A client of the control plane that listens on `socket`.
    pub fn new(socket: &Path) -> Self {
        Self {
            socket: socket.to_owned(),
        }
    }

    /// Asks, and waits for the answer for as long as it takes.
    pub async fn ask<Q: Ask>(&self, question: Q) -> Result<Q::Answer, NotAsked> {
        let away = |why| NotAsked::Away {
            path: self.socket.display().to_string(),
            why,
        };
        let asked = Asked {
            version: VERSION,
            question: question.into(),
        };
        let asked = serde_json::to_vec(&asked).expect("questions are maps of plain values");
        let (_folder, path) = through_folder(&self.socket).map_err(away)?;
        let mut stream = UnixStream::connect(path).await.map_err(away)?;
        line::write(&mut stream, asked).await.map_err(away)?;
        let told = line::read(&mut stream, LONGEST_ANSWER)
            .await
            .map_err(away)?;
        read(&told)
    }
}

fn read<A: DeserializeOwned>(told: &[u8]) -> Result<A, NotAsked> {
    match serde_json::from_slice(told) {
        Ok(Told::Answer(answer)) => Ok(answer),
        Ok(Told::Failure(failure)) => Err(failure.into()),
        Err(error) => Err(NotAsked::Misfit(error.to_string())),
    }
}
