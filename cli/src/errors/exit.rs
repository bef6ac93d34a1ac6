//! Exit codes.

/// What a command says by its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The reader of the output has gone away, and nobody is told.
    Unread = 0,
    /// Something else.
    Failure = 1,
    /// A command line that makes no sense, which clap refuses.
    Usage = 2,
    /// Nobody is signed in.
    NotSignedIn = 3,
    /// There is no such thing, or not for this user.
    NotFound = 4,
    /// It was changed meanwhile, or what is there stands against it.
    Conflict = 5,
    /// The servers could not be reached, or are too busy.
    Unreachable = 6,
    /// The user may not do this.
    Denied = 7,
    /// The input breaks a rule.
    Invalid = 8,
}

impl Exit {
    pub(crate) const fn code(self) -> u8 {
        self as u8
    }
}

/// What `--help` says of them.
pub(crate) const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 failed otherwise; 2 the command line is wrong; 3 not signed in;
4 not found; 5 changed meanwhile, or in conflict with what is there; 6 a server cannot be
reached, or is too busy; 7 not allowed; 8 the input is invalid.";
