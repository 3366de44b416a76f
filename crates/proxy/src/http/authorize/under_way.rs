//! How many questions are under way: of all that a worker asks, and to each authorizer, so that one that hangs
//! does not keep others from being asked.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use leno_model::view::PortRef;
use leno_traffic::NoAnswer;

/// How many questions a worker has under way.
const MOST: usize = 1024;

/// How many of them are to one authorizer.
const MOST_TO_ONE: usize = 256;

/// The questions that a worker has under way.
#[derive(Clone, Default)]
pub(crate) struct Questions(Rc<RefCell<Counts>>);

#[derive(Default)]
struct Counts {
    all: usize,
    /// Those who are asked, with how many questions.
    to: HashMap<PortRef, usize>,
}

/// The place of one question, until it is dropped.
pub(super) struct Place {
    among: Questions,
    to: PortRef,
}

impl Questions {
    /// Takes a place for one more, if there is one.
    pub(super) fn begin(&self, to: &PortRef) -> Result<Place, NoAnswer> {
        let Self(counts) = self;
        let Counts { all, to: each } = &mut *counts.borrow_mut();
        if *all >= MOST {
            return Err(NoAnswer::TooMany(MOST));
        }
        let count = each.entry(to.clone()).or_default();
        if *count >= MOST_TO_ONE {
            return Err(NoAnswer::Busy(MOST_TO_ONE));
        }
        *all += 1;
        *count += 1;
        Ok(Place {
            among: self.clone(),
            to: to.clone(),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Questions(counts) = &self.among;
        let Counts { all, to: each } = &mut *counts.borrow_mut();
        *all -= 1;
        if let Some(count) = each.get_mut(&self.to) {
            *count -= 1;
            if *count == 0 {
                each.remove(&self.to);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use leno_model::{Name, Namespace, ServiceName};

    use super::*;

    fn authorizer(port: u16) -> PortRef {
        PortRef {
            service: ServiceName::new(Namespace::new("shop").unwrap(), Name::new("authz").unwrap()),
            port,
        }
    }

    #[test]
    fn one_that_hangs_leaves_places_for_others() {
        let questions = Questions::default();
        let begun = |port| {
            let places = std::iter::from_fn(|| questions.begin(&authorizer(port)).ok());
            places.collect::<Vec<_>>()
        };
        let first = begun(1);
        assert_eq!(first.len(), MOST_TO_ONE);
        let full = questions.begin(&authorizer(1)).err();
        assert_eq!(full, Some(NoAnswer::Busy(MOST_TO_ONE)));
        let others = [2, 3, 4].map(begun);
        assert!(others.iter().all(|places| places.len() == MOST_TO_ONE));
        let full = questions.begin(&authorizer(5)).err();
        assert_eq!(full, Some(NoAnswer::TooMany(MOST)));
        drop(first);
        assert_eq!(begun(5).len(), MOST_TO_ONE);
        drop(others);
        let Questions(counts) = &questions;
        let counts = counts.borrow();
        assert_eq!((counts.all, counts.to.len()), (0, 0));
    }
}
