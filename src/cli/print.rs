//! The only room that prints: answers to standard output, failures to standard error.

use std::cell::Cell;
use std::fmt;
use std::io::{self, IsTerminal as _, Write};
use std::time::Duration;

use crate::base::Instant;
use crate::base::text::Plain;
use crate::ops::exit::Failure;
use crate::rt::clock;

/// How good a word is, for the eye.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shade {
    /// As it should be.
    Good,
    /// Being healed.
    Fair,
    /// Somebody should look.
    Bad,
    /// Of lesser interest.
    Faint,
}

/// Standard output. Each line is written at once, so that a reader at a pipe sees it.
#[derive(Clone, Debug)]
pub(crate) struct Printer {
    colours: bool,
}

impl Printer {
    /// A printer that colours only what a terminal shows, and only if colours are welcome.
    pub(crate) fn new(colours_welcome: bool) -> Printer {
        Printer { colours: colours_welcome && io::stdout().is_terminal() }
    }

    /// Whether it colours.
    pub(crate) fn colours(&self) -> bool {
        self.colours
    }

    /// Prints `text` and a line break.
    ///
    /// # Errors
    /// Standard output is closed or full.
    pub(crate) fn line(&mut self, text: impl fmt::Display) -> Result<(), Failure> {
        Spinner::clear();
        writeln!(self, "{text}")?;
        Ok(self.flush()?)
    }

    /// `text` from outside, made safe for a terminal, in a colour if colours are on.
    pub(crate) fn shade(&self, shade: Option<Shade>, text: &str) -> String {
        let text = Plain(text);
        match shade.filter(|_| self.colours) {
            None => text.to_string(),
            Some(Shade::Good) => format!("\x1b[32m{text}\x1b[0m"),
            Some(Shade::Fair) => format!("\x1b[33m{text}\x1b[0m"),
            Some(Shade::Bad) => format!("\x1b[31m{text}\x1b[0m"),
            Some(Shade::Faint) => format!("\x1b[2m{text}\x1b[0m"),
        }
    }
}

/// For those who write as they go: `app` hands this to the demo and the drills.
impl Write for Printer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::stdout().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }
}

/// A sign on standard error that something is waited for: only where a terminal is, and only once
/// it has taken a moment.
pub(crate) struct Spinner;

thread_local! {
    /// When the waiting began, and how far the sign has turned.
    static WAITING: Cell<Option<(Instant, usize)>> = const { Cell::new(None) };
}

/// How long nobody is told that it takes time.
const MOMENT: Duration = Duration::from_millis(300);

impl Spinner {
    /// It is still waited for.
    pub(crate) fn turn() {
        const SIGNS: [char; 4] = ['|', '/', '-', '\\'];
        let (since, turns) = WAITING.get().unwrap_or((clock::now(), 0));
        WAITING.set(Some((since, turns + 1)));
        if clock::now().since(since) >= MOMENT && io::stderr().is_terminal() {
            let sign = SIGNS[turns % SIGNS.len()];
            let _ = write!(io::stderr(), "\r{sign} waiting for the gateway");
        }
    }

    /// Waits for `span`.
    pub(crate) fn pause(span: Duration) {
        const STEP: Duration = Duration::from_millis(100);
        let end = clock::now() + span;
        while clock::now() < end {
            Spinner::turn();
            clock::pause(end.since(clock::now()).min(STEP));
        }
    }

    /// It is over.
    pub(crate) fn clear() {
        if let Some((since, _)) = WAITING.take()
            && clock::now().since(since) >= MOMENT
            && io::stderr().is_terminal()
        {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

/// Says something to the person beside what is printed.
pub(crate) fn remark(text: &str) {
    Spinner::clear();
    let _ = writeln!(io::stderr(), "barnacle: {}", Plain(text));
}

/// Tells a person why it did not work and what helps. If nobody reads that either, so be it.
pub(crate) fn complain(failure: &Failure) {
    if failure.text.is_empty() {
        return;
    }
    Spinner::clear();
    let mut stderr = io::stderr();
    let _ = writeln!(stderr, "barnacle: {}", Plain(&failure.text));
    if !failure.cure.is_empty() {
        let _ = writeln!(stderr, "  {}", Plain(&failure.cure));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_only_when_they_are_on_and_escapes_always() {
        let shown = |colours| Printer { colours }.shade(Some(Shade::Bad), "a\x1b[2Jb");
        assert_eq!(shown(false), "a\\u{1b}[2Jb");
        assert_eq!(shown(true), "\x1b[31ma\\u{1b}[2Jb\x1b[0m");
    }

    #[test]
    fn no_colours_where_they_are_unwelcome() {
        assert!(!Printer::new(false).colours());
    }
}
