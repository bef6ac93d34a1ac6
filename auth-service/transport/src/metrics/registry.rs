//! One server's metrics.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use prometheus::{
    Gauge, HistogramOpts, Opts, Registry, TextEncoder,
    core::{AtomicF64, Collector, GenericCounter},
};
use token::clock::Timestamp;

use super::process;
use crate::log_lines;

/// Counts.
pub type Counter = prometheus::IntCounter;
/// Sorts what it is given into buckets.
pub type Histogram = prometheus::Histogram;

/// The media type of what [`Metrics::render`] gives.
pub const FORMAT: &str = prometheus::TEXT_FORMAT;

/// What one server counts and measures. Clones share it.
///
/// ```
/// use token::clock::Timestamp;
/// use transport::metrics::Metrics;
///
/// let metrics = Metrics::new("shop", "1.0.0", Timestamp::from_unix_seconds(1_800_000_000));
/// let [sold, returned] = metrics.counters("wares_total", "What became of wares", "way", ["sold", "returned"]);
/// sold.inc();
/// assert!(metrics.render().contains("shop_wares_total{way=\"returned\"} 0"));
/// ```
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    /// Every name in it begins with the server's prefix.
    own: Registry,
    /// What has the same name whatever program it is of.
    process: Registry,
    ready: Gauge,
    readings: Mutex<Vec<Reading>>,
}

/// Sets a metric to what is so now.
type Reading = Box<dyn Fn() + Send + Sync>;

impl Metrics {
    /// Of a server of this version that was started then. Every name of its own begins with `prefix`.
    ///
    /// # Panics
    ///
    /// If `prefix` cannot stand in a metric's name.
    #[must_use]
    pub fn new(prefix: &str, version: &str, started: Timestamp) -> Self {
        let own = Registry::new_custom(Some(prefix.to_owned()), None).expect(VALID);
        let ready = gauge("ready", "Whether the server may be sent calls, as /readyz says", &[]);
        let inner = Inner { own, process: Registry::new(), ready, readings: Mutex::default() };
        let metrics = Self(Arc::new(inner));
        metrics.register(&metrics.0.ready);
        let build =
            gauge("build_info", "1, with the version as its label", &[("version", version)]);
        build.set(1.0);
        metrics.register(&build);
        let help = "Lines of the log that were lost because nobody took them";
        metrics.total("log_lines_lost_total", help, &[], || log_lines::lost() as f64);
        process::watch(&metrics, started);
        metrics
    }

    /// Adds what was made elsewhere.
    ///
    /// # Panics
    ///
    /// If something of its name and labels is there already.
    pub fn register(&self, metric: &(impl Collector + Clone + 'static)) {
        self.0.own.register(Box::new(metric.clone())).expect(VALID);
    }

    /// Counts from zero.
    ///
    /// # Panics
    ///
    /// As [`Self::register`], or if the name cannot be one.
    #[must_use]
    pub fn counter(&self, name: &str, help: &str) -> Counter {
        let counter = counter(name, help);
        self.register(&counter);
        counter
    }

    /// A counter for each of these values of `label`. All are there from the start: what comes into
    /// being with its first count does not look like an increase.
    ///
    /// # Panics
    ///
    /// As [`Self::counter`].
    #[must_use]
    pub fn counters<const N: usize>(
        &self,
        name: &str,
        help: &str,
        label: &str,
        values: [&str; N],
    ) -> [Counter; N] {
        values.map(|value| {
            let opts = Opts::new(name, help).const_label(label, value);
            let counter = Counter::with_opts(opts).expect(VALID);
            self.register(&counter);
            counter
        })
    }

    /// Tells what `read` gives whenever it is asked for.
    ///
    /// # Panics
    ///
    /// As [`Self::counter`].
    pub fn reading(
        &self,
        name: &str,
        help: &str,
        labels: &[(&str, &str)],
        read: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        let gauge = gauge(name, help, labels);
        self.register(&gauge);
        self.read(move || gauge.set(read()));
    }

    /// The same of a number that something else counts up.
    ///
    /// # Panics
    ///
    /// As [`Self::counter`].
    pub fn total(
        &self,
        name: &str,
        help: &str,
        labels: &[(&str, &str)],
        read: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        let counter = f64_counter(name, help, labels);
        self.register(&counter);
        self.read(move || set(&counter, read()));
    }

    /// Notes whether the server may be sent calls.
    pub(crate) fn set_ready(&self, ready: bool) {
        self.0.ready.set(f64::from(u8::from(ready)));
    }

    /// All of it, in Prometheus' text format.
    #[must_use]
    pub fn render(&self) -> String {
        // Held until all is written: of two scrapes at a time neither sees a number half set.
        let readings = self.0.readings.lock().unwrap_or_else(PoisonError::into_inner);
        for read in &*readings {
            read();
        }
        let mut families = self.0.own.gather();
        families.extend(self.0.process.gather());
        let mut text = String::new();
        // Text in memory takes whatever it is given.
        let _ = TextEncoder::new().encode_utf8(&families, &mut text);
        text
    }

    /// Something of the process.
    pub(super) fn process_reading(
        &self,
        name: &str,
        help: &str,
        read: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        let gauge = gauge(name, help, &[]);
        self.0.process.register(Box::new(gauge.clone())).expect(VALID);
        self.read(move || gauge.set(read()));
    }

    /// Something that the process counts up.
    pub(super) fn process_total(
        &self,
        name: &str,
        help: &str,
        read: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        let counter = f64_counter(name, help, &[]);
        self.0.process.register(Box::new(counter.clone())).expect(VALID);
        self.read(move || set(&counter, read()));
    }

    fn read(&self, read: impl Fn() + Send + Sync + 'static) {
        let mut readings = self.0.readings.lock().unwrap_or_else(PoisonError::into_inner);
        readings.push(Box::new(read));
    }
}

/// A counter that is to be registered.
///
/// # Panics
///
/// If the name cannot be one.
#[must_use]
pub fn counter(name: &str, help: &str) -> Counter {
    Counter::new(name, help).expect(VALID)
}

/// A histogram that is to be registered, with these upper ends of its buckets.
///
/// # Panics
///
/// If the name cannot be one, or the buckets do not ascend.
#[must_use]
pub fn histogram(name: &str, help: &str, labels: &[(&str, &str)], buckets: &[f64]) -> Histogram {
    let opts = HistogramOpts { common_opts: opts(name, help, labels), buckets: buckets.to_vec() };
    Histogram::with_opts(opts).expect(VALID)
}

fn gauge(name: &str, help: &str, labels: &[(&str, &str)]) -> Gauge {
    Gauge::with_opts(opts(name, help, labels)).expect(VALID)
}

fn f64_counter(name: &str, help: &str, labels: &[(&str, &str)]) -> GenericCounter<AtomicF64> {
    GenericCounter::with_opts(opts(name, help, labels)).expect(VALID)
}

fn set(counter: &GenericCounter<AtomicF64>, to: f64) {
    counter.reset();
    counter.inc_by(to);
}

fn opts(name: &str, help: &str, labels: &[(&str, &str)]) -> Opts {
    let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Opts::new(name, help).const_labels(labels.collect::<HashMap<_, _>>())
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

const VALID: &str = "names and labels are written in the program, each once";
