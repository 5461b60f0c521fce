//! How the process ends: the exit codes, and the failure that carries one to `main`.

use std::fmt;
use std::io;

/// Every way to end, by the numbers of sysexits.h, so that systemd units and scripts can tell
/// them apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Exit {
    /// Done, or stopped on request.
    Ok,
    /// The command line could not be read (`EX_USAGE`).
    Usage,
    /// The gateway does not do what was asked: it makes no sense there (`EX_DATAERR`).
    Refused,
    /// The port is taken, or the gateway does not answer (`EX_UNAVAILABLE`).
    Unavailable,
    /// A fault of our own (`EX_SOFTWARE`).
    Software,
    /// The state directory cannot be used (`EX_CANTCREAT`).
    State,
    /// Every account is held by another process: try again later (`EX_TEMPFAIL`).
    Busy,
    /// The gateway does not let this command in (`EX_NOPERM`).
    Denied,
    /// No usable configuration, and no last good one (`EX_CONFIG`).
    Config,
}

/// The table behind `barnacle help exit-codes`.
pub(crate) const EXITS: &[(Exit, &str)] = &[
    (Exit::Ok, "done, or stopped on request"),
    (Exit::Usage, "the command line could not be read"),
    (
        Exit::Refused,
        "it makes no sense there: what was asked for is unknown, damaged, or not to be had",
    ),
    (Exit::Unavailable, "the port is taken, or the gateway does not answer"),
    (Exit::Software, "a fault of barnacle's own, or a drill that failed"),
    (Exit::State, "the state directory cannot be used"),
    (
        Exit::Busy,
        "held by another process: every account, or the state to be replaced; try again later",
    ),
    (Exit::Denied, "the gateway does not let this command in: another token, or another user"),
    (
        Exit::Config,
        "no usable configuration, and no last good one; or an audit found something critical",
    ),
];

impl Exit {
    /// The number that the shell sees.
    pub(crate) fn code(self) -> u8 {
        match self {
            Exit::Ok => 0,
            Exit::Usage => 64,
            Exit::Refused => 65,
            Exit::Unavailable => 69,
            Exit::Software => 70,
            Exit::State => 73,
            Exit::Busy => 75,
            Exit::Denied => 77,
            Exit::Config => 78,
        }
    }
}

impl Exit {
    /// A word for programs.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Exit::Ok => "ok",
            Exit::Usage => "usage",
            Exit::Refused => "refused",
            Exit::Unavailable => "unavailable",
            Exit::Software => "software",
            Exit::State => "state",
            Exit::Busy => "busy",
            Exit::Denied => "denied",
            Exit::Config => "config",
        }
    }
}

/// Why a command did not do what was asked. Only `main` turns it into lines and an exit code.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Failure {
    /// The exit code's meaning.
    pub(crate) exit: Exit,
    /// What went wrong, in one line; empty if there is nobody to tell (a closed pipe).
    pub(crate) text: String,
    /// What the person can do about it; may be empty.
    pub(crate) cure: String,
}

impl Failure {
    /// A failure with its cure.
    pub(crate) fn new(exit: Exit, text: impl Into<String>, cure: impl Into<String>) -> Failure {
        Failure { exit, text: text.into(), cure: cure.into() }
    }
}

/// Writing failed. That the reader has gone (`barnacle logs | head`) is a normal end.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Failure::new(Exit::Ok, "", "");
        }
        Failure::new(Exit::Software, format!("cannot write the output: {error}"), "")
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        if self.cure.is_empty() { Ok(()) } else { write!(f, " ({})", self.cure) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_sysexits_and_all_are_in_the_table() {
        let codes: Vec<u8> = EXITS.iter().map(|(exit, _)| exit.code()).collect();
        assert_eq!(codes, [0, 64, 65, 69, 70, 73, 75, 77, 78]);
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        let closed = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!((closed.exit, closed.text.as_str()), (Exit::Ok, ""));
        let full = Failure::from(io::Error::from(io::ErrorKind::StorageFull));
        assert_eq!(full.exit, Exit::Software);
    }
}
