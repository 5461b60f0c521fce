//! Discord's REST, as far as bots that talk use it (its documentation, "Reference", "Rate
//! Limits", "Message", "Channel").

use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};

use super::Shared;
use super::control;
use super::faults::{Deed, Order, Stage};
use super::files::{Manners, Upload};
use super::journal::What;
use super::model::{self, View};
use super::play;
use super::slash::Late;
use super::talk;
use super::world::{Allowance, Draft, GUILD, Message, Page, Posted, World};
use crate::base::limits;
use crate::rt::clock;
use crate::rt::net::server::{Body, Request, Response};

/// Discord takes 25 MiB.
pub(super) const BODY_BYTES_MAX: usize = 25 * 1024 * 1024;
/// How long a hanging call hangs, unless told otherwise; no client waits so long.
const HANG_SECONDS: u64 = 600;
/// What limits of faults ask for.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// An error as Discord words it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Refused {
    status: u16,
    code: u32,
    message: &'static str,
}

const fn refused(status: u16, code: u32, message: &'static str) -> Refused {
    Refused { status, code, message }
}

const NOT_FOUND: Refused = refused(404, 0, "404: Not Found");
const UNKNOWN_CHANNEL: Refused = refused(404, 10_003, "Unknown Channel");
const UNKNOWN_MESSAGE: Refused = refused(404, 10_008, "Unknown Message");
const UNKNOWN_USER: Refused = refused(404, 10_013, "Unknown User");
const NO_ACCESS: Refused = refused(403, 50_001, "Missing Access");
const NOT_YOURS: Refused = refused(403, 50_005, "Cannot edit a message authored by another user");
const EMPTY: Refused = refused(400, 50_006, "Cannot send an empty message");
const BAD_FORM: Refused = refused(400, 50_035, "Invalid Form Body");
const BAD_JSON: Refused = refused(400, 50_109, "The request body contains invalid JSON.");
const UNKNOWN_EMOJI: Refused = refused(400, 10_014, "Unknown Emoji");
const UNKNOWN_INTERACTION: Refused = refused(404, 10_062, "Unknown interaction");
const ANSWERED: Refused = refused(400, 40_060, "Interaction has already been acknowledged.");
const HAS_THREAD: Refused =
    refused(400, 160_004, "A thread has already been created for this message");
const FULL: Refused = refused(400, 30_013, "Maximum number of channels reached");

impl Refused {
    fn response(self) -> Response {
        let Refused { status, code, message } = self;
        Response::json(status, json!({"message": message, "code": code}).to_string())
    }
}

/// Answers one call, to Discord's routes or to our own.
pub(super) async fn answer(shared: Rc<Shared>, request: Request) -> Response {
    let path = request.path.clone();
    let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty()).collect();
    if let ["_sandbox", name] = *parts {
        return control::answer(&shared, name, &request);
    }
    if let ["attachments", _, id, _] = *parts {
        return attachment(&shared, id).await;
    }
    let response = match *parts {
        ["api", "v9" | "v10", ref route @ ..] | ["api", ref route @ ..] => {
            discord(&shared, &request, route).await
        }
        _ => NOT_FOUND.response(),
    };
    let status = if matches!(response.body, Body::Cut) { 0 } else { response.status };
    *shared.journal.borrow_mut().rest.entry(status).or_default() += 1;
    response
}

/// A file, as the CDN serves it to everybody who knows its address.
async fn attachment(shared: &Shared, id: &str) -> Response {
    let upload = id.parse().ok().and_then(|id| shared.world.borrow().shelf.get(id).cloned());
    match upload {
        Some(Upload { manners: Manners::Hang, .. }) => {
            clock::sleep(Duration::from_secs(HANG_SECONDS)).await;
            Response::empty(504)
        }
        Some(Upload { manners: Manners::Serve, bytes, .. }) => {
            let body = Body::Bytes(bytes.to_vec());
            let content_type = "application/octet-stream";
            Response { content_type, body, ..Response::empty(200) }
        }
        Some(Upload { manners: Manners::Gone, .. }) | None => NOT_FOUND.response(),
    }
}

