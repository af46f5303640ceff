//! What a record is filed under, who holds it, and for which time.

use std::fmt;
use std::hash::{Hash, Hasher};

/// What a record is filed under: a hash, so that no id, body or signature reaches a store.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key([u8; 32]);

impl Key {
    /// A key of these bytes, of which the first 24 should look random. For tests of a store; the layer makes its
    /// own.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes. The last 8 are the same in all keys of a webhook (of a namespace, where a layer is for one
    /// webhook), except that its test events have others: a store that has to give up records can see whose they
    /// are. All others look random.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(crate) fn of_webhook(&self) -> u64 {
        let (lanes, _) = self.0.as_chunks();
        u64::from_ne_bytes(lanes[3])
    }
}

/// As two numbers: hashers take an array by its length and, byte for byte, through a call.
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
    /// A new owner, different from every other.
    #[must_use]
    pub fn random() -> Self {
        Self(rand::random())
    }

    /// The owner of these bytes, as [`to_bytes`](Self::to_bytes) gave them.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }

    /// The bytes, for a store to keep.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }
}

/// Grows with every acquisition of a key.
///
/// Hand it to a system that the handler writes to and let that refuse a smaller one than it has seen:
/// then a handler whose lease was lost while it hung cannot overwrite what its successor did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fence(u64);

impl Fence {
    /// A fence of this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
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
