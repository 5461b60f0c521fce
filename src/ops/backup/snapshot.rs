//! Taking a backup, beside a running gateway or without one.
//!
//! All files are opened, and then looked at once more. If none of them was replaced, grew or
//! shrank in between, and none came or went, then in the moment between the two looks all of them
//! were as they were opened, at once: what is copied is the state of that one instant, as a power
//! cut would have found it, and that is what a gateway is built to begin from. If something was
//! written meanwhile it is tried again. Looking takes well under a millisecond, and a gateway
//! writes a few times in a second at most.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{CONFIG, HOT, Manifest, STATE, Source, VERSION, is_plain_path, pack, verify};
use crate::base::limits;
use crate::ops::config::{self, Dirs, Env};
use crate::ops::exit::{Exit, Failure};
use crate::ops::state;
use crate::rt::clock;

/// What was written.
pub(crate) struct Created {
    /// Where.
    pub(crate) file: PathBuf,
    /// How long it is.
    pub(crate) bytes: u64,
    /// What is in it.
    pub(crate) manifest: Manifest,
}

/// Writes all that there is into `output`: a file that does not exist yet, or a directory.
///
/// # Errors
/// There is nothing, or it cannot be written; then nothing is.
pub(crate) fn create(
    env: &Env,
    asked: Option<&Path>,
    output: Option<&Path>,
    is_verified: bool,
) -> Result<Created, Failure> {
    let dirs = Dirs::of(env).ok_or_else(super::place::nowhere)?;
    let config = config::find_file(env, asked).filter(|file| file.exists());
    let found = take(&dirs, config.as_deref()).map_err(|error| {
        let text = format!("what the gateway keeps cannot be read: {error}");
        Failure::new(Exit::State, text, "run it as the user that the gateway runs as, or as root")
    })?;
    if found.files.is_empty() {
        let text = format!(
            "there is nothing to keep: no configuration, and nothing in {}",
            dirs.state.display()
        );
        return Err(Failure::new(Exit::State, text, "is it another user's, or another --profile?"));
    }
    let file = target(output, &dirs)?;
    let wall = clock::wall();
    let manifest = Manifest {
        version: VERSION,
        program: format!("barnacle {}", crate::ops::version()),
        host: super::place::host(),
        at: wall.to_string(),
        config: config.map(|file| file.display().to_string()),
        state: dirs.state.display().to_string(),
        still: found.is_still,
        files: Vec::new(),
        left_out: found.left_out,
    };
    let sources = found.files.into_iter().map(|(name, opened)| Source {
        name,
        bytes: opened.mark.bytes,
        from: io::BufReader::new(opened.file),
    });
    let unwritten = |error: io::Error| {
        let text = format!("{} cannot be written: {error}", file.display());
        Failure::new(Exit::State, text, "nothing was left there")
    };
    let written = write(&file, |out| {
        let (mut out, manifest) = pack(out, sources, manifest, wall.0 / 1000)?;
        out.flush()?;
        Ok(manifest)
    });
    let manifest = written.map_err(unwritten)?;
    if is_verified {
        verify(&file).map_err(|error| {
            let text = format!("{} was written, and cannot be read: {error}", file.display());
            Failure::new(Exit::State, text, "look at that disk, and take another backup elsewhere")
        })?;
    }
    let bytes = fs::metadata(&file).map_or(0, |meta| meta.len());
    Ok(Created { file, bytes, manifest })
}

/// Writes a file that is not there yet, for its owner only.
///
/// # Errors
/// It is there, or cannot be written; then nothing is left of it.
pub(crate) fn write_new(file: &Path, bytes: &[u8]) -> io::Result<()> {
    if fs::symlink_metadata(file).is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    write(file, |mut out| {
        out.write_all(bytes)?;
        out.flush()
    })
}

/// Whole or not at all, and for its owner only.
fn write<T>(file: &Path, put: impl FnOnce(io::BufWriter<File>) -> io::Result<T>) -> io::Result<T> {
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".part-{}", std::process::id()));
    let part = PathBuf::from(name);
    let mut options = fs::OpenOptions::new();
    let out = options.write(true).create_new(true).mode(0o600).open(&part)?;
    let finish = || {
        let sync = out.try_clone()?;
        let done = put(io::BufWriter::new(out))?;
        sync.sync_all()?;
        // A link, since a rename would replace what somebody has put there meanwhile.
        fs::hard_link(&part, file).or_else(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Err(error),
            // Some file systems of USB sticks know no links.
            _ => fs::rename(&part, file),
        })?;
        Ok(done)
    };
    let finished = finish();
    let _ = fs::remove_file(&part);
    finished
}

