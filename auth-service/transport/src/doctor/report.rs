//! What was found, for people and for programs.

use serde_json::{Value, json};

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It works, and may not for long.
    Warn,
    /// It does not work.
    Fail,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    name: &'static str,
    verdict: Verdict,
    found: String,
    mend: Option<String>,
}

/// Everything that was looked at, in that order.
#[derive(Clone, Debug, Default)]
pub struct Report(Vec<Check>);

impl Verdict {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
        }
    }

    const fn color(self) -> &'static str {
        match self {
            Self::Ok => "\x1b[32m",
            Self::Warn => "\x1b[33m",
            Self::Fail => "\x1b[1;31m",
        }
    }
}

impl Check {
    /// `name` is as it should be.
    #[must_use]
    pub fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Ok, found: found.into(), mend: None }
    }

    /// `name` works, and may not for long.
    #[must_use]
    pub fn warn(name: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Warn, found: found.into(), mend: Some(mend.into()) }
    }

    /// `name` does not work.
    #[must_use]
    pub fn fail(name: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Fail, found: found.into(), mend: Some(mend.into()) }
    }

    /// How it is.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        self.verdict
    }
}

impl Report {
    /// One more check.
    pub fn add(&mut self, check: Check) {
        self.0.push(check);
    }

    /// Whether nothing failed.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.0.iter().all(|check| check.verdict != Verdict::Fail)
    }

    /// A line for each check, in colour or not.
    #[must_use]
    pub fn text(&self, color: bool) -> String {
        let width = self.0.iter().map(|check| check.name.len()).max().unwrap_or_default();
        let line = |Check { name, verdict, found, mend }: &Check| {
            let word = format!("{:<4}", verdict.as_str());
            let word = if color { format!("{}{word}\x1b[0m", verdict.color()) } else { word };
            let mend = mend.as_ref().map(|mend| format!("; {mend}")).unwrap_or_default();
            format!("{word}  {name:<width$}  {}", one_line(&format!("{found}{mend}")))
        };
        self.0.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    /// `{"ok", "checks": [{"name", "verdict", "found", "mend"}]}`.
    #[must_use]
    pub fn json(&self) -> Value {
        let checks = self.0.iter().map(|check| {
            json!({
                "name": check.name,
                "verdict": check.verdict.as_str().to_lowercase(),
                "found": check.found,
                "mend": check.mend,
            })
        });
        json!({ "ok": self.is_sound(), "checks": checks.collect::<Vec<_>>() })
    }
}

impl Extend<Check> for Report {
    fn extend<T: IntoIterator<Item = Check>>(&mut self, checks: T) {
        self.0.extend(checks);
    }
}

/// What a server says may have several, and other characters that a terminal obeys.
fn one_line(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_a_line_a_check_and_fails_with_one_of_them() {
        let mut report = Report::default();
        report.add(Check::ok("clock", "agrees"));
        report.add(Check::warn("disk", "is\nfull", "make room"));
        assert!(report.is_sound());
        let text = "ok    clock  agrees\nwarn  disk   is full; make room";
        assert_eq!(report.text(false), text);
        assert!(report.text(true).starts_with("\x1b[32mok  \x1b[0m  clock"));
        report.add(Check::fail("port", "is taken", "choose another"));
        assert!(!report.is_sound());
        let json = report.json();
        assert_eq!((&json["ok"], &json["checks"][2]["verdict"]), (&false.into(), &"fail".into()));
        assert_eq!(json["checks"][0]["mend"], Value::Null);
    }
}