async fn discord(shared: &Rc<Shared>, request: &Request, route: &[&str]) -> Response {
    if (request.method.as_str(), route) == ("GET", &["gateway"]) {
        return Response::json(200, json!({"url": shared.urls.gateway}).to_string());
    }
    if let Some(response) = interaction(shared, request, route) {
        return response.unwrap_or_else(Refused::response);
    }
    let token = request.header("authorization").and_then(|value| value.strip_prefix("Bot "));
    let known = token.and_then(|token| shared.world.borrow_mut().bot(token));
    let Some(bot) = known else {
        return refused(401, 0, "401: Unauthorized").response();
    };
    if !request.header("user-agent").is_some_and(|agent| agent.starts_with("DiscordBot (")) {
        shared.note(0, Some(bot), What::Violation("a User-Agent that Cloudflare may block"));
    }
    let fault = due(shared, request, route, bot);
    if let Some(order) = fault
        && !matches!(order.deed, Deed::Cut | Deed::CutSome(_))
    {
        return faulty(order.deed, order.args.seconds).await;
    }
    let calls = shared.world.borrow_mut().allow_call(clock::now(), bot);
    if !calls.granted {
        return limited(calls.reset_after, true);
    }
    let mut response = routed(shared, request, route, bot).unwrap_or_else(Refused::response);
    let is_cut = match fault.map(|order| order.deed) {
        Some(Deed::CutSome(percent)) => shared.rng.borrow_mut().below(100) < u64::from(percent),
        fault => fault.is_some(),
    };
    if is_cut {
        response.body = Body::Cut;
    }
    response
}

/// The fault that is played to this call.
fn due(shared: &Shared, request: &Request, route: &[&str], bot: u64) -> Option<Order> {
    let is_post = request.method == "POST" && matches!(route, ["channels", _, "messages"]);
    let channel = match route {
        ["channels", channel, ..] => channel.parse().ok(),
        _ => None,
    };
    let order = shared.look(Stage::Rest)?;
    let is_due = is_post || order.args.all_routes;
    if is_due { shared.take_in(0, Stage::Rest, Some(bot), channel) } else { None }
}

/// The two routes of interactions, whose token is all they ask for. `None` if it is none of them.
fn interaction(
    shared: &Shared,
    request: &Request,
    route: &[&str],
) -> Option<Result<Response, Refused>> {
    let now = clock::wall();
    let late = |late| match late {
        Late::Answered => ANSWERED,
        Late::Unknown => UNKNOWN_INTERACTION,
        Late::NotYet => UNKNOWN_MESSAGE,
    };
    let body = || json_body(request);
    match (request.method.as_str(), route) {
        ("POST", ["interactions", id, token, "callback"]) => Some(body().and_then(|body| {
            let id = id.parse().map_err(|_| UNKNOWN_INTERACTION)?;
            let mut world = shared.world.borrow_mut();
            world.slash.answer(now, id, token, &body).map_err(late)?;
            Ok(Response::empty(204))
        })),
        ("PATCH", ["webhooks", _, token, "messages", "@original"]) => {
            Some(body().and_then(|body| {
                let content = body.get("content").and_then(Value::as_str).unwrap_or_default();
                check_content(content)?;
                let mut world = shared.world.borrow_mut();
                let message = world.slash.edit(now, token, content).map_err(late)?;
                Ok(Response::json(200, message.to_string()))
            }))
        }
        _ => None,
    }
}

