//! The agent that is a program: run anew for each message, which it finds on standard input, and
//! answering on standard output (`core::output` says how).

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::document;
use super::tools::run::{behind, find};
use crate::base::Instant;
use crate::base::Secret;
use crate::base::limits::{
    AGENT_ERRORS_BYTES_MAX, AGENT_FILE_BYTES_MAX, AGENT_OUTPUT_BYTES_MAX, NAME_BYTES_MAX,
};
use crate::base::text::{Plain, truncate};
use crate::core::answer::{self, Answer};
use crate::core::chat::Request;
use crate::core::output::{self, Attachment, LeftOut, Source, Wish};
use crate::core::turn::{Ending, Fault};
use crate::rt::confine::Walls;
use crate::rt::process::{self, Finished, Job};
use crate::rt::{Full, blocking, clock};

/// Of what an agent said wrongly, this much is logged.
const SHOWN_BYTES_MAX: usize = 300;

/// See the module.
#[derive(Debug)]
pub struct Exec {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// The few variables that every program needs.
    pub usual_env: Vec<(String, String)>,
    /// Those that it was given by name.
    pub env: Vec<(String, Secret)>,
    /// Where it runs, and where the files are that it may attach.
    pub dir: PathBuf,
    /// What it may touch; everything that we may, if there are none.
    pub walls: Option<Walls>,
    /// What is never attached, whoever asks for it: our own state.
    pub hidden: Vec<PathBuf>,
}

impl Exec {
    /// What the program answers to `request` by `by`.
    ///
    /// # Errors
    /// It gave no answer. The log says more than the fault does.
    pub async fn answer(&self, request: &Request, by: Instant) -> Result<Answer, Fault> {
        let running = process::start(self.job(request)?).map_err(|Full| Fault::Busy)?;
        let Some(finished) = clock::timeout(by, running.finished()).await else {
            running.end();
            // The next turn of the chat must not meet what is left of this one.
            if let Ok(finished) = running.finished().await {
                self.tell_errors(&finished);
            }
            return Err(Fault::TooSlow);
        };
        let finished = finished.map_err(|error| {
            let (program, dir) = (self.program(), self.dir.display());
            log::warn!(target: "agent", "{program} cannot be started in {dir}: {error}");
            Fault::Absent
        })?;
        let ending = match finished.ending {
            process::Ending::Code(0) => None,
            process::Ending::Code(code) => Some(Ending::Code(code)),
            process::Ending::Signal(signal) => Some(Ending::Signal(signal)),
        };
        if let Some(ending) = ending {
            self.tell_errors(&finished);
            return Err(Fault::Failed(ending));
        }
        if finished.left_out > 0 {
            log::warn!(
                target: "agent",
                "{} printed {} bytes more than are read",
                self.program(),
                finished.left_out
            );
        }
        let wishes = output::of_program(&finished.output, finished.left_out > 0);
        let wishes = wishes.map_err(|unread| {
            self.tell_errors(&finished);
            tell_unread(self.program(), &unread)
        })?;
        self.fulfil(wishes).await
    }

    fn job(&self, request: &Request) -> Result<Job, Fault> {
        let named = self.env.iter().map(|(name, value)| (name.clone(), value.expose().to_owned()));
        let mut env: Vec<(String, String)> = self.usual_env.iter().cloned().chain(named).collect();
        let mut command = self.command.clone();
        if self.walls.is_some() {
            // What builds the walls is always there: that the program is not has to be seen before.
            let path = env.iter().rev().find(|(name, _)| name == "PATH");
            let path = path.map_or("", |(_, value)| value);
            let Some(program) = find(self.program(), path, &self.dir) else {
                let (program, dir) = (self.program(), self.dir.display());
                log::warn!(target: "agent", "{program} cannot be started in {dir}: not found");
                return Err(Fault::Absent);
            };
            let arguments = command.get(1..).unwrap_or_default();
            (command, env) = behind(self.walls.as_ref(), &program, arguments, env, &self.dir);
        }
        Ok(Job {
            command,
            env,
            dir: self.dir.clone(),
            input: document::of(request),
            output_bytes_max: AGENT_OUTPUT_BYTES_MAX,
            errors_bytes_max: AGENT_ERRORS_BYTES_MAX,
            is_confined: self.walls.is_some(),
        })
    }

