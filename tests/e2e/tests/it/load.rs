//! Clients that ask without a pause.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use leno_e2e::{Answer, Client, until};

/// Clients that ask without a pause, each over one connection for as long as it is kept open, until
/// they are told to stop or nobody takes connections any more. Each asks another thing each time, and
/// what is answered must be the answer to that.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<Vec<Option<Answer>>>>,
}

impl Load {
    const CLIENTS: usize = 8;

    pub(crate) fn on(to: SocketAddr) -> Self {
        Self::of(to, |_| None)
    }

    /// Half of the clients leave their connection after seven answers and open another.
    pub(crate) fn mixed(to: SocketAddr) -> Self {
        Self::of(to, |number| (number % 2 == 0).then_some(7))
    }

    /// Each client leaves its connection after as many answers as `each` says, if it says so.
    fn of(to: SocketAddr, each: fn(usize) -> Option<usize>) -> Self {
        let (stop, asked) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let clients = (0..Self::CLIENTS).map(|number| {
            let (stop, asked) = (stop.clone(), asked.clone());
            thread::spawn(move || {
                let mut answers = Vec::new();
                'connections: while let Some(mut client) = Client::try_to(to) {
                    for answered in 1.. {
                        if stop.load(Ordering::Relaxed) {
                            break 'connections;
                        }
                        let path = format!("/{number}/{}", answers.len());
                        let answer = client.get(&path);
                        // One that still waited to be taken when the listener closed was not taken.
                        if answer.is_none() && answered == 1 && Client::try_to(to).is_none() {
                            break 'connections;
                        }
                        if let Some(answer) = answer.as_ref().filter(|answer| answer.status == 200)
                        {
                            let asked = format!("GET {path} HTTP/1.1\r\n");
                            assert!(answer.text().starts_with(&asked), "{asked}: {answer:?}");
                        }
                        asked.fetch_add(1, Ordering::Relaxed);
                        let closes = answer.as_ref().is_none_or(Answer::closes);
                        answers.push(answer);
                        if closes || Some(answered) == each(number) {
                            break;
                        }
                    }
                }
                answers
            })
        });
        Self {
            clients: clients.collect(),
            stop,
            asked,
        }
    }

    /// Waits until so many more were asked.
    pub(crate) fn goes_on_for(&self, more: usize) {
        let before = self.asked.load(Ordering::Relaxed);
        until("more answers", || {
            (self.asked.load(Ordering::Relaxed) >= before + more).then_some(())
        });
    }

    /// What was answered to each request; `None` where no answer came.
    pub(crate) fn answers(self) -> Vec<Option<Answer>> {
        let answers = self
            .clients
            .into_iter()
            .flat_map(|client| client.join().unwrap());
        answers.collect()
    }

    pub(crate) fn stop(self) -> Vec<Option<Answer>> {
        self.stop.store(true, Ordering::Relaxed);
        self.answers()
    }
}
