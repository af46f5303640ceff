use tower_layer::Layer;

use super::Webhook;
use crate::layer::WebhookLayer;
use crate::provider::Provider;

/// # Panics
///
/// If the settings contradict each other; see [`WebhookLayer::check`].
impl<S, P: Provider> Layer<S> for WebhookLayer<P> {
    type Service = Webhook<S, P>;

    fn layer(&self, inner: S) -> Self::Service {
        Webhook::new(inner, self.checked())
    }
}
