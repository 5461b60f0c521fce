//! What a program has started: its process group, what has left that, and what has left its
//! parents too.
//!
//! Whoever is started by a program inherits a variable that names the turn, and descends from it
//! or, once its parents are gone, from us, if we are the reaper of orphans (prctl(2),
//! `PR_SET_CHILD_SUBREAPER`). So it is found in /proc, however it tries to get away.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::process::Child;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, getpid, kill_process, kill_process_group, pidfd_open,
    pidfd_send_signal, set_child_subreaper, waitpid,
};

use crate::base::limits::KILL_ROUNDS_MAX;

/// Parents that are looked at for whose child a process is.
const ANCESTORS_MAX: usize = 64;
/// The variable by which what a turn has started is known.
pub(super) const MARK: &str = "BARNACLE_TURN";
/// More than a kernel gives a process at its start is not read of its variables.
const ENVIRON_BYTES_MAX: u64 = 256 * 1024;

/// All programs that run. Held while one is born, so that a newborn is never taken for an orphan.
static ROOTS: Mutex<Roots> = Mutex::new(Roots {
    marks: BTreeMap::new(),
    confined: BTreeSet::new(),
    had_confined: false,
    tag: String::new(),
    born: 0,
    is_reaper: false,
});

struct Roots {
    /// The marks of those that run, by their process ids.
    marks: BTreeMap<i32, String>,
    /// Those of them around which there are walls.
    confined: BTreeSet<i32>,
    /// Whether there ever was one.
    had_confined: bool,
    /// What marks begin with: who we are, over restarts.
    tag: String,
    born: u64,
    is_reaper: bool,
}

fn roots() -> MutexGuard<'static, Roots> {
    // Nothing of it is ever half done.
    ROOTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes this process the parent of all orphans below it, so that none is lost sight of. `tag`
/// tells its programs, also after a restart, from those of others.
///
/// # Errors
/// The kernel does not know of it.
pub fn become_reaper(tag: &str) -> io::Result<()> {
    let mut roots = roots();
    roots.tag = tag.into();
    set_child_subreaper(Some(getpid()))?;
    roots.is_reaper = true;
    Ok(())
}

/// Kills what programs of an earlier process of ours, that was killed itself, have left running.
/// To be called before any program is started. How many there were.
pub fn end_leftovers() -> usize {
    let roots = roots();
    let prefix = format!("{}-", roots.tag);
    let is_left = |process: &Process| {
        let mark = process.mark();
        let parent = mark.as_deref().and_then(|mark| mark.strip_prefix(&prefix)?.split('-').next());
        parent.and_then(|parent| parent.parse().ok()).is_some_and(|parent: i32| {
            // A number like ours is that of a predecessor: we have started nothing yet.
            parent == own_pid() || !fs::exists(format!("/proc/{parent}")).unwrap_or(true)
        })
    };
    let left: Vec<Process> = processes().into_iter().filter(is_left).collect();
    left.iter().filter(|process| process.signal(Signal::KILL)).count()
}

/// Kills all programs that run, at the end of our own.
pub fn end_all() {
    let pids: Vec<i32> = roots().marks.keys().copied().collect();
    for pid in pids.into_iter().filter_map(Pid::from_raw) {
        let mark = roots().marks.get(&pid.as_raw_nonzero().get()).cloned().unwrap_or_default();
        let family = Family { root: pid, mark, since: 0, is_ours: false };
        for _ in 0..KILL_ROUNDS_MAX {
            if family.signal(Signal::KILL) == 0 {
                break;
            }
        }
    }
}

/// A program and what it has started.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) root: Pid,
    mark: String,
    /// When the program began, in the kernel's ticks; what is older is no child of it.
    since: u64,
    /// Whether it is forgotten with this.
    is_ours: bool,
}

/// Whether the process `pid` is a program with walls around it, or was started by one. An orphan
/// whose program is gone counts as one: nobody knows any more.
pub fn is_confined(pid: i32) -> bool {
    let roots = roots();
    let (mut pid, own) = (pid, own_pid());
    for _ in 0..ANCESTORS_MAX {
        if pid == own {
            return false;
        }
        let Some(process) = Process::read(pid) else { return false };
        if roots.confined.contains(&pid) {
            return true;
        }
        if roots.marks.contains_key(&pid) {
            return false;
        }
        if process.parent == own {
            return roots.had_confined;
        }
        if process.parent <= 1 {
            return false;
        }
        pid = process.parent;
    }
    true
}

/// Has a program born by `spawn`, which is given its mark.
pub(super) fn spawn(
    is_confined: bool,
    spawn: impl FnOnce(&str) -> io::Result<Child>,
) -> io::Result<(Child, Family)> {
    let mut roots = roots();
    roots.born += 1;
    let mark = format!("{}-{}-{}", roots.tag, own_pid(), roots.born);
    let child = spawn(&mark)?;
    let root = Pid::from_child(&child);
    let pid = root.as_raw_nonzero().get();
    roots.marks.insert(pid, mark.clone());
    if is_confined {
        roots.confined.insert(pid);
        roots.had_confined = true;
    }
    let since = Process::read(pid).map_or(0, |process| process.since);
    Ok((child, Family { root, mark, since, is_ours: true }))
}

impl Drop for Family {
    fn drop(&mut self) {
        if self.is_ours {
            let (mut roots, pid) = (roots(), self.root.as_raw_nonzero().get());
            roots.marks.remove(&pid);
            roots.confined.remove(&pid);
        }
    }
}