/// The answer that a fault puts in place of the real one.
async fn faulty(deed: Deed, seconds: Option<u64>) -> Response {
    let retry_after = seconds.map_or(RETRY_AFTER, Duration::from_secs);
    match deed {
        Deed::Status(429) => {
            let (granted, limit, remaining, reset_after) = (false, 5, 0, retry_after);
            let spent = Allowance { granted, limit, remaining, reset_after };
            bucket(limited(retry_after, false), spent, 0)
        }
        Deed::Status(401) => refused(401, 0, "401: Unauthorized").response(),
        Deed::Refuse(status, code) => refused(status, code, "the sandbox refuses").response(),
        Deed::Status(status) => refused(status, 0, "the sandbox says no").response(),
        Deed::Global429 => limited(retry_after, true),
        Deed::Shared429 => {
            let seconds = retry_after.as_secs_f64();
            let body = json!({
                "message": "The resource is being rate limited.", "retry_after": seconds,
                "global": false,
            });
            Response::json(429, body.to_string())
                .with("retry-after", seconds.ceil().to_string())
                .with("x-ratelimit-scope", "shared")
        }
        Deed::Bare429 => {
            let seconds = retry_after.as_secs_f64();
            Response::json(429, json!({"message": "slow", "retry_after": seconds}).to_string())
        }
        Deed::Html(status) => {
            let page = b"<!doctype html><title>Access denied | Error 1015</title>".to_vec();
            let body = Body::Bytes(page);
            Response { content_type: "text/html; charset=UTF-8", body, ..Response::empty(status) }
                .with("retry-after", retry_after.as_secs().to_string())
        }
        _ => {
            clock::sleep(Duration::from_secs(seconds.unwrap_or(HANG_SECONDS))).await;
            refused(504, 0, "too late").response()
        }
    }
}

fn limited(retry_after: Duration, global: bool) -> Response {
    let seconds = retry_after.as_secs_f64();
    let body = json!({
        "message": "You are being rate limited.", "retry_after": seconds, "global": global,
    });
    let response = Response::json(429, body.to_string())
        .with("retry-after", seconds.ceil().to_string())
        .with("x-ratelimit-scope", if global { "global" } else { "user" });
    if global { response.with("x-ratelimit-global", "true") } else { response }
}

fn routed(
    shared: &Shared,
    request: &Request,
    route: &[&str],
    bot: u64,
) -> Result<Response, Refused> {
    let ok = |value: Value| Ok(Response::json(200, value.to_string()));
    match (request.method.as_str(), route) {
        ("GET", ["gateway", "bot"]) => ok(talk::gateway_bot(shared, bot)),
        ("GET" | "PATCH", ["applications", "@me"]) | ("GET", ["oauth2", "applications", "@me"]) => {
            ok(application(shared, request, bot))
        }
        ("PUT", ["applications", of, .., "commands"]) if *of == bot.to_string() => {
            let commands = json_body(request)?;
            if !commands.is_array() {
                return Err(BAD_FORM);
            }
            shared.world.borrow_mut().slash.deploy(bot, commands.clone());
            ok(commands)
        }
        ("GET", ["applications", of, .., "commands"]) if *of == bot.to_string() => {
            ok(shared.world.borrow().slash.commands(bot))
        }
        ("POST", ["users", "@me", "channels"]) => {
            let with = id(json_body(request)?.get("recipient_id")).ok_or(BAD_FORM)?;
            let opened = shared.world(|world| world.direct(clock::wall(), bot, with));
            let world = shared.world.borrow();
            let channel = opened.and_then(|id| world.channels.get(&id)).ok_or(UNKNOWN_USER)?;
            ok(model::channel(&world, channel))
        }
        ("GET", ["users", "@me", "guilds"]) => {
            let world = shared.world.borrow();
            let user = world.users.get(&bot).ok_or(UNKNOWN_USER)?;
            let guild = model::guild(&world, user);
            let permissions = &guild["roles"][0]["permissions"];
            ok(json!([{
                "id": guild["id"], "name": guild["name"], "icon": null, "banner": null,
                "owner": false, "permissions": permissions, "features": [],
            }]))
        }
        ("GET", ["users", who]) => {
            let world = shared.world.borrow();
            let id = if *who == "@me" { Some(bot) } else { who.parse().ok() };
            let user = id.and_then(|id| world.users.get(&id)).ok_or(UNKNOWN_USER)?;
            ok(if user.id == bot { model::own_user(user) } else { model::user(user) })
        }
        ("GET", ["guilds", guild, rest @ ..]) if *guild == GUILD.to_string() => {
            in_guild(shared, rest, bot)
        }
        (_, ["channels", channel, rest @ ..]) => {
            let channel = channel.parse().map_err(|_| UNKNOWN_CHANNEL)?;
            if !shared.world.borrow().channels.contains_key(&channel) {
                return Err(UNKNOWN_CHANNEL);
            }
            if !shared.world.borrow().may_see(bot, channel) {
                return Err(NO_ACCESS);
            }
            in_channel(shared, request, rest, (bot, channel))
        }
        _ => Err(NOT_FOUND),
    }
}

