//! Where things are: the configuration, the last good copy of it, the token, the state.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::check::{self, Sources, Token};
use super::env::Env;
use super::{Broken, Config, Mistake, accounts, raw};
use crate::base::{Secret, limits};

/// The copy of the last file that could be read, below the state directory.
const LAST_GOOD: &str = "last-good.json5";
/// Our file, below our directory among those for configurations.
const OWN: &str = "barnacle.json5";
/// The control port's generated token, below the state directory.
const GATEWAY_TOKEN: &str = "gateway.token";
/// The token that first contact has taken, below the state directory.
const BOT_TOKEN: &str = "discord-bot-token";

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
    let named = named(env, asked);
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
    let (config, mistakes) = check_with_files("", raw::Node::Null, env);
    Ok(Loaded { config, mistakes, file: None, text: String::new() })
}

/// The places that are tried when nobody names one; OpenClaw's own are last.
pub(crate) fn usual_files(env: &Env) -> Vec<PathBuf> {
    let config_home =
        env.path("XDG_CONFIG_HOME").or_else(|| Some(env.path("HOME")?.join(".config")));
    let own = Path::new(&env.own_name()).join(OWN);
    let mut places =
        vec![config_home.as_ref().map(|home| home.join(&own)), Some(Path::new("/etc").join(&own))];
    // OpenClaw's own is of its usual profile.
    if env.profile().is_none() {
        places.extend([
            env.path("OPENCLAW_CONFIG_PATH"),
            env.path("OPENCLAW_STATE_DIR").map(|state| state.join("openclaw.json")),
            env.path("HOME").map(|home| home.join(".openclaw/openclaw.json")),
            config_home.map(|home| home.join("openclaw/openclaw.json5")),
        ]);
    }
    places.into_iter().flatten().collect()
}

/// Files and directories with the configuration and its secrets, whether or not they are there:
/// what programs of agents may not see. `asked` is the file that was named.
pub(crate) fn hidden(env: &Env, asked: Option<&Path>) -> Vec<PathBuf> {
    let mut hidden: Vec<PathBuf> = env.secret_places();
    for file in usual_files(env).into_iter().chain(named(env, asked)).chain(named(env, None)) {
        let is_own = |dir: &Path| {
            let name = dir.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name == env.own_name() || matches!(name, ".openclaw" | "openclaw")
        };
        if let Some(dir) = file.parent().filter(|dir| is_own(dir)) {
            hidden.push(dir.to_owned());
        } else {
            // Another directory is somebody else's as well.
            let mut copy = file.as_os_str().to_owned();
            copy.push(".bak");
            hidden.extend([file, copy.into()]);
        }
    }
    hidden.sort();
    hidden.dedup();
    hidden
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

/// The file that [`load`] reads, if there is one or one is named.
pub(crate) fn find_file(env: &Env, asked: Option<&Path>) -> Option<PathBuf> {
    named(env, asked).or_else(|| usual_files(env).into_iter().find(|file| file.exists()))
}

/// Where a new file belongs.
pub(crate) fn new_file(env: &Env, asked: Option<&Path>) -> Option<PathBuf> {
    let is_ours = |file: &PathBuf| file.ends_with(OWN) && env.path("HOME").is_some();
    named(env, asked).or_else(|| usual_files(env).into_iter().find(is_ours))
}

/// OpenClaw's own file, if it is where OpenClaw keeps it.
pub(crate) fn openclaws_file(env: &Env) -> Option<PathBuf> {
    usual_files(env).into_iter().find(|file| !file.ends_with(OWN) && file.exists())
}

/// Whether `file` is where OpenClaw keeps its own.
pub(crate) fn is_openclaws(env: &Env, file: &Path) -> bool {
    !file.ends_with(OWN) && usual_files(env).iter().any(|usual| usual == file)
}

/// The text of a configuration file.
///
/// # Errors
/// Why it cannot be read.
pub(crate) fn read_text(file: &Path) -> Result<String, Broken> {
    let broken = |text| Broken { file: file.to_owned(), at: None, text };
    let bytes = read_bounded(file, limits::CONFIG_BYTES_MAX)
        .map_err(|error| broken(format!("cannot be read: {error}")))?;
    String::from_utf8(bytes).map_err(|_| broken("is not UTF-8 text".into()))
}

/// Where the last good copy is kept below the state directory.
pub(crate) fn last_good_file(state: &Path) -> PathBuf {
    state.join(LAST_GOOD)
}

fn named(env: &Env, asked: Option<&Path>) -> Option<PathBuf> {
    asked.map(Path::to_owned).or_else(|| env.get("BARNACLE_CONFIG").map(PathBuf::from))
}

fn parse_file(file: PathBuf, bytes: Vec<u8>, env: &Env) -> Result<Loaded, Broken> {
    let broken = |at, text: String| Broken { file: file.clone(), at, text };
    let text = String::from_utf8(bytes).map_err(|error| {
        let before = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let lines = before.split(|&b| b == b'\n');
        let column = lines.clone().next_back().map_or(1, |line| line.len() + 1);
        broken(Some((lines.count(), column)), "is not UTF-8 text".into())
    })?;
    let (config, mistakes) = parse(&text, env).map_err(|fault| broken(fault.at, fault.text))?;
    Ok(Loaded { config, mistakes, file: Some(file), text })
}

/// What `text` says.
///
/// # Errors
/// The first fault of its syntax.
pub(crate) fn parse(text: &str, env: &Env) -> Result<(Config, Vec<Mistake>), raw::Fault> {
    let root = raw::parse(text)?;
    Ok(check_with_files(text, root, env))
}

/// Checks with the tokens that the environment and its files offer.
fn check_with_files(text: &str, root: raw::Node<'_>, env: &Env) -> (Config, Vec<Mistake>) {
    let sources = Sources { env, token: &|account| token(env, account), file: &small_file };
    check::check(text, root, &sources)
}

/// A file that holds a token and nothing else.
fn small_file(file: &Path) -> Result<String, String> {
    let bytes = read_bounded(file, limits::TOKEN_FILE_BYTES_MAX).map_err(|e| e.to_string())?;
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())
}

