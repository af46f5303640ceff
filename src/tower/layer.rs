use tower_layer::Layer;

use super::WebhookService;
use crate::layer::WebhookLayer;
use crate::provider::Provider;

/// # Panics
///
/// If the settings contradict each other; see [`WebhookLayer::check`].
impl<S, P: Provider> Layer<S> for WebhookLayer<P> {
    type Service = WebhookService<S, P>;

    fn layer(&self, inner: S) -> Self::Service {
        WebhookService::new(inner, self.checked())
    }
}
