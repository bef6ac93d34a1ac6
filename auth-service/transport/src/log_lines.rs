//! Lines of the log: which trace they belong to, and what becomes of them if nobody takes them.

use std::{
    io::{self, Write, stderr},
    os::fd::AsFd,
    sync::atomic::{AtomicU64, Ordering},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use trace_context::{TraceContext, TraceId};
use tracing::Metadata;
use tracing_subscriber::fmt::MakeWriter;

/// Writes to standard error. To each line that is logged while an RPC is worked on it adds the trace,
/// so that one id finds them all; whoever logs need not know of it.
///
/// A line is logged for each RPC, by the thread that serves it. If standard error is a pipe that
/// nobody reads, writing to it would stop one thread after another: then lines are lost, and counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogLines {
    /// Whether lines are JSON objects.
    pub(crate) json: bool,
}

/// Writes one line.
#[derive(Debug)]
pub(crate) struct Line {
    json: bool,
    trace: Option<TraceId>,
}

/// How many lines nobody has taken.
pub(crate) fn lost() -> u64 {
    LOST.load(Ordering::Relaxed)
}

static LOST: AtomicU64 = AtomicU64::new(0);

impl LogLines {
    fn line(self, trace: Option<TraceContext>) -> Line {
        Line { json: self.json, trace: trace.map(TraceContext::trace_id) }
    }
}

impl MakeWriter<'_> for LogLines {
    type Writer = Line;

    fn make_writer(&self) -> Line {
        self.line(TraceContext::current())
    }

    fn make_writer_for(&self, event: &Metadata<'_>) -> Line {
        // What says it of itself need not be told.
        let says_so = event.fields().field(TRACE_ID).is_some();
        self.line(TraceContext::current().filter(|_| !says_so))
    }
}

impl Line {
    /// The line with its trace. One that does not end as lines do stays as it is.
    fn traced(&self, line: &[u8]) -> Option<Vec<u8>> {
        let trace = self.trace?;
        let (head, tail) = match self.json {
            true => (line.strip_suffix(b"}\n")?, format!(",\"{TRACE_ID}\":\"{trace}\"}}\n")),
            false => (line.strip_suffix(b"\n")?, format!(" {TRACE_ID}={trace}\n")),
        };
        Some([head, tail.as_bytes()].concat())
    }
}

impl Write for Line {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let traced = self.traced(line);
        // Locked, so that nobody takes the room between the look and the write.
        put(&mut stderr().lock(), traced.as_deref().unwrap_or(line), &LOST)?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        stderr().flush()
    }
}

/// Writes a whole line, unless there is no room for it.
fn put(out: &mut (impl Write + AsFd), line: &[u8], lost: &AtomicU64) -> io::Result<()> {
    // What can be written to at all has room for a line: a pipe, for 4 KiB (poll(2), pipe(7)).
    let mut ready = [PollFd::new(&*out, PollFlags::OUT)];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    // A system that cannot say is one that takes it.
    if matches!(poll(&mut ready, Some(&at_once)), Ok(0)) {
        lost.fetch_add(1, Ordering::Relaxed);
        return Ok(());
    }
    out.write_all(line)
}

/// The field's name.
const TRACE_ID: &str = "trace_id";

#[cfg(test)]
mod tests {
    use std::io::{Read as _, pipe};

    use super::*;

    const PARENT: &[u8] = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_line_within_a_trace_names_it() {
        let trace = TraceContext::parse(PARENT);
        let traced = |json, line: &str| {
            let traced = LogLines { json }.line(trace).traced(line.as_bytes());
            traced.map(|line| String::from_utf8(line).unwrap())
        };
        let line = traced(true, "{\"message\":\"hello\"}\n").unwrap();
        let object: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(object["trace_id"], "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(object["message"], "hello");
        let line = traced(false, "INFO hello\n").unwrap();
        assert_eq!(line, "INFO hello trace_id=0af7651916cd43dd8448eb211c80319c\n");
        assert_eq!(traced(true, "no object\n"), None);
        assert_eq!(LogLines { json: true }.line(None).traced(b"{}\n"), None);
    }

    #[test]
    fn what_is_logged_elsewhere_names_none() {
        let writer = || LogLines { json: true }.make_writer().trace;
        let trace = TraceContext::parse(PARENT).unwrap();
        assert_eq!(trace.enter(writer), Some(trace.trace_id()));
        assert_eq!(writer(), None);
    }

    #[test]
    fn a_pipe_that_nobody_reads_stops_nobody() {
        let (mut reader, mut writer) = pipe().unwrap();
        let (line, lost) = ([b'x'; 100], AtomicU64::new(0));
        for _ in 0..10_000 {
            put(&mut writer, &line, &lost).unwrap();
        }
        let missed = lost.load(Ordering::Relaxed);
        assert!((1..10_000).contains(&missed), "{missed}");
        drop(writer);
        let mut read = Vec::new();
        reader.read_to_end(&mut read).unwrap();
        assert_eq!(read.len(), line.len() * (10_000 - missed as usize), "whole lines, or none");
    }
}
