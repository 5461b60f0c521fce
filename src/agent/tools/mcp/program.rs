//! A server that is a program: messages are lines on its pipes.

use std::path::Path;
use std::process::{ChildStdin, ChildStdout};
use std::time::Duration;

use smol::Async;
use smol::channel::Receiver;
use smol::future::{or, yield_now};
use smol::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::Order;
use super::session::Session;
use crate::agent::tools::run::{behind, find};
use crate::base::Secret;
use crate::base::limits::{MCP_OUT_BYTES_MAX, PROGRAM_ERRORS_BYTES_MAX};
use crate::proto::mcp::Lines;
use crate::rt::confine::Walls;
use crate::rt::process::{self, Ending, Job, Running};
use crate::rt::{Full, clock};

/// What is read at once.
const CHUNK_BYTES: usize = 16 * 1024;
/// How long a program that has closed its output may take to end by itself.
const END_PATIENCE: Duration = Duration::from_secs(2);

/// How the program is run.
///
/// # Errors
/// There is no such program.
pub(super) fn job(
    command: &[String],
    env: &[(String, Secret)],
    dir: &Path,
    walls: Option<&Walls>,
) -> Result<Job, String> {
    let path = env.iter().find(|(name, _)| name == "PATH").map_or("", |(_, path)| path.expose());
    let name = command.first().map_or("", String::as_str);
    let found = find(name, path, dir).ok_or_else(|| format!("there is no program {name}"))?;
    let env = env.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())).collect();
    let (command, env) = behind(walls, &found, command.get(1..).unwrap_or_default(), env, dir);
    Ok(Job {
        command,
        env,
        dir: dir.to_owned(),
        input: Vec::new(),
        output_bytes_max: 0,
        errors_bytes_max: PROGRAM_ERRORS_BYTES_MAX,
        is_confined: walls.is_some(),
    })
}

/// Serves until it is over; why it is.
pub(super) async fn serve(
    session: &mut Session<'_>,
    asked: &Receiver<Order>,
    job: Result<Job, String>,
) -> String {
    let started = job
        .and_then(|job| process::open(job).map_err(|Full| "there is no thread for it".to_owned()));
    let (running, pipes) = match started {
        Ok(started) => started,
        Err(why) => return why,
    };
    let Ok(pipes) = pipes.recv().await else {
        return match running.finished().await {
            Err(error) => format!("it cannot be started: {error}"),
            Ok(_) => "it has ended".to_owned(),
        };
    };
    match (Async::new(pipes.input), Async::new(pipes.output)) {
        (Ok(input), Ok(output)) => {
            let mut talk = Talk { input, output, out: Vec::new(), lines: Lines::default() };
            let why = talk.go_on(session, asked).await;
            drop(talk);
            match why {
                Some(why) => why,
                None => ending(&running).await,
            }
        }
        (Err(error), _) | (_, Err(error)) => format!("its pipes cannot be used: {error}"),
    }
}

struct Talk {
    input: Async<ChildStdin>,
    output: Async<ChildStdout>,
    /// What it has not taken yet.
    out: Vec<u8>,
    lines: Lines,
}

enum Event {
    Order(Option<Order>),
    Read(std::io::Result<usize>),
    Wrote(std::io::Result<usize>),
    Due,
}

impl Talk {
    /// Until it is over; nothing if the program has closed its pipes.
    async fn go_on(
        &mut self,
        session: &mut Session<'_>,
        asked: &Receiver<Order>,
    ) -> Option<String> {
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            let Talk { input, output, out, lines } = self;
            let acted = session.act(|message| {
                out.extend_from_slice(&message);
                out.push(b'\n');
            });
            if let Err(broken) = acted {
                return Some(broken.to_string());
            }
            if out.len() > MCP_OUT_BYTES_MAX {
                return Some("it does not read what it is asked".to_owned());
            }
            let deadline = session.deadline();
            let order = async { Event::Order(asked.recv().await.ok()) };
            let read = async { Event::Read(output.read(&mut buffer).await) };
            let write = async {
                if out.is_empty() {
                    return std::future::pending().await;
                }
                Event::Wrote(input.write(out).await)
            };
            let due = async {
                match deadline {
                    Some(deadline) => clock::sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
                Event::Due
            };
            match or(order, or(write, or(read, due))).await {
                Event::Order(Some(order)) => session.order(order),
                // Nobody will ever ask again.
                Event::Order(None) => return Some("it is not wanted any more".to_owned()),
                Event::Read(Ok(0) | Err(_)) | Event::Wrote(Ok(0) | Err(_)) => return None,
                Event::Read(Ok(count)) => {
                    lines.feed(buffer.get(..count)?, |line| session.hear(line));
                    // Whatever it floods us with, others have their turn.
                    yield_now().await;
                }
                Event::Wrote(Ok(count)) => drop(out.drain(..count)),
                Event::Due => {}
            }
            session.expire();
        }
    }
}

/// How the program has ended, and what it said last.
async fn ending(running: &Running) -> String {
    let by = clock::now() + END_PATIENCE;
    let in_time = clock::timeout(by, running.finished()).await;
    let finished = if let Some(finished) = in_time {
        finished
    } else {
        running.end();
        running.finished().await
    };
    match finished {
        Err(error) => format!("it cannot be started: {error}"),
        Ok(finished) => {
            let how = match finished.ending {
                Ending::Code(code) => format!("it has ended (exit status {code})"),
                Ending::Signal(signal) => format!("it was ended (signal {signal})"),
            };
            let errors = String::from_utf8_lossy(&finished.errors);
            let last = errors.trim().lines().next_back().unwrap_or_default().trim();
            if last.is_empty() { how } else { format!("{how}: {last}") }
        }
    }
}
