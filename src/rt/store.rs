//! State on disk that survives: an append log, and a small file that is replaced as a whole.
//!
//! A log is a magic word and then records: length and CRC-32 (both little-endian, the CRC over the
//! length too), then the bytes. Reading stops at the first record that is not whole: if that is an
//! append which a power cut interrupted, it is cut off; if it is damage, the file is put aside and
//! a new one begins with what was read. Either way what is read is a prefix of what was written.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{blocking, disk};

/// Why something could not be stored. The store is as it was, and usable.
#[derive(Debug)]
pub enum StoreError {
    /// The record is longer than the log's bound.
    TooLong,
    /// The log has reached its bound; make it short.
    Full,
    /// The disk, or our share of it, is full.
    NoSpace,
    /// The operating system refused.
    Io(io::Error),
}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> StoreError {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::NoSpace,
            _ => StoreError::Io(error),
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::TooLong => f.write_str("the record is too long"),
            StoreError::Full => f.write_str("the log is full"),
            StoreError::NoSpace => f.write_str("the disk is full"),
            StoreError::Io(error) => error.fmt(f),
        }
    }
}

/// How long a log and its records may become, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// One record.
    pub record_bytes_max: u32,
    /// The file.
    pub file_bytes_max: u64,
}

/// What was found when a log was opened.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Found {
    /// Records that were read.
    pub records: u64,
    /// Bytes cut off the end: an append that was interrupted.
    pub torn_bytes: u64,
    /// Where the file was put aside, if it was damaged. What came before the damage was read.
    pub quarantined: Option<PathBuf>,
}

/// A log that only grows, until it is made short. It expects to be the only one to have the file
/// open.
#[derive(Debug)]
pub struct Log {
    file: Arc<File>,
    path: PathBuf,
    bounds: Bounds,
    /// Where the next record goes: behind the last whole one.
    end: u64,
    /// While the log is being made short: what is to go behind it.
    held: Option<Vec<u8>>,
}

/// A log that was made short, to be [taken over](Log::take_over).
#[derive(Debug)]
pub struct Short {
    file: File,
    end: u64,
}

/// Reads single records of a log, also while it grows.
#[derive(Clone, Debug)]
pub struct Reader {
    file: Arc<File>,
    bounds: Bounds,
}

/// Where the first record of a log stands.
pub const LOG_START: u64 = MAGIC_BYTES;

/// How far behind the place of `record` the next one stands.
#[must_use]
pub fn length_of(record: &[u8]) -> u64 {
    (HEADER_BYTES + record.len()) as u64
}

