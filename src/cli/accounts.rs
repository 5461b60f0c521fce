//! The accounts of chat services, as the configuration has them: added, removed, looked into.

use std::fmt::Write as _;
use std::io::Read as _;

use serde_json::{Value, json};

use super::client::{Client, Effect};
use super::parse::usage;
use super::print::{Field, Printer, Shade, Spinner, Table, remark};
use super::{Call, channels, settings};
use crate::app;
use crate::app::roster::{self, Token};
use crate::base::text::Plain;
use crate::base::{Secret, limits};
use crate::ops::exit::{Exit, Failure};

/// The chat services there are.
const CHANNELS: &[&str] = &["discord"];

/// The channel that is meant: there is one, and others have a name already.
fn channel(call: &Call<'_>) -> Result<String, Failure> {
    let (channel, _) = channels::named(call)?;
    let channel = channel.unwrap_or_else(|| "discord".to_owned());
    if CHANNELS.contains(&channel.as_str()) {
        return Ok(channel);
    }
    let text = format!("there is no chat service \"{channel}\" here");
    Err(Failure::new(Exit::Usage, text, format!("there is {}", CHANNELS.join(", "))))
}

fn account(call: &Call<'_>) -> String {
    call.parsed.text("account").unwrap_or_else(|| "default".to_owned())
}

/// See the table.
pub(crate) fn add(call: &mut Call<'_>) -> Result<(), Failure> {
    channel(call)?;
    let id = account(call);
    if !crate::ops::config::is_profile(&id) {
        return Err(usage("--account takes letters, digits, - and _", ""));
    }
    let token = token(call, &id)?;
    let name = call.parsed.text("name");
    let edited = roster::add_account(call.env, &call.common, &id, &token, name.as_deref())?;
    settings::tell(call, &edited)
}

fn token(call: &Call<'_>, id: &str) -> Result<Token, Failure> {
    let parsed = call.parsed;
    match (parsed.text("token"), parsed.path("token-file"), parsed.has("use-env")) {
        (Some(token), None, false) => {
            let token = if token == "-" { typed()? } else { Secret::new(token.trim()) };
            if token.expose().is_empty() || token.expose().contains(char::is_whitespace) {
                return Err(usage("that is no token", "copy it from Discord's portal"));
            }
            Ok(Token::Written(token))
        }
        (None, Some(file), false) => {
            let file = std::path::absolute(&file).unwrap_or(file);
            if !file.is_file() {
                let text = format!("{} is no file", file.display());
                return Err(usage(text, "write the token into it first, readable by you only"));
            }
            Ok(Token::File(file.to_string_lossy().into_owned()))
        }
        (None, None, true) => {
            if id == "default" && call.env.get("DISCORD_BOT_TOKEN").is_none() {
                remark("DISCORD_BOT_TOKEN is not set here: set it where the gateway starts");
            }
            Ok(Token::Environment)
        }
        (None, None, false) => {
            let cure = "give --token TOKEN, --token - to type it, --token-file FILE, or --use-env";
            Err(usage("where its token comes from is not said", cure))
        }
        _ => Err(usage("only one of --token, --token-file and --use-env can be meant", "")),
    }
}

/// The token, from standard input, where no list of processes shows it.
fn typed() -> Result<Secret, Failure> {
    let mut text = String::new();
    let most = limits::TOKEN_FILE_BYTES_MAX as u64;
    std::io::stdin()
        .take(most)
        .read_to_string(&mut text)
        .map_err(|error| usage(format!("the token cannot be read: {error}"), ""))?;
    Ok(Secret::new(text.trim()))
}

/// See the table.
pub(crate) fn remove(call: &mut Call<'_>) -> Result<(), Failure> {
    channel(call)?;
    let delete = call.parsed.has("delete");
    let edited = roster::remove_account(call.env, &call.common, &account(call), delete)?;
    settings::tell(call, &edited)
}

/// See the table.
pub(crate) fn login(call: &mut Call<'_>) -> Result<(), Failure> {
    let channel = channel(call)?;
    let steps = [
        "Discord's bots log in by a token, not by a code to scan:",
        "1. make an application at https://discord.com/developers/applications",
        "2. switch on Message Content Intent under Bot, and copy the token there",
        "3. barnacle channels add --channel discord --token -     (then type it)",
        "4. barnacle invite-url     (opens the way into a server)",
        "5. barnacle doctor     (is all well)",
    ];
    let answer = json!({ "channel": channel, "supported": false, "steps": steps });
    call.answer(&answer, |_, _| steps.join("\n"))
}

/// See the table.
pub(crate) fn logout(call: &mut Call<'_>) -> Result<(), Failure> {
    let params = json!({ "channel": channel(call)?, "accountId": call.parsed.text("account") });
    let answer = Client::new(call)?.ask("channels.logout", &params, Effect::Same)?;
    call.answer(&answer, |_, answer| {
        let text = if answer["cleared"] == true { "logged out" } else { "it was not connected" };
        format!(
            "{text}; it stays so until `barnacle channels start`, and its token stays in the \
             configuration until `barnacle channels remove --delete`"
        )
    })
}

