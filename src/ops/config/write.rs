//! Writing the configuration file: whole or not at all, as its owner's, with the version before
//! kept beside it.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// The mode of a file that is new: it may hold a token.
const MODE: u32 = 0o600;

/// Writes `text` into `file` in place of `before` (`None`: there was no file), and keeps what was
/// there as `….bak`. A link is followed, mode and owner stay, and a power cut leaves the one or
/// the other version, whole.
///
/// # Errors
/// Why not, in a sentence; then nothing has changed.
pub(crate) fn write(file: &Path, before: Option<&str>, text: &str) -> Result<(), String> {
    let failed = |error: io::Error| format!("{} cannot be written: {error}", file.display());
    let Some(before) = before else {
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        if fs::symlink_metadata(file).is_ok() {
            return Err(changed_meanwhile(file));
        }
        return replace(file, text, None).map_err(failed);
    };
    let file = fs::canonicalize(file).map_err(failed)?;
    let meta = fs::metadata(&file).map_err(failed)?;
    if fs::read(&file).map_err(failed)? != before.as_bytes() {
        return Err(changed_meanwhile(&file));
    }
    replace(&backup_of(&file), before, Some(&meta)).map_err(failed)?;
    replace(&file, text, Some(&meta)).map_err(failed)
}

/// Where the version before is kept.
pub(crate) fn backup_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".bak");
    PathBuf::from(name)
}

fn changed_meanwhile(file: &Path) -> String {
    format!("{} was changed by somebody else meanwhile; nothing was written", file.display())
}

/// Written beside and renamed, so that nobody ever reads half of it.
fn replace(file: &Path, text: &str, like: Option<&fs::Metadata>) -> io::Result<()> {
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".new-{}", std::process::id()));
    let fresh = PathBuf::from(name);
    // A leftover of a power cut may have any mode; a new file has ours.
    let _ = fs::remove_file(&fresh);
    let written = fill(&fresh, text, like).and_then(|()| fs::rename(&fresh, file));
    if written.is_err() {
        let _ = fs::remove_file(&fresh);
    }
    written?;
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => fs::File::open(parent)?.sync_all(),
        _ => Ok(()),
    }
}

fn fill(fresh: &Path, text: &str, like: Option<&fs::Metadata>) -> io::Result<()> {
    let mut out = fs::OpenOptions::new().write(true).create_new(true).mode(MODE).open(fresh)?;
    out.write_all(text.as_bytes())?;
    if let Some(like) = like {
        let now = out.metadata()?;
        if (now.uid(), now.gid()) != (like.uid(), like.gid()) {
            // The gateway's user must be able to read it as before.
            std::os::unix::fs::fchown(&out, Some(like.uid()), Some(like.gid()))?;
        }
        out.set_permissions(fs::Permissions::from_mode(like.mode() & 0o7777))?;
    }
    out.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Scratch {
            let dir =
                std::env::temp_dir().join(format!("barnacle-write-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&dir);
            fs::create_dir_all(&dir).expect("a directory");
            Scratch(dir)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn mode(file: &Path) -> u32 {
        fs::metadata(file).expect("there").permissions().mode() & 0o777
    }

    #[test]
    fn links_and_modes_stay_and_the_version_before_is_kept() {
        let scratch = Scratch::new("link");
        let (real, link) = (scratch.0.join("real.json5"), scratch.0.join("link.json5"));
        fs::write(&real, "one").expect("written");
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).expect("allowed");
        symlink(&real, &link).expect("linked");
        write(&link, Some("one"), "two").expect("written");
        assert!(fs::symlink_metadata(&link).expect("there").is_symlink());
        assert_eq!(fs::read_to_string(&real).expect("there"), "two");
        assert_eq!(fs::read_to_string(backup_of(&real)).expect("there"), "one");
        assert_eq!((mode(&real), mode(&backup_of(&real))), (0o640, 0o640));
        assert_eq!(fs::read_dir(&scratch.0).expect("there").count(), 3, "nothing is left over");
    }

    #[test]
    fn a_file_that_somebody_changed_is_left_alone() {
        let scratch = Scratch::new("race");
        let file = scratch.0.join("below/new.json5");
        write(&file, None, "one").expect("made, with its directory");
        assert_eq!(mode(&file), MODE);
        for before in [None, Some("zero")] {
            let said = write(&file, before, "two").expect_err("changed meanwhile");
            assert!(said.contains("changed by somebody else"), "{said}");
        }
        assert_eq!(fs::read_to_string(&file).expect("there"), "one");
        assert!(write(&scratch.0.join("none"), Some(""), "x").is_err());
    }
}