/// What a log begins with: its kind and version.
const LOG_MAGIC: &[u8; 8] = b"bncllog1";
/// What a cell begins with.
const CELL_MAGIC: &[u8; 8] = b"bnclcel1";
const MAGIC_BYTES: u64 = 8;
/// Length and CRC before each record.
const HEADER_BYTES: usize = 8;

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
        mut each: impl FnMut(&[u8]),
    ) -> Result<(Log, Found), StoreError> {
        let path = dir.join(name);
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).mode(0o600).open(&path)?;
        let mut found = Found::default();
        let (end, stop) = read_records(&file, bounds, |record| {
            found.records += 1;
            each(record);
        })?;
        let mut log = Log { file: Arc::new(file), path, bounds, end, held: None };
        match stop {
            Stop::End => {}
            Stop::Torn => {
                found.torn_bytes = log.file.metadata()?.len() - end;
                log.file.set_len(end)?;
            }
            Stop::Damaged => {
                found.quarantined = Some(keep_aside(&log.path)?);
                let mut whole = Vec::new();
                (&*log.file).seek(SeekFrom::Start(0))?;
                (&*log.file).take(end).read_to_end(&mut whole)?;
                log.replace(whole.get(LOG_MAGIC.len()..).unwrap_or(&[]))?;
            }
        }
        if log.end < MAGIC_BYTES {
            log.replace(&[])?;
        }
        Ok((log, found))
    }

    /// Appends a record. It is handed to the operating system at once, so that the end of this
    /// process cannot lose it (unless the log is just being [made short](Log::shorten)); against a
    /// power cut, [`sync`](Log::sync).
    ///
    /// # Errors
    /// Nothing was appended, and the log can still be used.
    pub fn append(&mut self, record: &[u8]) -> Result<(), StoreError> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES + record.len());
        push_record(&mut bytes, record, self.bounds)?;
        let held = self.held.as_ref().map_or(0, Vec::len);
        let end = self.end + (held + bytes.len()) as u64;
        if end > self.bounds.file_bytes_max {
            return Err(StoreError::Full);
        }
        if let Some(held) = &mut self.held {
            held.extend(bytes);
            return Ok(());
        }
        self.write(&bytes)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let end = self.end + bytes.len() as u64;
        if let Err(error) = self.file.write_all_at(bytes, self.end) {
            // Half a record behind the end would look torn to the next reader. If it cannot be
            // cut off now, then it will be at the next opening.
            let _ = self.file.set_len(self.end);
            return Err(error.into());
        }
        self.end = end;
        disk::count(bytes.len() as u64);
        Ok(())
    }

    /// Waits, without holding the thread, until all that was appended so far is on the disk.
    ///
    /// # Errors
    /// It may not be.
    pub fn sync(&self) -> impl Future<Output = Result<(), StoreError>> + use<> {
        let file = self.file.clone();
        async move {
            match blocking::run(move || file.sync_data()).await {
                Ok(synced) => Ok(synced?),
                Err(full) => Err(StoreError::Io(io::Error::other(full))),
            }
        }
    }

    /// Makes the log short: what comes of the future is a log with only `records`, on the disk, in
    /// the place of this one, and is to be [taken over](Log::take_over). The work is done on
    /// another thread; what is appended meanwhile waits in memory, and a [`sync`](Log::sync) in
    /// that time says nothing about it.
    pub fn shorten(
        &mut self,
        records: Vec<Vec<u8>>,
    ) -> impl Future<Output = Result<Short, StoreError>> + use<> {
        self.held.get_or_insert_default();
        let (path, bounds) = (self.path.clone(), self.bounds);
        let work = move || {
            let mut bytes = Vec::new();
            for record in &records {
                push_record(&mut bytes, record, bounds)?;
                if MAGIC_BYTES + bytes.len() as u64 > bounds.file_bytes_max {
                    return Err(StoreError::Full);
                }
            }
            let file = replace(&path, &[LOG_MAGIC, &bytes], Durability::Disk)?;
            Ok(Short { file, end: MAGIC_BYTES + bytes.len() as u64 })
        };
        async move {
            match blocking::run(work).await {
                Ok(short) => short,
                Err(full) => Err(StoreError::Io(io::Error::other(full))),
            }
        }
    }

    /// The same for a log that is too long to be held in memory: each record that `stays` goes into
    /// the short one, at the place that is told, and with what is changed in it.
    pub fn sieve<S: Send + 'static>(
        &mut self,
        mut sieve: S,
        stays: fn(&mut S, u64, &mut [u8]) -> bool,
    ) -> impl Future<Output = Result<(Short, S), StoreError>> + use<S> {
        self.held.get_or_insert_default();
        let (old, path, bounds) = (self.file.clone(), self.path.clone(), self.bounds);
        let work = move || {
            let mut end = MAGIC_BYTES;
            let file = replace_by(&path, Durability::Disk, |new| {
                let (mut new, mut written) = (io::BufWriter::new(new), Ok(()));
                new.write_all(LOG_MAGIC)?;
                (&*old).seek(SeekFrom::Start(0))?;
                read_records(&old, bounds, |record| {
                    let mut record = record.to_vec();
                    if written.is_ok() && stays(&mut sieve, end, &mut record) {
                        let size = u32::try_from(record.len()).unwrap_or(u32::MAX);
                        written = new
                            .write_all(header(size, &record).as_flattened())
                            .and_then(|()| new.write_all(&record));
                        end += length_of(&record);
                    }
                })?;
                written.and_then(|()| new.flush())
            })?;
            Ok((Short { file, end }, sieve))
        };
        async move {
            match blocking::run(work).await {
                Ok(short) => short,
                Err(full) => Err(StoreError::Io(io::Error::other(full))),
            }
        }
    }

    /// What reads single records of it.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader { file: self.file.clone(), bounds: self.bounds }
    }

    /// Goes on with what [`shorten`](Log::shorten) gave, or with the old file if it failed, and
    /// appends what waited.
    ///
    /// # Errors
    /// It was not made short, or what waited could not be appended. Either way the log can be used.
    pub fn take_over(&mut self, short: Result<Short, StoreError>) -> Result<(), StoreError> {
        let held = self.held.take().unwrap_or_default();
        let outcome = short.map(|Short { file, end }| {
            (self.file, self.end) = (Arc::new(file), end);
        });
        self.write(&held).and(outcome)
    }

    /// The length of the file, with what waits to be appended.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.end + self.held.as_ref().map_or(0, |held| held.len() as u64)
    }

    /// Puts a new file with these records in the place of the old one.
    fn replace(&mut self, records: &[u8]) -> Result<(), StoreError> {
        let file = replace(&self.path, &[LOG_MAGIC, records], Durability::Disk)?;
        self.file = Arc::new(file);
        self.end = MAGIC_BYTES + records.len() as u64;
        Ok(())
    }
}

