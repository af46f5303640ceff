//! The manual: one page per topic.
//!
//! | page | read it for |
//! |---|---|
//! | [`handler`] | what a handler takes, where the layer goes, how to test it |
//! | [`settings`] | every setting with its default and the reason for it |
//! | [`secrets`] | where secrets come from, rotating them, many webhooks on one route |
//! | [`status_codes`] | what the sender is answered, and when |
//! | [`senders`] | what the two senders document, and what is assumed |
//! | [`stores`] | choosing a store, and what each one guarantees |
//! | [`exactly_once`] | one transaction for the effect and the record |
//! | [`background_work`] | answer now and work later, batches, missed deliveries |
//! | [`production`] | the checklist, with a program that follows it |
//! | [`observability`] | logs, metrics, dashboard and alerts |
//! | [`command_line`] | the binary: `listen`, `work`, `queue`, `send`, `sign`, `verify`, `reconcile`, `doctor` |
//! | [`troubleshooting`] | what you see, what causes it, what to do |
//! | [`local_development`] | real deliveries on your own machine, through a tunnel |

pub mod handler {
    #![doc = include_str!("handler.md")]
}
pub mod settings {
    #![doc = include_str!("settings.md")]
}
pub mod secrets {
    #![doc = include_str!("secrets.md")]
}
pub mod status_codes {
    #![doc = include_str!("status-codes.md")]
}
pub mod senders {
    #![doc = include_str!("senders.md")]
}
pub mod stores {
    #![doc = include_str!("stores.md")]
}
pub mod exactly_once {
    #![doc = include_str!("exactly-once.md")]
}
pub mod background_work {
    #![doc = include_str!("background-work.md")]
}
pub mod production {
    #![doc = include_str!("production.md")]
}
pub mod observability {
    #![doc = include_str!("observability.md")]
}
pub mod command_line {
    #![doc = include_str!("command-line.md")]
}
pub mod troubleshooting {
    #![doc = include_str!("troubleshooting.md")]
}
pub mod local_development {
    #![doc = include_str!("local-development.md")]
}
