//! Log lines: to stderr for people and journald, and into a ring in memory that `logs` reads.
//!
//! `env_logger` filters and writes; this room adds what a daemon on an SD card needs: a bounded
//! ring instead of files, priorities that journald understands (sd-daemon(3)), and two guards on
//! every line: what could fool a terminal is escaped, and a known secret is blotted out even if a
//! library should print it.

mod file;

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::Write;
use std::os::fd::AsFd;
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use log::{Level, LevelFilter, Log, Metadata, Record};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use self::file::Sink;
use super::clock;
use crate::base::text::Plain;
use crate::base::{Secret, Wall, limits};

/// One line that was logged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Line {
    /// Counts from 1 since the start of the process.
    pub(crate) seq: u64,
    /// When it was said.
    pub(crate) at: Wall,
    /// How grave it is.
    pub(crate) level: Level,
    /// Who says it: `discord`, `gateway` …
    pub(crate) target: Box<str>,
    /// The text, already safe to print.
    pub(crate) text: Box<str>,
}

/// Where lines go besides the ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    /// `2026-03-21T09:26:53.589Z INFO  [discord] text`, with colours or without.
    Person {
        /// Whether stderr is a terminal that shows colours.
        colours: bool,
    },
    /// `<6>[discord] text`: journald adds the time and reads the priority.
    Journal,
}

/// How lines are shown in a file.
const PLAIN: Form = Form::Person { colours: false };

/// The log's memory; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Lines(Arc<Mutex<Kept>>);

#[derive(Debug)]
struct Kept {
    lines: VecDeque<Line>,
    bytes: usize,
    total: u64,
    secrets: Vec<Secret>,
    /// The file that lines also go to.
    file: Option<Sink>,
}

thread_local! {
    /// For which of several alike the thread is at work.
    static LABEL: RefCell<Option<Rc<str>>> = const { RefCell::new(None) };
}

/// Does `work`; what is logged meanwhile has `label` behind its target.
pub(super) fn speak_for<T>(label: &Rc<str>, work: impl FnOnce() -> T) -> T {
    let before = LABEL.replace(Some(label.clone()));
    let done = work();
    LABEL.replace(before);
    done
}

/// `target` as a line shows it.
fn labelled(target: &str) -> Cow<'_, str> {
    LABEL.with_borrow(|label| match label {
        Some(label) => format!("{target}/{label}").into(),
        None => target.into(),
    })
}

/// What is logged, for the one logger that a process has (see [`log::set_boxed_logger`]).
static FILTER: RwLock<Option<env_logger::Logger>> = RwLock::new(None);

struct Logger {
    form: Form,
    lines: Lines,
    /// Lines that only the ring has, since nobody read the ones before.
    unread: AtomicU64,
}

/// Our own targets; what libraries say is heard from WARN up only.
const TARGETS: [&str; 8] =
    ["agent", "config", "control", "cron", "discord", "gateway", "health-monitor", "sandbox"];

/// Starts logging at `level`: `error`, `warn`, `info`, `debug`, `trace`, `connection-debug` (all
/// of the channels' heartbeats, events and attempts), or filters in `env_logger`'s form.
///
/// # Errors
/// A word for the person when `level` cannot be read.
pub(crate) fn start(level: &str, form: Form) -> Result<Lines, String> {
    set_level(level)?;
    let lines = Lines::new();
    let logger = Logger { form, lines: lines.clone(), unread: AtomicU64::new(0) };
    // A second start in one process (tests) keeps the first logger; its ring is then not ours.
    let _ = log::set_boxed_logger(Box::new(logger));
    Ok(lines)
}

/// Logs at `level` from now on.
///
/// # Errors
/// A word for the person when it cannot be read.
pub(crate) fn set_level(level: &str) -> Result<(), String> {
    let mut builder = env_logger::Builder::new();
    builder.filter_level(LevelFilter::Warn);
    builder.parse_filters(&filters(level)?);
    let filter = builder.build();
    log::set_max_level(filter.filter());
    *FILTER.write().unwrap_or_else(PoisonError::into_inner) = Some(filter);
    Ok(())
}

fn filtered(judge: impl FnOnce(&env_logger::Logger) -> bool) -> bool {
    FILTER.read().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(judge)
}