/// The token of `account` from the environment, else what first contact has taken for the default
/// account; and where it was found or looked for.
fn token(env: &Env, account: &str) -> Token {
    let of_env = token_of_env(env, account);
    if of_env.0.is_some() || account != accounts::DEFAULT {
        return of_env;
    }
    let dirs = Dirs::of(env);
    match dirs.as_ref().and_then(taken_token) {
        Some(token) => {
            let file = dirs.map(|dirs| dirs.bot_token()).unwrap_or_default();
            (Some(token), format!("first contact, {}", file.display()))
        }
        None => of_env,
    }
}

/// The token that first contact has taken, if it has.
pub(crate) fn taken_token(dirs: &Dirs) -> Option<Secret> {
    let bytes = read_bounded(&dirs.bot_token(), limits::TOKEN_FILE_BYTES_MAX).ok()?;
    accounts::bot_token(str::from_utf8(&bytes).ok()?)
}

/// The same from the environment alone. The default account's variables have plain names;
/// `work`'s end in `_WORK`.
fn token_of_env(env: &Env, account: &str) -> Token {
    let is_default = account == accounts::DEFAULT;
    let key = account.replace(|c: char| !c.is_ascii_alphanumeric(), "_").to_ascii_uppercase();
    let (variable, secret) = if is_default {
        ("DISCORD_BOT_TOKEN".to_owned(), "discord-bot-token".to_owned())
    } else {
        (format!("DISCORD_BOT_TOKEN_{key}"), format!("discord-bot-token-{account}"))
    };
    if let Some(token) = env.get(&variable).and_then(accounts::bot_token) {
        return (Some(token), variable);
    }
    let is_file_name = !account.contains(['/', '\0']);
    let credential = env.path("CREDENTIALS_DIRECTORY").filter(|_| is_file_name);
    let variable_file = format!("{variable}_FILE");
    let files = [
        (env.get(&variable_file).map(PathBuf::from), true, variable_file.clone()),
        (credential.map(|d| d.join(&secret)), false, format!("the credential {secret}")),
    ];
    for (file, must_exist, name) in files {
        let Some(file) = file else { continue };
        let why = match read_bounded(&file, limits::TOKEN_FILE_BYTES_MAX) {
            Ok(bytes) => match std::str::from_utf8(&bytes).ok().and_then(accounts::bot_token) {
                Some(token) => return (Some(token), name),
                None => "it holds no token".into(),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound && !must_exist => continue,
            Err(error) => error.to_string(),
        };
        return (None, format!("{name} ({}): {why}", file.display()));
    }
    let key = if is_default { "" } else { &format!("accounts.{account}.") };
    (None, format!("channels.discord.{key}token, {variable} and {variable_file} are unset"))
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
            .or_else(|| Some(xdg("XDG_STATE_HOME", ".local/state")?.join(env.own_name())))?;
        let hot = systemd(env, "RUNTIME_DIRECTORY")
            .or_else(|| Some(env.path("XDG_RUNTIME_DIR")?.join(env.own_name())));
        Some(Dirs { state, hot })
    }

    /// The file of the control port's generated token.
    pub(crate) fn gateway_token(&self) -> PathBuf {
        self.state.join(GATEWAY_TOKEN)
    }

    /// The file of the bot's token that first contact has taken.
    pub(crate) fn bot_token(&self) -> PathBuf {
        self.state.join(BOT_TOKEN)
    }
}