/// Where it goes.
fn target(output: Option<&Path>, dirs: &Dirs) -> Result<PathBuf, Failure> {
    let name = super::usual_name();
    let file = match output {
        None => PathBuf::from(name),
        Some(path) if path.is_dir() => path.join(name),
        Some(path) => path.to_owned(),
    };
    let refused = |text: String, cure: &str| Err(Failure::new(Exit::Usage, text, cure));
    if fs::symlink_metadata(&file).is_ok() {
        return refused(format!("{} is there already", file.display()), "name another file");
    }
    let parent = file.parent().filter(|dir| !dir.as_os_str().is_empty());
    let parent = fs::canonicalize(parent.unwrap_or(Path::new("."))).map_err(|error| {
        let text = format!("{} cannot be written: {error}", file.display());
        Failure::new(Exit::Usage, text, "name a directory that exists")
    })?;
    let inside = |dir: &Path| fs::canonicalize(dir).is_ok_and(|dir| parent.starts_with(dir));
    if inside(&dirs.state) || dirs.hot.as_deref().is_some_and(inside) {
        let text = "a backup among the state would be part of the next one";
        return refused(text.to_owned(), "name a place outside of the state directory");
    }
    Ok(file)
}

/// What tells one version of a file from another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Mark {
    device: u64,
    inode: u64,
    bytes: u64,
    changed: (i64, i64),
}

impl Mark {
    fn of(meta: &fs::Metadata) -> Mark {
        Mark {
            device: meta.dev(),
            inode: meta.ino(),
            bytes: meta.len(),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }
    }
}

struct Opened {
    file: File,
    mark: Mark,
}

/// Files as they were in one instant, if they are still.
struct Found {
    files: BTreeMap<String, Opened>,
    is_still: bool,
    left_out: Vec<String>,
}

/// Opens all files at a moment when nothing is written to them.
fn take(dirs: &Dirs, config: Option<&Path>) -> io::Result<Found> {
    let mut tries = 0;
    loop {
        tries += 1;
        let mut left_out = Vec::new();
        let names = list(dirs, config, &mut left_out)?;
        let files = open(&names);
        let again = list(dirs, config, &mut Vec::new())?;
        let is_still = files.as_ref().is_ok_and(|files| {
            again == names && names.iter().all(|(name, path)| is_same(files.get(name), path))
        });
        if is_still || tries >= limits::BACKUP_TRIES {
            return Ok(Found { files: files?, is_still, left_out });
        }
        clock::pause(Duration::from_millis(20));
    }
}

fn is_same(opened: Option<&Opened>, path: &Path) -> bool {
    let now = fs::symlink_metadata(path).map(|meta| Mark::of(&meta));
    opened.zip(now.ok()).is_some_and(|(opened, now)| opened.mark == now)
}

fn open(names: &BTreeMap<String, PathBuf>) -> io::Result<BTreeMap<String, Opened>> {
    let open = |(name, path): (&String, &PathBuf)| {
        let told =
            |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let file = File::open(path).map_err(told)?;
        let mark = Mark::of(&file.metadata().map_err(told)?);
        Ok((name.clone(), Opened { file, mark }))
    };
    names.iter().map(open).collect()
}

/// All that belongs into a backup: its name there, and where it is.
fn list(
    dirs: &Dirs,
    config: Option<&Path>,
    left_out: &mut Vec<String>,
) -> io::Result<BTreeMap<String, PathBuf>> {
    let mut found = BTreeMap::new();
    if let Some(config) = config {
        found.insert(CONFIG.to_owned(), fs::canonicalize(config)?);
    }
    for (prefix, dir) in [(STATE, Some(&dirs.state)), (HOT, dirs.hot.as_ref())] {
        // Under systemd the state directory itself may be a link.
        let Some(dir) = dir.and_then(|dir| fs::canonicalize(dir).ok()) else { continue };
        walk(&dir, "", &mut |path, below| {
            let fits = super::tar::header(&format!("{}{prefix}{below}", super::ROOT), 0, 0);
            let fits = fits.is_some() && is_plain_path(below);
            if !fits || found.len() >= limits::BACKUP_FILES_MAX {
                left_out.push(path.display().to_string());
            } else {
                found.insert(format!("{prefix}{below}"), path.to_owned());
            }
        })?;
    }
    Ok(found)
}

