//! Who changes packet rules is noticed at once, and what was changed is put back.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
};

use super::{Difference, LoadError, Netfilter, Ruleset};
use crate::netlink::{NETFILTER, Socket};

/// A table that is to hold as it was said, in the network namespace in which the watch was begun, wherever it
/// is used. That namespace stays for as long as the watch does.
///
/// It is readable (`poll(2)`) when somebody has changed rules in the namespace, in whatever table.
#[derive(Debug)]
pub struct Watch {
    told: Socket,
    netfilter: Netfilter,
    ruleset: Ruleset,
}

impl Watch {
    /// Watches over `ruleset` in this thread's network namespace, from here on. Takes `CAP_NET_ADMIN`.
    pub fn begin(ruleset: Ruleset) -> io::Result<Self> {
        Ok(Self {
            told: Socket::listen(NETFILTER, GROUP_OF_TABLES)?,
            netfilter: Netfilter::open()?,
            ruleset,
        })
    }

    /// Takes what was told of changes, up to a bound, and fails with [`io::ErrorKind::WouldBlock`] if nothing
    /// was. That more was told than the kernel keeps counts as a change.
    pub fn take(&self) -> io::Result<()> {
        self.told.take()?;
        for _ in 1..TAKEN_AT_ONCE {
            if self.told.take().is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Puts the table back if it is not as it was said. Gives in what it differed: nothing if all was well.
    /// What was told before is to be taken before.
    pub fn repair(&self) -> Result<Vec<Difference>, NotRepaired> {
        let differences = self.netfilter.differences(&self.ruleset)?;
        if !differences.is_empty() {
            self.netfilter.replace(&self.ruleset)?;
        }
        Ok(differences)
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.told.as_fd()
    }
}

/// Rules could not be put back.
#[derive(Debug, thiserror::Error)]
pub enum NotRepaired {
    /// The kernel does not say which rules hold.
    #[error("the kernel does not tell its rules: {0}")]
    NotSeen(#[from] io::Error),
    /// It refuses those that should.
    #[error(transparent)]
    Refused(#[from] LoadError),
}

impl NotRepaired {
    /// The system's error number, if it has one.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::NotSeen(error) => error.raw_os_error(),
            Self::Refused(refused) => Some(refused.errno),
        }
    }
}

/// `NFNLGRP_NFTABLES`.
const GROUP_OF_TABLES: u32 = 7;
/// How many datagrams are taken before it is looked at the rules: whoever changes rules without end does not
/// keep anybody from looking.
const TAKEN_AT_ONCE: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        PodCapture,
        nft::{
            Table,
            tests::{apart, nft},
        },
    };

    fn is_silent(watch: &Watch) -> bool {
        let silent = watch.take().map_err(|error| error.kind());
        silent == Err(io::ErrorKind::WouldBlock)
    }

    #[test]
    fn what_somebody_changes_is_told_and_put_back() {
        apart(|netfilter| {
            let ruleset = PodCapture::default().rules();
            let watch = Watch::begin(ruleset.clone()).unwrap();
            assert!(is_silent(&watch));
            let missing = watch.repair().unwrap();
            assert_eq!(missing, [Difference::NoTable(Table::inet("leno"))]);
            watch.take().unwrap();
            assert!(is_silent(&watch));
            for change in [
                "flush ruleset",
                "flush chain inet leno outbound",
                "delete chain inet leno guard",
                "insert rule inet leno past accept",
                "add table inet leno { flags dormant; }",
            ] {
                nft(change);
                watch.take().unwrap();
                assert_ne!(watch.repair().unwrap(), [], "{change}");
                assert_eq!(netfilter.differences(&ruleset).unwrap(), [], "{change}");
                watch.take().unwrap();
                assert_eq!(watch.repair().unwrap(), [], "{change}");
            }
            nft("add table inet strangers");
            watch.take().unwrap();
            assert_eq!(watch.repair().unwrap(), []);
        });
    }

    #[test]
    fn more_than_the_kernel_keeps_is_a_change_like_one() {
        apart(|netfilter| {
            let ruleset = PodCapture::default().rules();
            netfilter.replace(&ruleset).unwrap();
            let watch = Watch::begin(ruleset.clone()).unwrap();
            // Each tells of some forty rules.
            for _ in 0..64 {
                netfilter.replace(&ruleset).unwrap();
            }
            nft("flush ruleset");
            watch.take().unwrap();
            assert_eq!(
                watch.repair().unwrap(),
                [Difference::NoTable(Table::inet("leno"))]
            );
            assert_eq!(netfilter.differences(&ruleset).unwrap(), []);
        });
    }
}
