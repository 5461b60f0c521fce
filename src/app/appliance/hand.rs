//! Everything that an import does to the disks and the system, one thing at a time, so that tests
//! can cut the power between any two of them, and in the middle of some.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Command, Stdio};

/// What an import can do.
pub(super) trait Hand {
    /// Writes a new file, of this mode and group, that is whole on the disk before it is over. An
    /// old one of that name is a leftover.
    fn create(
        &mut self,
        path: &Path,
        bytes: &[u8],
        mode: u32,
        group: Option<u32>,
    ) -> io::Result<()>;
    /// Puts it into the place of another.
    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()>;
    /// Makes sure that a directory's names are on the disk.
    fn sync(&mut self, dir: &Path) -> io::Result<()>;
    /// Writes zeros over what a file holds.
    fn zero(&mut self, path: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&mut self, path: &Path) -> io::Result<()>;
    /// Makes a symbolic link that is not there yet.
    fn link(&mut self, target: &str, path: &Path) -> io::Result<()>;
    /// Makes a directory, and those above it.
    fn directory(&mut self, path: &Path, mode: u32) -> io::Result<()>;
    /// Runs a program to its end.
    fn run(&mut self, words: &[String], input: &str) -> io::Result<()>;
    /// Gives the running system its name.
    fn hostname(&mut self, name: &str) -> io::Result<()>;
}

/// The real one.
pub(super) struct Disk;

impl Hand for Disk {
    fn create(
        &mut self,
        path: &Path,
        bytes: &[u8],
        mode: u32,
        group: Option<u32>,
    ) -> io::Result<()> {
        // Whatever it is, a link included: a new file is ours.
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        if let Some(group) = group {
            std::os::unix::fs::fchown(&file, Some(0), Some(group))?;
        }
        // The umask may have taken from it; FAT has no modes, and refuses some.
        let _ = file.set_permissions(fs::Permissions::from_mode(mode));
        file.write_all(bytes)?;
        file.sync_all()
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync(&mut self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn zero(&mut self, path: &Path) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).open(path)?;
        let mut left = file.metadata()?.len();
        while left > 0 {
            const ZEROS: [u8; 4096] = [0; 4096];
            let part = usize::try_from(left).unwrap_or(usize::MAX).min(ZEROS.len());
            file.write_all(&ZEROS[..part])?;
            left -= part as u64;
        }
        file.sync_all()
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn link(&mut self, target: &str, path: &Path) -> io::Result<()> {
        std::os::unix::fs::symlink(target, path)
    }

    fn directory(&mut self, path: &Path, mode: u32) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(mode).create(path)
    }

    fn run(&mut self, words: &[String], input: &str) -> io::Result<()> {
        let Some((program, arguments)) = words.split_first() else { return Ok(()) };
        let mut child = Command::new(program)
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes())?;
        }
        let status = child.wait()?;
        if status.success() { Ok(()) } else { Err(io::Error::other(status.to_string())) }
    }

    fn hostname(&mut self, name: &str) -> io::Result<()> {
        Ok(rustix::system::sethostname(name.as_bytes())?)
    }
}
