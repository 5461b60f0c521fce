//! The directories of state, made ready: there, ours alone, and writable, or a failure that says
//! what to do about it.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::config::{Dirs, Env};
use super::exit::{Exit, Failure};
use crate::base::text::Hex;
use crate::base::{Secret, limits};

/// Makes the directories, readable by their owner only, and tries them out. A runtime directory
/// that cannot be used is done without.
///
/// # Errors
/// [`Exit::State`], with the cure.
pub(crate) fn prepare(mut dirs: Dirs) -> Result<Dirs, Failure> {
    make(&dirs.state).map_err(|error| {
        let text = format!("the state directory {} cannot be used: {error}", dirs.state.display());
        Failure::new(Exit::State, text, cure(&error))
    })?;
    if let Some(hot) = &dirs.hot
        && let Err(error) = make(hot)
    {
        log::warn!(
            target: "gateway",
            "the runtime directory {} cannot be used ({error}); doing without",
            hot.display()
        );
        dirs.hot = None;
    }
    Ok(dirs)
}

fn make(dir: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    // A full disk lets files be made but not filled, so a byte is written.
    let probe = dir.join(format!(".probe-{}", std::process::id()));
    let written = fs::File::create(&probe).and_then(|mut file| file.write_all(b"\n"));
    let _ = fs::remove_file(&probe);
    written
}

fn cure(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room on that disk",
        io::ErrorKind::PermissionDenied => {
            "give this user the right to write there, or set BARNACLE_STATE_DIR to another place"
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            "set BARNACLE_STATE_DIR to a place that can be written to"
        }
        _ => "set BARNACLE_STATE_DIR to a directory that can be used",
    }
}

/// The control port's token: the one in its file, or a new one, written there for our own command
/// line to read.
///
/// # Errors
/// [`Exit::State`]: the file can be neither read nor written.
pub(crate) fn gateway_token(dirs: &Dirs) -> Result<Secret, Failure> {
    let file = dirs.gateway_token();
    let failed = |error: io::Error| {
        let text = format!("the control port's token {} cannot be used: {error}", file.display());
        Failure::new(Exit::State, text, "remove that file; it will be made again")
    };
    match fs::read_to_string(&file) {
        Ok(text) if text.len() <= limits::TOKEN_FILE_BYTES_MAX && !text.trim().is_empty() => {
            return Ok(Secret::new(&text));
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let token = fresh_token().map_err(failed)?;
    replace(&file, token.expose().as_bytes(), 0o600).map_err(failed)?;
    Ok(token)
}

/// Keeps the bot's token that first contact has taken, for us alone to read.
///
/// # Errors
/// It cannot be written; one that was there before is then still whole.
pub(crate) fn keep_bot_token(dirs: &Dirs, token: &Secret) -> io::Result<()> {
    let file = dirs.bot_token();
    replace(&file, token.expose().as_bytes(), 0o600)?;
    fs::File::open(&dirs.state)?.sync_all()
}

/// Puts `bytes` into the place of what `file` holds, with these rights. It is written beside and
/// renamed, so that no reader, and no power cut, ever meets half of it.
///
/// # Errors
/// It cannot be written; what was there before is then still whole.
pub(crate) fn replace(file: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let fresh = file.with_extension("new");
    let _ = fs::remove_file(&fresh);
    let mut out = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    out.write_all(bytes)?;
    // The mask of the process may have taken some of the rights away.
    out.set_permissions(fs::Permissions::from_mode(mode))?;
    out.sync_all()?;
    fs::rename(&fresh, file)
}

/// The control socket of the gateway that has these directories. Where the state directory was
/// chosen by hand, the socket is in it, so that two gateways of one user have two.
pub(crate) fn control_socket(env: &Env, dirs: &Dirs) -> PathBuf {
    let is_chosen =
        env.get("RUNTIME_DIRECTORY").is_none() && env.get("BARNACLE_STATE_DIR").is_some();
    let dir = dirs.hot.as_ref().filter(|_| !is_chosen).unwrap_or(&dirs.state);
    dir.join(CONTROL_SOCKET)
}

/// What first contact writes down for whoever stands before the machine, below the runtime
/// directory.
pub(crate) const CONTACT: &str = "contact.txt";

/// The control socket's name.
pub(crate) const CONTROL_SOCKET: &str = "barnacle.sock";

/// 192 bits from the operating system, in hexadecimal.
///
/// # Errors
/// It has none to give.
pub(crate) fn fresh_token() -> io::Result<Secret> {
    let mut bytes = [0_u8; 24];
    let read = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    if read != bytes.len() {
        return Err(io::Error::other("too little randomness"));
    }
    Ok(Secret::new(&Hex(&bytes).to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_kept_for_us_alone_and_one_takes_the_place_of_another() {
        let name = format!("barnacle-state-{}", std::process::id());
        let dirs = Dirs { state: super::super::config::temporary_dir().join(name), hot: None };
        let dirs = prepare(dirs).expect("made");
        // A leftover of a power cut may have any mode.
        let leftover = dirs.state.join("discord-bot-token.new");
        fs::write(&leftover, "half of").expect("written");
        for token in ["first.token", "second.token"] {
            keep_bot_token(&dirs, &Secret::new(token)).expect("kept");
            let file = dirs.bot_token();
            assert_eq!(fs::read_to_string(&file).expect("there"), token);
            let mode = fs::metadata(&file).expect("there").permissions().mode();
            assert_eq!((mode & 0o777, leftover.exists()), (0o600, false));
        }
        let shown = dirs.state.join(CONTACT);
        replace(&shown, b"open: here", 0o640).expect("written");
        let mode = fs::metadata(&shown).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        fs::remove_dir_all(&dirs.state).expect("removed");
        assert!(keep_bot_token(&dirs, &Secret::new("x")).is_err());
    }
}