/// Every regular file below `dir` that is more than a moment's.
fn walk(dir: &Path, below: &str, each: &mut dyn FnMut(&Path, &str)) -> io::Result<()> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        // It went meanwhile, or was never there.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            let text = format!("{}: {error}", dir.display());
            return Err(io::Error::new(error.kind(), text));
        }
    };
    for entry in entries {
        let entry = entry?;
        let Ok(kind) = entry.file_type() else { continue };
        let name = entry.file_name().to_string_lossy().into_owned();
        let name = if below.is_empty() { name } else { format!("{below}/{name}") };
        if kind.is_dir() && name.split('/').count() < limits::BACKUP_DEPTH_MAX {
            walk(&entry.path(), &name, each)?;
        } else if kind.is_file() && !is_of_a_moment(&name) {
            each(&entry.path(), &name);
        }
    }
    Ok(())
}

/// What is being written beside a file to replace it, what is tried out, and the code of first
/// contact.
fn is_of_a_moment(name: &str) -> bool {
    let name = name.rsplit('/').next().unwrap_or(name);
    let ends = [".tmp", ".new", ".part"];
    ends.iter().any(|end| name.ends_with(end))
        || name.starts_with(".probe-")
        || name == state::CONTACT
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::backup::tests::Scratch;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn a_token_is_kept_and_what_is_only_of_the_moment_is_not() {
        assert!(!is_of_a_moment("discord-bot-token"));
        for name in ["discord-bot-token.new", "contact.txt", "d/.probe-7"] {
            assert!(is_of_a_moment(name), "{name}");
        }
    }

    /// A log and a cell whose contents agree at every instant: the cell says how long the log is,
    /// and is written first.
    #[test]
    fn files_that_change_all_the_time_are_taken_as_of_one_instant() {
        let scratch = Scratch::new("still");
        let dirs = Dirs { state: scratch.0.clone(), hot: None };
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut log = File::create(scratch.0.join("log")).unwrap();
                let mut length = 0_u64;
                while !stop.load(Ordering::Relaxed) {
                    length += 1;
                    fs::write(scratch.0.join("cell.tmp"), length.to_string()).unwrap();
                    fs::rename(scratch.0.join("cell.tmp"), scratch.0.join("cell")).unwrap();
                    log.write_all(b"x").unwrap();
                    // As a gateway does: in groups, with pauses.
                    if length.is_multiple_of(5) {
                        clock::pause(Duration::from_millis(15));
                    }
                }
            });
            clock::pause(Duration::from_millis(20));
            for _ in 0..30 {
                let mut seen = take(&dirs, None).unwrap();
                assert!(seen.is_still && seen.files.len() == 2);
                let log = seen.files["state/log"].mark.bytes;
                let mut text = String::new();
                io::Read::read_to_string(
                    &mut seen.files.get_mut("state/cell").unwrap().file,
                    &mut text,
                )
                .unwrap();
                let cell: u64 = text.parse().unwrap();
                assert!(cell == log || cell == log + 1, "cell {cell}, log {log}");
            }
            stop.store(true, Ordering::Relaxed);
        });
    }

    #[test]
    fn what_is_of_a_moment_or_no_file_stays_out() {
        let scratch = Scratch::new("list");
        for name in ["a", "b.tmp", "c.new", ".probe-7"] {
            fs::write(scratch.0.join(name), "x").unwrap();
        }
        fs::create_dir_all(scratch.0.join("d/e")).unwrap();
        fs::write(scratch.0.join("d/e/f"), "x").unwrap();
        fs::write(scratch.0.join("odd\nname"), "x").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", scratch.0.join("link")).unwrap();
        let _socket =
            std::os::unix::net::UnixListener::bind(scratch.0.join("barnacle.sock")).unwrap();
        let dirs = Dirs { state: scratch.0.clone(), hot: None };
        let mut left_out = Vec::new();
        let found = list(&dirs, None, &mut left_out).unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), ["state/a", "state/d/e/f"]);
        assert_eq!(left_out.len(), 1, "{left_out:?}");
    }
}
