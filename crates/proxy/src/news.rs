//! Tells every connection of a worker that something it should look at has changed: a new view,
//! new trust, the beginning of a drain. Costs a connection nothing while nothing happens.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Where news is announced.
#[derive(Clone, Default)]
pub(crate) struct News(Rc<Board>);

#[derive(Default)]
struct Board {
    edition: Cell<u64>,
    readers: RefCell<Vec<Option<Waker>>>,
    free: RefCell<Vec<usize>>,
}

impl News {
    /// Wakes every reader.
    pub(crate) fn announce(&self) {
        self.0.edition.set(self.0.edition.get() + 1);
        for waker in self
            .0
            .readers
            .borrow_mut()
            .iter_mut()
            .filter_map(Option::take)
        {
            waker.wake();
        }
    }

    /// A reader that knows everything up to here.
    pub(crate) fn subscribe(&self) -> Reader {
        let place = self.0.free.borrow_mut().pop().unwrap_or_else(|| {
            let mut readers = self.0.readers.borrow_mut();
            readers.push(None);
            readers.len() - 1
        });
        Reader {
            board: self.0.clone(),
            place,
            read: self.0.edition.get(),
        }
    }
}

/// One connection's place at the board.
pub(crate) struct Reader {
    board: Rc<Board>,
    place: usize,
    read: u64,
}

impl Reader {
    /// Ready once for each time there is something that was not read.
    pub(crate) fn poll_changed(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let edition = self.board.edition.get();
        if edition != self.read {
            self.read = edition;
            return Poll::Ready(());
        }
        let mut readers = self.board.readers.borrow_mut();
        if let Some(waker) = readers.get_mut(self.place) {
            match waker {
                Some(waker) => waker.clone_from(context.waker()),
                None => *waker = Some(context.waker().clone()),
            }
        }
        Poll::Pending
    }

    /// Waits for something that was not read.
    pub(crate) async fn changed(&mut self) {
        poll_fn(|context| self.poll_changed(context)).await;
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(waker) = self.board.readers.borrow_mut().get_mut(self.place) {
            *waker = None;
        }
        self.board.free.borrow_mut().push(self.place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reader_learns_of_each_change_once() {
        let news = News::default();
        let (mut early, mut context) = (news.subscribe(), Context::from_waker(Waker::noop()));
        assert!(early.poll_changed(&mut context).is_pending());
        news.announce();
        let mut late = news.subscribe();
        assert!(early.poll_changed(&mut context).is_ready());
        assert!(early.poll_changed(&mut context).is_pending());
        assert!(late.poll_changed(&mut context).is_pending());
    }

    #[test]
    fn a_place_is_used_again() {
        let news = News::default();
        drop(news.subscribe());
        drop(news.subscribe());
        assert_eq!(news.0.readers.borrow().len(), 1);
    }
}
