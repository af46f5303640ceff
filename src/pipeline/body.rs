//! Step 2: the raw body, within its limit, its deadline, and the cap over all requests.

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

/// The least rate is kept over each span of this length, so that a pause of the network is not the end.
const RATE_SPAN: Duration = Duration::from_secs(2);

/// A server that has time looks at a body at most this much after the end of a span.
const ON_TIME: Duration = Duration::from_millis(50);

/// What has arrived of a body.
struct Gathered {
    /// A body in one piece, as most are, is handed on without a copy.
    first: Bytes,
    /// Several pieces are copied into one buffer: a piece may be a few bytes of a large buffer of the server,
    /// which would stay in memory with it. Its capacity is what the share counts.
    rest: Vec<u8>,
    share: Share,
    /// The piece that did not fit any more.
    refused: Option<Bytes>,
}

/// Why there is no whole body.
enum Broken {
    Kind(RejectionKind),
    Room(NoRoom),
}

/// Reads the body. There is one deadline for all of it: a deadline for each piece is beaten by a byte a second.
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
            // Boxed: timers are large, and every delivery would carry the room for them.
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
            // A newcomer that found everything in use is not at fault.
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
            // A body that is always ready must not keep the deadline from being looked at.
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

/// Ends the reading of a body at its deadline, or once it comes more slowly than the least rate.
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
        // Where this was looked at late, the server has no time: its client may not be the slow one.
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

    /// Room for one more piece: none of our own for the first one.
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
            // The bytes that have arrived decide how much is reserved: at most four times as many, whatever a header
            // promises. Doubling adds a quarter of the HMAC's time to a body of 1 MB (`peers goals G3`).
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

    /// Copies what has arrived into a buffer of our own, of as many bytes as the share counts.
    fn own(&mut self) {
        self.rest.reserve_exact(self.share.bytes() - self.rest.len());
        self.rest.extend_from_slice(&std::mem::take(&mut self.first));
    }

    /// The body is held while its client has proved nothing: in no more memory than is counted.
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

/// The length that the headers announce, if they do.
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
