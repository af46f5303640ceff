//! The allocator, and what it looks for.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::OnceLock;

use sha2::block_api::compress256;

/// So many bytes of a secret or a state are no coincidence.
const ENOUGH: usize = 16;
const BLOCK: usize = 64;
/// SHA-256 begins with this state (FIPS 180-4, 5.3.3).
const BEGINNING: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

thread_local! {
    /// How many blocks were found, on a thread that looks.
    static FOUND: Cell<Option<usize>> = const { Cell::new(None) };
}
static SOUGHT: OnceLock<Vec<[u8; ENOUGH]>> = OnceLock::new();

/// The allocator of the system. While it is told to, it looks into each block before it gives it back.
pub struct Spy;

// SAFETY: everything is left to the system's allocator. A block is only read, before it is given back, where its owner
// has written to it or the system has: `alloc` here asks for memory that is zeroed.
unsafe impl GlobalAlloc for Spy {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as promised by the caller.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if FOUND.get().is_some() && layout.size() >= ENOUGH {
            // SAFETY: the caller gives this block back, and it is initialized since `alloc`.
            look(unsafe { std::slice::from_raw_parts(block, layout.size()) });
        }
        // SAFETY: as promised by the caller.
        unsafe { System.dealloc(block, layout) }
    }
}

fn look(block: &[u8]) {
    let Some(sought) = SOUGHT.get() else { return };
    let found = sought.iter().any(|part| block.windows(ENOUGH).any(|window| window == part));
    FOUND.set(FOUND.get().map(|before| before + usize::from(found)));
}

/// The number of blocks that this thread gives back meanwhile with a part of one of these secrets in them, or of a key
/// state that was made of one. The secrets are those of the first call.
pub fn looking_for(secrets: &[&str], act: impl FnOnce()) -> usize {
    SOUGHT.get_or_init(|| secrets.iter().flat_map(|secret| sought(secret)).collect());
    FOUND.set(Some(0));
    act();
    FOUND.take().unwrap_or_default()
}

fn sought(secret: &str) -> [[u8; ENOUGH]; 5] {
    let [inside, outside] = states_of(secret).map(|state| start(&state.concat()));
    let [first, second] = [0x36, 0x5c].map(|mask| start(&padded(secret, mask)));
    [inside, outside, first, second, start(secret.as_bytes())]
}

fn start(bytes: &[u8]) -> [u8; ENOUGH] {
    bytes[..ENOUGH].try_into().unwrap()
}

/// The states of the hash after its first block, inside and outside: with them anybody can sign (RFC 2104).
pub fn states_of(secret: &str) -> [[[u8; 4]; 8]; 2] {
    [0x36, 0x5c].map(|mask| {
        let mut state = BEGINNING;
        compress256(&mut state, &[padded(secret, mask)]);
        state.map(u32::to_ne_bytes)
    })
}

fn padded(secret: &str, mask: u8) -> [u8; BLOCK] {
    let mut block = [mask; BLOCK];
    block.iter_mut().zip(secret.bytes()).for_each(|(byte, of_secret)| *byte ^= of_secret);
    block
}
