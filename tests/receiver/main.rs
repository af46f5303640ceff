//! The receiver from end to end: real sockets, real frameworks. One file for each promise or threat.

#![allow(unreachable_pub, dead_code, missing_docs, reason = "a test binary is nobody's library")]

mod access;
mod authentication;
mod body;
mod captures;
mod common;
mod configuration;
mod crowds;
mod dedup;
mod defaults;
mod departures;
mod drain;
mod flood;
mod frameworks;
mod freshness;
mod handler_faults;
mod handshake;
mod http2;
mod ids;
mod json;
mod limits;
mod observe_only;
mod output;
mod payloads;
mod promises;
mod reflection;
mod replay;
mod rotation;
mod secret_files;
mod secrets;
mod senders;
mod senders_settings;
mod settings;
mod settling;
mod shutdown;
mod statuses;
mod store_faults;
mod throttle;
mod timestamps;
mod transport;
mod waiting;
mod webhooks;