impl Reader {
    /// The record at `place`, if a whole one stands there. It blocks until the disk gives it.
    #[must_use]
    pub fn at(&self, place: u64) -> Option<Vec<u8>> {
        let mut header = [[0; 4]; 2];
        self.file.read_exact_at(header.as_flattened_mut(), place).ok()?;
        let [size, crc] = header.map(u32::from_le_bytes);
        if size > self.bounds.record_bytes_max {
            return None;
        }
        let mut record = vec![0; size as usize];
        self.file.read_exact_at(&mut record, place + HEADER_BYTES as u64).ok()?;
        (checksum(size, &record) == crc).then_some(record)
    }
}

/// Gives each record of the log `name` in `dir` to `each`, also while somebody else has it open,
/// and changes nothing. Of one that is not there nothing is given.
///
/// # Errors
/// It cannot be read.
pub fn look(
    dir: &Path,
    name: &str,
    bounds: Bounds,
    each: impl FnMut(&[u8]),
) -> Result<(), StoreError> {
    match File::open(dir.join(name)) {
        Ok(file) => Ok(read_records(&file, bounds, each).map(drop)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Writes the log `name` in `dir`, which nobody may have open, anew with what `keeps` makes of its
/// records; how many it leaves out or changes. It blocks until that is on the disk.
///
/// # Errors
/// It is as it was.
pub fn rewrite(
    dir: &Path,
    name: &str,
    bounds: Bounds,
    mut keeps: impl FnMut(&[u8]) -> Option<Vec<u8>>,
) -> Result<u64, StoreError> {
    let (mut bytes, mut changed, mut pushed) = (Vec::new(), 0, Ok(()));
    look(dir, name, bounds, |record| {
        let kept = keeps(record);
        changed += u64::from(kept.as_deref() != Some(record));
        if let (Some(kept), Ok(())) = (kept, &pushed) {
            pushed = push_record(&mut bytes, &kept, bounds);
        }
    })?;
    pushed?;
    if changed > 0 {
        replace(&dir.join(name), &[LOG_MAGIC, &bytes], Durability::Disk)?;
    }
    Ok(changed)
}

/// Why reading a log came to its end.
enum Stop {
    End,
    Torn,
    Damaged,
}

/// Reads records until the first that is not whole; says where that begins.
fn read_records(
    file: &File,
    bounds: Bounds,
    mut each: impl FnMut(&[u8]),
) -> io::Result<(u64, Stop)> {
    let length = file.metadata()?.len();
    let mut reader = io::BufReader::new(file);
    let mut magic = [0; LOG_MAGIC.len()];
    if length < MAGIC_BYTES {
        return Ok((0, if length == 0 { Stop::End } else { Stop::Torn }));
    }
    reader.read_exact(&mut magic)?;
    if magic != *LOG_MAGIC {
        return Ok((0, Stop::Damaged));
    }
    let (mut at, mut record) = (MAGIC_BYTES, Vec::new());
    loop {
        let left = length - at;
        if left == 0 {
            return Ok((at, Stop::End));
        }
        if left < HEADER_BYTES as u64 {
            return Ok((at, Stop::Torn));
        }
        let mut header = [[0; 4]; 2];
        reader.read_exact(header.as_flattened_mut())?;
        let [size, crc] = header.map(u32::from_le_bytes);
        let whole = HEADER_BYTES as u64 + u64::from(size);
        if left < whole || u64::from(size) > bounds.file_bytes_max {
            // An interrupted append, unless more lies here than any append writes.
            let append_max = HEADER_BYTES as u64 + u64::from(bounds.record_bytes_max);
            return Ok((at, if left < append_max { Stop::Torn } else { Stop::Damaged }));
        }
        record.resize(size as usize, 0);
        reader.read_exact(&mut record)?;
        if checksum(size, &record) != crc {
            // A power cut may leave the length of an append on the disk, but not its bytes.
            return Ok((at, if left == whole { Stop::Torn } else { Stop::Damaged }));
        }
        each(&record);
        at += whole;
    }
}

fn push_record(into: &mut Vec<u8>, record: &[u8], bounds: Bounds) -> Result<(), StoreError> {
    let size = u32::try_from(record.len()).map_err(|_| StoreError::TooLong)?;
    if size > bounds.record_bytes_max {
        return Err(StoreError::TooLong);
    }
    into.extend_from_slice(header(size, record).as_flattened());
    into.extend_from_slice(record);
    Ok(())
}

/// Length and CRC.
fn header(size: u32, record: &[u8]) -> [[u8; 4]; 2] {
    [size, checksum(size, record)].map(u32::to_le_bytes)
}

fn checksum(size: u32, record: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&size.to_le_bytes());
    crc.update(record);
    crc.finalize()
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
pub struct Cell {
    path: PathBuf,
    bytes_max: u32,
}

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
    /// The cell `name` in `dir`, for at most `bytes_max` bytes.
    #[must_use]
    pub fn new(dir: &Path, name: &str, bytes_max: u32) -> Cell {
        Cell { path: dir.join(name), bytes_max }
    }

    /// Replaces what is in it. With [`Durability::Disk`] it blocks until that is on the disk.
    ///
    /// # Errors
    /// What was in it still is.
    pub fn write(&self, content: &[u8], durability: Durability) -> Result<(), StoreError> {
        let size = u32::try_from(content.len()).map_err(|_| StoreError::TooLong)?;
        if size > self.bytes_max {
            return Err(StoreError::TooLong);
        }
        let header = header(size, content);
        replace(&self.path, &[CELL_MAGIC, header.as_flattened(), content], durability)?;
        Ok(())
    }

    /// What is in it.
    ///
    /// # Errors
    /// The file is there, but cannot be read.
    pub fn read(&self) -> Result<Content, StoreError> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Content::Empty),
            Err(error) => return Err(error.into()),
        };
        let mut bytes = Vec::new();
        let overhead = MAGIC_BYTES + HEADER_BYTES as u64;
        file.take(overhead + u64::from(self.bytes_max) + 1).read_to_end(&mut bytes)?;
        if let Some(content) = unseal(&bytes) {
            return Ok(Content::Whole(content.to_vec()));
        }
        let aside = keep_aside(&self.path)?;
        std::fs::remove_file(&self.path)?;
        Ok(Content::Quarantined(aside))
    }
}