/// Routes below the guild.
fn in_guild(shared: &Shared, route: &[&str], bot: u64) -> Result<Response, Refused> {
    let ok = |value: Value| Ok(Response::json(200, value.to_string()));
    let world = shared.world.borrow();
    let user = world.users.get(&bot).ok_or(UNKNOWN_USER)?;
    let mut value = model::guild(&world, user);
    match route {
        [] => ok(value),
        ["channels"] => ok(value["channels"].take()),
        ["members", id] if id.parse() != Ok(bot) => {
            let member = id.parse().ok().and_then(|id: u64| world.users.get(&id));
            ok(model::member(member.ok_or(UNKNOWN_USER)?))
        }
        ["members", ..] => ok(model::member(user)),
        _ => Err(NOT_FOUND),
    }
}

/// Routes below a channel that `bot` may see.
fn in_channel(
    shared: &Shared,
    request: &Request,
    route: &[&str],
    (bot, channel): (u64, u64),
) -> Result<Response, Refused> {
    let ok = |value: Value| Ok(Response::json(200, value.to_string()));
    let now = clock::wall();
    let parse = |id: &str| id.parse().map_err(|_| UNKNOWN_MESSAGE);
    match (request.method.as_str(), route) {
        ("GET", []) => {
            let world = shared.world.borrow();
            let channel = world.channels.get(&channel).ok_or(UNKNOWN_CHANNEL)?;
            ok(model::channel(&world, channel))
        }
        ("GET", ["messages"]) => {
            let number = |key: &str| request.param(key).and_then(|value| value.parse().ok());
            let count = request.param("limit").and_then(|limit| limit.parse().ok()).unwrap_or(50);
            if !(1..=100).contains(&count) {
                return Err(BAD_FORM);
            }
            let page = Page { before: number("before"), after: number("after"), count };
            let world = shared.world.borrow();
            let messages = world.history(channel, page);
            ok(messages.into_iter().map(|message| shown(&world, message, bot)).collect())
        }
        ("GET", ["messages", id]) => {
            let world = shared.world.borrow();
            let message = world.message(channel, parse(id)?).ok_or(UNKNOWN_MESSAGE)?;
            ok(shown(&world, message, bot))
        }
        ("POST", ["messages"]) => post(shared, request, bot, channel),
        ("PATCH", ["messages", id]) => edit(shared, request, parse(id)?, (bot, channel)),
        ("DELETE", ["messages", id]) => {
            let id = parse(id)?;
            shared.world(|world| world.delete(channel, id)).ok_or(UNKNOWN_MESSAGE)?;
            Ok(Response::empty(204))
        }
        (method @ ("PUT" | "DELETE"), ["messages", id, "reactions", emoji, "@me"]) => {
            let emoji = emoji_of(emoji).ok_or(UNKNOWN_EMOJI)?;
            let (id, on) = (parse(id)?, method == "PUT");
            let done = shared.world(|world| world.react(bot, channel, id, &emoji, on));
            done.map(|()| Response::empty(204)).ok_or(UNKNOWN_MESSAGE)
        }
        ("POST", ["typing"]) => {
            shared.world(|world| world.typing(now, bot, channel));
            Ok(Response::empty(204))
        }
        ("POST", ["threads"]) => thread(shared, request, channel, None),
        ("POST", ["messages", id, "threads"]) => {
            let id = parse(id)?;
            shared.world.borrow().message(channel, id).ok_or(UNKNOWN_MESSAGE)?;
            if shared.world.borrow().channels.contains_key(&id) {
                return Err(HAS_THREAD);
            }
            thread(shared, request, channel, Some(id))
        }
        _ => Err(NOT_FOUND),
    }
}

