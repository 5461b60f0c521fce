//! State on disk that survives: an append log, and a small file that is replaced as a whole.

use std::io;
use std::path::{Path, PathBuf};

/// Why something could not be stored. The store is as it was, and usable.
#[derive(Debug)]
pub enum StoreError {
    /// The record is longer than the log's bound.
    TooLong,
    /// The log has reached its bound; compact it.
    Full,
    /// The disk is full.
    NoSpace,
    /// The operating system refused.
    Io(io::Error),
}

/// How long a log and its records may become, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// One record.
    pub record_bytes_max: usize,
    /// The file.
    pub file_bytes_max: u64,
}

/// What was found when a log was opened.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Found {
    /// Records that were read.
    pub records: u64,
    /// Bytes cut off the end: a record whose writing was interrupted.
    pub torn_bytes: u64,
    /// Where the file was put aside, if it was damaged. What came before the damage was read.
    pub quarantined: Option<PathBuf>,
}

/// A log that only grows, until it is compacted.
#[derive(Debug)]
pub struct Log {}

impl Log {
    /// Opens the log `name` in `dir`, making it if need be, and gives each record to `each`, the
    /// oldest first.
    ///
    /// # Errors
    /// The directory or file cannot be used. Damage is no error; see [`Found`].
    pub fn open(
        dir: &Path,
        name: &str,
        bounds: Bounds,
        each: impl FnMut(&[u8]),
    ) -> Result<(Log, Found), StoreError> {
        let _ = (dir, name, bounds, each);
        Ok((Log {}, Found::default()))
    }

    /// Appends a record. It is handed to the operating system at once, so that the end of this
    /// process cannot lose it; against a power cut, [`sync`](Log::sync).
    ///
    /// # Errors
    /// Nothing was appended, and the log can still be used.
    pub fn append(&mut self, record: &[u8]) -> Result<(), StoreError> {
        let _ = record;
        Ok(())
    }

    /// Waits, without holding the thread, until all that was appended so far is on the disk.
    ///
    /// # Errors
    /// It may not be.
    pub fn sync(&self) -> impl Future<Output = Result<(), StoreError>> + use<> {
        std::future::ready(Ok(()))
    }

    /// Replaces the log by one with only `records`, on the disk when this returns. It blocks: move
    /// the log into [`blocking::run`](super::blocking::run) if it is large.
    ///
    /// # Errors
    /// The log is as it was.
    pub fn compact<R: AsRef<[u8]>>(
        &mut self,
        records: impl IntoIterator<Item = R>,
    ) -> Result<(), StoreError> {
        let _ = records.into_iter().count();
        Ok(())
    }

    /// The length of the file.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        0
    }
}

/// How much a write must survive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// The end of this process.
    Hot,
    /// A power cut.
    Disk,
}

/// A small file that is always replaced as a whole.
#[derive(Clone, Debug)]
pub struct Cell {}

/// What was found in a cell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Content {
    /// What was last written.
    Whole(Vec<u8>),
    /// Nothing was ever written.
    Empty,
    /// It was damaged, and put aside here.
    Quarantined(PathBuf),
}

impl Cell {
    /// The cell `name` in `dir`.
    #[must_use]
    pub fn new(dir: &Path, name: &str) -> Cell {
        let _ = (dir, name);
        Cell {}
    }

    /// Replaces what is in it.
    ///
    /// # Errors
    /// What was in it still is.
    pub fn write(&self, content: &[u8], durability: Durability) -> Result<(), StoreError> {
        let _ = (content, durability);
        Ok(())
    }

    /// What is in it.
    ///
    /// # Errors
    /// The file is there, but cannot be read.
    pub fn read(&self) -> Result<Content, StoreError> {
        Ok(Content::Empty)
    }
}
