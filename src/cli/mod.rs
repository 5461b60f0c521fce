//! The command line: one table of commands, and what each of them asks of the rest.

mod client;
mod help;
mod print;
mod show;
mod summary;
mod table;

use std::process::ExitCode;
use std::time::Duration;

use crate::app;
use crate::ops;
use crate::ops::config::{Env, arguments};
use crate::ops::exit::{Exit, Failure};
use crate::ops::options::{Common, Drill, Gateway, InviteUrl, Sandbox};
use client::Client;
use print::Printer;
use table::Parsed;

/// How long a question to the gateway may take, unless `--timeout` says otherwise.
const PATIENCE_MS: u64 = 10_000;
/// Lines that `logs` shows, unless `--limit` says otherwise.
const LOG_LINES: u32 = 200;

/// The whole program: reads the command line and does what it says.
pub(crate) fn main() -> ExitCode {
    let env = Env::of_process();
    let done = table::parse(arguments()).and_then(|parsed| dispatch(&parsed, &env));
    let exit = done.map_or_else(
        |failure| {
            print::complain(&failure);
            failure.exit
        },
        |()| Exit::Ok,
    );
    ExitCode::from(exit.code())
}

fn dispatch(parsed: &Parsed, env: &Env) -> Result<(), Failure> {
    let plain = parsed.has("no-color") || parsed.has("plain") || env.no_color();
    let mut out = Printer::new(!plain);
    if parsed.has("version") {
        return out.line(format_args!("barnacle {}", ops::version()));
    }
    let name = parsed.command.map_or("help", |command| command.name);
    if parsed.has("help") {
        return out.line(help::render(parsed.command.map(|command| command.name))?.trim_end());
    }
    let common = common(parsed, &out);
    match name {
        "gateway" => app::gateway(env, &gateway(parsed, common)?),
        "demo" => app::demo(&common, out),
        "drill" => app::drill(&drill(parsed, common), out),
        "sandbox" => app::sandbox(env, &sandbox(parsed, common)?, out),
        "invite-url" => out.line(app::invite_url(env, &invite_url(parsed, common)?)?),
        "status" => status(&client(parsed, env)?, &common, &mut out),
        "health" => health(&client(parsed, env)?, &common, &mut out),
        "logs" => logs(&client(parsed, env)?, parsed, &common, &mut out),
        _ => out.line(help::render(parsed.word.as_deref())?.trim_end()),
    }
}

fn common(parsed: &Parsed, out: &Printer) -> Common {
    let verbose = || parsed.has("verbose").then(|| "debug".to_owned());
    Common {
        config: parsed.path("config"),
        log_level: parsed.text("log-level").or_else(verbose),
        json: parsed.has("json"),
        colours: out.colours(),
    }
}

fn gateway(parsed: &Parsed, common: Common) -> Result<Gateway, Failure> {
    Ok(Gateway { common, port: parsed.number("port")? })
}

fn drill(parsed: &Parsed, common: Common) -> Drill {
    Drill { common, name: parsed.word.clone(), list: parsed.has("list") }
}

fn sandbox(parsed: &Parsed, common: Common) -> Result<Sandbox, Failure> {
    let tls = match (parsed.path("cert"), parsed.path("key")) {
        (Some(cert), Some(key)) => Some((cert, key)),
        (None, None) => None,
        _ => return Err(Failure::new(Exit::Usage, "--cert and --key need each other", "")),
    };
    Ok(Sandbox {
        common,
        port: parsed.number("port")?.unwrap_or(0),
        gateway_port: parsed.number("gateway-port")?.unwrap_or(0),
        host: parsed.text("host"),
        heartbeat: parsed.number("heartbeat")?.map(Duration::from_millis),
        tls,
    })
}

fn invite_url(parsed: &Parsed, common: Common) -> Result<InviteUrl, Failure> {
    let (permissions, application) = (parsed.number("permissions")?, parsed.number("application")?);
    Ok(InviteUrl { common, permissions, application })
}

fn client(parsed: &Parsed, env: &Env) -> Result<Client, Failure> {
    let timeout = Duration::from_millis(parsed.number("timeout")?.unwrap_or(PATIENCE_MS));
    Ok(Client::new(env, parsed.path("config").as_deref(), parsed.number("port")?, timeout))
}

fn status(client: &Client, common: &Common, out: &mut Printer) -> Result<(), Failure> {
    show(&client.get("/api/status")?, common, out, summary::lines)
}

fn health(client: &Client, common: &Common, out: &mut Printer) -> Result<(), Failure> {
    show(&client.get("/health/detail")?, common, out, show::tree)
}

fn show(
    answer: &str,
    common: &Common,
    out: &mut Printer,
    lines: impl Fn(&Printer, &serde_json::Value) -> String,
) -> Result<(), Failure> {
    if common.json {
        return out.line(answer.trim_end());
    }
    let garbled = |_| Failure::new(Exit::Unavailable, "the gateway's answer is not JSON", "");
    let value = serde_json::from_str(answer).map_err(garbled)?;
    let lines = lines(out, &value);
    out.line(lines)
}

fn logs(
    client: &Client,
    parsed: &Parsed,
    common: &Common,
    out: &mut Printer,
) -> Result<(), Failure> {
    let limit: u32 = parsed.number("limit")?.unwrap_or(LOG_LINES);
    let level = parsed.text("level").unwrap_or_else(|| "trace".into());
    if !show::LEVELS.contains(&level.as_str()) {
        let cure = format!("write one of {}", show::LEVELS.join(", "));
        return Err(Failure::new(Exit::Usage, "--level does not know that word", cure));
    }
    let follows = parsed.has("follow");
    let path = format!("/api/logs?limit={limit}&follow={}", u8::from(follows));
    client.lines(&path, |line| match show::is_grave(line, &level) {
        false => Ok(()),
        true if common.json => out.line(line),
        true => {
            let line = show::log_line(out, line);
            out.line(line)
        }
    })?;
    if follows {
        let text = "the gateway has stopped, and its log with it";
        return Err(Failure::new(Exit::Unavailable, text, ""));
    }
    Ok(())
}