/// The content of a cell's file, if it is whole.
fn unseal(bytes: &[u8]) -> Option<&[u8]> {
    let (size, rest) = bytes.strip_prefix(CELL_MAGIC)?.split_first_chunk()?;
    let (crc, content) = rest.split_first_chunk()?;
    let (size, crc) = (u32::from_le_bytes(*size), u32::from_le_bytes(*crc));
    let is_whole = content.len() == size as usize && checksum(size, content) == crc;
    is_whole.then_some(content)
}

/// Puts a file with these parts in the place of `path`: whoever looks, and whenever the power goes,
/// sees the old one or the new one whole.
fn replace(path: &Path, parts: &[&[u8]], durability: Durability) -> io::Result<File> {
    replace_by(path, durability, |file| parts.iter().try_for_each(|part| file.write_all(part)))
}

/// The same with a file that `write_parts` writes.
fn replace_by(
    path: &Path,
    durability: Durability,
    write_parts: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<File> {
    let beside = beside(path, "tmp");
    let write = || {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&beside)?;
        write_parts(&mut file)?;
        if durability == Durability::Disk {
            file.sync_all()?;
            disk::count(file.metadata()?.len());
        }
        std::fs::rename(&beside, path)?;
        if durability == Durability::Disk {
            // The name, too, must be on the disk.
            let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
            File::open(dir.unwrap_or(Path::new(".")))?.sync_all()?;
        }
        Ok(file)
    };
    write().inspect_err(|_| drop(std::fs::remove_file(&beside)))
}

