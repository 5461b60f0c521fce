//! Putting a backup into its place.
//!
//! All of it is read and checked before anything is touched, then unpacked beside the state
//! directory and checked again as it is written. Only then the directories change their names: the
//! old one goes aside, the new one takes its place. Whatever fails before that leaves everything
//! as it was; what fails after it is undone.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use super::{CONFIG, HOT, Manifest, STATE, Sink, unpack, verify};
use crate::ops::config::{self, Dirs, Env};
use crate::ops::exit::{Exit, Failure};
use crate::ops::state::{CONTROL_SOCKET, control_socket};
use crate::rt::clock;
use crate::rt::lock::{Holder, holder_of};

/// What came of it, or would.
pub(crate) struct Restored {
    /// What was in it.
    pub(crate) manifest: Manifest,
    /// Where the state is now.
    pub(crate) state: PathBuf,
    /// Where the configuration is now, if there was one in it.
    pub(crate) config: Option<PathBuf>,
    /// Where the state is that was there before.
    pub(crate) aside: Option<PathBuf>,
}

/// There is no place for state.
pub(super) fn nowhere() -> Failure {
    let text = "there is no place for state: neither HOME nor a state directory is set";
    Failure::new(Exit::State, text, "set BARNACLE_STATE_DIR")
}

/// This host's name.
pub(super) fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// What a backup is called, unless somebody says otherwise.
pub(crate) fn usual_name() -> String {
    let at = clock::wall().to_string();
    let at: String = at.chars().take(19).filter(|c| c.is_ascii_digit() || *c == 'T').collect();
    let is_safe = |c: &char| c.is_ascii_alphanumeric() || *c == '-';
    let host: String = host().chars().filter(is_safe).take(40).collect();
    format!("barnacle-backup-{host}-{at}Z.tar.gz")
}

/// Puts what is in `file` into the place of what is here, or only says what that would do.
///
/// # Errors
/// The file is damaged, a gateway runs here, or something is here and `force` is not given.
pub(crate) fn restore(
    env: &Env,
    asked: Option<&Path>,
    file: &Path,
    force: bool,
    dry_run: bool,
) -> Result<Restored, Failure> {
    let dirs = Dirs::of(env).ok_or_else(nowhere)?;
    let manifest = verify(file).map_err(|error| unreadable(file, &error))?;
    // Under systemd the state directory may be a link to where it is.
    let state = fs::canonicalize(&dirs.state).unwrap_or_else(|_| dirs.state.clone());
    let config = manifest.files.iter().any(|item| item.name == CONFIG);
    let config = if config {
        let place = config::new_file(env, asked);
        Some(place.ok_or_else(nowhere)?)
    } else {
        None
    };
    running(env, &dirs)?;
    held(env, asked).or_else(|failure| if force { Ok(()) } else { Err(failure) })?;
    if !force {
        occupied(&state, config.as_deref())?;
    }
    let plan = Restored { manifest, state, config, aside: None };
    if dry_run {
        return Ok(plan);
    }
    Move { env, dirs: &dirs, file, plan }.run()
}

fn unreadable(file: &Path, error: &io::Error) -> Failure {
    let text = format!("{} cannot be restored: {error}", file.display());
    let cure = match error.kind() {
        io::ErrorKind::NotFound => "name a file that `barnacle backup create` wrote",
        _ => "nothing was changed; take another copy of it, or another backup",
    };
    Failure::new(Exit::Refused, text, cure)
}

/// Refuses while a gateway runs on this state: it would write into what is replaced.
fn running(env: &Env, dirs: &Dirs) -> Result<(), Failure> {
    for socket in [control_socket(env, dirs), dirs.state.join(CONTROL_SOCKET)] {
        if UnixStream::connect(&socket).is_ok() {
            let text = format!("a gateway runs on this state ({} is alive)", socket.display());
            return Err(Failure::new(Exit::Busy, text, "stop it first: `barnacle gateway stop`"));
        }
    }
    Ok(())
}

