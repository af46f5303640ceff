//! The client of ScrapeBadger's API, against a stand-in that is checked against the published document.

mod calls;
mod doctor;
mod killed_receiver;
mod mock;
mod passes;
mod process;
mod queued;
mod reconcile;
mod rotation;
mod schema;
mod webhooks;
