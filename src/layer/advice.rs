//! Warnings about settings that probably do not do what they are meant to do: once per layer, at WARN.

use super::WebhookLayer;
use crate::provider::Provider;

impl<P: Provider> WebhookLayer<P> {
    pub(super) fn advise(&self) {
        let receiver = &self.receiver;
        receiver.notices.settings.then(|| {
            let sender = receiver.provider.name();
            let (deadline, usual) = (receiver.answer_deadline(), receiver.provider.answer_deadline());
            // The default deadline leaves a fifth of the sender's waiting time to the network.
            if deadline > usual * 5 / 4 {
                tracing::warn!(
                    sender,
                    ?deadline,
                    ?usual,
                    "the answer deadline is longer than the sender waits, so the sender gives up first, counts a \
                     failure and retries: expected at most the usual deadline"
                );
            }
            for what in receiver.access.without_effect() {
                tracing::warn!(sender, "{what}");
            }
        });
    }
}
