//! Code shared by the extractors of all frameworks.

use super::{EventError, EventErrorKind};
use crate::delivery::Delivery;

/// The delivery that the layer has put into the extensions, or an error.
pub(crate) fn delivered(found: Option<&Delivery>) -> Result<&Delivery, EventError> {
    found.ok_or_else(|| EventError::missing_layer().logged())
}

/// The delivery in the extensions, decoded into the event of a sender.
pub(crate) fn typed<T>(found: Option<&Delivery>) -> Result<T, EventError>
where
    T: for<'a> TryFrom<&'a Delivery, Error = EventError>,
{
    T::try_from(delivered(found)?).map_err(EventError::logged)
}

impl EventError {
    /// The handler's route has no layer of this crate.
    pub(crate) fn missing_layer() -> Self {
        Self {
            kind: EventErrorKind::MissingLayer,
            message: "no delivery in the request: the route has no `WebhookLayer`, add \
                      `.route_layer(ScrapestWebhookLayer::new(secret))` in axum, `.wrap(…)` in actix-web"
                .into(),
        }
    }

    /// Logs the error when it becomes a response, because the response contains only public information.
    pub(crate) fn logged(self) -> Self {
        match self.kind {
            EventErrorKind::Payload => tracing::warn!(error = %self, "event refused"),
            _ => tracing::error!(error = %self, "the handler cannot receive its event"),
        }
        self
    }

    /// The status of the response.
    pub(crate) fn status(&self) -> u16 {
        match self.kind {
            EventErrorKind::Payload => 422,
            EventErrorKind::MissingLayer | EventErrorKind::WrongSender => 500,
        }
    }

    /// The text that the sender receives.
    pub(crate) fn public_text(&self) -> &'static str {
        match self.kind {
            EventErrorKind::Payload => "event not as documented",
            EventErrorKind::MissingLayer | EventErrorKind::WrongSender => "internal error",
        }
    }
}