/// The level's word as filters: ours at that level, libraries at WARN (or lower if that is asked).
fn filters(level: &str) -> Result<String, String> {
    let ours = |level: &str| TARGETS.map(|target| format!("{target}={level},")).concat();
    Ok(match level {
        "connection-debug" => ours("info") + "discord=debug",
        "error" | "off" => level.to_owned(),
        "warn" | "info" | "debug" | "trace" => ours(level) + "warn",
        other if other.contains(['=', ',']) => other.to_owned(),
        other => {
            return Err(format!(
                "log level \"{other}\" is not known; use error, warn, info, debug, trace or \
                 connection-debug"
            ));
        }
    })
}

impl Lines {
    fn new() -> Lines {
        Lines(Arc::new(Mutex::new(Kept {
            lines: VecDeque::new(),
            bytes: 0,
            total: 0,
            secrets: Vec::new(),
            file: None,
        })))
    }

    /// From now on lines also go to the file at `path`, which begins anew now and whenever it is
    /// `bytes_max` long; what was there before is kept beside it. The first file is also given the
    /// lines before it. Without a path there is no file any more.
    ///
    /// # Errors
    /// There can be no thread for it.
    pub(crate) fn also_into(&self, place: Option<(&Path, u64)>) -> std::io::Result<()> {
        let mut kept = self.lock();
        let is_there = |sink: &Sink| place == Some((&*sink.path, sink.bytes_max));
        if kept.file.as_ref().is_some_and(is_there) {
            return Ok(());
        }
        let old = kept.file.take();
        let Some((path, bytes_max)) = place else { return Ok(()) };
        let sink = Sink::start(path, bytes_max)?;
        if old.is_none() {
            kept.lines.iter().for_each(|line| sink.write(&line.show(PLAIN)));
        }
        kept.file = Some(sink);
        Ok(())
    }

    /// Waits until the file, if there is one, has every line so far, but not for long.
    pub(crate) fn flush(&self) {
        let sink = self.lock().file.clone();
        if let Some(sink) = sink {
            sink.flush();
        }
    }

    /// From now on no line shows `secret`.
    pub(crate) fn hide(&self, secret: &Secret) {
        // A short one would blot out ordinary words, and guards nothing.
        if secret.expose().len() >= limits::SECRET_BYTES_MIN {
            let mut kept = self.lock();
            if !kept.secrets.contains(secret) {
                kept.secrets.push(secret.clone());
            }
        }
    }

    /// `text` without the secrets that no line shows: for what is told by other ways than lines.
    pub(crate) fn blot(&self, text: String) -> String {
        self.lock().blot(text)
    }

    /// The lines after number `after`, at most `limit` of the newest.
    pub(crate) fn after(&self, after: u64, limit: usize) -> Vec<Line> {
        let kept = self.lock();
        let mut lines: Vec<Line> = kept
            .lines
            .iter()
            .rev()
            .take_while(|line| line.seq > after)
            .take(limit)
            .cloned()
            .collect();
        lines.reverse();
        lines
    }

    fn push(&self, level: Level, target: &str, text: &str) -> Line {
        let mut kept = self.lock();
        let text = kept.blot(Plain(text).to_string());
        kept.total += 1;
        let line = Line {
            seq: kept.total,
            at: clock::wall(),
            level,
            target: target.into(),
            text: text.into(),
        };
        if let Some(sink) = &kept.file {
            sink.write(&line.show(PLAIN));
        }
        kept.bytes += line.cost();
        kept.lines.push_back(line.clone());
        while kept.bytes > limits::LOG_RING_BYTES {
            let Some(gone) = kept.lines.pop_front() else { break };
            kept.bytes -= gone.cost();
        }
        line
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // A panic while the lock was held cannot leave the ring in a state that matters.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn blot(&self, mut text: String) -> String {
        for secret in &self.secrets {
            if text.contains(secret.expose()) {
                text = text.replace(secret.expose(), "***");
            }
        }
        text
    }
}

impl Line {
    fn cost(&self) -> usize {
        size_of::<Line>() + self.target.len() + self.text.len()
    }

    /// The line as a person reads it.
    pub(crate) fn show(&self, form: Form) -> String {
        let Line { at, level, target, text, .. } = self;
        match form {
            Form::Journal => format!("<{}>[{target}] {text}\n", priority(*level)),
            Form::Person { colours: false } => format!("{at} {level:5} [{target}] {text}\n"),
            Form::Person { colours: true } => {
                let colour = match level {
                    Level::Error => "31",
                    Level::Warn => "33",
                    Level::Info => "32",
                    Level::Debug | Level::Trace => "2",
                };
                format!("\x1b[2m{at}\x1b[0m \x1b[{colour}m{level:5}\x1b[0m [{target}] {text}\n")
            }
        }
    }
}

