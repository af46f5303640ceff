//! Tests against published material: test vectors of HMAC-SHA256, and the senders' own SDKs.

mod sdks;
mod vectors;
