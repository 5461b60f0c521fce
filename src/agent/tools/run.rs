//! `run`: programs that the configuration names, and no others, with arguments that it allows. No
//! shell is between, the variables are scrubbed, and walls are around them (`rt::confine`).

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use smol::lock::Semaphore;

use super::{Ask, Outcome};
use crate::base::Secret;
use crate::base::limits::{
    PROGRAM_ERRORS_BYTES_MAX, PROGRAM_INPUT_BYTES_MAX, PROGRAM_OUTPUT_BYTES_MAX,
    PROGRAMS_RUNNING_MAX,
};
use crate::base::text::Plain;
use crate::core::argv::{Shape, schema};
use crate::proto::llm::Tool;
use crate::rt::confine::Walls;
use crate::rt::process::{self, Ending, Finished, Job};
use crate::rt::{Full, clock};

/// The tool's name.
pub const NAME: &str = "run";

/// A program that may be run.
#[derive(Debug)]
pub struct Program {
    /// What the model calls it.
    pub name: String,
    /// The program and its first arguments.
    pub command: Vec<String>,
    /// What it is for.
    pub about: String,
    /// What arguments may follow.
    pub args: Shape,
    /// Whether the model may give it something on its standard input.
    pub takes_input: bool,
    /// All its variables but those that follow from the walls.
    pub env: Vec<(String, Secret)>,
    /// Where it runs.
    pub dir: PathBuf,
    /// How long it may take.
    pub deadline: Duration,
    /// What it may touch; everything that we may, if there are none.
    pub walls: Option<Walls>,
}

/// See the module.
#[derive(Debug)]
pub struct Programs {
    list: Vec<Program>,
    places: Semaphore,
}

impl Programs {
    /// These programs.
    #[must_use]
    pub fn new(list: Vec<Program>) -> Programs {
        Programs { list, places: Semaphore::new(PROGRAMS_RUNNING_MAX) }
    }

    /// How long the slowest of them may take.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.list.iter().map(|program| program.deadline).max().unwrap_or_default()
    }

    /// The tool; none if there is no program.
    #[must_use]
    pub fn tools(&self) -> Vec<Tool> {
        if self.list.is_empty() {
            return Vec::new();
        }
        let names: Vec<&str> = self.list.iter().map(|program| program.name.as_str()).collect();
        let mut about = "Runs one of these programs and gives what it prints:".to_owned();
        for program in &self.list {
            let _ = write!(about, "\n- {} ({})", program.name, program.args.words());
            if program.takes_input {
                about.push_str(", reads input");
            }
            if !program.about.is_empty() {
                let _ = write!(about, ": {}", program.about);
            }
        }
        let mut properties = json!({
            "program": {"type": "string", "enum": names, "description": "which one"},
            "args": schema(),
        });
        if self.list.iter().any(|program| program.takes_input) {
            properties["input"] = json!({"type": "string", "maxLength": PROGRAM_INPUT_BYTES_MAX,
                "description": "what it reads on standard input"});
        }
        vec![Tool {
            name: NAME.into(),
            about: about.into(),
            schema: json!({
                "type": "object", "properties": properties, "required": ["program"],
                "additionalProperties": false,
            }),
        }]
    }

    /// Runs what `arguments` say.
    ///
    /// # Errors
    /// It was not run, or has failed, in sentences for the model.
    pub async fn run(&self, ask: &Ask<'_>, arguments: &Value) -> Outcome {
        let name = arguments["program"].as_str().unwrap_or_default();
        let found = self.list.iter().find(|program| program.name == name);
        let program = found.ok_or_else(|| format!("there is no program {}", Plain(name)))?;
        let texts = |value: &Value| value.as_str().map(str::to_owned);
        let args: Option<Vec<String>> = match &arguments["args"] {
            Value::Null => Some(Vec::new()),
            Value::Array(list) => list.iter().map(texts).collect(),
            _ => None,
        };
        let args = args.ok_or("args is a list of texts")?;
        program.args.check(&args)?;
        let input = arguments["input"].as_str().unwrap_or_default();
        if !input.is_empty() && !program.takes_input {
            return Err(format!("{name} reads no input"));
        }
        if input.len() > PROGRAM_INPUT_BYTES_MAX {
            return Err(format!("at most {PROGRAM_INPUT_BYTES_MAX} bytes can be its input"));
        }
        let by = ask.by.min(clock::now() + program.deadline);
        let late = || format!("{name} did not end in time and was ended");
        let _place = clock::timeout(by, self.places.acquire()).await.ok_or_else(late)?;
        let running = process::start(program.job(&args, input)?);
        let running = running.map_err(|Full| "too many programs run already".to_owned())?;
        let Some(finished) = clock::timeout(by, running.finished()).await else {
            running.end();
            // What comes next must not meet what is left of it.
            let _ = running.finished().await;
            return Err(late());
        };
        let finished = finished.map_err(|error| {
            log::warn!(target: "tools", "{name} cannot be started: {error}");
            format!("{name} cannot be started")
        })?;
        tell(name, &finished)
    }
}

