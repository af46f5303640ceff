//! Step 2: reads the raw body, within its limit, its deadline, and the cap on the bytes of all requests.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use super::{BodyError, Exchange};
use crate::access::{Account, Client};
use crate::limits::{Body, NoRoom, Share};
use crate::provider::Provider;
use crate::receiver::Receiver;
use crate::rejection::{RejectionKind, Reply};
use crate::run_state::RunState;

/// The minimum rate is measured over spans of this length, so that a short pause of the network does not end the
/// request.
const RATE_SPAN: Duration = Duration::from_secs(2);

/// A server that is not overloaded checks the rate at most this long after the end of a span.
const ON_TIME: Duration = Duration::from_millis(50);

/// The part of a body that has arrived.
struct Gathered {
    /// A body in one piece, which is the usual case, is passed on without a copy.
    first: Bytes,
    /// Several pieces are copied into one buffer. A piece may be a few bytes of a large buffer of the server, and
    /// keeping it would keep that buffer in memory. The share counts this buffer's capacity.
    rest: Vec<u8>,
    share: Share,
    /// The piece that no longer fitted.
    refused: Option<Bytes>,
}

/// Why the body could not be read to its end.
enum Broken {
    Kind(RejectionKind),
    Room(NoRoom),
}

/// Reads the body. The deadline is for the whole body: a client could defeat a deadline per piece with one byte per
/// second.
pub(super) async fn collect<P: Provider>(
    receiver: &Receiver<P>,
    exchange: &mut impl Exchange,
    run: &RunState,
    client: &mut Client,
) -> Result<Body, Reply> {
    let arrived = AtomicUsize::new(0);
    let mut gathered = Gathered::new(Share::none(receiver.meters().bytes_in_flight()));
    let read = {
        let mut reading = pin!(gather(receiver, exchange, &mut gathered, &arrived));
        match poll_fn(|cx| Poll::Ready(reading.as_mut().poll(cx))).await {
            Poll::Ready(read) => read,
            // Boxed: timers are large, and every delivery would carry their size.
            Poll::Pending => Box::pin(within_time(receiver, run, &arrived, reading)).await,
        }
    };
    let bytes = gathered.take_bytes();
    if receiver.observe_only {
        exchange.put_back(bytes.clone());
        gathered.refused.take().into_iter().for_each(|piece| exchange.put_back(piece));
    }
    match read {
        Ok(()) => Ok(Body::new(bytes, gathered.share)),
        Err(Broken::Kind(kind)) => Err(kind.into()),
        Err(Broken::Room(room)) => {
            // A new request that found all bytes in use is not at fault.
            if room == NoRoom::Full {
                client.forgive();
            }
            Err(RejectionKind::BytesInFlight.into())
        }
    }
}

async fn gather<P: Provider>(
    receiver: &Receiver<P>,
    exchange: &mut impl Exchange,
    gathered: &mut Gathered,
    arrived: &AtomicUsize,
) -> Result<(), Broken> {
    let mut has_begun = false;
    loop {
        let piece = poll_fn(|cx| match exchange.poll_chunk(cx) {
            Poll::Ready(piece) => Poll::Ready(Ok(piece)),
            Poll::Pending => {
                let account = || receiver.access.account(exchange.peer(), exchange.headers());
                match gathered.wait(cx.waker(), account) {
                    Ok(()) => Poll::Pending,
                    Err(room) => Poll::Ready(Err(room)),
                }
            }
        });
        let Some(piece) = piece.await? else { return Ok(gathered.share.settle()?) };
        if std::mem::replace(&mut has_begun, true) {
            // Yields, so that a body that is always ready cannot delay the deadline's check.
            tokio::task::coop::consume_budget().await;
        }
        let piece = piece.map_err(|error| match error {
            BodyError::Incomplete => RejectionKind::BodyIncomplete,
            BodyError::TooLarge => RejectionKind::BodyTooLarge,
        })?;
        arrived.fetch_add(piece.len(), Ordering::Relaxed);
        gathered.push(piece, receiver, exchange)?;
    }
}

