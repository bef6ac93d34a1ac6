//! RPCs by method and code.

use std::{collections::HashMap, fmt, sync::OnceLock};

use prometheus::{IntCounterVec, IntGauge, Opts};

use super::{Counter, Histogram, Metrics, registry::histogram};
use crate::{
    methods::methods,
    observe::{Ended, Observer},
    status::code_name,
};

/// Counts the RPCs of a server, and measures how long they take.
///
/// The methods are those of the contract. A path that is none of them is counted as `unknown`, so that
/// whoever makes up paths makes up no metrics. A call whose request or answer is a stream lasts for as
/// long as somebody listens: it is counted, and its duration is none of the server's.
pub struct RpcMetrics {
    methods: HashMap<String, Method>,
    unknown: Method,
    ended: IntCounterVec,
}

struct Method {
    name: String,
    in_flight: IntGauge,
    duration: Option<Histogram>,
    /// By code, from its first call on: most methods never answer with most codes.
    ended: [OnceLock<Counter>; CODES],
}

impl RpcMetrics {
    /// Of a server of these services of the contract (their full names), with health and reflection
    /// beside them.
    ///
    /// # Panics
    ///
    /// If `metrics` has them already.
    #[must_use]
    pub fn new(metrics: &Metrics, services: &[&str]) -> Self {
        let methods = methods(services);
        let opts = Opts::new("rpcs_total", "RPCs that have ended, by method and status code");
        let ended = IntCounterVec::new(opts, &["method", "code"]).expect("the labels are valid");
        metrics.register(&ended);
        let method = |name: &str, is_unary: bool| {
            let labels = [("method", name)];
            let duration = is_unary.then(|| histogram(DURATION, DURATION_IS, &labels, &BUCKETS));
            if let Some(duration) = &duration {
                metrics.register(duration);
            }
            let opts = Opts::new("rpcs_in_flight", "RPCs that are under way, by method");
            let in_flight = IntGauge::with_opts(opts.const_label("method", name));
            let in_flight = in_flight.expect("the label is valid");
            metrics.register(&in_flight);
            let ended = [const { OnceLock::new() }; CODES];
            Method { name: name.to_owned(), in_flight, duration, ended }
        };
        let known = methods.into_iter().map(|(name, is_unary)| {
            let known = method(&name, is_unary);
            (format!("/{name}"), known)
        });
        let methods = known.collect();
        Self { methods, unknown: method("unknown", true), ended }
    }

    fn method(&self, path: &str) -> &Method {
        self.methods.get(path).unwrap_or(&self.unknown)
    }
}

impl Observer for RpcMetrics {
    fn began(&self, path: &str) {
        self.method(path).in_flight.inc();
    }

    fn ended(&self, rpc: &Ended<'_>) {
        let method = self.method(rpc.method);
        method.in_flight.dec();
        if let Some(duration) = &method.duration {
            duration.observe(rpc.elapsed.as_secs_f64());
        }
        let ended = method.ended[rpc.code as usize % CODES].get_or_init(|| {
            self.ended.with_label_values(&[method.name.as_str(), code_name(rpc.code)])
        });
        ended.inc();
    }
}

impl fmt::Debug for RpcMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RpcMetrics").field("methods", &self.methods.len()).finish_non_exhaustive()
    }
}

const CODES: usize = 17;
const DURATION: &str = "rpc_duration_seconds";
const DURATION_IS: &str =
    "How long unary RPCs took, from the arrival of the head to the departure of the trailers";
/// From what a call takes that finds everything in memory to the longest life of a request.
const BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use token::clock::Timestamp;
    use tonic::Code;

    use super::*;

    const AUTH: &str = "evergreen.auth.v1.AuthService";

    fn metrics() -> (Metrics, RpcMetrics) {
        let metrics = Metrics::new("x", "1", Timestamp::from_unix_seconds(0));
        let rpcs = RpcMetrics::new(&metrics, &[AUTH]);
        (metrics, rpcs)
    }

    fn call(rpcs: &RpcMetrics, path: &str, code: Code, millis: u64) {
        rpcs.began(path);
        rpcs.ended(&Ended::new(path, code, Duration::from_millis(millis)));
    }

    #[test]
    fn calls_are_counted_by_method_and_code_and_measured() {
        let (metrics, rpcs) = metrics();
        let refresh = format!("/{AUTH}/Refresh");
        call(&rpcs, &refresh, Code::Ok, 3);
        call(&rpcs, &refresh, Code::Ok, 3);
        call(&rpcs, &refresh, Code::Unauthenticated, 700);
        rpcs.began(&refresh);
        let text = metrics.render();
        for line in [
            format!("x_rpcs_total{{code=\"OK\",method=\"{AUTH}/Refresh\"}} 2"),
            format!("x_rpcs_total{{code=\"UNAUTHENTICATED\",method=\"{AUTH}/Refresh\"}} 1"),
            format!("x_rpcs_in_flight{{method=\"{AUTH}/Refresh\"}} 1"),
            format!("x_rpc_duration_seconds_bucket{{method=\"{AUTH}/Refresh\",le=\"0.0025\"}} 0"),
            format!("x_rpc_duration_seconds_bucket{{method=\"{AUTH}/Refresh\",le=\"0.005\"}} 2"),
            format!("x_rpc_duration_seconds_count{{method=\"{AUTH}/Refresh\"}} 3"),
        ] {
            assert!(text.contains(&line), "{line}\n{text}");
        }
    }

    #[test]
    fn who_makes_up_paths_makes_up_no_metrics() {
        let (metrics, rpcs) = metrics();
        let lines = |text: &str| text.lines().count();
        call(&rpcs, "/made.up/Path0", Code::Unimplemented, 1);
        let before = lines(&metrics.render());
        for n in 1..1_000 {
            call(&rpcs, &format!("/made.up/Path{n}"), Code::Unimplemented, 1);
        }
        let text = metrics.render();
        assert_eq!(lines(&text), before);
        let counted = "x_rpcs_total{code=\"UNIMPLEMENTED\",method=\"unknown\"} 1000";
        assert!(text.contains(counted) && !text.contains("made.up"), "{text}");
    }

    #[test]
    fn what_streams_is_counted_and_not_measured_and_other_services_are_not_there() {
        let (metrics, rpcs) = metrics();
        let watch = format!("{AUTH}/WatchRevocations");
        call(&rpcs, &format!("/{watch}"), Code::Cancelled, 3_600_000);
        let text = metrics.render();
        let counted = format!("x_rpcs_total{{code=\"CANCELLED\",method=\"{watch}\"}} 1");
        assert!(text.contains(&counted), "{text}");
        assert!(!text.contains(&format!("x_rpc_duration_seconds_count{{method=\"{watch}\"")));
        assert!(text.contains("x_rpcs_in_flight{method=\"grpc.health.v1.Health/Check\"} 0"));
        assert!(!text.contains("ApiService"), "{text}");
    }
}
