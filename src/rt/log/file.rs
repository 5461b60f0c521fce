//! The log in a file besides standard error, for those who grep one.
//!
//! A thread of its own writes it: a disk that hangs or is full costs lines here, which are counted,
//! and never a heartbeat. The file begins anew at each start and when it is full, and the one
//! before it is kept beside it, so that a program that greps the file for a fault and restarts us
//! does not find the same line again, and that two files is all that there ever are.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use rustix::fs::{FlockOperation, OFlags, flock};

use crate::base::{Instant, limits};
use crate::rt::{clock, disk};

/// The way to the thread that writes; clones share it, and it ends with the last.
#[derive(Clone, Debug)]
pub(super) struct Sink {
    queue: SyncSender<Box<str>>,
    /// Where it goes.
    pub(super) path: Arc<Path>,
    /// The length at which the file begins anew.
    pub(super) bytes_max: u64,
    tally: Arc<Tally>,
}

/// What both sides count.
#[derive(Debug, Default)]
struct Tally {
    /// Lines that the thread was given.
    queued: AtomicU64,
    /// Lines that there was no room for.
    missed: AtomicU64,
    /// Lines that the thread is done with, however it went.
    done: Mutex<u64>,
    changed: Condvar,
}

impl Sink {
    /// Starts the thread.
    ///
    /// # Errors
    /// There can be no further thread.
    pub(super) fn start(path: &Path, bytes_max: u64) -> io::Result<Sink> {
        let (queue, lines) = sync_channel(limits::LOG_FILE_QUEUE_MAX);
        let tally = Arc::new(Tally::default());
        let mut writer = Writer::new(path, bytes_max, tally.clone());
        std::thread::Builder::new()
            .name("log".into())
            .stack_size(limits::LOG_FILE_STACK_BYTES)
            .spawn(move || writer.run(&lines))?;
        Ok(Sink { queue, path: path.into(), bytes_max, tally })
    }

    /// Hands a line over, if there is room.
    pub(super) fn write(&self, line: &str) {
        match self.queue.try_send(line.into()) {
            Ok(()) => self.tally.queued.fetch_add(1, Ordering::Relaxed),
            Err(_) => self.tally.missed.fetch_add(1, Ordering::Relaxed),
        };
    }

    /// Waits until what was handed over is written, but not for long.
    pub(super) fn flush(&self) {
        let queued = self.tally.queued.load(Ordering::Relaxed);
        let done = self.tally.done.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = |done: &mut u64| *done < queued;
        // Whoever leaves has waited long enough.
        let _ = self.tally.changed.wait_timeout_while(done, limits::LOG_FILE_FLUSH, waits);
    }
}

struct Writer {
    path: PathBuf,
    bytes_max: u64,
    tally: Arc<Tally>,
    file: Option<File>,
    /// Whether the file was begun by us: from then on it is only continued.
    begun: bool,
    /// Whether the last line in it was cut short.
    torn: bool,
    /// Lines that are missing in it, those that there was no room for not counted.
    lost: u64,
    /// What is wrong was said.
    told: bool,
    /// A file that cannot be opened is tried again then.
    retry: Instant,
}

impl Writer {
    fn new(path: &Path, bytes_max: u64, tally: Arc<Tally>) -> Writer {
        let path = path.to_owned();
        let (file, begun, torn, lost, told, retry) = (None, false, false, 0, false, Instant(0));
        Writer { path, bytes_max, tally, file, begun, torn, lost, told, retry }
    }

    fn run(&mut self, lines: &Receiver<Box<str>>) {
        while let Ok(first) = lines.recv() {
            // What waits is written at once: a card wears out by writes, not by bytes.
            let mut batch = vec![first];
            batch.extend(lines.try_iter().take(limits::LOG_FILE_QUEUE_MAX));
            self.write(&batch);
            let mut done = self.tally.done.lock().unwrap_or_else(PoisonError::into_inner);
            *done += batch.len() as u64;
            drop(done);
            self.tally.changed.notify_all();
        }
    }

    fn write(&mut self, lines: &[Box<str>]) {
        if let Err(error) = self.try_write(lines) {
            self.lost += lines.len() as u64;
            if !self.told {
                self.told = true;
                let path = self.path.display();
                log::warn!(
                    target: "gateway",
                    "the log cannot be written to {path}: {error}; going on without, and trying"
                );
            }
        }
    }

