//! What processes of pods kept that an earlier proxy of this node ran: once their pod is not there any more, nobody else
//! removes it, and the folder is in memory.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The folders that were there when this proxy began, until each is removed.
pub(super) struct LeftOver {
    all: PathBuf,
    /// The UIDs of the pods that they were of.
    uids: BTreeSet<String>,
}

impl LeftOver {
    /// What is in the folder in which each process of a pod has one of its own.
    pub(super) fn of(all: &Path) -> Self {
        // One that is not there holds nothing.
        let entries = fs::read_dir(all).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        Self {
            all: all.to_owned(),
            uids: names.filter(|name| is_uid(name)).collect(),
        }
    }

    /// Removes those of pods that have no process any more. Whoever is let go of later is cleared by who let it go.
    pub(super) fn clear(&mut self, has_process: impl Fn(&str) -> bool) {
        for uid in self.uids.extract_if(.., |uid| !has_process(uid)) {
            // One that cannot be removed, or is gone, is no obstacle to anything.
            drop(fs::remove_dir_all(self.all.join(uid)));
        }
    }
}

/// Whether a text may be the UID of a pod, and the name of a folder.
pub(in crate::command::joined) fn is_uid(text: &str) -> bool {
    let mut letters = text.chars();
    !text.is_empty() && letters.all(|it| it.is_ascii_alphanumeric() || it == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_pod_left_that_ended_meanwhile_is_removed() {
        let all = std::env::temp_dir().join(format!("leno-left-over-{}", std::process::id()));
        for folder in ["7f-gone", "7f-there", ".other"] {
            fs::create_dir_all(all.join(folder)).unwrap();
            fs::write(all.join(folder).join("view"), "").unwrap();
        }
        let is_there = |folder: &str| all.join(folder).join("view").exists();
        let mut left_over = LeftOver::of(&all);
        left_over.clear(|uid| uid == "7f-there");
        assert!(!is_there("7f-gone"));
        assert!(is_there("7f-there") && is_there(".other"));
        // What began since is nobody's to remove but of who began it.
        fs::create_dir(all.join("7f-new")).unwrap();
        left_over.clear(|_| false);
        assert!(!is_there("7f-there"));
        assert!(all.join("7f-new").exists() && is_there(".other"));
        LeftOver::of(&all.join("nosuch")).clear(|_| false);
        fs::remove_dir_all(&all).unwrap();
    }
}