/// `PATCH /channels/:id/messages/:id`.
fn edit(
    shared: &Shared,
    request: &Request,
    id: u64,
    (bot, channel): (u64, u64),
) -> Result<Response, Refused> {
    let allowance = shared.world.borrow_mut().allow_edit(clock::now(), bot, channel);
    if !allowance.granted {
        return Ok(bucket(limited(allowance.reset_after, false), allowance, !channel));
    }
    let body = json_body(request)?;
    let content = body.get("content").and_then(Value::as_str).unwrap_or_default();
    check_content(content)?;
    let edited = shared.world(|world| world.edit(clock::wall(), bot, channel, id, content));
    let world = shared.world.borrow();
    let message = world.message(channel, id).ok_or(UNKNOWN_MESSAGE)?;
    edited.ok_or(NOT_YOURS)?;
    let response = Response::json(200, shown(&world, message, bot).to_string());
    Ok(bucket(response, allowance, !channel))
}

fn thread(
    shared: &Shared,
    request: &Request,
    parent: u64,
    id: Option<u64>,
) -> Result<Response, Refused> {
    let body = json_body(request)?;
    let name = body.get("name").and_then(Value::as_str).unwrap_or_default();
    if !(1..=100).contains(&name.chars().count()) {
        return Err(BAD_FORM);
    }
    let created = shared.world(|world| world.thread(clock::wall(), parent, name, id));
    let world = shared.world.borrow();
    let channel = created.and_then(|id| world.channels.get(&id)).ok_or(FULL)?;
    Ok(Response::json(201, model::channel(&world, channel).to_string()))
}

/// `GET` and `PATCH /applications/@me`; flags can be patched, as Discord allows for the limited
/// intents.
fn application(shared: &Shared, request: &Request, bot: u64) -> Value {
    let patch: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    if let Some(flags) = patch.get("flags").and_then(Value::as_u64)
        && let Some(user) = shared.world.borrow_mut().users.get_mut(&bot)
    {
        user.flags = flags;
        // Whoever asks for the switches by their flags need not go to the portal.
        shared.orders.borrow_mut().disarm(Stage::Portal);
    }
    let flags = play::flags(shared, bot);
    let world = shared.world.borrow();
    world.users.get(&bot).map_or(Value::Null, |user| model::application(user, flags))
}

/// `POST /channels/:id/messages`.
fn post(shared: &Shared, request: &Request, bot: u64, channel: u64) -> Result<Response, Refused> {
    let allowance = shared.world.borrow_mut().allow_post(clock::now(), bot, channel);
    if !allowance.granted {
        return Ok(bucket(limited(allowance.reset_after, false), allowance, channel));
    }
    let draft = draft(&shared.world.borrow(), request, bot, channel)?;
    let (Posted::New(id) | Posted::Before(id)) = shared.post(draft).ok_or(UNKNOWN_CHANNEL)?;
    let world = shared.world.borrow();
    let message = world.message(channel, id).ok_or(UNKNOWN_MESSAGE)?;
    let response = Response::json(200, shown(&world, message, bot).to_string());
    Ok(bucket(response, allowance, channel))
}

