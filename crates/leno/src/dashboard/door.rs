//! The door through which the page asks: the mesh's own control plane, in this process.

use leno_admin::{Answer, Asker, Failure, Question, Reply};
use leno_control::Desk;
use leno_dashboard::{Arrived, Mesh};
use tokio::sync::{mpsc, oneshot};

use crate::up::Happened;

/// Answers the page as the socket answers whoever runs this process.
pub(crate) struct Door {
    desk: Desk,
    /// Where connections are carried that are for services by their names, if anywhere.
    services: Option<mpsc::UnboundedSender<Happened>>,
}

impl Door {
    /// To a control plane.
    pub(crate) fn of(desk: Desk) -> Self {
        Self {
            desk,
            services: None,
        }
    }

    /// To a mesh that is up in this process, and publishes its services by name.
    pub(super) fn of_up(desk: Desk, inbox: mpsc::UnboundedSender<Happened>) -> Self {
        Self {
            desk,
            services: Some(inbox),
        }
    }
}

impl Mesh for Door {
    async fn ask(&self, question: Question) -> Result<Answer, Failure> {
        let user = rustix::process::geteuid().as_raw();
        match self.desk.answer(Asker::Visitor(user), question).await? {
            Reply::Whole(answer) => Ok(*answer),
            Reply::Tap(_) => Err(Failure::plain(
                "a page is answered at once, and this goes on",
            )),
        }
    }

    async fn kept_out(&self, attempt: String) {
        let desk = self.desk.clone();
        // What could not be written down is told by the control plane.
        drop(tokio::task::spawn_blocking(move || desk.note_kept_out(&attempt)).await);
    }

    async fn carry(&self, arrived: Arrived) -> Result<(), Arrived> {
        let Some(inbox) = &self.services else {
            return Err(arrived);
        };
        let (take, taken) = oneshot::channel();
        let sent = inbox.send(Happened::Arrived(arrived, take));
        sent.map_err(|unsent| match unsent.0 {
            Happened::Arrived(arrived, _) => arrived,
            _ => unreachable!("that was sent"),
        })?;
        // Whoever does not say so has ended, and the connection with it.
        drop(taken.await);
        Ok(())
    }
}