impl Program {
    fn job(&self, args: &[String], input: &str) -> Result<Job, String> {
        let first = self.command.first().map_or("", String::as_str);
        let Some(path) = find(first, self.variable("PATH"), &self.dir) else {
            log::warn!(target: "tools", "{} cannot be started: there is no {first}", self.name);
            return Err(format!("{} is not installed here", self.name));
        };
        let env = self.env.iter();
        let env = env.map(|(name, value)| (name.clone(), value.expose().to_owned())).collect();
        let arguments: Vec<String> = self.command.iter().skip(1).chain(args).cloned().collect();
        let (command, env) = behind(self.walls.as_ref(), &path, &arguments, env, &self.dir);
        Ok(Job {
            command,
            env,
            dir: self.dir.clone(),
            input: input.as_bytes().to_vec(),
            output_bytes_max: PROGRAM_OUTPUT_BYTES_MAX,
            errors_bytes_max: PROGRAM_ERRORS_BYTES_MAX,
            is_confined: self.walls.is_some(),
        })
    }

    fn variable(&self, name: &str) -> &str {
        let found = self.env.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value.expose())
    }
}

/// The command and the variables of `program` behind `walls`, if there are any; it runs in `dir`.
pub(in crate::agent) fn behind(
    walls: Option<&Walls>,
    program: &Path,
    arguments: &[String],
    mut env: Vec<(String, String)>,
    dir: &Path,
) -> (Vec<String>, Vec<(String, String)>) {
    let mut command = vec![program.to_string_lossy().into_owned()];
    command.extend_from_slice(arguments);
    let Some(walls) = walls else { return (command, env) };
    let mut walls = walls.clone();
    walls.readable.push(program.to_owned());
    walls.writable.push(dir.to_owned());
    let room = dir.to_string_lossy().into_owned();
    // What is at its user's home is not for it.
    for name in ["HOME", "TMPDIR"] {
        if env.iter().all(|(known, _)| known != name) {
            env.push((name.to_owned(), room.clone()));
        }
    }
    (walls.around(&command), env)
}

/// Where the program `name` is: a path, of which one that is relative begins at `dir`, or a name in
/// `path`.
pub(in crate::agent) fn find(name: &str, path: &str, dir: &Path) -> Option<PathBuf> {
    let is_program = |path: &Path| {
        let found = path.metadata().ok();
        found.is_some_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    if name.contains('/') {
        return Some(dir.join(name)).filter(|path| is_program(path));
    }
    let dirs = path.split(':').filter(|dir| !dir.is_empty() && !name.is_empty());
    dirs.map(|dir| Path::new(dir).join(name)).find(|path| is_program(path))
}

/// What the model is told.
fn tell(name: &str, finished: &Finished) -> Outcome {
    let mut told = String::new();
    let output = String::from_utf8_lossy(&finished.output);
    let errors = String::from_utf8_lossy(&finished.errors);
    told.push_str(output.trim_end());
    if finished.left_out > 0 {
        let _ = write!(told, "\n[{} more bytes were printed]", finished.left_out);
    }
    if !errors.trim().is_empty() {
        let gap = if told.is_empty() { "" } else { "\n\n" };
        let _ = write!(told, "{gap}On standard error: {}", errors.trim());
    }
    match finished.ending {
        Ending::Code(0) if told.is_empty() => Ok(format!("{name} has printed nothing")),
        Ending::Code(0) => Ok(told),
        Ending::Code(code) => Err(format!("{name} has failed (exit status {code})\n{told}")),
        Ending::Signal(signal) => Err(format!("{name} was ended (signal {signal})\n{told}")),
    }
}

#[cfg(test)]
mod tests;
