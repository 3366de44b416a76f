//! Since when findings hold: which revision brought each of them. Found by going back through the
//! revisions until one lacks it, and remembered from one question to the next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use leno_store::{NotRead, Revision};

use crate::meaning::Gist;

/// What is remembered.
#[derive(Debug, Default)]
pub(crate) struct Since(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    revision: Revision,
    brought: Brought,
}

/// The revision that brought each finding; what no revision of late brought is absent.
pub(crate) type Brought = BTreeMap<Gist, Revision>;

/// How many revisions are read to answer one question.
const FURTHEST: usize = 64;

impl Since {
    /// Which revisions brought the findings of revision `head`; `found_at` gives those of an earlier one.
    pub(crate) fn of(
        &self,
        head: Revision,
        found: BTreeSet<Gist>,
        found_at: impl FnMut(Revision) -> Result<BTreeSet<Gist>, NotRead>,
    ) -> Result<Brought, NotRead> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let brought = go_back(&known, head, found, found_at)?;
        *known = Known {
            revision: head,
            brought: brought.clone(),
        };
        Ok(brought)
    }
}

fn go_back(
    known: &Known,
    head: Revision,
    mut open: BTreeSet<Gist>,
    mut found_at: impl FnMut(Revision) -> Result<BTreeSet<Gist>, NotRead>,
) -> Result<Brought, NotRead> {
    let mut brought = Brought::new();
    let mut later = head;
    for _ in 0..FURTHEST {
        if later == known.revision {
            let remembered = |gist: Gist| Some((gist.clone(), *known.brought.get(&gist)?));
            brought.extend(open.into_iter().filter_map(remembered));
            break;
        }
        if open.is_empty() || later == Revision::EMPTY {
            break;
        }
        let earlier = Revision(later.0.saturating_sub(1));
        let before = match found_at(earlier) {
            Ok(before) => before,
            Err(NotRead::NoSuchRevision(_)) => break,
            Err(failed @ NotRead::Failed(_)) => return Err(failed),
        };
        let (old, new) = open.into_iter().partition(|gist| before.contains(gist));
        let new: BTreeSet<Gist> = new;
        brought.extend(new.into_iter().map(|gist| (gist, later)));
        (open, later) = (old, earlier);
    }
    Ok(brought)
}

#[cfg(test)]
mod tests {
    use leno_model::{Code, Severity};

    use super::*;

    fn gists(letters: &str) -> BTreeSet<Gist> {
        let gist = |letter: char| Gist {
            code: Code::C113,
            field: None,
            message: letter.to_string(),
            severity: Severity::Error,
        };
        letters.chars().map(gist).collect()
    }

    /// Asks about the last of `revisions`, each given by its findings; the first is revision 0.
    fn told(since: &Since, revisions: &[&str]) -> String {
        let head = revisions.len() - 1;
        let mut read = 0;
        let found_at = |revision: Revision| {
            read += 1;
            Ok(gists(revisions[usize::try_from(revision.0).unwrap()]))
        };
        let brought = since.of(
            Revision(u64::try_from(head).unwrap()),
            gists(revisions[head]),
            found_at,
        );
        let brought = brought.unwrap();
        let told: Vec<_> = brought
            .iter()
            .map(|(gist, revision)| format!("{}{revision}", gist.message))
            .collect();
        format!("{} after reading {read}", told.join(" "))
    }

    #[test]
    fn a_finding_is_as_old_as_the_revisions_that_have_it_without_a_break() {
        let since = Since::default();
        let revisions = ["", "a", "ab", "b", "ab", "abc"];
        assert_eq!(told(&since, &revisions), "a4 b2 c5 after reading 4");
        assert_eq!(told(&since, &revisions), "a4 b2 c5 after reading 0");
        assert_eq!(
            told(&since, &["", "a", "ab", "b", "ab", "abc", "acd"]),
            "a4 c5 d6 after reading 1"
        );
    }

    #[test]
    fn what_no_revision_brought_came_otherwise() {
        assert_eq!(told(&Since::default(), &["f", "fa"]), "a1 after reading 1");
        assert_eq!(told(&Since::default(), &["f"]), " after reading 0");
    }
}
