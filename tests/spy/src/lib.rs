//! An allocator that searches freed memory for keys.
//!
//! ```ignore
//! #[global_allocator]
//! static SPY: spy::Spy = spy::Spy;
//!
//! let piece = spy::watch([7; 16]);
//! // …
//! assert_eq!(piece.found(), 0);
//! ```

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

const MOST: usize = 256;

/// Static, because the searched bytes must never be in a block of the heap.
static PIECES: [OnceLock<[u8; 16]>; MOST] = [const { OnceLock::new() }; MOST];
static WATCHED: AtomicUsize = AtomicUsize::new(0);
/// One bit per possible first two bytes of a piece, so that most blocks need only this check.
static BEGINNINGS: [AtomicU64; 1_024] = [const { AtomicU64::new(0) }; 1_024];
static FOUND: [AtomicUsize; MOST] = [const { AtomicUsize::new(0) }; MOST];

/// 16 bytes that are searched for in each freed block.
#[derive(Clone, Copy, Debug)]
pub struct Piece(usize);

/// Searches for these bytes from now on, at every position of a freed block.
///
/// # Panics
///
/// If 256 pieces are already watched.
pub fn watch(bytes: [u8; 16]) -> Piece {
    let place = WATCHED.fetch_add(1, Ordering::SeqCst);
    PIECES[place].set(bytes).expect("each place is given once");
    let begin = u16::from_ne_bytes([bytes[0], bytes[1]]);
    BEGINNINGS[usize::from(begin / 64)].fetch_or(1 << (begin % 64), Ordering::SeqCst);
    Piece(place)
}

impl Piece {
    /// The number of times it was found in a freed block.
    pub fn found(self) -> usize {
        FOUND[self.0].load(Ordering::SeqCst)
    }
}

/// The system's allocator. A growing block is always moved, so that its old block is searched too.
#[derive(Debug)]
pub struct Spy;

// SAFETY: all calls are passed on to the system's allocator. Before a block is freed it is read within its
// bounds.
unsafe impl GlobalAlloc for Spy {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's obligations are the same. Zeroed, so that nothing is found twice and no
        // uninitialized byte is read.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block has `layout.size()` bytes, all of them are initialized, and it is not freed yet.
        look(unsafe { std::slice::from_raw_parts(block, layout.size()) });
        // SAFETY: the caller's obligations are the same.
        unsafe { System.dealloc(block, layout) }
    }
}

fn look(block: &[u8]) {
    // A backtrace allocates thousands of blocks and contains no keys.
    if std::thread::panicking() {
        return;
    }
    for bytes in block.windows(16) {
        let begin = u16::from_ne_bytes([bytes[0], bytes[1]]);
        if BEGINNINGS[usize::from(begin / 64)].load(Ordering::Relaxed) & (1 << (begin % 64)) == 0 {
            continue;
        }
        for (piece, found) in PIECES.iter().zip(&FOUND) {
            if piece.get().is_some_and(|piece| piece == bytes) {
                found.fetch_add(1, Ordering::SeqCst);
            }
        }
    }
}
