//! Where things are: the configuration, the last good copy of it, the token, the state.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::check::{self, Token};
use super::env::Env;
use super::{Broken, Config, Mistake, raw};
use crate::base::limits;

/// The copy of the last file that could be read, below the state directory.
const LAST_GOOD: &str = "last-good.json5";
/// The control port's generated token, below the state directory.
const GATEWAY_TOKEN: &str = "gateway.token";

/// A configuration, and what is to be said about it.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Loaded {
    /// The configuration.
    pub(crate) config: Config,
    /// What is wrong with the file, in its order.
    pub(crate) mistakes: Vec<Mistake>,
    /// The file it came from; `None` if there is none and the defaults hold.
    pub(crate) file: Option<PathBuf>,
    /// The file's text, for [`remember_good`].
    pub(crate) text: String,
}

/// Finds and reads the configuration. `asked` is `--config`; that file, and the one that
/// `BARNACLE_CONFIG` names, must exist, all others may.
///
/// # Errors
/// The file cannot be read or its syntax is broken: [`load_last_good`] is next.
pub(crate) fn load(env: &Env, asked: Option<&Path>) -> Result<Loaded, Broken> {
    let named = asked.map(Path::to_owned).or_else(|| env.get("BARNACLE_CONFIG").map(PathBuf::from));
    let must_exist = named.is_some();
    for file in named.map_or_else(|| usual_files(env), |file| vec![file]) {
        match read_bounded(&file, limits::CONFIG_BYTES_MAX) {
            Ok(bytes) => return parse_file(file, bytes, env),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !must_exist => {}
            Err(error) => {
                let text = format!("cannot be read: {error}");
                return Err(Broken { file, at: None, text });
            }
        }
    }
    let (config, mistakes) = check::check("", raw::Node::Null, env, token(env));
    Ok(Loaded { config, mistakes, file: None, text: String::new() })
}

/// The places that are tried when nobody names one; OpenClaw's own are last.
pub(crate) fn usual_files(env: &Env) -> Vec<PathBuf> {
    let config_home =
        env.path("XDG_CONFIG_HOME").or_else(|| Some(env.path("HOME")?.join(".config")));
    let places = [
        config_home.as_ref().map(|home| home.join("barnacle/barnacle.json5")),
        Some(PathBuf::from("/etc/barnacle/barnacle.json5")),
        env.path("OPENCLAW_CONFIG_PATH"),
        env.path("OPENCLAW_STATE_DIR").map(|state| state.join("openclaw.json")),
        env.path("HOME").map(|home| home.join(".openclaw/openclaw.json")),
        config_home.map(|home| home.join("openclaw/openclaw.json5")),
    ];
    places.into_iter().flatten().collect()
}

/// Keeps `text` as the last good configuration in the state directory, readable by its owner
/// only: it may hold a token. Unchanged text is not written again, to spare the disk.
///
/// # Errors
/// The directory cannot be written; the old copy is then still whole.
pub(crate) fn remember_good(state: &Path, text: &str) -> io::Result<()> {
    let file = state.join(LAST_GOOD);
    if read_bounded(&file, limits::CONFIG_BYTES_MAX).is_ok_and(|old| old == text.as_bytes()) {
        return Ok(());
    }
    let fresh = state.join(format!("{LAST_GOOD}.new"));
    // A leftover of a power cut may have any mode; a new file has ours.
    let _ = fs::remove_file(&fresh);
    let mut out = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    out.write_all(text.as_bytes())?;
    out.sync_all()?;
    fs::rename(&fresh, &file)?;
    fs::File::open(state)?.sync_all()
}

/// The configuration that [`remember_good`] kept, if there is one and it can still be read.
pub(crate) fn load_last_good(state: &Path, env: &Env) -> Option<Loaded> {
    let file = state.join(LAST_GOOD);
    let bytes = read_bounded(&file, limits::CONFIG_BYTES_MAX).ok()?;
    parse_file(file, bytes, env).ok()
}

