//! What a command for people fails with, and what it tells its caller by the exit code.

mod advice;
mod exit;
mod status;

use std::{fmt, io, path::Path};

use serde_json::{Value, json};
use transport::config::ConfigError;

pub(crate) use self::exit::{EXIT_CODES, Exit};
use crate::{output::clean, paint};

/// A failure in words: what happened, and what to do next.
#[derive(Debug)]
pub(crate) struct Error {
    exit: Exit,
    reason: Option<String>,
    message: String,
    next: Option<String>,
    fields: Vec<Field>,
    candidates: Vec<Candidate>,
}

/// A field that the server would not take.
#[derive(Debug)]
struct Field {
    name: String,
    mend: String,
}

/// One of several things that a name could mean.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) id: String,
    pub(crate) label: String,
}

impl Error {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { exit, reason: None, message, next: None, fields: vec![], candidates: vec![] }
    }

    /// What the caller wrote cannot be taken as it is.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Exit::Invalid, message)
    }

    /// A file or the terminal failed.
    pub(crate) fn io(what: &str, path: &Path, error: &io::Error) -> Self {
        Self::new(Exit::Failure, format!("cannot {what} {}: {error}", path.display()))
    }

    /// Standard output did not take what was to be printed. A reader who has gone away has seen
    /// enough; anything else has lost them something.
    pub(crate) fn output(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::new(Exit::Unread, "nobody reads the output"),
            _ => Self::new(Exit::Failure, format!("cannot write to standard output: {error}")),
        }
    }

    /// Says what to do next, instead of what was said before.
    pub(crate) fn then(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    /// Says what to do before what is to be done next.
    pub(crate) fn first(self, first: &str) -> Self {
        let next = self.next.as_ref().map_or(first.to_owned(), |next| format!("{first} {next}"));
        self.then(next)
    }

    /// Says what to do after what is to be done next.
    pub(crate) fn finally(self, last: &str) -> Self {
        let next = self.next.as_ref().map_or(last.to_owned(), |next| format!("{next} {last}"));
        self.then(next)
    }

    /// Adds what the name that was given could mean.
    pub(crate) fn among(mut self, candidates: Vec<Candidate>) -> Self {
        self.candidates = candidates;
        self
    }

    pub(crate) const fn exit(&self) -> Exit {
        self.exit
    }

    /// The server's reason, if it was the server that refused.
    pub(crate) fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// The fields that the server would not take.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|field| field.name.as_str())
    }

    /// Writes it to standard error.
    pub(crate) fn report(&self, json: bool) {
        if json {
            return paint::error(clean::json(&self.to_json().to_string()));
        }
        paint::error(format_args!("{} {self}", paint::styled(paint::BAD, "evergreen:")));
    }

    fn to_json(&self) -> Value {
        let fields = self.fields.iter().map(|f| json!({ "field": f.name, "message": f.mend }));
        let candidates = self.candidates.iter().map(|c| json!({ "id": c.id, "name": c.label }));
        json!({ "error": {
            "exitCode": self.exit.code(),
            "reason": self.reason,
            "message": self.message,
            "next": self.next,
            "fields": fields.collect::<Vec<_>>(),
            "candidates": candidates.collect::<Vec<_>>(),
        }})
    }
}

/// A flag names what cannot be used.
impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        Self::invalid(error.to_string())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&clean::lines(&self.message))?;
        for field in &self.fields {
            write!(f, "\n  {}: {}", clean::line(&field.name), clean::line(&field.mend))?;
        }
        for candidate in &self.candidates {
            write!(f, "\n  {}  {}", clean::line(&candidate.id), clean::line(&candidate.label))?;
        }
        if let Some(next) = &self.next {
            write!(f, "\n{}", clean::lines(next))?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}
