//! Small blocks of memory that a thread keeps when they are freed, for what it needs next. Streams of HTTP/2 begin
//! and end in bursts, each with a few dozen blocks, of which the C library has seven of a size at hand; all
//! others it searches for, splits and joins.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::iter;
use std::marker::PhantomData;
use std::ptr;

/// The allocator of a program whose threads may keep blocks ([`keep_blocks`]). All else is the system's.
#[derive(Clone, Copy, Debug)]
pub struct Blocks;

/// Keeps the blocks that this thread frees, 8 MiB at most, while the value lives.
#[must_use]
pub fn keep_blocks() -> KeptBlocks {
    KEPT.with(|kept| kept.most.set(MOST));
    KeptBlocks(PhantomData)
}

/// What a thread keeps of the blocks that it has freed.
#[derive(Debug)]
pub struct KeptBlocks(PhantomData<*const ()>);

impl KeptBlocks {
    /// Gives back half of each size: what is needed all the time is soon there again, and the rest is gone after a
    /// few times.
    pub fn sweep(&self) {
        KEPT.with(|kept| kept.give_back(|count| count.div_ceil(2)));
    }
}

impl Drop for KeptBlocks {
    fn drop(&mut self) {
        KEPT.with(|kept| {
            kept.most.set(0);
            kept.give_back(|count| count);
        });
    }
}

/// How many bytes one thread keeps, with what the C library needs for itself.
const MOST: usize = 8 << 20;

/// Up to so many bytes blocks differ by 16, as the C library's do, which needs 8 of them for itself.
const SMALL: usize = 1032;
/// Up to so many by this step. Larger ones are rare.
const LARGE: usize = 16 * 1024;
const STEP: usize = 128;

/// Blocks are aligned to so many bytes, or to more: tokio's tasks are.
const ALIGNED: usize = 16;
const FAR_ALIGNED: usize = 128;

/// Where the shelves of larger blocks begin, and of those that are aligned to more.
const LARGE_SHELVES: usize = SMALL / 16 + 1;
const FAR_SHELVES: usize = LARGE_SHELVES + LARGE / STEP + 1;
const SHELVES: usize = FAR_SHELVES + LARGE / STEP + 1;

thread_local! {
    // It needs no end of its own, and so is there for whatever is freed last.
    static KEPT: Kept = const {
        Kept {
            most: Cell::new(0),
            held: Cell::new(0),
            shelves: [const { Cell::new(ptr::null_mut()) }; SHELVES],
        }
    };
}

/// What one thread keeps.
struct Kept {
    /// How many bytes it may be, and how many it is.
    most: Cell<usize>,
    held: Cell<usize>,
    /// Of each size the block that was freed last.
    shelves: [Cell<*mut Block>; SHELVES],
}

/// The begin of a block that nobody uses.
struct Block {
    /// The one that was freed before it.
    next: *mut Block,
}

/// On which shelf the blocks are that hold something; [`SHELVES`] for what is not kept.
#[inline]
fn shelf_of(layout: Layout) -> usize {
    let (size, align) = (layout.size(), layout.align());
    match size {
        ..=SMALL if align <= ALIGNED => (size + 7) / 16,
        ..=LARGE if align <= ALIGNED => LARGE_SHELVES + size.div_ceil(STEP),
        ..=LARGE if align <= FAR_ALIGNED => FAR_SHELVES + size.div_ceil(STEP),
        _ => SHELVES,
    }
}

/// As what the system is asked for a block of a shelf.
#[inline]
fn block_of(shelf: usize) -> Layout {
    let (size, align) = match shelf {
        ..LARGE_SHELVES => (shelf * 16 + 8, ALIGNED),
        LARGE_SHELVES..FAR_SHELVES => ((shelf - LARGE_SHELVES) * STEP, ALIGNED),
        FAR_SHELVES.. => ((shelf - FAR_SHELVES) * STEP, FAR_ALIGNED),
    };
    let block = Layout::from_size_align(size, align);
    block.expect("both alignments are powers of two, and no block is large")
}

