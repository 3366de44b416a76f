//! Packet rules that stay as they were said: whoever changes them is noticed within milliseconds, and what they
//! changed is put back.

use std::io;
use std::os::fd::AsFd as _;
use std::time::Duration;

use leno_host::nft::{Difference, NotRepaired, Ruleset, Watch};
use tokio::io::Interest;
use tokio::net::UnixDatagram;
use tokio::time::sleep;

/// Watches over the rules of one network namespace.
pub(crate) struct Upkeep {
    watch: Watch,
    /// The socket of the watch, of which nothing but its readiness is asked: what the runtime has for sockets
    /// of any kind (`AsyncFd`) takes `unsafe`, and this is as good for datagrams.
    told: UnixDatagram,
    next: Next,
    repairs: u64,
}

/// When it is to be looked at the rules.
#[derive(Clone, Copy)]
enum Next {
    AtOnce,
    /// When somebody has changed some.
    OnceTold,
    /// After a while, even if nobody changes any.
    Again,
}

/// What was found, and put back.
pub(crate) struct Repair {
    /// In what the rules differed.
    pub(crate) differences: Vec<Difference>,
    /// How often they were put back, with this time.
    pub(crate) number: u64,
}

impl Upkeep {
    /// Begins in this thread's network namespace, wherever it goes on, and inside a runtime. What holds there is
    /// looked at when [`Upkeep::repaired`] is asked first.
    pub(crate) fn begin(ruleset: Ruleset) -> io::Result<Self> {
        let watch = Watch::begin(ruleset)?;
        let told = watch.as_fd().try_clone_to_owned()?;
        Ok(Self {
            watch,
            told: UnixDatagram::from_std(told.into())?,
            next: Next::AtOnce,
            repairs: 0,
        })
    }

    /// Waits until rules were not as they should be and have been put back. Where they could not be, that
    /// is told, and whoever asks again has it tried again. May be dropped while it waits.
    pub(crate) async fn repaired(&mut self) -> Result<Repair, NotRepaired> {
        loop {
            self.wait().await;
            match self.watch.repair() {
                Ok(differences) if differences.is_empty() => self.next = Next::OnceTold,
                Ok(differences) => {
                    self.next = Next::OnceTold;
                    self.repairs += 1;
                    let number = self.repairs;
                    return Ok(Repair {
                        differences,
                        number,
                    });
                }
                Err(refused) => {
                    self.next = Next::Again;
                    return Err(refused);
                }
            }
        }
    }

    async fn wait(&self) {
        match self.next {
            Next::AtOnce => {}
            Next::OnceTold => {
                sleep(REST).await;
                let told = self.told.async_io(Interest::READABLE, || self.watch.take());
                // Where it is not known whether anything was told, looking at the rules will tell.
                drop(told.await);
            }
            Next::Again => sleep(REST_IF_REFUSED).await,
        }
    }
}

/// How long changes gather before it is looked at the rules again, so that whoever changes them without end
/// takes little of this process's time.
const REST: Duration = Duration::from_millis(10);
/// The same, after the kernel refused to put them back.
const REST_IF_REFUSED: Duration = Duration::from_secs(1);
