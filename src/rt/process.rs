//! Programs that are run to their end: fed once, read within bounds, and ended with everything
//! that they have started.
//!
//! Each has a thread of its own, which lives as long as it does and sleeps in poll(2) meanwhile:
//! the one thread that keeps the connections neither waits for a program nor is woken by what it
//! prints, and a program whose future was dropped is still ended in good order.

mod family;

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitIdStatus, pidfd_open, waitid,
};
use smol::channel::{Receiver, Sender, bounded};

use super::{Full, clock};
use crate::base::limits::{BLOCKING_STACK_BYTES, KILL_GRACE, KILL_LOOK, KILL_ROUNDS_MAX};
use family::Family;

pub use family::{become_reaper, end_all, end_leftovers, is_confined};

/// How much programs give way: as much as our own threads for computing.
const NICE: i32 = 10;
/// How much sooner than others they are ended when memory runs out (`proc_pid_oom_score_adj(5)`):
/// one of them, and not what keeps the connections.
const OOM_SCORE: &str = "500";
/// What is read at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// What is read of a program that has ended, while something it left behind goes on printing.
const CHUNKS_AFTER_MAX: usize = 64;

/// A program to be run.
#[derive(Clone)]
pub struct Job {
    /// The program, by its path or by a name in `PATH`, and its arguments. No shell reads them.
    pub command: Vec<String>,
    /// All its variables.
    pub env: Vec<(String, String)>,
    /// Where it runs.
    pub dir: PathBuf,
    /// What it finds on standard input, which ends then.
    pub input: Vec<u8>,
    /// What is kept of the beginning of its standard output.
    pub output_bytes_max: usize,
    /// What is kept of the end of its standard error.
    pub errors_bytes_max: usize,
    /// Whether walls are around it: it is a stranger then, and our own socket is closed to it.
    pub is_confined: bool,
}

/// A program that has ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finished {
    /// How.
    pub ending: Ending,
    /// The beginning of its standard output …
    pub output: Vec<u8>,
    /// … and how many bytes followed.
    pub left_out: u64,
    /// The end of its standard error.
    pub errors: Vec<u8>,
}

/// How a program ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// With this exit status.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// A program that runs. Dropped, or told to [`end`](Running::end), it is asked to end (SIGTERM),
/// and killed soon after, with all that it has started.
#[derive(Debug)]
pub struct Running {
    cancel: Arc<OwnedFd>,
    outcome: Receiver<io::Result<Finished>>,
}

impl Running {
    /// Has it ended.
    pub fn end(&self) {
        // It can only fail if it was asked more often than anybody can count.
        let _ = rustix::io::write(&self.cancel, &1_u64.to_ne_bytes());
    }

