//! The command line: one table of commands, and what each of them asks of the rest.

mod accounts;
mod agents;
mod appliance;
mod ask;
mod backup;
mod care;
mod channels;
mod client;
mod crew;
mod cron;
mod dashboard;
mod doctor;
mod help;
mod local;
mod outside;
mod pages;
mod pairing;
mod parse;
mod person;
mod print;
mod probe;
mod restart;
mod say;
mod service;
mod sessions;
mod settings;
mod setup;
mod show;
mod summary;
mod table;
mod uptime;
mod why;

use std::process::ExitCode;

use serde_json::Value;

use crate::ops;
use crate::ops::config::{Env, arguments, is_profile};
use crate::ops::exit::{Exit, Failure};
use crate::ops::options::Common;
use parse::Parsed;
use print::Printer;

/// What a command is given: the command line, the environment, and where to print.
pub(crate) struct Call<'a> {
    /// The command line, taken apart.
    pub(crate) parsed: &'a Parsed,
    /// The environment.
    pub(crate) env: &'a Env,
    /// The flags of every command.
    pub(crate) common: Common,
    /// Standard output.
    pub(crate) out: Printer,
}

impl Call<'_> {
    /// Prints an answer: as JSON if that was asked for, else as `lines` puts it.
    fn answer(
        &mut self,
        answer: &Value,
        lines: impl Fn(&Printer, &Value) -> String,
    ) -> Result<(), Failure> {
        if self.common.json {
            return self.out.line(restart::pretty(answer));
        }
        let text = lines(&self.out, answer);
        self.out.line(text.trim_end())
    }
}

/// What does a command.
pub(crate) type Run = fn(&mut Call<'_>) -> Result<(), Failure>;

/// The whole program: reads the command line and does what it says.
pub(crate) fn main() -> ExitCode {
    let env = Env::of_process();
    let done =
        parse::parse(arguments()).and_then(|parsed| dispatch(&parsed, &env_of(&parsed, &env)?));
    let exit = done.map_or_else(
        |failure| {
            print::complain(&failure, arguments().any(|word| word == "--json"));
            failure.exit
        },
        |()| Exit::Ok,
    );
    ExitCode::from(exit.code())
}

fn dispatch(parsed: &Parsed, env: &Env) -> Result<(), Failure> {
    let plain = parsed.has("no-color") || parsed.has("plain");
    let mut out = Printer::new(env, !plain);
    if parsed.has("version") {
        return out.line(format_args!("barnacle {}", ops::version()));
    }
    let Some(command) = parsed.command.filter(|_| !parsed.has("help")) else {
        let topic = parsed.command.map(|command| command.name).or(parsed.group);
        return out.line(help::render(topic)?.trim_end());
    };
    (command.run)(&mut Call { parsed, env, common: common(parsed, &out), out })
}

/// The environment of the gateway that is meant, if there are several.
fn env_of(parsed: &Parsed, env: &Env) -> Result<Env, Failure> {
    let is_dev = parsed.has("dev");
    let named = parsed.text("profile").or_else(|| is_dev.then(|| "dev".to_owned()));
    let Some(profile) = named else { return Ok(env.clone()) };
    if !is_profile(&profile) {
        let cure = "write letters, digits, - and _; it becomes a part of file names";
        return Err(parse::usage("--profile does not take that", cure));
    }
    let env = env.with_profile(&profile);
    Ok(if is_dev { env.or("BARNACLE_GATEWAY_PORT", DEV_PORT) } else { env })
}

/// Where a gateway of `--dev` listens, as OpenClaw's does, so that it is beside the usual one.
const DEV_PORT: &str = "19001";

fn common(parsed: &Parsed, out: &Printer) -> Common {
    let verbose = || parsed.has("verbose").then(|| "debug".to_owned());
    Common {
        config: parsed.path("config"),
        log_level: parsed.text("log-level").or_else(verbose),
        json: parsed.has("json"),
        colours: out.colours(),
    }
}