fn parse_file(file: PathBuf, bytes: Vec<u8>, env: &Env) -> Result<Loaded, Broken> {
    let broken = |at, text: String| Broken { file: file.clone(), at, text };
    let text = String::from_utf8(bytes).map_err(|error| {
        let before = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let lines = before.split(|&b| b == b'\n');
        let column = lines.clone().next_back().map_or(1, |line| line.len() + 1);
        broken(Some((lines.count(), column)), "is not UTF-8 text".into())
    })?;
    let root = raw::parse(&text).map_err(|fault| broken(fault.at, fault.text))?;
    let (config, mistakes) = check::check(&text, root, env, token(env));
    Ok(Loaded { config, mistakes, file: Some(file), text })
}

/// The bot's token from the environment, and where it was found or looked for.
fn token(env: &Env) -> Token {
    if let Some(token) = env.get("DISCORD_BOT_TOKEN").and_then(check::bot_token) {
        return (Some(token), "DISCORD_BOT_TOKEN".into());
    }
    let credential = env.path("CREDENTIALS_DIRECTORY").map(|d| d.join("discord-bot-token"));
    let files = [
        ("DISCORD_BOT_TOKEN_FILE", env.get("DISCORD_BOT_TOKEN_FILE").map(PathBuf::from), true),
        ("the credential discord-bot-token", credential, false),
    ];
    for (name, file, must_exist) in files {
        let Some(file) = file else { continue };
        let why = match read_bounded(&file, limits::TOKEN_FILE_BYTES_MAX) {
            Ok(bytes) => match std::str::from_utf8(&bytes).ok().and_then(check::bot_token) {
                Some(token) => return (Some(token), name.into()),
                None => "it holds no token".into(),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound && !must_exist => continue,
            Err(error) => error.to_string(),
        };
        return (None, format!("{name} ({}): {why}", file.display()));
    }
    (None, "channels.discord.token, DISCORD_BOT_TOKEN and DISCORD_BOT_TOKEN_FILE are unset".into())
}

/// Reads a file of at most `bytes_max`; anything but a file that ends (a pipe, `/dev/zero`) is
/// refused or cut off by the same bound.
fn read_bounded(file: &Path, bytes_max: usize) -> io::Result<Vec<u8>> {
    let source = fs::File::open(file)?;
    if !source.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let mut bytes = Vec::new();
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    source.take(limit).read_to_end(&mut bytes)?;
    if bytes.len() > bytes_max {
        let text = format!("it is larger than {bytes_max} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    Ok(bytes)
}

/// Where state is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Dirs {
    /// What must outlive the host's power.
    pub(crate) state: PathBuf,
    /// What must outlive this process only (tmpfs); `None`: the state directory has to do, at a
    /// slower beat.
    pub(crate) hot: Option<PathBuf>,
}

impl Dirs {
    /// By the environment: systemd's directories, ours, XDG's. `None` if it names none at all.
    /// Nothing is created.
    pub(crate) fn of(env: &Env) -> Option<Dirs> {
        let xdg = |name: &str, fallback: &str| {
            env.path(name).or_else(|| Some(env.path("HOME")?.join(fallback)))
        };
        let state = systemd(env, "STATE_DIRECTORY")
            .or_else(|| env.get("BARNACLE_STATE_DIR").map(PathBuf::from))
            .or_else(|| Some(xdg("XDG_STATE_HOME", ".local/state")?.join("barnacle")))?;
        let hot = systemd(env, "RUNTIME_DIRECTORY")
            .or_else(|| Some(env.path("XDG_RUNTIME_DIR")?.join("barnacle")));
        Some(Dirs { state, hot })
    }

    /// The file of the control port's generated token.
    pub(crate) fn gateway_token(&self) -> PathBuf {
        self.state.join(GATEWAY_TOKEN)
    }
}

/// systemd lists several directories with colons between; the first is ours.
fn systemd(env: &Env, name: &str) -> Option<PathBuf> {
    env.get(name)?.split(':').next().map(PathBuf::from).filter(|path| path.is_absolute())
}
