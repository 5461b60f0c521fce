//! The only room that prints: answers to standard output, failures to standard error.

mod grid;

use std::cell::Cell;
use std::fmt;
use std::io::{self, IsTerminal as _, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;

use serde_json::json;

use crate::base::Instant;
use crate::base::text::Plain;
use crate::ops::config::Env;
use crate::ops::exit::Failure;
use crate::rt::{clock, signal};

pub(crate) use grid::{Cell as Field, Table};

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
    /// How many columns there are, if a terminal shows it.
    width: Option<usize>,
}

/// How many columns a terminal has that does not say.
const COLUMNS: usize = 80;

thread_local! {
    /// Whether anything was printed: what programs read is one document, and no more.
    static PRINTED: Cell<bool> = const { Cell::new(false) };
}

impl Printer {
    /// A printer that colours as the environment wants it, if `colours_welcome` at all.
    pub(crate) fn new(env: &Env, colours_welcome: bool) -> Printer {
        let stdout = io::stdout();
        let is_terminal = stdout.is_terminal();
        let columns = || {
            let size = rustix::termios::tcgetwinsize(&stdout).ok()?;
            Some(usize::from(size.ws_col)).filter(|&columns| columns > 0)
        };
        let width = is_terminal.then(|| columns().unwrap_or(COLUMNS));
        Printer { colours: colours_welcome && env.wants_colours(is_terminal), width }
    }

    /// A printer as for a pipe.
    #[cfg(test)]
    pub(crate) fn plain() -> Printer {
        Printer { colours: false, width: None }
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
        paint(shade.filter(|_| self.colours), &Plain(text).to_string())
    }
}

fn paint(shade: Option<Shade>, text: &str) -> String {
    match shade {
        None => text.to_owned(),
        Some(Shade::Good) => format!("\x1b[32m{text}\x1b[0m"),
        Some(Shade::Fair) => format!("\x1b[33m{text}\x1b[0m"),
        Some(Shade::Bad) => format!("\x1b[31m{text}\x1b[0m"),
        Some(Shade::Faint) => format!("\x1b[2m{text}\x1b[0m"),
    }
}

/// For those who write as they go: `app` hands this to the demo and the drills.
impl Write for Printer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        PRINTED.set(true);
        io::stdout().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }
}

/// A sign on standard error that something is waited for: only where a terminal is, and only once
/// it has taken a moment.
pub(crate) struct Spinner;

/// How far the sign has turned.
struct Sign {
    /// When the waiting began.
    since: Instant,
    turns: usize,
    is_shown: bool,
    what: &'static str,
}

/// Drawn by whoever waits, wiped by whoever ends it.
static SIGN: Mutex<Option<Sign>> = Mutex::new(None);
/// Whether what Ctrl-C leaves is seen to.
static WATCHED: Once = Once::new();

/// How long nobody is told that it takes time.
const MOMENT: Duration = Duration::from_millis(300);
/// How often it turns.
const TURN: Duration = Duration::from_millis(100);
/// To the beginning of the line, which is then empty.
const WIPE: &str = "\r\x1b[K";

fn sign() -> MutexGuard<'static, Option<Sign>> {
    SIGN.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Spinner {
    /// It is still waited for the gateway.
    pub(crate) fn turn() {
        Spinner::show("waiting for the gateway");
    }

    fn show(what: &'static str) {
        const SIGNS: [char; 4] = ['|', '/', '-', '\\'];
        let mut sign = sign();
        let now = clock::now();
        let sign = sign.get_or_insert(Sign { since: now, turns: 0, is_shown: false, what });
        if now.since(sign.since) < MOMENT || !io::stderr().is_terminal() {
            return;
        }
        // Ctrl-C would leave the sign on the line.
        WATCHED.call_once(|| {
            let _ = signal::before_the_end(Spinner::clear);
        });
        sign.turns += 1;
        sign.is_shown = true;
        let mark = SIGNS[sign.turns % SIGNS.len()];
        let _ = write!(io::stderr(), "\r{mark} {}\x1b[K", sign.what);
    }

    /// Waits for `span`.
    pub(crate) fn pause(span: Duration) {
        let end = clock::now() + span;
        while clock::now() < end {
            Spinner::turn();
            clock::pause(end.since(clock::now()).min(TURN));
        }
    }

    /// Does `work`, which takes its time and draws nothing itself.
    pub(crate) fn during<T>(what: &'static str, work: impl FnOnce() -> T) -> T {
        if !io::stderr().is_terminal() {
            return work();
        }
        let is_done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let drawing = scope.spawn(|| {
                while !is_done.load(Ordering::Acquire) {
                    Spinner::show(what);
                    std::thread::park_timeout(TURN);
                }
            });
            let done = work();
            is_done.store(true, Ordering::Release);
            drawing.thread().unpark();
            let _ = drawing.join();
            Spinner::clear();
            done
        })
    }

    /// It is over.
    pub(crate) fn clear() {
        if sign().take().is_some_and(|sign| sign.is_shown) {
            let _ = write!(io::stderr(), "{WIPE}");
        }
    }
}

/// Says something to the person beside what is printed.
pub(crate) fn remark(text: &str) {
    Spinner::clear();
    let _ = writeln!(io::stderr(), "barnacle: {}", Plain(text));
}

/// Tells a person why it did not work and what helps, and a program that reads JSON too, unless it
/// has its document already. If nobody reads that either, so be it.
pub(crate) fn complain(failure: &Failure, is_json: bool) {
    Spinner::clear();
    if failure.text.is_empty() {
        return;
    }
    if is_json && !PRINTED.get() {
        let error = json!({
            "type": failure.exit.word(),
            "message": failure.text,
            "cure": failure.cure,
            "exitCode": failure.exit.code(),
        });
        let _ = writeln!(io::stdout(), "{:#}", json!({ "ok": false, "error": error }));
    }
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
        let shown = |colours| Printer { colours, width: None }.shade(Some(Shade::Bad), "a\x1b[2Jb");
        assert_eq!(shown(false), "a\\u{1b}[2Jb");
        assert_eq!(shown(true), "\x1b[31ma\\u{1b}[2Jb\x1b[0m");
    }

    #[test]
    fn no_colours_where_they_are_unwelcome() {
        let forced = Env::of(&[("FORCE_COLOR", "1")]);
        assert!(!Printer::new(&forced, false).colours());
        assert!(Printer::new(&forced, true).colours());
    }
}
