//! What others have published or shipped: test vectors of HMAC-SHA256, and the senders' own SDKs.

mod sdks;
mod vectors;
