//! What the process uses, by the names that Prometheus' own libraries give it.

use std::fs;

use rustix::{
    param::{clock_ticks_per_second, page_size},
    process::{Resource, getrlimit},
};
use token::clock::Timestamp;

use super::Metrics;

/// Reads what the system tells of the process. What it does not tell, as on systems without /proc,
/// is zero.
pub(super) fn watch(metrics: &Metrics, started: Timestamp) {
    let started = started.unix_millis() as f64 / 1e3;
    metrics.process_reading(
        "process_start_time_seconds",
        "When the server was started, in seconds since 1970",
        move || started,
    );
    metrics.process_reading(
        "process_resident_memory_bytes",
        "Memory of the process that is in RAM",
        || resident_bytes().unwrap_or_default(),
    );
    metrics.process_reading("process_open_fds", "File descriptors that are open", || {
        // One of them is open to count them.
        fs::read_dir("/proc/self/fd").map_or(0.0, |open| open.count().saturating_sub(1) as f64)
    });
    metrics.process_reading("process_max_fds", "File descriptors that may be open", || {
        getrlimit(Resource::Nofile).current.map_or(f64::INFINITY, |most| most as f64)
    });
    metrics.process_total("process_cpu_seconds_total", "Processor time that was used", || {
        cpu_seconds().unwrap_or_default()
    });
}

fn resident_bytes() -> Option<f64> {
    let pages = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = pages.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages as f64 * page_size() as f64)
}

fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The program's name, in parentheses, may hold anything; `utime` and `stime` are the 12th and
    // 13th fields behind it (proc(5)).
    let mut ticks = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let (user, system): (u64, u64) = (ticks.next()?.parse().ok()?, ticks.next()?.parse().ok()?);
    Some((user + system) as f64 / clock_ticks_per_second() as f64)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_system_tells() {
        assert!(resident_bytes().unwrap() > 1e5);
        assert!(cpu_seconds().unwrap() >= 0.0);
        let metrics = Metrics::new("x", "1", Timestamp::from_unix_seconds(7));
        let text = metrics.render();
        assert!(text.contains("\nprocess_start_time_seconds 7\n"), "{text}");
        assert!(!text.contains("\nprocess_open_fds 0\n"), "{text}");
    }
}