/// Stops reading a body at its deadline, or once it arrives below the minimum rate.
async fn within_time<P: Provider>(
    receiver: &Receiver<P>,
    run: &RunState,
    arrived: &AtomicUsize,
    mut reading: Pin<&mut impl Future<Output = Result<(), Broken>>>,
) -> Result<(), Broken> {
    let deadline = run.arrived() + receiver.body_deadline;
    let least = receiver.minimum_body_rate.saturating_mul(RATE_SPAN.as_secs());
    let (mut span_end, mut before) = (run.arrived() + RATE_SPAN, 0);
    loop {
        let end = if least == 0 { deadline } else { deadline.min(span_end) };
        if let Ok(read) = timeout_at(end, reading.as_mut()).await {
            return read;
        }
        if end == deadline {
            return Err(RejectionKind::BodyTooSlow.into());
        }
        let (bytes, now) = (arrived.load(Ordering::Relaxed), Instant::now());
        // If this check is late, the server is overloaded, and the client may not be the slow one.
        if ((bytes - before) as u64) < least && now < end + ON_TIME {
            return Err(RejectionKind::BodyTooSlow.into());
        }
        (span_end, before) = (now + RATE_SPAN, bytes);
    }
}

impl Gathered {
    fn new(share: Share) -> Self {
        Self { first: Bytes::new(), rest: Vec::new(), share, refused: None }
    }

    fn len(&self) -> usize {
        self.first.len() + self.rest.len()
    }

    fn push<P: Provider>(
        &mut self,
        piece: Bytes,
        receiver: &Receiver<P>,
        exchange: &impl Exchange,
    ) -> Result<(), Broken> {
        let limit = receiver.body_limit;
        let fits = match piece.len() > limit - self.len() {
            true => Err(RejectionKind::BodyTooLarge.into()),
            false => self.make_room(&piece, receiver, exchange),
        };
        if let Err(broken) = fits {
            self.refused = Some(piece);
            return Err(broken);
        }
        if self.rest.capacity() == 0 {
            self.first = piece;
        } else {
            self.rest.extend_from_slice(&piece);
        }
        Ok(())
    }

    /// Reserves room for one more piece. The first piece needs no buffer of our own.
    fn make_room<P: Provider>(
        &mut self,
        piece: &Bytes,
        receiver: &Receiver<P>,
        exchange: &impl Exchange,
    ) -> Result<(), Broken> {
        let limit = receiver.body_limit;
        let needed = self.len() + piece.len();
        let has = self.share.bytes();
        if needed > has {
            // The reservation is at most four times the bytes that have arrived, whatever length a header announces.
            // Doubling adds a quarter of the HMAC's time to a body of 1 MB (`peers goals G3`).
            let room = match has {
                0 => needed,
                _ => needed.max((4 * has).min(announced(exchange).unwrap_or(limit).min(limit))),
            };
            receiver.limits.take_bytes(&mut self.share, room - has, limit)?;
        }
        if self.len() > 0 && self.rest.capacity() < self.share.bytes() {
            self.own();
        }
        Ok(())
    }

    /// Copies the pieces so far into a buffer of our own, with as many bytes as the share counts.
    fn own(&mut self) {
        self.rest.reserve_exact(self.share.bytes() - self.rest.len());
        self.rest.extend_from_slice(&std::mem::take(&mut self.first));
    }

    /// Waits for the next piece. The client has not been authenticated, so the body must not use more memory than is
    /// counted.
    fn wait(&mut self, waker: &Waker, account: impl FnOnce() -> Account) -> Result<(), NoRoom> {
        if !self.first.is_empty() {
            self.own();
        }
        self.share.wait(waker, account)
    }

    fn take_bytes(&mut self) -> Bytes {
        match self.rest.capacity() {
            0 => std::mem::take(&mut self.first),
            _ => std::mem::take(&mut self.rest).into(),
        }
    }
}

/// Returns the length that the headers announce, if any.
pub(super) fn announced(exchange: &impl Exchange) -> Option<usize> {
    std::str::from_utf8(exchange.headers().get("content-length")?).ok()?.trim().parse().ok()
}

impl From<RejectionKind> for Broken {
    fn from(kind: RejectionKind) -> Self {
        Self::Kind(kind)
    }
}

impl From<NoRoom> for Broken {
    fn from(room: NoRoom) -> Self {
        Self::Room(room)
    }
}