impl Family {
    /// Sends `signal` to all of it. How many there were.
    pub(super) fn signal(&self, signal: Signal) -> usize {
        // Where there is no /proc, the group is all that can be reached. The program is our child
        // and not waited for yet, so the number is its own.
        let _ = kill_process_group(self.root, signal);
        let roots = roots();
        let all = processes();
        let members = self.members(&roots, &all);
        for member in &members {
            if member.group != self.root.as_raw_nonzero().get() {
                member.signal(signal);
            }
        }
        if roots.is_reaper {
            reap(&roots, &all);
        }
        members.len()
    }

    /// Those of `all` that belong to it and are alive.
    fn members<'p>(&self, roots: &Roots, all: &'p [Process]) -> Vec<&'p Process> {
        let root = self.root.as_raw_nonzero().get();
        let young = all.iter().filter(|process| process.since >= self.since);
        let mut others: Vec<(&Process, Option<String>)> = Vec::new();
        let mut members: Vec<&Process> = Vec::new();
        for process in young {
            let mark = process.mark();
            let is_known = roots.marks.contains_key(&process.pid);
            // An orphan that has thrown away its mark is nobody's, so it is everybody's.
            let is_stray = roots.is_reaper
                && process.parent == own_pid()
                && !is_known
                && !mark.as_ref().is_some_and(|mark| roots.marks.values().any(|m| m == mark));
            let is_marked = mark.as_ref() == Some(&self.mark);
            if process.pid == root || process.group == root || is_marked || is_stray {
                members.push(process);
            } else if !is_known {
                others.push((process, mark));
            }
        }
        loop {
            let is_child = |process: &Process| members.iter().any(|m| m.pid == process.parent);
            let Some(at) = others.iter().position(|(process, _)| is_child(process)) else { break };
            members.push(others.swap_remove(at).0);
        }
        members.retain(|process| !process.is_dead());
        members
    }
}

/// Clears away orphans that have ended: they are our children now.
fn reap(roots: &Roots, all: &[Process]) {
    for process in all {
        let is_orphan = process.parent == own_pid() && !roots.marks.contains_key(&process.pid);
        if is_orphan && process.is_dead() {
            let _ = waitpid(Pid::from_raw(process.pid), WaitOptions::NOHANG);
        }
    }
}

fn own_pid() -> i32 {
    getpid().as_raw_nonzero().get()
}

/// A process, as /proc shows it (`proc_pid_stat(5)`).
#[derive(Debug)]
struct Process {
    pid: i32,
    state: u8,
    parent: i32,
    group: i32,
    since: u64,
}

/// All processes that can be seen.
fn processes() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter_map(Process::read).collect()
}

impl Process {
    fn read(pid: i32) -> Option<Process> {
        let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may hold anything, parentheses too.
        let after = stat.iter().rposition(|&byte| byte == b')')? + 1;
        let rest = str::from_utf8(stat.get(after..)?).ok()?;
        let mut fields = rest.split_ascii_whitespace();
        let state = *fields.next()?.as_bytes().first()?;
        let parent = fields.next()?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        // The parent is the fourth field of all, the start the 22nd.
        let since = fields.nth(16)?.parse().ok()?;
        Some(Process { pid, state, parent, group, since })
    }

    fn is_dead(&self) -> bool {
        matches!(self.state, b'Z' | b'X')
    }

    /// The turn that it was started in, by its variables.
    fn mark(&self) -> Option<String> {
        let mut environ = Vec::new();
        let file = File::open(format!("/proc/{}/environ", self.pid)).ok()?;
        file.take(ENVIRON_BYTES_MAX).read_to_end(&mut environ).ok()?;
        environ.split(|&byte| byte == 0).find_map(|variable| {
            let value = variable.strip_prefix(MARK.as_bytes())?.strip_prefix(b"=")?;
            Some(str::from_utf8(value).ok()?.to_owned())
        })
    }

    /// Sends `signal` to it, and to nobody who has come by its number since.
    fn signal(&self, signal: Signal) -> bool {
        let Some(pid) = Pid::from_raw(self.pid) else { return false };
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(fd) => {
                let is_same = Process::read(self.pid).is_some_and(|now| now.since == self.since);
                is_same && pidfd_send_signal(fd, signal).is_ok()
            }
            Err(Errno::NOSYS) => kill_process(pid, signal).is_ok(),
            Err(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt as _;

    #[test]
    fn a_program_with_walls_around_it_is_known_by_itself_and_by_its_children() {
        let start = |is_confined| {
            let sleep = |_: &str| {
                let mut command = std::process::Command::new("sh");
                command.args(["-c", "sleep 60 & echo $!; wait"]).process_group(0);
                command.stdout(std::process::Stdio::piped()).spawn()
            };
            let (mut child, family) = spawn(is_confined, sleep).unwrap();
            let mut line = String::new();
            let out = child.stdout.take().unwrap();
            io::BufRead::read_line(&mut io::BufReader::new(out), &mut line).unwrap();
            (child, family, line.trim().parse::<i32>().unwrap())
        };
        for expected in [false, true] {
            let (mut child, family, grandchild) = start(expected);
            let pid = family.root.as_raw_nonzero().get();
            assert_eq!((is_confined(pid), is_confined(grandchild)), (expected, expected));
            kill_process_group(family.root, Signal::KILL).unwrap();
            child.wait().unwrap();
        }
        assert!(!is_confined(own_pid()) && !is_confined(1) && !is_confined(i32::MAX));
    }

    #[test]
    fn proc_is_read_as_it_is_written() {
        let me = Process::read(own_pid()).unwrap();
        assert_eq!(me.pid, own_pid());
        assert!(me.since > 0 && me.parent > 0 && !me.is_dead());
        assert!(processes().iter().any(|process| process.pid == own_pid()));
        assert!(Process::read(i32::MAX).is_none());
    }
}