    fn program(&self) -> &str {
        self.command.first().map_or("", String::as_str)
    }

    /// The end of what it wrote to standard error.
    fn tell_errors(&self, finished: &Finished) {
        let errors = String::from_utf8_lossy(&finished.errors);
        if !errors.trim().is_empty() {
            log::warn!(target: "agent", "{} said: {}", self.program(), Plain(errors.trim()));
        }
    }

    async fn fulfil(&self, wishes: Vec<Wish>) -> Result<Answer, Fault> {
        let (dir, hidden) = (self.dir.clone(), self.hidden.clone());
        let load = move |attachment| match load(attachment, &dir, &hidden) {
            Ok(file) => Some(file),
            Err(why) => {
                log::warn!(target: "agent", "a file is not attached: {why}");
                None
            }
        };
        let is_on_disk =
            |wish: &Wish| matches!(wish, Wish::Attach(Attachment { from: Source::Path(_), .. }));
        let (answer, left_out) = if wishes.iter().any(is_on_disk) {
            let read = blocking::run(move || output::answer(wishes, load)).await;
            read.map_err(|Full| Fault::Busy)?
        } else {
            output::answer(wishes, load)
        };
        tell_left_out(self.program(), left_out);
        Ok(answer)
    }
}

/// Logs what could not be read; the fault that it is.
pub(super) fn tell_unread(who: &str, unread: &output::Unread) -> Fault {
    let why = Plain(truncate(&unread.why, SHOWN_BYTES_MAX)).to_string();
    match unread.fault {
        Fault::Declined => log::warn!(target: "agent", "{who} reports an error: {why}"),
        _ => log::warn!(target: "agent", "what {who} said cannot be read: {why}"),
    }
    unread.fault
}

/// Logs what of an answer was left out.
pub(super) fn tell_left_out(who: &str, left_out: LeftOut) {
    let LeftOut { chars, acts, files } = left_out;
    if left_out != LeftOut::default() {
        log::warn!(
            target: "agent",
            "of the answer of {who} {chars} characters, {acts} acts and {files} files were left out"
        );
    }
}

/// A name that is no path.
pub(super) fn plain_name(name: &str, or: &str) -> Box<str> {
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default().trim();
    let name = if name.is_empty() { or } else { name };
    truncate(name, NAME_BYTES_MAX).into()
}

/// Reads a file to attach: a plain one in `dir`, wherever links lead, and in none of `hidden`
/// around which `dir` does not lie. A program that was talked into it must not send our secrets.
fn load(attachment: Attachment, dir: &Path, hidden: &[PathBuf]) -> Result<answer::File, String> {
    let path = match attachment.from {
        Source::Bytes(bytes) => {
            return Ok(answer::File { name: plain_name(&attachment.name, "file"), bytes });
        }
        Source::Path(path) => path,
    };
    let shown = Plain(&path).to_string();
    // A pipe must not hold us up.
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(nonblocking)
        .open(dir.join(&path))
        .map_err(|error| format!("{shown}: {error}"))?;
    let there = real_path(&file).map_err(|error| format!("{shown}: {error}"))?;
    let dir = dir.canonicalize().map_err(|error| format!("{}: {error}", dir.display()))?;
    let is_ours = |hidden: &PathBuf| there.starts_with(hidden) && !dir.starts_with(hidden);
    if !there.starts_with(&dir) || hidden.iter().any(is_ours) {
        return Err(format!("{shown} is not in the agent's directory {}", dir.display()));
    }
    let length = file.metadata().map_err(|error| format!("{shown}: {error}"))?;
    if !length.is_file() || length.len() > AGENT_FILE_BYTES_MAX as u64 {
        return Err(format!("{shown} is no plain file of at most {AGENT_FILE_BYTES_MAX} bytes"));
    }
    let mut bytes = Vec::new();
    let read = file.take(AGENT_FILE_BYTES_MAX as u64).read_to_end(&mut bytes);
    read.map_err(|error| format!("{shown}: {error}"))?;
    let own = there.file_name().and_then(|name| name.to_str()).unwrap_or("file");
    Ok(answer::File { name: plain_name(&attachment.name, own), bytes })
}

/// Where an open file really is: nothing can be put in its place any more.
fn real_path(file: &File) -> std::io::Result<PathBuf> {
    use std::os::fd::AsRawFd as _;
    std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

#[cfg(test)]
pub(super) mod tests;