    fn try_write(&mut self, lines: &[Box<str>]) -> io::Result<()> {
        let mut length = self.ready()?;
        let missed = self.tally.missed.swap(0, Ordering::Relaxed);
        self.lost += missed;
        let mut text = String::new();
        if std::mem::take(&mut self.torn) {
            text.push('\n');
        }
        if self.lost > 0 {
            let _ = writeln!(text, "(lines that are missing here: {})", self.lost);
        }
        for line in lines {
            let longer = length + (text.len() + line.len()) as u64;
            if longer > self.bytes_max && length + text.len() as u64 > 0 {
                self.put(&text)?;
                text.clear();
                self.file = None;
                self.begin()?;
                length = 0;
            }
            // One line that is longer than a whole file is cut, like everything else.
            let room = usize::try_from(self.bytes_max).unwrap_or(usize::MAX);
            text.push_str(crate::base::text::truncate(line, room));
        }
        self.put(&text)?;
        self.lost = 0;
        self.told = false;
        Ok(())
    }

    fn put(&mut self, text: &str) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Err(io::ErrorKind::NotFound.into()) };
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            match file.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    rest = &rest[count..];
                    disk::count(count as u64);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.torn |= rest.len() < text.len();
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Sees to it that the file is open and still the one at its path: others may have moved,
    /// removed or emptied it. Gives its length.
    fn ready(&mut self) -> io::Result<u64> {
        if let Some(file) = &self.file
            && let (Ok(ours), Ok(there)) = (file.metadata(), fs::metadata(&self.path))
            && (ours.dev(), ours.ino()) == (there.dev(), there.ino())
        {
            return Ok(there.len());
        }
        self.file = None;
        let now = clock::now();
        if now < self.retry {
            return Err(io::Error::other("it is tried again in a while"));
        }
        self.retry = now + limits::LOG_FILE_RETRY;
        if self.begun {
            let (file, length) = open(&self.path)?;
            self.file = Some(file);
            self.retry = Instant(0);
            return Ok(length);
        }
        self.begin()?;
        self.retry = Instant(0);
        Ok(0)
    }

    /// Moves what is at the path aside and begins anew.
    fn begin(&mut self) -> io::Result<()> {
        if let Some(dir) = self.path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        }
        let (file, length) = open(&self.path)?;
        self.file = Some(file);
        if length > 0 {
            if fs::rename(&self.path, before(&self.path)).is_ok() {
                self.file = None;
                self.file = Some(open(&self.path)?.0);
            } else if let Some(file) = &self.file {
                // A directory in which nothing can be renamed: bounded all the same.
                file.set_len(0)?;
            }
        }
        (self.begun, self.torn) = (true, false);
        Ok(())
    }
}

/// `gateway.log.1` beside `gateway.log`.
fn before(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".1");
    name.into()
}