fn draft(world: &World, request: &Request, author: u64, channel: u64) -> Result<Draft, Refused> {
    let kind = request.header("content-type").unwrap_or_default();
    let (body, files) = match kind.split_once("boundary=") {
        Some((kind, boundary)) if kind.starts_with("multipart/form-data") => {
            multipart(&request.body, boundary.trim_matches('"'))?
        }
        _ => (json_body(request)?, Vec::new()),
    };
    let content = body.get("content").and_then(Value::as_str).unwrap_or_default().to_owned();
    check_content(&content)?;
    let has_embeds = body.get("embeds").and_then(Value::as_array).is_some_and(|e| !e.is_empty());
    if content.trim().is_empty() && files.is_empty() && !has_embeds {
        return Err(EMPTY);
    }
    let nonce = match body.get("nonce") {
        Some(Value::String(nonce)) => Some(nonce.clone()),
        Some(Value::Number(nonce)) => Some(nonce.to_string()),
        _ => None,
    };
    if nonce.as_ref().is_some_and(|nonce| nonce.chars().count() > limits::NONCE_CHARS_MAX) {
        return Err(BAD_FORM);
    }
    let wanted = body.get("message_reference");
    let reference = id(wanted.and_then(|wanted| wanted.get("message_id")));
    let is_there = reference.is_none_or(|id| world.message(channel, id).is_some());
    let must_be = wanted.and_then(|wanted| wanted.get("fail_if_not_exists"));
    if !is_there && must_be.and_then(Value::as_bool).unwrap_or(true) {
        return Err(BAD_FORM);
    }
    let reference = reference.filter(|_| is_there);
    let enforce_nonce = body.get("enforce_nonce").and_then(Value::as_bool).unwrap_or(false);
    let fleeting = false;
    Ok(Draft { channel, author, content, nonce, enforce_nonce, reference, files, fleeting })
}

fn check_content(content: &str) -> Result<(), Refused> {
    let fits = content.chars().count() <= limits::DISCORD_MESSAGE_CHARS_MAX;
    if fits { Ok(()) } else { Err(BAD_FORM) }
}

/// With the headers of the bucket that it was taken from.
fn bucket(response: Response, allowance: Allowance, channel: u64) -> Response {
    let Allowance { limit, remaining, reset_after, .. } = allowance;
    let reset = clock::wall() + reset_after;
    response
        .with("x-ratelimit-limit", limit.to_string())
        .with("x-ratelimit-remaining", remaining.to_string())
        .with("x-ratelimit-reset", format!("{}.{:03}", reset.0 / 1000, reset.0 % 1000))
        .with("x-ratelimit-reset-after", format!("{:.3}", reset_after.as_secs_f64()))
        .with("x-ratelimit-bucket", format!("sandbox{:016x}", channel.rotate_left(17)))
}

/// A message as REST shows it to `bot`.
fn shown(world: &World, message: &Message, bot: u64) -> Value {
    let nonce = message.author == bot;
    model::message(world, message, View { content: true, nonce, event: false })
}

fn json_body(request: &Request) -> Result<Value, Refused> {
    if !request.header("content-type").is_some_and(|kind| kind.starts_with("application/json")) {
        return Err(BAD_FORM);
    }
    serde_json::from_slice(&request.body).map_err(|_| BAD_JSON)
}

/// The emoji that a segment of a path names: a Unicode one, or `name:id`. `None` if it is neither,
/// or not percent-encoded.
fn emoji_of(segment: &str) -> Option<String> {
    if !segment.is_ascii() {
        return None;
    }
    let mut bytes = Vec::new();
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        bytes.push(match byte {
            b'%' => u8::try_from(digit(rest.next())? * 16 + digit(rest.next())?).ok()?,
            byte => byte,
        });
    }
    let emoji = String::from_utf8(bytes).ok()?;
    let is_own = emoji.split_once(':').is_some_and(|(name, id)| {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        !name.is_empty() && name.chars().all(is_word) && id.parse::<u64>().is_ok()
    });
    let is_sign = !emoji.is_ascii() && emoji.len() <= 64 && !emoji.contains(char::is_alphabetic);
    (is_own || is_sign).then_some(emoji)
}

