//! The kinds of events that the senders document, for the help, for completion, and for a warning.

use clap_complete::CompletionCandidate;
use scrapest_webhook::Provider;
use scrapest_webhook::scrapebadger::ScrapeBadger;
use scrapest_webhook::scrapest::Scrapest;

use crate::output;
use crate::sender::Sender;

/// A challenge is not an event, but a sample of it exists.
const CHALLENGE: &str = "webhook.verification";

/// The kinds of this sender that have a sample.
pub(crate) fn known(sender: Sender) -> Vec<&'static str> {
    match sender {
        Sender::Scrapest => {
            Scrapest::default().kinds().iter().copied().chain([CHALLENGE]).collect()
        }
        Sender::ScrapeBadger => ScrapeBadger::default().kinds().to_vec(),
    }
}

/// The list of kinds for the help.
pub(crate) fn help() -> String {
    format!(
        "scrapest: {}. scrapebadger: {}",
        known(Sender::Scrapest).join(", "),
        known(Sender::ScrapeBadger).join(", ")
    )
}

/// The completions that a shell offers.
pub(crate) fn candidates() -> Vec<CompletionCandidate> {
    [Sender::Scrapest, Sender::ScrapeBadger]
        .into_iter()
        .flat_map(|sender| known(sender).into_iter().map(move |kind| (sender, kind)))
        .map(|(sender, kind)| CompletionCandidate::new(kind).help(Some(sender.name().into())))
        .collect()
}

/// Warns about a mistyped kind, which would be sent with an empty payload and be an unknown event for the
/// receiver.
pub(crate) fn warn_if_unknown(sender: Sender, kind: &str) {
    let known = known(sender);
    if !known.contains(&kind) {
        output::say(format_args!(
            "warning: {} does not document the kind {kind:?}, so its payload is empty; known kinds: {}",
            sender.name(),
            known.join(", ")
        ));
    }
}