/// Refuses while another process on this host is the bot.
fn held(env: &Env, asked: Option<&Path>) -> Result<(), Failure> {
    let Ok(loaded) = config::load(env, asked) else { return Ok(()) };
    let tokens = loaded.config.accounts.iter().filter_map(|account| account.token.as_ref());
    for token in tokens {
        if let Holder::Process { pid } = holder_of("discord", token) {
            let who = pid.map_or_else(|| "a process".to_owned(), |pid| format!("process {pid}"));
            let text = format!("{who} on this host is connected as this bot");
            let cure = "stop it first: two would throw each other out; --force goes on anyway";
            return Err(Failure::new(Exit::Busy, text, cure));
        }
    }
    Ok(())
}

fn occupied(state: &Path, config: Option<&Path>) -> Result<(), Failure> {
    let is_used = fs::read_dir(state).is_ok_and(|mut entries| entries.next().is_some());
    let there = config.filter(|file| file.exists()).or(is_used.then_some(state));
    let Some(there) = there else { return Ok(()) };
    let text = format!("{} is there already", there.display());
    let cure = "--force replaces it, and keeps what was there beside it";
    Err(Failure::new(Exit::Usage, text, cure))
}

/// A restoration under way.
struct Move<'a> {
    env: &'a Env,
    dirs: &'a Dirs,
    file: &'a Path,
    plan: Restored,
}

impl Move<'_> {
    fn run(mut self) -> Result<Restored, Failure> {
        let state = self.plan.state.clone();
        let failed = |error: &io::Error| {
            let text = format!("{} cannot be replaced: {error}", state.display());
            let cure = match error.kind() {
                io::ErrorKind::PermissionDenied => "run it as root, or as who owns that directory",
                io::ErrorKind::ResourceBusy | io::ErrorKind::CrossesDevices => {
                    "it is mounted there: restore into a directory that is not, and copy it over"
                }
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room there",
                _ => "nothing was changed",
            };
            Failure::new(Exit::State, text, cure)
        };
        let staged = sibling(&state, "restoring");
        let _ = fs::remove_dir_all(&staged);
        let unpacked = self.unpack(&staged).and_then(|manifest| {
            // The file may have been exchanged since it was looked at.
            if manifest == self.plan.manifest { Ok(()) } else { Err(super::odd("it changed")) }
        });
        let moved = unpacked.map_err(|error| failed(&error)).and_then(|()| {
            running(self.env, self.dirs)?;
            self.swap(&staged).map_err(|error| failed(&error))
        });
        let put = moved.and_then(|()| {
            let put = self.put_config(&staged);
            if put.is_err() {
                self.undo(&staged);
            }
            put
        });
        let put = put.map(|()| self.put_hot(&staged));
        let _ = fs::remove_dir_all(&staged);
        put.map(|()| self.plan)
    }

    /// Unpacks everything below `staged`.
    fn unpack(&self, staged: &Path) -> io::Result<Manifest> {
        make_dir(staged)?;
        make_dir(&staged.join(STATE))?;
        let owner = fs::metadata(&self.plan.state).ok().map(|meta| (meta.uid(), meta.gid()));
        let mut stage = Stage { dir: staged.to_owned(), open: None };
        let manifest = unpack(io::BufReader::new(File::open(self.file)?), &mut stage)?;
        stage.close()?;
        if let Some(owner) = owner {
            hand_over(&staged.join(STATE), owner)?;
        }
        File::open(staged.join(STATE))?.sync_all()?;
        Ok(manifest)
    }

    /// The old directory goes aside, the new one into its place.
    fn swap(&mut self, staged: &Path) -> io::Result<()> {
        let state = &self.plan.state;
        if state.exists() {
            let aside = free(state);
            fs::rename(state, &aside)?;
            self.plan.aside = Some(aside);
        }
        let taken = fs::rename(staged.join(STATE), state);
        if taken.is_err() {
            if let Some(aside) = self.plan.aside.take() {
                fs::rename(aside, state)?;
            }
            return taken;
        }
        // That the names are on the disk is all that is left; they are right either way.
        let parent = state.parent().map(File::open);
        parent.map_or(Ok(()), |dir| dir?.sync_all())
    }

    fn undo(&self, staged: &Path) {
        let state = &self.plan.state;
        let _ = fs::rename(state, staged.join(STATE));
        if let Some(aside) = &self.plan.aside {
            let _ = fs::rename(aside, state);
        }
    }

    fn put_config(&self, staged: &Path) -> Result<(), Failure> {
        let Some(place) = &self.plan.config else { return Ok(()) };
        let failed = |why: String| Failure::new(Exit::State, why, "nothing was changed");
        let fresh = config::read_text(&staged.join(CONFIG)).map_err(|b| failed(b.to_string()))?;
        let before = if place.exists() {
            Some(config::read_text(place).map_err(|broken| failed(broken.to_string()))?)
        } else {
            None
        };
        if before.as_ref() == Some(&fresh) {
            return Ok(());
        }
        config::write(place, before.as_deref(), &fresh).map_err(failed)
    }

    /// The place in each session. What an older gateway left there would be taken for newer than
    /// what was restored, so it goes to the rest of what was here before. A host that has no such
    /// directory yet does without: the state has the same, of a moment earlier.
    fn put_hot(&self, staged: &Path) {
        let Some(hot) = &self.dirs.hot else { return };
        let aside = self.plan.aside.as_ref().map(|aside| aside.join("hot.before-restore"));
        for entry in fs::read_dir(hot).into_iter().flatten().filter_map(Result::ok) {
            if !entry.file_type().is_ok_and(|kind| kind.is_file()) {
                continue;
            }
            if let Some(aside) = &aside {
                let _ = make_dir(aside);
                let _ = fs::copy(entry.path(), aside.join(entry.file_name()));
            }
            let _ = fs::remove_file(entry.path());
        }
        let fresh = fs::read_dir(staged.join(HOT)).into_iter().flatten().filter_map(Result::ok);
        for entry in fresh {
            let _ = make_dir(hot);
            let place = hot.join(entry.file_name());
            if fs::copy(entry.path(), &place).is_err() {
                let _ = fs::remove_file(place);
            }
        }
    }
}