/// systemd lists several directories with colons between; the first is ours.
fn systemd(env: &Env, name: &str) -> Option<PathBuf> {
    env.get(name)?.split(':').next().map(PathBuf::from).filter(|path| path.is_absolute())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A directory of the test's own, gone with it.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new() -> Scratch {
            static COUNT: AtomicU32 = AtomicU32::new(0);
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let name = format!("barnacle-config-{}-{count}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir_all(&path).expect("a directory for the test");
            Scratch(path)
        }

        fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
            let file = self.0.join(name);
            fs::create_dir_all(file.parent().expect("below the directory")).expect("made");
            fs::write(&file, content).expect("written");
            file
        }

        fn home(&self) -> &str {
            self.0.to_str().expect("UTF-8")
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_nearest_file_is_read() {
        let scratch = Scratch::new();
        let env = Env::of(&[("HOME", scratch.home())]);
        let port = |loaded: &Loaded| loaded.config.gateway.port;
        let loaded = load(&env, None).expect("no file is fine");
        assert_eq!((port(&loaded), &loaded.file), (18_789, &None));

        let openclaw = scratch.file(".openclaw/openclaw.json", r#"{"gateway": {"port": 1}}"#);
        let loaded = load(&env, None).expect("OpenClaw's file serves");
        assert_eq!((port(&loaded), loaded.file), (1, Some(openclaw)));

        scratch.file(".config/barnacle/barnacle.json5", "{gateway: {port: 2}}");
        assert_eq!(load(&env, None).map(|loaded| port(&loaded)), Ok(2));
        let named = scratch.file("named.json5", "{gateway: {port: 3}}");
        let env = Env::of(&[("BARNACLE_CONFIG", named.to_str().expect("UTF-8"))]);
        assert_eq!(load(&env, None).map(|loaded| port(&loaded)), Ok(3));
        let asked = scratch.file("asked.json5", "{gateway: {port: 4}}");
        assert_eq!(load(&env, Some(&asked)).map(|loaded| port(&loaded)), Ok(4));
    }

    #[test]
    fn a_file_that_cannot_be_used_says_where_and_why() {
        let scratch = Scratch::new();
        let load = |file: &Path| {
            let broken = load(&Env::default(), Some(file)).expect_err("broken");
            (broken.at, broken.to_string())
        };
        let (at, said) = load(&scratch.0.join("none.json5"));
        assert!(at.is_none() && said.contains("cannot be read: No such file"), "{said}");
        let (at, said) = load(&scratch.file("syntax.json5", "{\n  port 5}"));
        assert_eq!(at, Some((2, 8)), "{said}");
        assert!(said.contains("line 2, column 8: a colon is missing"), "{said}");
        let (at, said) = load(&scratch.file("bytes.json5", b"{\n  a: '\xff'}"));
        assert_eq!(at, Some((2, 7)), "{said}");
        assert!(load(&scratch.0).1.contains("not a regular file"));
        let large = vec![b' '; limits::CONFIG_BYTES_MAX + 1];
        assert!(load(&scratch.file("large.json5", large)).1.contains("larger than"));
    }

    #[test]
    fn the_last_good_file_is_kept_privately_and_served() {
        let scratch = Scratch::new();
        let env = Env::default();
        assert_eq!(load_last_good(&scratch.0, &env), None);
        remember_good(&scratch.0, "{gateway: {port: 5}}").expect("kept");
        remember_good(&scratch.0, "{gateway: {port: 6}}").expect("replaced");
        let loaded = load_last_good(&scratch.0, &env).expect("there");
        assert_eq!(loaded.config.gateway.port, 6);
        let kept = loaded.file.expect("a file");
        let mode = fs::metadata(&kept).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(&scratch.0).expect("there").count(), 1, "nothing is left over");
        assert!(remember_good(&scratch.0.join("missing"), "{}").is_err());
    }

    #[test]
    fn the_token_comes_from_the_nearest_source() {
        let scratch = Scratch::new();
        let file = scratch.file("token", "Bot from.file\n");
        scratch.file("discord-bot-token", "from.credential");
        let (file, home) = (file.to_str().expect("UTF-8"), scratch.home());
        let all = [
            ("DISCORD_BOT_TOKEN", "from.env"),
            ("DISCORD_BOT_TOKEN_FILE", file),
            ("CREDENTIALS_DIRECTORY", home),
        ];
        for (from, expected) in [(0, "from.env"), (1, "from.file"), (2, "from.credential")] {
            let (found, _) = token(&Env::of(&all[from..]), "default");
            assert_eq!(found, Some(Secret::new(expected)));
        }
        let missing = Env::of(&[("DISCORD_BOT_TOKEN_FILE", "/nonexistent/token")]);
        let (found, from) = token(&missing, "default");
        assert!(found.is_none() && from.contains("/nonexistent/token"), "{from}");
        let (found, from) =
            token(&Env::of(&[("CREDENTIALS_DIRECTORY", "/nonexistent")]), "default");
        assert!(found.is_none() && from.contains("unset"), "{from}");
    }

    #[test]
    fn what_first_contact_has_taken_is_the_last_to_be_asked_and_of_one_account_only() {
        let scratch = Scratch::new();
        let state = scratch.0.join("state");
        let state = ("BARNACLE_STATE_DIR", state.to_str().expect("UTF-8"));
        assert_eq!(token(&Env::of(&[state]), "default").0, None);
        scratch.file("state/discord-bot-token", "from.state\n");
        let (found, from) = token(&Env::of(&[state]), "default");
        assert_eq!(found, Some(Secret::new("from.state")));
        assert!(from.starts_with("first contact, ") && from.ends_with("/state/discord-bot-token"));
        assert_eq!(token(&Env::of(&[state]), "work").0, None);
        let (found, from) = token(&Env::of(&[state, ("DISCORD_BOT_TOKEN", "from.env")]), "default");
        assert_eq!((found, &*from), (Some(Secret::new("from.env")), "DISCORD_BOT_TOKEN"));
        // A file that is named and not there must not keep what was handed over from being used.
        let missing = Env::of(&[state, ("DISCORD_BOT_TOKEN_FILE", "/nonexistent/token")]);
        assert_eq!(token(&missing, "default").0, Some(Secret::new("from.state")));
    }

    #[test]
    fn directories_follow_the_environment() {
        let dirs = |variables: &[(&str, &str)]| Dirs::of(&Env::of(variables));
        let path = |text: &str| Some(PathBuf::from(text));
        assert_eq!(dirs(&[]), None);
        let plain = dirs(&[("HOME", "/h")]).expect("by HOME");
        assert_eq!((Some(plain.state), plain.hot), (path("/h/.local/state/barnacle"), None));
        let xdg = [("XDG_STATE_HOME", "/s"), ("XDG_RUNTIME_DIR", "/r"), ("HOME", "/h")];
        let found = dirs(&xdg).expect("by XDG");
        assert_eq!((Some(found.state), found.hot), (path("/s/barnacle"), path("/r/barnacle")));
        let mut all = xdg.to_vec();
        all.push(("BARNACLE_STATE_DIR", "/own"));
        assert_eq!(dirs(&all).map(|dirs| dirs.state), path("/own"));
        all.push(("STATE_DIRECTORY", "/var/lib/barnacle:/var/lib/other"));
        all.push(("RUNTIME_DIRECTORY", "/run/barnacle"));
        let found = dirs(&all).expect("by systemd");
        let (state, hot) = (path("/var/lib/barnacle"), path("/run/barnacle"));
        assert_eq!((Some(found.state.clone()), found.hot.clone()), (state, hot));
        assert_eq!(found.gateway_token(), PathBuf::from("/var/lib/barnacle/gateway.token"));
    }

    proptest! {
        #[test]
        fn any_bytes_as_a_configuration_are_survived(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let _ = parse_file(PathBuf::from("x"), bytes.clone(), &Env::default());
            super::super::survive(b"a.b", &bytes);
            super::super::survive(b"channels", &[&[0xff], bytes.as_slice()].concat());
        }
    }
}
