//! Processes of a host: what is demanded of one that asks for an identity, and what is known of it.

use alloc::sync::Arc;
use core::fmt;

/// What a process must be to act as a workload. What is absent may be anything; one that demands neither
/// user nor group takes nobody: any user can start a program and make it do what it was not made for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct ProcessMatch {
    /// The user it runs as.
    pub user: Option<u32>,
    /// The group it runs as.
    pub group: Option<u32>,
    /// The file of its program on this host.
    pub path: Option<Arc<str>>,
    /// The SHA-256 of its program.
    pub sha256: Option<[u8; 32]>,
}

/// What is known of a process. The kernel vouches for user and group; the rest was read while it ran.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProcessFacts {
    /// Its number.
    pub pid: u32,
    /// The user it ran as when it connected.
    pub user: u32,
    /// The group it ran as when it connected.
    pub group: u32,
    /// The file of its program on this host.
    pub path: Result<Arc<str>, Unread>,
    /// The SHA-256 of its program.
    pub sha256: Result<[u8; 32], Unread>,
}

/// Why something is not known of a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unread {
    /// Nobody wanted to know.
    NotAsked,
    /// It has ended.
    Gone,
    /// The kernel does not say which process connected, for good: Linux does from 6.5 on.
    OldKernel,
    /// The one who reads may not look at it.
    NotAllowed,
    /// Its program is not the file that this host has at its path: it was replaced, or lies in a
    /// container.
    ElsewhereOnDisk,
    /// It runs another program than when its program was read.
    Changed,
    /// Its program is too large to be read.
    TooLarge,
    /// It could not be read.
    Failed,
}

impl ProcessMatch {
    /// Whether the program must be read to say if a process meets it: all else that it demands is met.
    pub fn wants_hash(&self, facts: &ProcessFacts) -> bool {
        self.mismatch(facts) == Some(ProcessMismatch::HashUnread(Unread::NotAsked))
    }

    /// The first demand that a process does not meet; `None` if it meets all.
    pub fn mismatch(&self, facts: &ProcessFacts) -> Option<ProcessMismatch> {
        if self.user.is_none() && self.group.is_none() {
            return Some(ProcessMismatch::NobodyMeant);
        }
        if self.user.is_some_and(|user| user != facts.user) {
            return Some(ProcessMismatch::User);
        }
        if self.group.is_some_and(|group| group != facts.group) {
            return Some(ProcessMismatch::Group);
        }
        if let Some(path) = &self.path {
            match &facts.path {
                Ok(is) if is == path => {}
                Ok(_) => return Some(ProcessMismatch::Path),
                Err(why) => return Some(ProcessMismatch::PathUnread(*why)),
            }
        }
        match (&self.sha256, &facts.sha256) {
            (None, _) => None,
            (Some(wanted), Ok(is)) if wanted == is => None,
            (Some(_), Ok(_)) => Some(ProcessMismatch::Hash),
            (Some(_), Err(why)) => Some(ProcessMismatch::HashUnread(*why)),
        }
    }
}

/// Which demand a process does not meet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProcessMismatch {
    /// Neither a user nor a group is demanded, so nobody is meant.
    NobodyMeant,
    /// It runs as another user.
    User,
    /// It runs as another group.
    Group,
    /// It is another program.
    Path,
    /// Which program it is, is not known.
    PathUnread(Unread),
    /// Its program has other bytes.
    Hash,
    /// The bytes of its program are not known.
    HashUnread(Unread),
}

impl fmt::Display for ProcessFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            pid, user, group, ..
        } = self;
        write!(f, "process {pid} of user {user}, group {group}")?;
        match &self.path {
            Ok(path) => write!(f, ", {path}"),
            Err(Unread::NotAsked) => Ok(()),
            Err(why) => write!(f, ", whose program is not known: {why}"),
        }
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAsked => "nobody asked",
            Self::Gone => "it has ended",
            Self::OldKernel => "the kernel does not say which process connected (Linux 6.5 does)",
            Self::NotAllowed => "this process may not look at it (CAP_SYS_PTRACE)",
            Self::ElsewhereOnDisk => {
                "it is not the file at its path on this host: replaced, or in a container"
            }
            Self::Changed => "it became another program, or the file changed: connect anew",
            Self::TooLarge => "it is too large",
            Self::Failed => "it cannot be read",
        })
    }
}

impl fmt::Display for ProcessMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NobodyMeant => f.write_str("neither user nor group is demanded"),
            Self::User => f.write_str("the user differs"),
            Self::Group => f.write_str("the group differs"),
            Self::Path => f.write_str("the path differs"),
            Self::PathUnread(why) => write!(f, "the path is not known: {why}"),
            Self::Hash => f.write_str("the SHA-256 differs"),
            Self::HashUnread(why) => write!(f, "the SHA-256 is not known: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_must_meet_every_demand() {
        let facts = ProcessFacts {
            pid: 7,
            user: 1001,
            group: 100,
            path: Ok("/usr/bin/cart".into()),
            sha256: Err(Unread::NotAsked),
        };
        let any = ProcessMatch::default();
        let path = |path: &str| ProcessMatch {
            user: Some(1001),
            path: Some(path.into()),
            ..any.clone()
        };
        let of_anybody = ProcessMatch {
            user: None,
            ..path("/usr/bin/cart")
        };
        let hashed = |user, path_of: &str| ProcessMatch {
            user: Some(user),
            sha256: Some([1; 32]),
            ..path(path_of)
        };
        let group = ProcessMatch {
            group: Some(7),
            ..any.clone()
        };
        for (demand, expect) in [
            (any.clone(), Some(ProcessMismatch::NobodyMeant)),
            (of_anybody, Some(ProcessMismatch::NobodyMeant)),
            (path("/usr/bin/cart"), None),
            (path("/usr/bin/web"), Some(ProcessMismatch::Path)),
            (group, Some(ProcessMismatch::Group)),
            (
                hashed(1001, "/usr/bin/cart"),
                Some(ProcessMismatch::HashUnread(Unread::NotAsked)),
            ),
            (hashed(1002, "/usr/bin/cart"), Some(ProcessMismatch::User)),
            (hashed(1001, "/usr/bin/web"), Some(ProcessMismatch::Path)),
        ] {
            assert_eq!(demand.mismatch(&facts), expect, "{demand:?}");
            let is_fitting = matches!(expect, Some(ProcessMismatch::HashUnread(_)));
            assert_eq!(demand.wants_hash(&facts), is_fitting, "{demand:?}");
        }
    }
}
