//! Walls around a program that somebody may talk into things: it reads the system and what it was
//! given, writes where it was told to, and reaches neither our files nor our process.
//!
//! By Landlock (<https://docs.kernel.org/userspace-api/landlock.html>), as far as the kernel has
//! it: newer kernels build more of the wall. A process builds it around itself and all that it
//! starts, for ever. So the program is started by way of our own binary, which builds the wall
//! (`barnacle confine`) and then becomes the program: nothing of ours runs between fork and exec.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd,
    Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};

use crate::base::limits::{CONFINE_DEPTH_MAX, CONFINE_RULES_MAX};

/// All that this is written for; of it, what the kernel knows is used.
const ABI_KNOWN: ABI = ABI::V10;

/// What every program may read: the system's programs, libraries and tables, nothing of its users,
/// and of /proc nothing about other processes.
const SYSTEM: &[&str] = &[
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/usr",
    "/opt",
    "/nix/store",
    "/run/current-system",
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/fonts",
    "/etc/gai.conf",
    "/etc/group",
    "/etc/host.conf",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/locale.alias",
    "/etc/localtime",
    "/etc/magic",
    "/etc/mime.types",
    "/etc/nsswitch.conf",
    "/etc/os-release",
    "/etc/passwd",
    "/etc/pki/tls/certs",
    "/etc/protocols",
    "/etc/python3",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/timezone",
    "/run/systemd/resolve/stub-resolv.conf",
    "/proc/cpuinfo",
    "/proc/filesystems",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/self",
    "/proc/stat",
    "/proc/sys",
    "/proc/uptime",
    "/proc/version",
    "/sys",
];

/// Devices that are none.
const DEVICES: &[&str] =
    &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/fd"];

/// What a program may touch besides the system.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Walls {
    /// What it may read and execute.
    pub readable: Vec<PathBuf>,
    /// Where it may also write.
    pub writable: Vec<PathBuf>,
    /// What it may not see, though it lies in one of the others.
    pub hidden: Vec<PathBuf>,
    /// Whether it may speak to other hosts.
    pub network: bool,
}

/// How much of the wall stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Strength {
    /// All of it.
    Full,
    /// The kernel is older than some of it.
    Partial,
    /// Nothing: the kernel has no Landlock, or it is not switched on.
    None,
}

impl Walls {
    /// The command that runs `command` behind the walls.
    #[must_use]
    pub fn around(&self, command: &[String]) -> Vec<String> {
        let mut words: Vec<String> = ["/proc/self/exe", "confine"].map(str::to_owned).into();
        let lists =
            [("--read", &self.readable), ("--write", &self.writable), ("--hide", &self.hidden)];
        for (flag, paths) in lists {
            for path in paths {
                words.extend([flag.to_owned(), path.to_string_lossy().into_owned()]);
            }
        }
        words.extend((!self.network).then(|| "--no-network".to_owned()));
        words.push("--".to_owned());
        words.extend_from_slice(command);
        words
    }

    /// Builds the walls around this process, for ever.
    ///
    /// # Errors
    /// They could not be built, though the kernel could.
    pub fn build(&self) -> io::Result<Strength> {
        self.restrict().map_err(io::Error::other)
    }

    fn restrict(&self) -> Result<Strength, RulesetError> {
        let read = AccessFs::from_read(ABI_KNOWN);
        // A node of a device would be a way around all of it for who may make one.
        let write = AccessFs::from_write(ABI_KNOWN) & !(AccessFs::MakeChar | AccessFs::MakeBlock);
        let device = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::ReadDir;
        let mut ruleset = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(ABI_KNOWN))?
            .scope(Scope::from_all(ABI_KNOWN))?;
        if !self.network {
            ruleset = ruleset.handle_access(AccessNet::from_all(ABI_KNOWN))?;
        }
        let mut rules = ruleset.create()?;
        let hidden = self.hidden();
        let system = SYSTEM.iter().map(PathBuf::from);
        for path in system.chain(self.readable.iter().cloned()) {
            let mut open = Vec::new();
            open_up(&path, &hidden, 0, &mut open);
            for path in open {
                rules = allow(rules, &path, read)?;
            }
        }
        for path in &self.writable {
            let mut open = Vec::new();
            let within: Vec<PathBuf> = match path.canonicalize() {
                // What is named is meant, be it among what is hidden.
                Ok(path) => hidden.iter().filter(|h| !path.starts_with(h)).cloned().collect(),
                Err(_) => continue,
            };
            open_up(path, &within, 0, &mut open);
            for path in open {
                rules = allow(rules, &path, read | write)?;
            }
        }
        for path in DEVICES {
            rules = allow(rules, Path::new(path), device)?;
        }
        Ok(match rules.restrict_self()?.ruleset {
            RulesetStatus::FullyEnforced => Strength::Full,
            RulesetStatus::PartiallyEnforced => Strength::Partial,
            RulesetStatus::NotEnforced => Strength::None,
        })
    }

    fn hidden(&self) -> Vec<PathBuf> {
        let real = |path: &PathBuf| path.canonicalize().unwrap_or_else(|_| path.clone());
        self.hidden.iter().map(real).collect()
    }
}