    /// How it went, once it has ended. If it was told to, then so has all that it started.
    ///
    /// # Errors
    /// It could not be started.
    pub async fn finished(&self) -> io::Result<Finished> {
        self.outcome.recv().await.unwrap_or_else(|_| Err(io::Error::other("its thread is gone")))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// Bytes of our own memory, by a field of `/proc/self/status` such as `VmRSS` or `VmHWM`; zero if
/// the kernel does not say.
#[must_use]
pub fn memory(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mut lines = status.lines().filter_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let kib = lines.next().and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0).saturating_mul(1024)
}

/// Starts a program.
///
/// # Errors
/// There is no thread for it. Whether the program itself can be started is told later.
pub fn start(job: Job) -> Result<Running, Full> {
    launch(job, None)
}

/// What is said to a program, and what it says.
#[derive(Debug)]
pub struct Pipes {
    /// Its standard input.
    pub input: ChildStdin,
    /// Its standard output.
    pub output: ChildStdout,
}

/// Starts a program that is talked to while it runs: its pipes come once it has been started, or
/// never if it cannot be. Its standard error is read as that of all others is.
///
/// # Errors
/// There is no thread for it.
pub fn open(job: Job) -> Result<(Running, Receiver<Pipes>), Full> {
    let (hand_out, pipes) = bounded(1);
    Ok((launch(job, Some(hand_out))?, pipes))
}

fn launch(job: Job, pipes: Option<Sender<Pipes>>) -> Result<Running, Full> {
    let cancel = Arc::new(eventfd(0, EventfdFlags::CLOEXEC).map_err(|_| Full)?);
    let (tell, outcome) = bounded(1);
    let stop = cancel.clone();
    let thread = std::thread::Builder::new().name("agent".into()).stack_size(BLOCKING_STACK_BYTES);
    thread.spawn(move || supervise(&job, pipes, &stop, &tell)).map_err(|_| Full)?;
    Ok(Running { cancel, outcome })
}

/// The life of one program, on a thread of its own.
fn supervise(
    job: &Job,
    pipes: Option<Sender<Pipes>>,
    cancel: &OwnedFd,
    tell: &Sender<io::Result<Finished>>,
) {
    // The program inherits it. Without the right to be nicer it runs all the same.
    let _ = rustix::process::setpriority_process(None, NICE);
    // Nobody may be waiting any more, whatever is told.
    let (mut child, family) = match family::spawn(job.is_confined, |mark| spawn(job, mark)) {
        Ok(born) => born,
        Err(error) => {
            let _ = tell.try_send(Err(error));
            return;
        }
    };
    // To be ended sooner needs no right; where there is no /proc, all are ended alike.
    let score = format!("/proc/{}/oom_score_adj", family.root.as_raw_nonzero());
    let _ = std::fs::write(score, OOM_SCORE);
    if let Some(pipes) = pipes
        && let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take())
    {
        // Nobody may want them any more; then they are closed.
        let _ = pipes.try_send(Pipes { input, output });
    }
    let mut talk = Talk::new(&mut child, job, family.root);
    let was_ended = talk.listen(cancel);
    if was_ended {
        // What it still has to say is not read, but it need not wait for that either.
        (talk.input, talk.output, talk.errors) = (None, None, None);
        end(&family, &talk);
    }
    let ending = talk.ending();
    let finished = Finished {
        ending,
        output: std::mem::take(&mut talk.said),
        left_out: talk.left_out,
        errors: std::mem::take(&mut talk.last_words),
    };
    let _ = tell.try_send(Ok(finished));
    if !was_ended {
        // Its answer need not wait for what it has left behind.
        end(&family, &talk);
    }
    drop(talk);
    // The number of the process is free for others from here on.
    let _ = child.wait();
    drop(family);
}

fn spawn(job: &Job, mark: &str) -> io::Result<Child> {
    let (program, arguments) = job.command.split_first().ok_or(io::ErrorKind::NotFound)?;
    Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(job.env.iter().map(|(name, value)| (name, value)))
        .env(family::MARK, mark)
        .current_dir(&job.dir)
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
}

/// Asks a program and all that it has started to end, and kills what does not.
fn end(family: &Family, talk: &Talk<'_>) {
    if family.signal(Signal::TERM) == 0 {
        return;
    }
    let until = clock::now() + KILL_GRACE;
    while clock::now() < until {
        nap(KILL_LOOK);
        // What was suspended hears of it only now.
        if talk.has_ended() && family.signal(Signal::CONT) == 0 {
            return;
        }
    }
    for _ in 0..KILL_ROUNDS_MAX {
        if family.signal(Signal::KILL) == 0 {
            return;
        }
        nap(KILL_LOOK);
    }
}

fn nap(span: Duration) {
    // Waking up early does no harm.
    let _ = poll(&mut [], timespec(span).as_ref());
}

fn timespec(span: Duration) -> Option<rustix::event::Timespec> {
    span.try_into().ok()
}

/// What is written to a program and read from it.
struct Talk<'j> {
    root: Pid,
    /// Becomes readable when it ends. Older kernels have none, and are asked every so often.
    exit: Option<OwnedFd>,
    input: Option<File>,
    to_say: &'j [u8],
    output: Option<File>,
    said: Vec<u8>,
    said_max: usize,
    left_out: u64,
    errors: Option<File>,
    last_words: Vec<u8>,
    last_words_max: usize,
}