/// How many bytes a block of a shelf takes of the C library's.
#[inline]
fn cost(shelf: usize) -> usize {
    (block_of(shelf).size() + 8).max(32)
}

#[expect(unsafe_code, reason = "it is about memory that nobody owns")]
impl Kept {
    /// The block of a shelf that was freed last.
    #[inline]
    fn take(&self, shelf: usize) -> Option<*mut u8> {
        let top = self.shelves.get(shelf)?;
        let block = top.get();
        if block.is_null() {
            return None;
        }
        // SAFETY: what is on a shelf was written by `keep`, and nobody has had it since.
        top.set(unsafe { (*block).next });
        self.held.set(self.held.get() - cost(shelf));
        Some(block.cast())
    }

    /// Whether it keeps a block of a shelf.
    ///
    /// # Safety
    ///
    /// The block was made for the shelf, and nobody uses it.
    #[inline]
    unsafe fn keep(&self, block: *mut u8, shelf: usize) -> bool {
        let held = self.held.get() + cost(shelf);
        let Some(top) = self.shelves.get(shelf).filter(|_| held <= self.most.get()) else {
            return false;
        };
        let block: *mut Block = block.cast();
        // SAFETY: every block is large enough for this and aligned to more, and it is ours to write.
        unsafe { (*block).next = top.get() };
        top.set(block);
        self.held.set(held);
        true
    }

    /// Gives back so many of each shelf's blocks, of as many as there are.
    fn give_back(&self, part: impl Fn(usize) -> usize) {
        for (shelf, top) in self.shelves.iter().enumerate() {
            // SAFETY: what is on a shelf was written by `keep`, and nobody has had it since.
            let behind = |block: &*mut Block| unsafe { block.as_ref() }.map(|block| block.next);
            let count = iter::successors(Some(top.get()), behind).count() - 1;
            for block in (0..part(count)).map_while(|_| self.take(shelf)) {
                // SAFETY: it was made for this shelf, and was just taken from it.
                unsafe { System.dealloc(block, block_of(shelf)) };
            }
        }
    }
}