/// What is not there needs no rule.
fn allow<R: RulesetCreatedAttr>(
    rules: R,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<R, RulesetError> {
    match PathFd::new(path) {
        Ok(fd) => rules.add_rule(PathBeneath::new(fd, access)),
        Err(_) => Ok(rules),
    }
}

/// What of `path` can be opened: all of it, or, if something in it is hidden, what lies beside
/// that. A rule is for all that is below it, so there is no other way to leave something out.
fn open_up(path: &Path, hidden: &[PathBuf], depth: usize, into: &mut Vec<PathBuf>) {
    let Ok(real) = path.canonicalize() else { return };
    if hidden.iter().any(|hidden| real.starts_with(hidden)) || into.len() >= CONFINE_RULES_MAX {
        return;
    }
    if !hidden.iter().any(|hidden| hidden.starts_with(&real)) {
        into.push(real);
        return;
    }
    if depth >= CONFINE_DEPTH_MAX {
        return;
    }
    for entry in std::fs::read_dir(&real).into_iter().flatten().filter_map(Result::ok) {
        open_up(&entry.path(), hidden, depth + 1, into);
    }
}

/// Becomes `command`. It only returns if that failed.
#[must_use]
pub fn become_program(command: &[String]) -> io::Error {
    match command.split_first() {
        Some((program, arguments)) => Command::new(program).args(arguments).exec(),
        None => io::ErrorKind::NotFound.into(),
    }
}

/// Whether the kernel can build anything of it.
#[must_use]
pub fn is_supported() -> bool {
    let hard = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    hard.handle_access(AccessFs::Execute).and_then(Ruleset::create).is_ok()
}

/// The walls that this kernel has no stones for, in words; empty if there are none.
#[must_use]
pub fn missing() -> Vec<&'static str> {
    let hard = || Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    let has = |ruleset: Result<Ruleset, RulesetError>| ruleset.and_then(Ruleset::create).is_ok();
    let parts = [
        (has(hard().handle_access(AccessFs::Execute)), "files"),
        (has(hard().handle_access(AccessNet::ConnectTcp)), "TCP (Linux 6.7)"),
        (has(hard().scope(Scope::Signal)), "signals (Linux 6.12)"),
    ];
    parts.into_iter().filter(|(has, _)| !has).map(|(_, word)| word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rt::store::tests::Scratch;

    #[test]
    fn what_is_hidden_is_left_out_and_what_lies_beside_it_is_not() {
        let scratch = Scratch::new();
        let root = scratch.path().canonicalize().unwrap();
        for dir in ["a/b/secret", "a/b/open", "a/c"] {
            std::fs::create_dir_all(root.join(dir)).unwrap();
        }
        std::os::unix::fs::symlink(root.join("a/b/secret"), root.join("a/way-in")).unwrap();
        let hidden = [root.join("a/b/secret")];
        let open = |path: &Path| {
            let mut open = Vec::new();
            open_up(path, &hidden, 0, &mut open);
            open.sort();
            open
        };
        assert_eq!(open(&root), [root.join("a/b/open"), root.join("a/c")]);
        assert_eq!(open(&root.join("a/c")), [root.join("a/c")]);
        assert!(open(&root.join("a/b/secret")).is_empty());
        assert!(open(&root.join("a/way-in")).is_empty(), "wherever links lead");
        assert!(open(&root.join("nowhere")).is_empty());
    }

    #[test]
    fn the_command_says_what_the_walls_are() {
        let walls = Walls {
            readable: vec!["/r".into()],
            writable: vec!["/w".into()],
            hidden: vec!["/h".into()],
            network: false,
        };
        let command = walls.around(&["sh".into(), "-c".into()]).join(" ");
        let expected =
            "/proc/self/exe confine --read /r --write /w --hide /h --no-network -- sh -c";
        assert_eq!(command, expected);
    }
}