/// See the table.
pub(crate) fn capabilities(call: &mut Call<'_>) -> Result<(), Failure> {
    if call.parsed.text("channel").as_deref() != Some("all") {
        channel(call)?;
    }
    let wanted = call.parsed.text("account");
    let ask = || app::capabilities(call.env, &call.common, wanted.as_deref());
    let answer = Spinner::during("asking Discord", ask);
    if answer["channels"].as_array().is_none_or(Vec::is_empty) {
        let cure = "`barnacle channels list` names all";
        return Err(Failure::new(Exit::Refused, "there is no such account", cure));
    }
    call.answer(&answer, abilities)
}

fn abilities(printer: &Printer, answer: &Value) -> String {
    let mut out = String::new();
    let words = |value: &Value| {
        let words = value.as_array().into_iter().flatten().filter_map(Value::as_str);
        Plain(&words.collect::<Vec<_>>().join(", ")).to_string()
    };
    for one in answer["channels"].as_array().into_iter().flatten() {
        let text = |key: &str| one[key].as_str().unwrap_or("?");
        let name = format!("{} {}", text("channel"), text("accountId"));
        let bot = one["bot"].as_str().map_or_else(String::new, |bot| format!(" as {bot}"));
        let _ = writeln!(out, "{}{}", Plain(&name), Plain(&bot));
        let _ = writeln!(out, "  does      {}", words(&one["features"]));
        let _ = writeln!(out, "  intents   {}", words(&one["intents"]));
        let missing = words(&one["intentsMissing"]);
        if !missing.is_empty() {
            let missing = printer.shade(Some(Shade::Bad), &missing);
            let _ = writeln!(out, "  missing   {missing} (`barnacle doctor` says how)");
        }
        if let Some(trouble) = one["trouble"].as_str() {
            let trouble = printer.shade(Some(Shade::Fair), trouble);
            let _ = writeln!(out, "  Discord   did not say more: {trouble}");
        }
        for guild in one["guilds"].as_array().into_iter().flatten() {
            let name = printer.shade(None, guild["name"].as_str().unwrap_or("?"));
            let lacks = words(&guild["missing"]);
            if lacks.is_empty() {
                let _ = writeln!(out, "  server    {name}: everything that is used is permitted");
            } else {
                let lacks = printer.shade(Some(Shade::Fair), &lacks);
                let without = words(&guild["without"]);
                let _ = writeln!(out, "  server    {name}: without {lacks} it cannot {without}");
            }
        }
    }
    out
}

/// See the table.
pub(crate) fn resolve(call: &mut Call<'_>) -> Result<(), Failure> {
    if call.parsed.text("channel").is_some_and(|channel| !CHANNELS.contains(&channel.as_str())) {
        return Err(usage("there is no such chat service here", "there is discord"));
    }
    let account = call.parsed.text("account");
    let kind = call.parsed.text("kind").unwrap_or_else(|| "auto".to_owned());
    let names = &call.parsed.words;
    let ask = || app::resolve(call.env, &call.common, account.as_deref(), &kind, names);
    let found = Spinner::during("asking Discord", ask)?;
    let is_all = found.iter().all(|one| one["resolved"] == true);
    call.answer(&found.into(), |printer, found| {
        let mut table = Table::new(&["NAME", "ID"]);
        for one in found.as_array().into_iter().flatten() {
            let text = |key: &str| one[key].as_str().unwrap_or_default();
            let id = match (text("id"), text("note")) {
                ("", note) => Field::of(Some(Shade::Bad), note),
                (id, "") => id.into(),
                (id, note) => format!("{id} ({note})").into(),
            };
            table.row([text("input").into(), id]);
        }
        table.show(printer)
    })?;
    if is_all { Ok(()) } else { Err(Failure::new(Exit::Refused, "", "")) }
}

/// See the table.
pub(crate) fn dead_letters(call: &mut Call<'_>) -> Result<(), Failure> {
    let verb = call.parsed.word(0).unwrap_or("list");
    if verb == "resubmit" {
        let text = "what is over is not sent again: its words are forgotten once its fate is known";
        let cure = "`barnacle why ID` shows what became of it; `barnacle message send` says \
                    something new, and asking the bot again answers anew";
        return Err(Failure::new(Exit::Refused, text, cure));
    }
    let params = json!({
        "last": call.parsed.number::<u32>("limit")?.unwrap_or(100),
        "dropped": true,
        "channel": call.parsed.text("channel"),
        "accountId": call.parsed.text("account"),
    });
    let answer = Client::new(call)?.ask("why", &params, Effect::Same)?;
    call.answer(&answer, |printer, answer| super::why::lines(printer, answer, false))
}
