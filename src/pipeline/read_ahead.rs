//! What the pipeline has read of a body that the handler still wants whole.

use bytes::Bytes;

use super::BodyError;

/// Keeps the pieces that the pipeline reads, so that the body can be handed on as it came.
#[derive(Debug)]
pub(crate) struct ReadAhead<E> {
    /// `None`: nothing is kept.
    read: Option<Vec<Bytes>>,
    end: Option<Result<(), E>>,
}

/// The body behind the layer: whole, or what was read of it and what is to follow.
pub(crate) enum Remainder<E> {
    Whole(Bytes),
    Broken(Vec<Bytes>, E),
    Begun(Vec<Bytes>),
}

impl<E> ReadAhead<E> {
    pub(crate) fn off() -> Self {
        Self { read: None, end: None }
    }

    pub(crate) fn start(&mut self) {
        self.read = Some(Vec::new());
    }

    /// A piece of the body, for the pipeline, which does not look into errors.
    pub(crate) fn keep(
        &mut self,
        piece: Option<Result<Bytes, E>>,
        classify: impl FnOnce(&E) -> BodyError,
    ) -> Option<Result<Bytes, BodyError>> {
        match piece {
            Some(Ok(bytes)) => {
                if let Some(read) = &mut self.read {
                    read.push(bytes.clone());
                }
                Some(Ok(bytes))
            }
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

    pub(crate) fn into_remainder(self) -> Remainder<E> {
        let read = self.read.unwrap_or_default();
        match self.end {
            None => Remainder::Begun(read),
            Some(Err(error)) => Remainder::Broken(read, error),
            Some(Ok(())) => Remainder::Whole(match <[Bytes; 1]>::try_from(read) {
                Ok([whole]) => whole,
                Err(pieces) => pieces.concat().into(),
            }),
        }
    }
}
