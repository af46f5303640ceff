//! Keeps the part of a body that the pipeline has read, for a handler that needs the whole body.

use bytes::Bytes;

use super::BodyError;

/// The part of a body that the pipeline has read and put back, so that the handler gets the body as received. It
/// shares the pipeline's buffer: nothing is stored twice.
#[derive(Debug)]
pub(crate) struct ReadAhead<E> {
    read: Vec<Bytes>,
    end: Option<Result<(), E>>,
}

/// The body that the handler gets: complete, broken off with an error, or the part that was read with the rest still
/// to come.
pub(crate) enum Remainder<E> {
    Whole(Bytes),
    Broken(Vec<Bytes>, E),
    Begun(Vec<Bytes>),
}

impl<E> ReadAhead<E> {
    pub(crate) fn new() -> Self {
        Self { read: Vec::new(), end: None }
    }

    /// Records the end of the body, and returns the piece for the pipeline, which gets only the kind of an error.
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

    /// Whether the body has ended or failed.
    #[cfg_attr(not(feature = "tower"), allow(dead_code, reason = "actix reads the rest itself"))]
    pub(crate) fn is_at_end(&self) -> bool {
        self.end.is_some()
    }

    /// Stores a piece that was read. Call it in the order of the body.
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
