//! Unix sockets with a name in the file system: bound where a dead process left one behind, and
//! never where a live one listens.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use smol::net::unix::UnixListener;

use crate::base::limits::LISTEN_BACKLOG;

/// The file of a bound socket; gone when this is dropped.
#[derive(Debug)]
pub struct Name {
    path: Option<PathBuf>,
}

impl Name {
    /// The file stays, for the process that listens there next.
    pub fn leave(mut self) {
        self.path = None;
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            let _ = fs::remove_file(path);
        }
    }
}

/// Listens at `path` by a socket that an earlier process bound there.
///
/// # Errors
/// It cannot be used.
pub fn adopt(
    path: &Path,
    listener: std::os::unix::net::UnixListener,
) -> io::Result<(UnixListener, Name)> {
    let listener = UnixListener::try_from(listener)?;
    Ok((listener, Name { path: Some(path.to_owned()) }))
}

/// Listens at `path`, whose file gets `mode`.
///
/// # Errors
/// [`io::ErrorKind::AddrInUse`]: somebody listens there; or it cannot be bound.
pub fn bind(path: &Path, mode: u32) -> io::Result<(UnixListener, Name)> {
    if let Ok(meta) = fs::symlink_metadata(path) {
        if !meta.file_type().is_socket() {
            return Err(io::Error::other("there is a file of that name, and it is no socket"));
        }
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        // Its process is dead: the name was left behind.
        fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    let name = Name { path: Some(path.to_owned()) };
    rustix::net::listen(&listener, LISTEN_BACKLOG)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    Ok((listener, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let name = format!("barnacle-unix-{}-{name}", std::process::id());
        std::env::temp_dir().join(name)
    }

    #[test]
    fn a_name_that_was_left_behind_is_taken_and_a_live_one_is_not() {
        let path = scratch("stale");
        // Dropping a listener leaves its file, as a process that was killed does.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let (listener, name) = bind(&path, 0o660).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
        let refused = bind(&path, 0o660).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
        drop((listener, name));
        assert!(!path.exists());
    }

    #[test]
    fn a_file_that_is_no_socket_is_left_alone() {
        let path = scratch("file");
        fs::write(&path, "precious").unwrap();
        assert!(bind(&path, 0o660).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        fs::remove_file(&path).unwrap();
    }
}
