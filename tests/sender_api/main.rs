//! The client of ScrapeBadger's API, against a stand-in that is held to the published document.

#![allow(unreachable_pub, dead_code, missing_docs, reason = "a test binary is nobody's library")]

mod calls;
mod mock;
mod process;
mod reconcile;
mod rotation;
mod schema;
mod webhooks;
