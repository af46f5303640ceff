//! An allocator that looks for keys in the memory that is freed.
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

/// In static memory: what is looked for must never be in a block of the heap.
static PIECES: [OnceLock<[u8; 16]>; MOST] = [const { OnceLock::new() }; MOST];
static WATCHED: AtomicUsize = AtomicUsize::new(0);
/// A bit for each pair of bytes that a piece begins with: few blocks need more than a look at this.
static BEGINNINGS: [AtomicU64; 1_024] = [const { AtomicU64::new(0) }; 1_024];
static FOUND: [AtomicUsize; MOST] = [const { AtomicUsize::new(0) }; MOST];

/// 16 bytes that are looked for in each block that is freed.
#[derive(Clone, Copy, Debug)]
pub struct Piece(usize);

/// From now on these bytes are looked for, at every place of a block.
///
/// # Panics
///
/// If there are 256 of them.
pub fn watch(bytes: [u8; 16]) -> Piece {
    let place = WATCHED.fetch_add(1, Ordering::SeqCst);
    PIECES[place].set(bytes).expect("each place is given once");
    let begin = u16::from_ne_bytes([bytes[0], bytes[1]]);
    BEGINNINGS[usize::from(begin / 64)].fetch_or(1 << (begin % 64), Ordering::SeqCst);
    Piece(place)
}

impl Piece {
    /// How many times it was in a freed block.
    pub fn found(self) -> usize {
        FOUND[self.0].load(Ordering::SeqCst)
    }
}

/// The system's allocator. A block that grows is always moved, so that its old place is looked at too.
#[derive(Debug)]
pub struct Spy;

// SAFETY: everything is passed on to the system's allocator. Before a block is freed it is read, inside its bounds.
unsafe impl GlobalAlloc for Spy {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as for the caller. Zeroed, so that nothing is found twice, and nothing is read that was never written.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block is `layout.size()` bytes, all of them written, and not freed yet.
        look(unsafe { std::slice::from_raw_parts(block, layout.size()) });
        // SAFETY: as for the caller.
        unsafe { System.dealloc(block, layout) }
    }
}

fn look(block: &[u8]) {
    // A backtrace takes memory by the thousand blocks, and has no keys.
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
