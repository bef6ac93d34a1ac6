//! What the servers saw, drawn in the order in which they answered.

use tokio::time::Instant;
use tonic::Code;
use transport::{recorder::Seen, status::code_name};

use crate::{errors::Error, paint};

/// The answers of both servers.
#[derive(Debug, Default)]
pub(super) struct Timeline(Vec<Answer>);

#[derive(Debug)]
struct Answer {
    after_ms: f64,
    service: &'static str,
    method: String,
    code: Code,
}

impl Timeline {
    /// The answers since `start`.
    pub(super) fn new(start: Instant, auth: &[Seen], api: &[Seen]) -> Self {
        let of = |service, seen: &[Seen]| -> Vec<Answer> {
            seen.iter()
                .map(|seen| Answer {
                    after_ms: seen.at.saturating_duration_since(start).as_secs_f64() * 1e3,
                    service,
                    method: seen.method.clone(),
                    code: seen.code,
                })
                .collect()
        };
        let mut answers = of("AuthService", auth);
        answers.extend(of("ApiService", api));
        answers.sort_by(|a, b| a.after_ms.total_cmp(&b.after_ms));
        Self(answers)
    }

    pub(super) fn print(&self) -> Result<(), Error> {
        if self.0.is_empty() {
            return Ok(());
        }
        let header = format!("{:>10}   {:<11}  {:<14}  answer", "", "server", "call");
        paint::line(paint::styled(paint::FAINT, header))?;
        let shown = if self.0.len() > MAX_LINES { MAX_LINES / 2 } else { self.0.len() };
        for answer in &self.0[..shown] {
            answer.print()?;
        }
        if shown < self.0.len() {
            let left_out = format!("{:>10}   … {} more …", "", self.0.len() - 2 * shown);
            paint::line(paint::styled(paint::FAINT, left_out))?;
            for answer in &self.0[self.0.len() - shown..] {
                answer.print()?;
            }
        }
        Ok(())
    }
}

impl Answer {
    fn print(&self) -> Result<(), Error> {
        let style = match self.code {
            Code::Ok => paint::GOOD,
            _ => paint::REFUSED,
        };
        let after = format!("{:.1} ms", self.after_ms);
        paint::line(format_args!(
            "{} {} {:<11}  {:<14}  {}",
            paint::styled(paint::FAINT, format_args!("{after:>10}")),
            paint::styled(paint::FAINT, "│"),
            self.service,
            self.method,
            paint::styled(style, code_name(self.code)),
        ))
    }
}

/// A longer timeline is shown by its ends.
const MAX_LINES: usize = 12;