#[expect(unsafe_code, reason = "an allocator is asked by means of addresses")]
// SAFETY: what is given out comes from the system as large and as aligned as was asked for, or more, and is in
// one hand at a time: a block leaves its shelf when it is given out. A layout has the same shelf each time, so
// that a block is freed as what it was made.
unsafe impl GlobalAlloc for Blocks {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let shelf = shelf_of(layout);
        if shelf == SHELVES {
            // SAFETY: the caller promises what the system asks for.
            return unsafe { System.alloc(layout) };
        }
        let kept = KEPT.with(|kept| kept.take(shelf));
        // SAFETY: a block is not empty.
        kept.unwrap_or_else(|| unsafe { System.alloc(block_of(shelf)) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if shelf_of(layout) == SHELVES {
            // SAFETY: the caller promises what the system asks for.
            return unsafe { System.alloc_zeroed(layout) };
        }
        // SAFETY: the caller promises a layout that is not empty.
        let made = unsafe { self.alloc(layout) };
        if !made.is_null() {
            // SAFETY: it is at least so large, and nobody else has it.
            unsafe { made.write_bytes(0, layout.size()) };
        }
        made
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        let shelf = shelf_of(layout);
        if shelf == SHELVES {
            // SAFETY: the caller promises what the system asks for, whose it was.
            return unsafe { System.dealloc(at, layout) };
        }
        // SAFETY: it was made for this shelf, and the caller promises that nobody uses it.
        if !KEPT.with(|kept| unsafe { kept.keep(at, shelf) }) {
            // SAFETY: as what it was made.
            unsafe { System.dealloc(at, block_of(shelf)) };
        }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises that it is no larger than a layout may be.
        let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        let (before, after) = (shelf_of(layout), shelf_of(new));
        if before == SHELVES && after == SHELVES {
            // SAFETY: the caller promises what the system asks for, whose it was.
            return unsafe { System.realloc(at, layout, size) };
        }
        if before == after {
            return at;
        }
        // SAFETY: the caller promises a layout that is not empty.
        let moved = unsafe { self.alloc(new) };
        if !moved.is_null() {
            // SAFETY: both are at least so large, and neither is a part of the other.
            unsafe { ptr::copy_nonoverlapping(at, moved, layout.size().min(size)) };
            // SAFETY: the caller gives it away for what is moved.
            unsafe { self.dealloc(at, layout) };
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shelf_holds_what_it_is_for_and_hardly_more() {
        for align in [1, 8, 16, 32, 128, 256] {
            for size in 1..LARGE + 10 {
                let layout = Layout::from_size_align(size, align).unwrap();
                let shelf = shelf_of(layout);
                assert_eq!(shelf == SHELVES, size > LARGE || align > FAR_ALIGNED);
                if shelf == SHELVES {
                    continue;
                }
                let block = block_of(shelf);
                assert_eq!(shelf_of(block), shelf, "{layout:?}");
                assert!(block.align() >= align && block.size() >= size);
                let spare = match block.size() <= SMALL && align <= ALIGNED {
                    true => 16,
                    false => STEP,
                };
                assert!(block.size() - size < spare, "{layout:?} in {block:?}");
            }
        }
    }

    #[test]
    #[expect(unsafe_code, reason = "an allocator is asked by means of addresses")]
    fn what_is_freed_is_given_out_again() {
        let layouts = [1, 8, 9, 1032, 1033, 11_300, LARGE].map(|size| (size, 8));
        let layouts = layouts.into_iter().chain([(300, 128), (40, 32)]);
        let held = || KEPT.with(|kept| kept.held.get());
        for layout in layouts.map(|(size, align)| Layout::from_size_align(size, align).unwrap()) {
            let kept = keep_blocks();
            // SAFETY: each is freed once, and as what it was asked for.
            unsafe {
                let (one, other) = (Blocks.alloc(layout), Blocks.alloc(layout));
                assert_ne!(one, other);
                one.write_bytes(7, layout.size());
                Blocks.dealloc(one, layout);
                Blocks.dealloc(other, layout);
                assert_eq!(Blocks.alloc(layout), other);
                let zeroed = Blocks.alloc_zeroed(layout);
                assert_eq!(zeroed, one);
                assert!((0..layout.size()).all(|at| *one.add(at) == 0));
                Blocks.dealloc(one, layout);
                kept.sweep();
                assert_eq!(held(), 0);
                let larger = Blocks.realloc(other, layout, 3 * LARGE);
                let small = Blocks.realloc(
                    larger,
                    Layout::from_size_align(3 * LARGE, layout.align()).unwrap(),
                    1,
                );
                Blocks.dealloc(small, Layout::from_size_align(1, layout.align()).unwrap());
            }
            drop(kept);
            assert_eq!(held(), 0);
        }
    }

    #[test]
    #[expect(unsafe_code, reason = "an allocator is asked by means of addresses")]
    fn a_thread_keeps_so_much_and_what_it_does_not_need_ever_less() {
        let kept = keep_blocks();
        let layout = Layout::from_size_align(LARGE, 8).unwrap();
        let count = MOST / LARGE + 10;
        // SAFETY: each is freed once, and as what it was asked for.
        unsafe {
            let blocks: Vec<_> = (0..count).map(|_| Blocks.alloc(layout)).collect();
            for block in blocks {
                Blocks.dealloc(block, layout);
            }
        }
        let held = || KEPT.with(|kept| kept.held.get());
        let most = MOST / cost(shelf_of(layout));
        for so_many in [most, most / 2, most / 4] {
            assert_eq!(held() / cost(shelf_of(layout)), so_many);
            kept.sweep();
        }
        drop(kept);
        assert_eq!(held(), 0);
    }
}
