//! The commands that ask no running gateway.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Call;
use super::print::remark;
use crate::app;
use crate::base::text::Plain;
use crate::base::{Secret, limits};
use crate::ops::config::Mode;
use crate::ops::exit::{Exit, Failure};
use crate::ops::options::{Drill, Gateway, InviteUrl, Sandbox};
use crate::rt::confine::{self, Strength, Walls};

/// `barnacle gateway`.
pub(crate) fn gateway(call: &mut Call<'_>) -> Result<(), Failure> {
    let port = call.parsed.number("port")?;
    let parsed = call.parsed;
    let password = parsed.path("password-file").map(|file| password(&file)).transpose()?;
    let auth = parsed.text("auth").map(|word| match word.as_str() {
        "none" => Mode::Open,
        "password" => Mode::Password,
        _ => Mode::Token,
    });
    // Whoever names a credential wants it asked for.
    let named = password.as_ref().map(|_| Mode::Password);
    let options = Gateway {
        common: call.common.clone(),
        port,
        lan: parsed.text("bind").map(|word| word == "lan"),
        auth: auth.or(named),
        token: parsed.text("token").map(|token| Secret::new(&token)),
        password,
    };
    app::gateway(call.env, &options)
}

fn password(file: &Path) -> Result<Secret, Failure> {
    let refused = |why: String| {
        let text = format!("the password cannot be read from {}: {why}", file.display());
        Failure::new(Exit::Usage, text, "write it into that file, readable by the gateway only")
    };
    let size = std::fs::metadata(file).map_err(|error| refused(error.to_string()))?.len();
    if size > limits::TOKEN_FILE_BYTES_MAX as u64 {
        return Err(refused("it is too long".to_owned()));
    }
    let text = std::fs::read_to_string(file).map_err(|error| refused(error.to_string()))?;
    if text.trim().is_empty() {
        return Err(refused("it is empty".to_owned()));
    }
    Ok(Secret::new(&text))
}

/// `barnacle confine`: it only returns if the program could not be run.
pub(crate) fn confine(call: &mut Call<'_>) -> Result<(), Failure> {
    let parsed = call.parsed;
    let paths = |flag: &str| parsed.texts(flag).into_iter().map(PathBuf::from).collect();
    let walls = Walls {
        readable: paths("read"),
        writable: paths("write"),
        hidden: paths("hide"),
        network: !parsed.has("no-network"),
    };
    let command: Vec<String> = (0..).map_while(|at| parsed.word(at).map(str::to_owned)).collect();
    // Nothing is run outside of walls that the kernel could have built.
    let strength = walls.build().map_err(|error| {
        Failure::new(Exit::Software, format!("the walls cannot be built: {error}"), "")
    })?;
    // A program's own output is its own; `barnacle doctor` says it as well.
    if strength == Strength::None && std::io::stderr().is_terminal() {
        remark("this kernel has no Landlock, so there are no walls");
    }
    let error = confine::become_program(&command);
    let program = command.first().map_or("", String::as_str);
    Err(Failure::new(Exit::Refused, format!("{} cannot be run: {error}", Plain(program)), ""))
}

/// `barnacle demo`.
pub(crate) fn demo(call: &mut Call<'_>) -> Result<(), Failure> {
    app::demo(&call.common, call.out.clone())
}

/// `barnacle drill`.
pub(crate) fn drill(call: &mut Call<'_>) -> Result<(), Failure> {
    let name = call.parsed.word(0).map(str::to_owned);
    let drill = Drill { common: call.common.clone(), name, list: call.parsed.has("list") };
    app::drill(&drill, call.out.clone())
}

/// `barnacle self-test`.
pub(crate) fn self_test(call: &mut Call<'_>) -> Result<(), Failure> {
    app::self_test(&call.common, call.out.clone())
}

/// `barnacle sandbox`.
pub(crate) fn sandbox(call: &mut Call<'_>) -> Result<(), Failure> {
    let parsed = call.parsed;
    let tls = match (parsed.path("cert"), parsed.path("key")) {
        (Some(cert), Some(key)) => Some((cert, key)),
        (None, None) => None,
        _ => return Err(Failure::new(Exit::Usage, "--cert and --key need each other", "")),
    };
    let sandbox = Sandbox {
        common: call.common.clone(),
        port: parsed.number("port")?.unwrap_or(0),
        gateway_port: parsed.number("gateway-port")?.unwrap_or(0),
        host: parsed.text("host"),
        heartbeat: parsed.number("heartbeat")?.map(Duration::from_millis),
        tls,
    };
    app::sandbox(call.env, &sandbox, call.out.clone())
}

/// `barnacle invite-url`.
pub(crate) fn invite_url(call: &mut Call<'_>) -> Result<(), Failure> {
    let options = InviteUrl {
        common: call.common.clone(),
        permissions: call.parsed.text("permissions").map(|text| permissions(&text)).transpose()?,
        application: call.parsed.number("application")?,
        account: call.parsed.text("account"),
        guild: call.parsed.number("guild")?,
    };
    let link = app::invite_url(call.env, &options)?;
    call.out.line(link)
}

fn permissions(text: &str) -> Result<u64, Failure> {
    app::permissions(text).map_err(|(word, nearest)| {
        let cure = nearest.map_or_else(
            || "write minimal, recommended, a number, or names such as SEND_MESSAGES".to_owned(),
            |name| format!("did you mean {name}?"),
        );
        Failure::new(Exit::Usage, format!("there is no permission \"{word}\""), cure)
    })
}