impl<'j> Talk<'j> {
    fn new(child: &mut Child, job: &'j Job, root: Pid) -> Talk<'j> {
        let patient = |fd: Option<OwnedFd>| {
            let fd = fd.filter(|fd| rustix::io::ioctl_fionbio(fd, true).is_ok());
            fd.map(File::from)
        };
        Talk {
            root,
            exit: pidfd_open(root, PidfdFlags::empty()).ok(),
            input: patient(child.stdin.take().map(OwnedFd::from)),
            to_say: &job.input,
            output: patient(child.stdout.take().map(OwnedFd::from)),
            said: Vec::new(),
            said_max: job.output_bytes_max,
            left_out: 0,
            errors: patient(child.stderr.take().map(OwnedFd::from)),
            last_words: Vec::new(),
            last_words_max: job.errors_bytes_max,
        }
    }

    /// Until it has ended, or is to be: true.
    fn listen(&mut self, cancel: &OwnedFd) -> bool {
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            if self.wait(cancel) {
                return true;
            }
            self.write();
            self.read(&mut buffer);
            if self.has_ended() {
                for _ in 0..CHUNKS_AFTER_MAX {
                    if !self.read(&mut buffer) {
                        break;
                    }
                }
                return false;
            }
        }
    }

    /// Waits for anything to happen. True if it is to end.
    fn wait(&self, cancel: &OwnedFd) -> bool {
        let mut fds = vec![PollFd::new(cancel, PollFlags::IN)];
        let reads = [self.output.as_ref(), self.errors.as_ref()].into_iter().flatten();
        fds.extend(reads.map(|file| PollFd::new(file, PollFlags::IN)));
        fds.extend(self.exit.as_ref().map(|exit| PollFd::new(exit, PollFlags::IN)));
        fds.extend(self.input.as_ref().map(|input| PollFd::new(input, PollFlags::OUT)));
        let timeout = if self.exit.is_some() { None } else { timespec(KILL_LOOK) };
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) => fds.first().is_some_and(|cancel| !cancel.revents().is_empty()),
            Err(Errno::INTR) => false,
            // There is no memory to wait with: it cannot be watched, so it may not run.
            Err(_) => true,
        }
    }

    /// Writes what it takes. That it does not read all of it is its own affair.
    fn write(&mut self) {
        let Some(input) = &mut self.input else { return };
        let is_over = match input.write(self.to_say) {
            Ok(count) => {
                self.to_say = self.to_say.get(count..).unwrap_or_default();
                self.to_say.is_empty()
            }
            Err(error) => !is_passing(&error),
        };
        if is_over {
            self.input = None;
        }
    }

    /// Reads a piece of each output. False if there was nothing to be read.
    fn read(&mut self, buffer: &mut [u8]) -> bool {
        let (said, is_open) = piece(&mut self.output, buffer);
        if let Some(said) = said {
            let room = self.said_max - self.said.len();
            let (kept, rest) = said.split_at(room.min(said.len()));
            self.said.extend_from_slice(kept);
            self.left_out += rest.len() as u64;
        }
        let (words, errors_open) = piece(&mut self.errors, buffer);
        if let Some(words) = words {
            self.last_words.extend_from_slice(words);
            let old = self.last_words.len().saturating_sub(self.last_words_max);
            self.last_words.drain(..old);
        }
        is_open || errors_open
    }

    fn has_ended(&self) -> bool {
        self.status().is_some()
    }

    /// How it ended, if it has. It stays a zombie: as long as it does, nobody else has its number.
    fn status(&self) -> Option<WaitIdStatus> {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(self.root), look).ok().flatten()
    }

    fn ending(&self) -> Ending {
        let status = self.status();
        let signal = status.as_ref().and_then(WaitIdStatus::terminating_signal);
        match (signal, status.as_ref().and_then(WaitIdStatus::exit_status)) {
            (Some(signal), _) => Ending::Signal(signal),
            (None, Some(code)) => Ending::Code(code),
            // It does not even die of SIGKILL: its disk does not answer.
            (None, None) => Ending::Signal(Signal::KILL.as_raw()),
        }
    }
}

/// A piece of what `from` has to say, and whether there may be more at once. What has come to its
/// end is closed.
fn piece<'b>(from: &mut Option<File>, buffer: &'b mut [u8]) -> (Option<&'b [u8]>, bool) {
    let Some(file) = from else { return (None, false) };
    match file.read(buffer) {
        Ok(0) => *from = None,
        Ok(count) => return (buffer.get(..count), true),
        Err(error) if is_passing(&error) => {}
        Err(_) => *from = None,
    }
    (None, false)
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests;
