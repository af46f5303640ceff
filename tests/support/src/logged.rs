//! Records log lines: everything on standard error if the environment asks for it, or the events of one test.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, Once, OnceLock};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Dispatch, Event, Level, Subscriber};
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// If this variable is set, all events from TRACE up are written to standard error.
pub const TRACE: &str = "SCRAPEST_WEBHOOK_TESTS_TRACE";

pub fn trace_if_asked() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if std::env::var_os(TRACE).is_some() {
            tracing_subscriber::fmt()
                .with_max_level(Level::TRACE)
                .with_span_events(FmtSpan::FULL)
                .with_ansi(false)
                .with_writer(std::io::stderr)
                .init();
        }
    });
}

/// The log lines of this crate on this thread, with each field as it is formatted.
#[derive(Clone, Default)]
pub struct Logged(Arc<Mutex<Vec<Line>>>);

/// An event, or a span field that was recorded (with the level of the span).
#[derive(Clone, Debug)]
pub struct Line {
    pub level: Level,
    pub is_event: bool,
    pub fields: BTreeMap<&'static str, String>,
}

impl Line {
    pub fn message(&self) -> &str {
        self.fields.get("message").map_or("", String::as_str)
    }

    /// Whether this line is rate-limited to a few per minute.
    pub fn is_limited(&self) -> bool {
        self.fields.contains_key("lines_left_out")
    }

    fn is_about_neighbours(&self) -> bool {
        ["in this process", "share a store and a namespace"]
            .iter()
            .any(|part| self.message().contains(part))
    }
}

impl Logged {
    /// Records until the guard is dropped.
    pub fn begin() -> (Self, DefaultGuard) {
        // With a single subscriber, tracing would cache a callsite as disabled when another thread reaches it
        // first.
        static ANOTHER: OnceLock<Dispatch> = OnceLock::new();
        ANOTHER.get_or_init(|| Dispatch::new(tracing_subscriber::registry().with(Self::default())));
        let logged = Self::default();
        let subscriber = tracing_subscriber::registry().with(logged.clone());
        (logged, tracing::subscriber::set_default(subscriber))
    }

    /// The lines without those about other layers of the process, which belong to other tests.
    pub fn lines(&self) -> Vec<Line> {
        let mut lines = self.0.lock().unwrap().clone();
        lines.retain(|line| !line.is_about_neighbours());
        lines
    }

    /// The lines about other layers of the process.
    pub fn about_neighbours(&self) -> Vec<Line> {
        let mut lines = self.0.lock().unwrap().clone();
        lines.retain(Line::is_about_neighbours);
        lines
    }

    /// The events at WARN or ERROR.
    pub fn warnings(&self) -> Vec<Line> {
        let mut lines = self.lines();
        lines.retain(|line| line.is_event && line.level <= Level::WARN);
        lines
    }

    /// All lines at this level or a more severe one, as one text.
    pub fn text(&self, level: Level) -> String {
        let lines = self.lines().into_iter().filter(|line| line.level <= level);
        lines.flat_map(|line| line.fields.into_values()).collect::<Vec<_>>().join("\n")
    }

    /// The recorded values of a field, in spans and events.
    pub fn values(&self, field: &str) -> Vec<String> {
        self.lines().iter().filter_map(|line| line.fields.get(field).cloned()).collect()
    }

    fn push(&self, level: Level, is_event: bool, record: impl FnOnce(&mut Fields)) {
        let mut fields = Fields::default();
        record(&mut fields);
        self.0.lock().unwrap().push(Line { level, is_event, fields: fields.0 });
    }
}

fn is_ours(target: &str) -> bool {
    target.starts_with("scrapest_webhook")
}

impl<S: Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>> Layer<S> for Logged {
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        if is_ours(attributes.metadata().target()) {
            let level = *attributes.metadata().level();
            self.push(level, false, |fields| attributes.record(fields));
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if is_ours(span.metadata().target()) {
            self.push(*span.metadata().level(), false, |fields| values.record(fields));
        }
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if is_ours(event.metadata().target()) {
            self.push(*event.metadata().level(), true, |fields| event.record(fields));
        }
    }
}

#[derive(Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}
