//! What of a stream is held in pieces as it came, and is given on without being copied.

use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// A few pieces, in order; none is empty.
#[derive(Default, Debug)]
pub(crate) struct Pieces(Vec<Bytes>);

impl Pieces {
    /// How many are held at once: as many as are written at once.
    const MOST: usize = 4;

    /// Whether there is room for no more.
    pub(crate) fn are_full(&self) -> bool {
        self.0.len() >= Self::MOST
    }

    /// Adds one behind the others.
    pub(crate) fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.0.push(piece);
        }
    }

    /// Gives away some of the first: what it has beyond `most` bytes stays.
    pub(crate) fn split_first(&mut self, most: usize) -> Bytes {
        let Some(first) = self.0.first_mut() else {
            return Bytes::new();
        };
        let given = first.split_to(first.len().min(most));
        if first.is_empty() {
            self.0.remove(0);
        }
        given
    }

    /// Forgets them.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

impl Buf for Pieces {
    fn remaining(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    fn chunk(&self) -> &[u8] {
        self.0.first().map_or(&[], |first| first)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let filled = slices.iter_mut().zip(&self.0);
        filled
            .map(|(slice, piece)| *slice = IoSlice::new(piece))
            .count()
    }

    fn advance(&mut self, mut count: usize) {
        while count > 0 {
            let given = self.split_first(count).len();
            assert!(given > 0, "no more is written than there is");
            count -= given;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_goes_and_the_rest_stays_in_order() {
        let mut pieces = Pieces::default();
        for piece in ["one", "", "two", "three", "four"] {
            assert!(!pieces.are_full());
            pieces.push(piece.into());
        }
        assert!(pieces.are_full());
        let rest = |pieces: &Pieces| {
            let mut slices = [IoSlice::new(&[]); 9];
            let count = pieces.chunks_vectored(&mut slices);
            let all: Vec<u8> = slices[..count].iter().flat_map(|s| s.to_vec()).collect();
            assert_eq!(all.len(), pieces.remaining());
            String::from_utf8(all).unwrap()
        };
        assert_eq!(rest(&pieces), "onetwothreefour");
        pieces.advance(4);
        assert_eq!(
            (rest(&pieces), pieces.chunk()),
            ("wothreefour".to_owned(), &b"wo"[..])
        );
        assert_eq!(pieces.split_first(1), "w");
        assert_eq!(pieces.split_first(9), "o");
        assert_eq!(rest(&pieces), "threefour");
        pieces.advance(9);
        assert_eq!(
            (pieces.has_remaining(), pieces.split_first(1)),
            (false, Bytes::new())
        );
    }
}
