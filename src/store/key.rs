//! The key of a record, its owner and its fence.

use std::fmt;
use std::hash::{Hash, Hasher};

/// The key of a record: a hash, so that no id, body or signature reaches a store.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key([u8; 32]);

impl Key {
    /// Creates a key from bytes. The first 24 should look random. For tests of a store; the layer makes its own
    /// keys.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes. The last 8 are the same in all keys of a webhook (of a namespace, if the layer is for
    /// one webhook); its test events have their own 8 bytes. A store that has to evict records can see from them
    /// which webhook a record belongs to. All other bytes look random.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(crate) fn of_webhook(&self) -> u64 {
        let (lanes, _) = self.0.as_chunks();
        u64::from_ne_bytes(lanes[3])
    }
}

/// Hashed as two numbers: for an array a hasher also gets the length, and each byte costs a call.
impl Hash for Key {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        let (lanes, _) = self.0.as_chunks();
        for lane in lanes {
            state.write_u128(u128::from_ne_bytes(*lane));
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

/// Lower-case hex, 64 characters.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The holder of a key: 128 random bits, new for each attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Owner(u128);

impl Owner {
    /// Creates a new owner, different from every other.
    #[must_use]
    pub fn random() -> Self {
        Self(rand::random())
    }

    /// Restores an owner from the bytes that [`to_bytes`](Self::to_bytes) returned.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }

    /// Returns the bytes, for a store to keep.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }
}

/// A number that grows with every acquisition of a key.
///
/// Pass it to a system that the handler writes to, and let that system reject a smaller fence than it has seen. A
/// handler that hung and lost its lease then cannot overwrite the work of its successor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fence(u64);

impl Fence {
    /// Creates a fence with this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Returns the number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