/// The file to append to, ours alone, and its length. Two processes that rotate the same file
/// would each take the other's away, so the second keeps off.
fn open(path: &Path) -> io::Result<(File, u64)> {
    // A named pipe that nobody reads must not hold the thread.
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits();
    let flags = flags.try_into().unwrap_or_default();
    let mut options = OpenOptions::new();
    let file = options.append(true).create(true).mode(0o600).custom_flags(flags).open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Err(rustix::io::Errno::WOULDBLOCK) => {
            Err(io::Error::other("another process writes its log there"))
        }
        // Some file systems have no locks.
        Ok(()) | Err(_) => Ok((file, meta.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rt::store::tests::Scratch;
    use std::os::unix::fs::PermissionsExt as _;

    /// A writer into a directory that is not there yet.
    fn writer(dir: &Scratch, bytes_max: u64) -> Writer {
        Writer::new(&dir.path().join("logs/gateway.log"), bytes_max, Arc::default())
    }

    fn read(writer: &Writer) -> String {
        fs::read_to_string(&writer.path).unwrap()
    }

    fn read_before(writer: &Writer) -> String {
        fs::read_to_string(before(&writer.path)).unwrap_or_default()
    }

    fn write(writer: &mut Writer, lines: &[&str]) {
        writer.write(&lines.iter().map(|&line| line.into()).collect::<Vec<_>>());
    }

    #[test]
    fn each_start_begins_anew_and_keeps_what_was_before() {
        let dir = Scratch::new();
        write(&mut writer(&dir, 1000), &["first\n", "second\n"]);
        let mut second = writer(&dir, 1000);
        write(&mut second, &["third\n"]);
        write(&mut second, &["fourth\n"]);
        assert_eq!(read(&second), "third\nfourth\n");
        assert_eq!(read_before(&second), "first\nsecond\n");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&second.path), mode(second.path.parent().unwrap())), (0o600, 0o700));
    }

    #[test]
    fn two_files_of_the_cap_is_all_there_ever_is() {
        let dir = Scratch::new();
        let mut writer = writer(&dir, 100);
        for n in 0..200 {
            let line = format!("{n:03} {}\n", "x".repeat(n % 30));
            write(&mut writer, &[&line, &line]);
            assert!(read(&writer).len() <= 100 && read_before(&writer).len() <= 100);
        }
        let both = read_before(&writer) + &read(&writer);
        assert!(both.contains("199 ") && both.lines().all(|line| line.len() >= 4), "{both}");
        write(&mut writer, &[&"y".repeat(1000)]);
        assert_eq!(read(&writer).len(), 100);
        assert_eq!(fs::read_dir(writer.path.parent().unwrap()).unwrap().count(), 2);
    }

    #[test]
    fn a_file_that_others_take_away_or_empty_is_begun_again() {
        let dir = Scratch::new();
        let mut writer = writer(&dir, 1000);
        write(&mut writer, &["one\n"]);
        fs::rename(&writer.path, dir.path().join("moved")).unwrap();
        write(&mut writer, &["two\n"]);
        assert_eq!(read(&writer), "two\n");
        File::create(&writer.path).unwrap();
        write(&mut writer, &["three\n"]);
        assert_eq!(read(&writer), "three\n");
        fs::remove_file(&writer.path).unwrap();
        write(&mut writer, &["four\n"]);
        assert_eq!((read(&writer).as_str(), read_before(&writer).as_str()), ("four\n", ""));
    }

    #[test]
    fn a_second_process_keeps_off() {
        let dir = Scratch::new();
        let (mut first, mut second) = (writer(&dir, 1000), writer(&dir, 1000));
        write(&mut first, &["first\n"]);
        write(&mut second, &["second\n"]);
        write(&mut first, &["first\n"]);
        assert_eq!(read(&first), "first\nfirst\n");
        assert!(second.told && second.lost == 1 && read_before(&first).is_empty());
    }

    #[test]
    fn what_cannot_be_written_is_counted_and_told_where_it_is_missing() {
        let dir = Scratch::new();
        let mut writer = writer(&dir, 1000);
        fs::create_dir_all(&writer.path).unwrap();
        write(&mut writer, &["lost\n", "lost\n"]);
        assert!(writer.told && writer.lost == 2);
        fs::remove_dir(&writer.path).unwrap();
        write(&mut writer, &["lost\n"]);
        assert_eq!(writer.lost, 3, "it is not tried at each line");
        writer.retry = Instant(0);
        writer.tally.missed.store(4, Ordering::Relaxed);
        write(&mut writer, &["there\n"]);
        assert_eq!(read(&writer), "(lines that are missing here: 7)\nthere\n");
        assert!(!writer.told && writer.lost == 0);
    }

    #[test]
    fn a_disk_without_room_costs_lines_and_no_more() {
        let dir = Scratch::new();
        let mut writer = writer(&dir, 1000);
        write(&mut writer, &["before\n"]);
        let ours = writer.file.replace(OpenOptions::new().write(true).open("/dev/full").unwrap());
        let fault = writer.put("lost\n").unwrap_err();
        assert_eq!(fault.kind(), io::ErrorKind::StorageFull);
        writer.file = ours;
        writer.torn = true;
        writer.lost = 1;
        write(&mut writer, &["after\n"]);
        assert_eq!(read(&writer), "before\n\n(lines that are missing here: 1)\nafter\n");
    }

    #[test]
    fn a_thread_that_does_not_write_holds_nobody_up() {
        let (queue, lines) = sync_channel(2);
        let (path, tally) = (Path::new("/nowhere").into(), Arc::new(Tally::default()));
        let sink = Sink { queue, path, bytes_max: 1, tally };
        for _ in 0..5 {
            sink.write("line\n");
        }
        assert_eq!(sink.tally.missed.load(Ordering::Relaxed), 3);
        let before = clock::now();
        sink.flush();
        assert!(clock::now().since(before) >= limits::LOG_FILE_FLUSH, "it waits, but not for ever");
        drop(lines);
    }

    #[test]
    fn what_was_handed_over_is_there_after_a_flush() {
        let dir = Scratch::new();
        let path = dir.path().join("gateway.log");
        let sink = Sink::start(&path, 1 << 20).unwrap();
        for n in 0..100 {
            sink.write(&format!("{n}\n"));
        }
        sink.flush();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 100);
        assert!(text.ends_with("\n99\n"));
    }
}