/// syslog(3) priorities, which sd-daemon(3) takes as `<N>`.
fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        filtered(|filter| filter.enabled(metadata))
    }

    fn log(&self, record: &Record<'_>) {
        if !filtered(|filter| filter.matches(record)) {
            return;
        }
        let target = labelled(record.target());
        let line = self.lines.push(record.level(), &target, &record.args().to_string());
        write(&mut std::io::stderr().lock(), &line.show(self.form), &self.unread);
    }

    fn flush(&self) {
        self.lines.flush();
    }
}

/// Writes `line`, unless nobody reads: a journal that waits for its disk, or a pager that somebody
/// has left open, must not hold the thread that keeps the connections. The ring has the line.
fn write(out: &mut (impl Write + AsFd), line: &str, unread: &AtomicU64) {
    let missed = unread.load(Ordering::Relaxed);
    // Who was slow once is given no more time until he reads again.
    let patience = if missed == 0 { limits::LOG_PATIENCE } else { Duration::ZERO };
    if !takes_more(out, patience) {
        unread.fetch_add(1, Ordering::Relaxed);
        return;
    }
    if missed > 0 {
        unread.store(0, Ordering::Relaxed);
        let _ = writeln!(out, "(lines that are missing here, since nobody read: {missed})");
    }
    // There is nobody to tell that it is closed.
    let _ = out.write_all(line.as_bytes());
}

/// Whether something can be written to `out` without waiting. A question that fails says nothing
/// against it.
fn takes_more(out: &impl AsFd, patience: Duration) -> bool {
    let wait = Timespec { tv_sec: 0, tv_nsec: patience.subsec_nanos().into() };
    poll(&mut [PollFd::new(out, PollFlags::OUT)], Some(&wait)) != Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(lines: &Lines, text: &str) -> Line {
        lines.push(Level::Info, "discord", text)
    }

    #[test]
    fn secrets_are_blotted_out_and_controls_escaped() {
        let lines = Lines::new();
        lines.hide(&Secret::new("MTk4.secret"));
        lines.hide(&Secret::new(""));
        let said = line(&lines, "token MTk4.secret\u{1b}[2J\nnext");
        assert_eq!(&*said.text, "token ***\\u{1b}[2J\\nnext");
    }

    #[test]
    fn what_is_said_for_one_of_several_says_for_which() {
        let label: Rc<str> = "work".into();
        assert_eq!(speak_for(&label, || labelled("discord").into_owned()), "discord/work");
        assert_eq!(labelled("discord"), "discord");
    }

    #[test]
    fn the_ring_is_bounded_and_counts_on() {
        let lines = Lines::new();
        for _ in 0..5000 {
            line(&lines, &"x".repeat(100));
        }
        let kept = lines.after(0, usize::MAX);
        assert!(kept.len() < 5000 && kept.len() > 100);
        assert_eq!(kept.last().map(|line| line.seq), Some(5000));
        assert_eq!(lines.after(4998, 10).len(), 2);
        assert_eq!(lines.after(0, 3).first().map(|line| line.seq), Some(4998));
    }

    #[test]
    fn levels_are_words_or_filters() {
        assert!(filters("connection-debug").is_ok_and(|f| f.ends_with("discord=debug")));
        assert!(filters("discord=trace,warn").is_ok());
        assert!(filters("loud").is_err_and(|words| words.contains("connection-debug")));
    }

    #[test]
    fn a_reader_that_stopped_holds_nothing_up_and_learns_what_it_missed() {
        use std::io::Read as _;
        let (mut reader, mut out) = std::io::pipe().unwrap();
        let unread = AtomicU64::new(0);
        let line = format!("{}\n", "x".repeat(1023));
        let written = (0..1024).take_while(|_| {
            write(&mut out, &line, &unread);
            unread.load(Ordering::Relaxed) == 0
        });
        assert!(written.count() < 1024, "the pipe is full, and we are still here");
        write(&mut out, "lost too\n", &unread);
        assert_eq!(unread.load(Ordering::Relaxed), 2);
        let mut taken = vec![0; 64 * 1024];
        let _ = reader.read(&mut taken).unwrap();
        write(&mut out, "last\n", &unread);
        drop(out);
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        let end = "(lines that are missing here, since nobody read: 2)\nlast\n";
        assert!(rest.ends_with(end) && !rest.contains("lost too"));
        assert_eq!(unread.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn journald_gets_priorities() {
        let lines = Lines::new();
        let said = line(&lines, "hello");
        assert_eq!(said.show(Form::Journal), "<6>[discord] hello\n");
        assert!(said.show(Form::Person { colours: false }).ends_with("INFO  [discord] hello\n"));
    }
}