/// An id in JSON: a string, or a number from sloppy clients.
fn id(value: Option<&Value>) -> Option<u64> {
    let value = value?;
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// The part `payload_json` of a form, and its files (RFC 7578).
fn multipart(body: &[u8], boundary: &str) -> Result<(Value, Vec<Upload>), Refused> {
    const FILES_MAX: usize = 10;
    let (mut payload, mut files) = (json!({}), Vec::new());
    let mark = format!("--{boundary}");
    for part in split(body, mark.as_bytes()) {
        let mut halves = split(part, b"\r\n\r\n");
        let (Some(head), Some(_)) = (halves.next(), halves.next()) else { continue };
        let content = part.get(head.len() + 4..).unwrap_or(&[]);
        let content = content.strip_suffix(b"\r\n").unwrap_or(content);
        let head = String::from_utf8_lossy(head);
        if let Some((_, name)) = head.split_once("filename=\"") {
            let name = name.split('"').next().unwrap_or_default();
            let kind = head.lines().find_map(|line| line.strip_prefix("Content-Type: "));
            files.push(Upload {
                name: name.to_owned(),
                kind: kind.unwrap_or_default().trim().to_owned(),
                bytes: content.into(),
                ..Upload::default()
            });
        } else if head.contains("name=\"payload_json\"") {
            payload = serde_json::from_slice(content).map_err(|_| BAD_JSON)?;
        }
    }
    if files.len() > FILES_MAX { Err(BAD_FORM) } else { Ok((payload, files)) }
}

/// The pieces of `bytes` around each `mark`.
fn split<'a>(bytes: &'a [u8], mark: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = Some(bytes);
    std::iter::from_fn(move || {
        let piece = rest?;
        match piece.windows(mark.len()).position(|window| window == mark) {
            Some(at) => {
                rest = piece.get(at + mark.len()..);
                piece.get(..at)
            }
            None => rest.take(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_give_their_payload_and_files() {
        let body = b"--x\r\nContent-Disposition: form-data; name=\"files[0]\"; \
            filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\nabc\r\n\r\nd\r\n--x\r\n\
            Content-Disposition: form-data; name=\"payload_json\"\r\n\r\n{\"content\":\"hi\"}\r\n\
            --x--\r\n";
        let (payload, files) = multipart(body, "x").unwrap();
        assert_eq!(payload["content"], "hi");
        let [file] = &files[..] else { panic!("{files:?}") };
        assert_eq!((file.name.as_str(), file.kind.as_str()), ("a.txt", "text/plain"));
        assert_eq!(&*file.bytes, b"abc\r\n\r\nd");
        let (nothing, files) = multipart(b"rubbish", "x").unwrap();
        assert_eq!((nothing, files.len()), (json!({}), 0));
    }

    #[test]
    fn an_emoji_is_a_sign_or_a_name_with_an_id() {
        for (segment, emoji) in [
            ("%F0%9F%A6%80", Some("🦀")),
            ("1%EF%B8%8F%E2%83%A3", Some("1\u{fe0f}\u{20e3}")),
            ("party%3A41", Some("party:41")),
            ("party", None),
            ("%C3%A4", None),
            ("🦀", None),
            ("%F0%9F", None),
            ("%zz", None),
        ] {
            assert_eq!(emoji_of(segment).as_deref(), emoji, "{segment}");
        }
    }

    #[test]
    fn limits_name_when_to_come_back() {
        let response = limited(Duration::from_millis(1500), true);
        let header = |wanted: &str| {
            let mut headers = response.headers.iter();
            headers.find(|(name, _)| *name == wanted).map(|(_, value)| value.as_str())
        };
        assert_eq!((response.status, header("retry-after")), (429, Some("2")));
        assert_eq!(header("x-ratelimit-scope"), Some("global"));
    }
}