/// `NAME.what-PID` beside `dir`.
fn sibling(dir: &Path, what: &str) -> PathBuf {
    let mut name = dir.as_os_str().to_owned();
    name.push(format!(".{what}-{}", std::process::id()));
    PathBuf::from(name)
}

/// A name beside `dir` that is not taken.
fn free(dir: &Path) -> PathBuf {
    let beside = |end: &str| {
        let mut name = dir.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    };
    let mut names = (2..).map(|n: u32| beside(&format!(".before-restore-{n}")));
    let first = beside(".before-restore");
    if !first.exists() {
        return first;
    }
    names.find(|name| !name.exists()).unwrap_or(first)
}

fn make_dir(dir: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Gives what root has unpacked to whom the gateway runs as.
fn hand_over(path: &Path, (user, group): (u32, u32)) -> io::Result<()> {
    let meta = fs::symlink_metadata(path)?;
    if (meta.uid(), meta.gid()) != (user, group) {
        std::os::unix::fs::lchown(path, Some(user), Some(group))?;
    }
    if meta.is_dir() {
        for entry in fs::read_dir(path)? {
            hand_over(&entry?.path(), (user, group))?;
        }
    }
    Ok(())
}

/// Files below a directory, each on the disk before the next begins.
struct Stage {
    dir: PathBuf,
    open: Option<File>,
}

impl Stage {
    fn close(&mut self) -> io::Result<()> {
        self.open.take().map_or(Ok(()), |file| file.sync_all())
    }
}

impl Sink for Stage {
    fn begin(&mut self, name: &str) -> io::Result<()> {
        self.close()?;
        // `unpack` has seen to it that the name only leads down.
        let path = self.dir.join(name);
        if let Some(parent) = path.parent() {
            make_dir(parent)?;
        }
        let mut options = fs::OpenOptions::new();
        self.open = Some(options.write(true).create_new(true).mode(0o600).open(path)?);
        Ok(())
    }

    fn part(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.open.as_mut().map_or(Ok(()), |file| file.write_all(bytes))
    }
}
