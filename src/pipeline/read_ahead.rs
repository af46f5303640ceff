//! What the pipeline has read of a body that the handler still wants whole.

use bytes::Bytes;

use super::BodyError;

/// What the pipeline has read and given back, so that the body can be handed on as it came. It is the pipeline's
/// own buffer: nothing is kept twice.
#[derive(Debug)]
pub(crate) struct ReadAhead<E> {
    read: Vec<Bytes>,
    end: Option<Result<(), E>>,
}

/// The body behind the layer: whole, or what was read of it and what is to follow.
pub(crate) enum Remainder<E> {
    Whole(Bytes),
    Broken(Vec<Bytes>, E),
    Begun(Vec<Bytes>),
}

impl<E> ReadAhead<E> {
    pub(crate) fn new() -> Self {
        Self { read: Vec::new(), end: None }
    }

    /// A piece of the body, for the pipeline, which does not look into errors.
    pub(crate) fn next(
        &mut self,
        piece: Option<Result<Bytes, E>>,
        classify: impl FnOnce(&E) -> BodyError,
    ) -> Option<Result<Bytes, BodyError>> {
        match piece {
            Some(Ok(bytes)) => Some(Ok(bytes)),
            Some(Err(error)) => {
                let kind = classify(&error);
                self.end = Some(Err(error));
                Some(Err(kind))
            }
            None => {
                self.end = Some(Ok(()));
                None
            }
        }
    }

    /// Whether the body has ended, or broken off.
    #[cfg_attr(not(feature = "tower"), allow(dead_code, reason = "actix reads on by itself"))]
    pub(crate) fn is_at_end(&self) -> bool {
        self.end.is_some()
    }

    /// To be called with what was read, in its order.
    pub(crate) fn put_back(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.read.push(bytes);
        }
    }

    pub(crate) fn into_remainder(self) -> Remainder<E> {
        match self.end {
            None => Remainder::Begun(self.read),
            Some(Err(error)) => Remainder::Broken(self.read, error),
            Some(Ok(())) => Remainder::Whole(match <[Bytes; 1]>::try_from(self.read) {
                Ok([whole]) => whole,
                Err(pieces) => pieces.concat().into(),
            }),
        }
    }
}