/// Keeps a damaged file under another name too. Of several only the newest is kept: they are for
/// a person to look at, and must not fill the disk.
fn keep_aside(path: &Path) -> io::Result<PathBuf> {
    let aside = beside(path, "damaged");
    match std::fs::remove_file(&aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // Not every file system has links.
    std::fs::hard_link(path, &aside).or_else(|_| std::fs::copy(path, &aside).map(drop))?;
    Ok(aside)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A directory that is gone when the test is.
    pub(crate) struct Scratch(PathBuf);

    impl Scratch {
        pub(crate) fn new() -> Scratch {
            static COUNT: AtomicU32 = AtomicU32::new(0);
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            let name = format!("barnacle-test-{}-{number}", std::process::id());
            let path = std::env::temp_dir().join(name);
            std::fs::create_dir(&path).unwrap();
            Scratch(path)
        }

        pub(crate) fn path(&self) -> &Path {
            &self.0
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    const BOUNDS: Bounds = Bounds { record_bytes_max: 64, file_bytes_max: 4096 };

    fn open(dir: &Scratch) -> (Log, Vec<Vec<u8>>, Found) {
        let mut records = Vec::new();
        let each = |record: &[u8]| records.push(record.to_vec());
        let (log, found) = Log::open(dir.path(), "log", BOUNDS, each).unwrap();
        assert_eq!(found.records, records.len() as u64);
        (log, records, found)
    }

    fn written(dir: &Scratch, records: &[Vec<u8>]) -> Vec<u8> {
        let (mut log, ..) = open(dir);
        for record in records {
            log.append(record).unwrap();
        }
        std::fs::read(dir.path().join("log")).unwrap()
    }

    #[test]
    fn what_was_appended_is_read_again() {
        let dir = Scratch::new();
        let records = [b"one".to_vec(), vec![], vec![0; 64]];
        written(&dir, &records);
        let (mut log, read, found) = open(&dir);
        assert_eq!((read, found.torn_bytes, found.quarantined), (records.to_vec(), 0, None));
        log.append(b"more").unwrap();
        smol::block_on(log.sync()).unwrap();
        assert_eq!(log.bytes(), std::fs::metadata(dir.path().join("log")).unwrap().len());
        assert_eq!(open(&dir).1.last().unwrap(), b"more");
    }

    #[test]
    fn bounds_are_errors_that_change_nothing() {
        let dir = Scratch::new();
        let (mut log, ..) = open(&dir);
        assert!(matches!(log.append(&[0; 65]), Err(StoreError::TooLong)));
        let mut appended = 0;
        while log.append(&[7; 64]).is_ok() {
            appended += 1;
        }
        assert!(matches!(log.append(&[7; 64]), Err(StoreError::Full)));
        assert!(log.bytes() <= BOUNDS.file_bytes_max);
        assert_eq!(open(&dir).1.len(), appended);
    }

    #[test]
    fn a_full_disk_is_an_error_and_the_log_goes_on() {
        let dir = Scratch::new();
        let (mut log, ..) = open(&dir);
        log.append(b"before").unwrap();
        let disk = std::mem::replace(
            &mut log.file,
            Arc::new(OpenOptions::new().write(true).open("/dev/full").unwrap()),
        );
        assert!(matches!(log.append(b"lost"), Err(StoreError::NoSpace)));
        log.file = disk;
        log.append(b"after").unwrap();
        assert_eq!(open(&dir).1, [b"before".to_vec(), b"after".to_vec()]);
    }

    #[test]
    fn compaction_replaces_and_goes_on() {
        let dir = Scratch::new();
        written(&dir, &[b"old".to_vec(), b"older".to_vec()]);
        let (mut log, ..) = open(&dir);
        let shorten = |log: &mut Log, records: Vec<Vec<u8>>, meanwhile: &[u8]| {
            let short = log.shorten(records);
            log.append(meanwhile).unwrap();
            let short = smol::block_on(short);
            log.take_over(short)
        };
        let too_long = shorten(&mut log, vec![vec![0; 65]], b"one");
        assert!(matches!(too_long, Err(StoreError::TooLong)));
        assert_eq!(open(&dir).1, [&b"old"[..], b"older", b"one"], "nothing is lost by it");
        shorten(&mut log, vec![b"kept".to_vec()], b"two").unwrap();
        log.append(b"new").unwrap();
        assert_eq!(open(&dir).1, [&b"kept"[..], b"two", b"new"]);
        assert_eq!(log.bytes(), std::fs::metadata(dir.path().join("log")).unwrap().len());
    }

    #[test]
    fn a_sieve_keeps_what_stays_and_records_are_read_by_their_places() {
        let dir = Scratch::new();
        written(&dir, &[b"one".to_vec(), b"two".to_vec(), b"six".to_vec()]);
        let (mut log, ..) = open(&dir);
        let stays = |places: &mut Vec<u64>, place: u64, record: &mut [u8]| {
            record[0] = record[0].to_ascii_uppercase();
            let stays = record != b"Two";
            places.extend(stays.then_some(place));
            stays
        };
        let short = log.sieve(Vec::new(), stays);
        log.append(b"meanwhile").unwrap();
        let (short, places) = smol::block_on(short).unwrap();
        log.take_over(Ok(short)).unwrap();
        assert_eq!(open(&dir).1, [&b"One"[..], b"Six", b"meanwhile"]);
        let read: Vec<_> = places.iter().map(|&place| log.reader().at(place)).collect();
        assert_eq!(read, [Some(b"One".to_vec()), Some(b"Six".to_vec())]);
        let next = places[1] + length_of(b"Six");
        assert_eq!(log.reader().at(next), Some(b"meanwhile".to_vec()));
        for nowhere in [0, LOG_START + 1, log.bytes(), u64::MAX - 4] {
            assert_eq!(log.reader().at(nowhere), None);
        }
        assert_eq!(log.bytes(), std::fs::metadata(dir.path().join("log")).unwrap().len());
    }

    #[test]
    fn killed_while_it_is_made_short_a_log_is_the_old_or_the_new_one() {
        let dir = Scratch::new();
        written(&dir, &[b"old".to_vec()]);
        let (mut log, ..) = open(&dir);
        let short = log.shorten(vec![b"kept".to_vec()]);
        log.append(b"meanwhile").unwrap();
        assert_eq!(open(&dir).1, [b"old"], "before");
        smol::block_on(short).unwrap();
        assert_eq!(open(&dir).1, [b"kept"], "after");
    }

    #[test]
    fn damage_in_the_middle_is_put_aside() {
        let dir = Scratch::new();
        let mut bytes = written(&dir, &[b"good".to_vec(), b"bad".to_vec(), b"ugly".to_vec()]);
        let place = bytes.windows(3).position(|window| window == b"bad").unwrap();
        bytes[place] ^= 1;
        std::fs::write(dir.path().join("log"), &bytes).unwrap();
        let (mut log, read, found) = open(&dir);
        assert_eq!(read, [b"good".to_vec()]);
        let aside = found.quarantined.unwrap();
        assert_eq!(std::fs::read(aside).unwrap(), bytes, "nothing of it is thrown away");
        log.append(b"next").unwrap();
        assert_eq!(open(&dir).1, [b"good".to_vec(), b"next".to_vec()]);
    }

    #[test]
    fn another_kind_of_file_is_put_aside() {
        let dir = Scratch::new();
        std::fs::write(dir.path().join("log"), "something else entirely").unwrap();
        let (_, read, found) = open(&dir);
        assert!(read.is_empty() && found.quarantined.is_some());
        assert_eq!(open(&dir).2, Found::default());
    }

    #[test]
    fn a_cell_holds_what_was_written_last() {
        let dir = Scratch::new();
        let cell = Cell::new(dir.path(), "cell", 16);
        assert_eq!(cell.read().unwrap(), Content::Empty);
        for (content, durability) in [(b"hot", Durability::Hot), (b"dis", Durability::Disk)] {
            cell.write(content, durability).unwrap();
            assert_eq!(cell.read().unwrap(), Content::Whole(content.to_vec()));
        }
        assert!(matches!(cell.write(&[0; 17], Durability::Hot), Err(StoreError::TooLong)));
        assert_eq!(cell.read().unwrap(), Content::Whole(b"dis".to_vec()));
        std::fs::write(dir.path().join("cell"), "garbage").unwrap();
        assert!(matches!(cell.read().unwrap(), Content::Quarantined(_)));
        assert_eq!(cell.read().unwrap(), Content::Empty);
    }

    fn records() -> impl Strategy<Value = Vec<Vec<u8>>> {
        prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..12)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_cut_leaves_a_prefix(records in records(), cut in any::<prop::sample::Index>()) {
            let dir = Scratch::new();
            let mut bytes = written(&dir, &records);
            bytes.truncate(cut.index(bytes.len() + 1));
            std::fs::write(dir.path().join("log"), &bytes).unwrap();
            let (mut log, read, found) = open(&dir);
            prop_assert!(records.starts_with(&read));
            prop_assert_eq!(found.quarantined, None, "a cut is no damage");
            log.append(b"next").unwrap();
            let (_, again, found) = open(&dir);
            prop_assert_eq!(again.len(), read.len() + 1);
            prop_assert_eq!(found.torn_bytes, 0, "it was repaired the first time");
        }

        #[test]
        fn any_flipped_bit_leaves_a_prefix(
            records in records(),
            place in any::<prop::sample::Index>(),
            bit in 0..8,
        ) {
            let dir = Scratch::new();
            let mut bytes = written(&dir, &records);
            let place = place.index(bytes.len());
            bytes[place] ^= 1_u8 << bit;
            std::fs::write(dir.path().join("log"), &bytes).unwrap();
            let (mut log, read, found) = open(&dir);
            prop_assert!(records.starts_with(&read));
            prop_assert!(found.torn_bytes > 0 || found.quarantined.is_some(), "it is noticed");
            log.append(b"next").unwrap();
            prop_assert_eq!(open(&dir).1.len(), read.len() + 1);
        }

        #[test]
        fn any_bytes_can_be_opened(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let dir = Scratch::new();
            for prefix in [&b""[..], LOG_MAGIC, CELL_MAGIC] {
                std::fs::write(dir.path().join("log"), [prefix, &bytes].concat()).unwrap();
                open(&dir);
                open(&dir).0.append(b"next").unwrap();
                std::fs::write(dir.path().join("log"), [prefix, &bytes].concat()).unwrap();
                Cell::new(dir.path(), "log", 100).read().unwrap();
            }
        }
    }
}
