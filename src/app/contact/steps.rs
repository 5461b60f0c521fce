//! What the steps of first contact do: Discord is asked about the token, the intents, the servers;
//! the token is kept, and the account starts with it; the first message is looked out for.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::time::Duration;

use serde_json::{Value, json};

use super::is_needed;
use crate::app::account;
use crate::app::doctor::{Application, Asked, Refusal, application, get, request_intents};
use crate::app::fleet::Verb;
use crate::app::house::House;
use crate::base::{Instant, Secret, Wall, limits};
use crate::channels::discord::{Spoken, Target, View};
use crate::control::{Host, Trouble, Work};
use crate::core::answer::Answer;
use crate::core::ground::Lack;
use crate::core::outbox::Fate;
use crate::core::setup::Step;
use crate::core::why::{Outcome, Query, Story};
use crate::ops::config::{self, DEFAULT_ACCOUNT, Discord};
use crate::ops::state;
use crate::proto::discord::intents::{self, Intents};
use crate::rt::executor::Tier;
use crate::rt::net::has_route;
use crate::rt::net::http::Client;
use crate::rt::{blocking, clock, os_seed};

/// Stories in which the first message is looked for.
const STORIES: usize = 5;
/// Servers whose channels are offered, and channels of each.
const SERVERS_MAX: usize = 3;
const CHANNELS_MAX: usize = 40;
/// "Channel Types": text and announcements.
const TALKING: [u64; 2] = [0, 5];
/// What the button says in a chat.
const HELLO: &str = "Hello! I am set up, and listening.";

/// See the module.
pub(super) struct Steps {
    house: Weak<House>,
    known: Rc<RefCell<Known>>,
}

/// What Discord said a moment ago.
#[derive(Default)]
struct Known {
    application: Option<(Instant, Application)>,
    servers: Option<(Instant, Vec<Value>)>,
    channels: Option<(Instant, Vec<Value>)>,
    /// When the token was handed over.
    since: Option<Wall>,
}

/// What it takes to ask Discord.
struct Line {
    http: Client,
    api: String,
    discord: Discord,
}

impl Steps {
    pub(super) fn new(house: &Rc<House>) -> Steps {
        Steps { house: Rc::downgrade(house), known: Rc::default() }
    }

    /// What `work` makes of it, as long as there is a house.
    fn work<F>(&self, work: impl FnOnce(Rc<House>, Rc<RefCell<Known>>) -> F) -> Work
    where
        F: Future<Output = Result<Value, Trouble>> + 'static,
    {
        match self.house.upgrade() {
            Some(house) => Box::pin(work(house, self.known.clone())),
            None => Box::pin(async { Err(trouble("the gateway is on its way down", "")) }),
        }
    }
}

impl Host for Steps {
    fn is_needed(&self) -> bool {
        self.house.upgrade().is_some_and(|house| is_needed(&house))
    }

    fn port(&self) -> Option<u16> {
        self.house.upgrade()?.reception.port()
    }

    fn changed(&self) {
        if let Some(house) = self.house.upgrade() {
            house.contact.nudge();
        }
    }

    fn check(&self, token: &Secret) -> Work {
        let token = token.clone();
        self.work(|house, _| async move {
            let line = Line::of(&house)?;
            let application = application(&line.http, &line.api, &token).await;
            let application = application.map_err(|refusal| refused(&house, &refusal))?;
            Ok(json!({ "name": application.name, "id": application.id.to_string() }))
        })
    }

    fn keep(&self, token: &Secret) -> Work {
        let token = token.clone();
        self.work(|house, known| async move { keep(&house, &known, token).await })
    }

    fn facts(&self, step: Step) -> Work {
        self.work(|house, known| async move {
            match step {
                Step::Token => Ok(json!({})),
                Step::Intents => intents(&house, &known).await,
                Step::Invite => invite(&house, &known).await,
                Step::Test => test(&house, &known).await,
            }
        })
    }

    fn switch_on(&self) -> Work {
        self.work(|house, known| async move {
            let line = Line::of(&house)?;
            let token = line.token()?;
            let known_application = ask_application(&house, &line, &known).await?;
            let missing = missing(&line.discord, &known_application);
            let asked =
                request_intents(&line.http, &line.api, &token, &known_application, missing).await;
            known.borrow_mut().application = None;
            asked.map_err(|refusal| {
                let text = format!("Discord did not switch them on: {refusal}.");
                trouble(&text, "do it in the portal")
            })?;
            Ok(json!({ "ok": true }))
        })
    }

    fn say(&self, channel: u64) -> Work {
        self.work(|house, _| async move {
            let said = {
                let fleet = house.fleet.borrow();
                let running = fleet.running(Some(DEFAULT_ACCOUNT));
                let (_, started) = running.ok_or_else(|| trouble("the bot does not run", ""))?;
                let key = format!("setup-{:016x}", os_seed());
                started.account.speak(Target::Chat(channel), Answer::text(HELLO), key.into())
            };
            let by = clock::now() + limits::PREFLIGHT_DEADLINE;
            match clock::timeout(by, said).await {
                Some(Ok(Spoken::Before | Spoken::Settled(Fate::Delivered | Fate::Silent, _))) => {
                    Ok(json!({ "ok": true }))
                }
                Some(Ok(Spoken::Settled(Fate::Dropped(why), _))) => {
                    let cure = "may the bot write there? choose another channel, or let it";
                    Err(trouble(&format!("It was not sent: {why}."), cure))
                }
                Some(Err(why)) => Err(trouble(&format!("It was not sent: {why}."), "")),
                None => Err(trouble("It is on its way still.", "look there in a moment")),
            }
        })
    }
}

impl Line {
    fn of(house: &House) -> Result<Line, Trouble> {
        let config = house.config();
        let named = config.accounts.iter().find(|account| account.id == DEFAULT_ACCOUNT);
        let Some(discord) = named.or(config.accounts.first()).cloned() else {
            return Err(trouble("there is no account", ""));
        };
        let net = account::network(house.spawner(), &discord, config.ca_file.as_deref())
            .map_err(|refused| trouble(&refused.text, ""))?;
        Ok(Line { http: Client::new(&net, Tier::Wire), api: account::api(&discord), discord })
    }

    fn token(&self) -> Result<Secret, Trouble> {
        self.discord.token.clone().ok_or_else(|| trouble("there is no token any more", ""))
    }
}

fn trouble(text: &str, cure: &str) -> Trouble {
    Trouble { text: text.to_owned(), cure: cure.to_owned() }
}

/// Why Discord gave no good answer, and what helps.
fn refused(house: &House, refusal: &Refusal) -> Trouble {
    match refusal {
        Refusal::Status(401) => trouble(
            "Discord does not know this token.",
            "in the developer portal: the application, Bot, Reset Token; then copy all of the new \
             one, which is shown once",
        ),
        Refusal::Status(429) => {
            trouble("Discord asks for patience (HTTP 429).", "try again in some minutes")
        }
        Refusal::Status(status) => {
            let text = format!("Discord answered HTTP {status}.");
            trouble(&text, "that is no fault of the token's: try again later")
        }
        Refusal::NoToken => trouble("There is no token.", ""),
        Refusal::Unreachable(why) => unreachable(house, why),
    }
}

/// The lack of the host, if it has one, is named in the place of what follows from it.
fn unreachable(house: &House, why: &str) -> Trouble {
    let wall = clock::wall();
    let lack = if has_route() {
        let is_before = wall < crate::ops::made();
        is_before.then_some(Lack::Clock(wall)).or(house.ground.borrow().lack())
    } else {
        Some(Lack::Route)
    };
    let why = why.strip_prefix("not sent: ").unwrap_or(why);
    let text = format!("Discord cannot be reached: {why}.");
    match lack {
        Some(lack @ Lack::Route) => trouble(
            &format!("{text} This machine lacks it: {lack}."),
            "look at the cable, or at the name and password of the Wi-Fi",
        ),
        Some(lack) => trouble(&format!("{text} This machine lacks it: {lack}."), "try again soon"),
        None => trouble(&text, "is this machine on the internet, and does a wall stand between?"),
    }
}

/// Keeps the token; the account starts with it at once.
async fn keep(house: &Rc<House>, known: &RefCell<Known>, token: Secret) -> Result<Value, Trouble> {
    let (dirs, kept) = (house.source.dirs.clone(), token.clone());
    let written = blocking::run(move || state::keep_bot_token(&dirs, &kept)).await;
    match written {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            let text = format!("The token cannot be kept: {error}.");
            return Err(trouble(&text, "is the disk full, or worn out?"));
        }
        Err(_) => return Err(trouble("Too much is going on just now.", "try again")),
    }
    *known.borrow_mut() = Known { since: Some(clock::wall()), ..Known::default() };
    if let Err(broken) = house.reload() {
        let text = format!("The token is kept, but the configuration cannot be used: {broken}.");
        return Err(trouble(&house.lines.blot(text), "correct it there"));
    }
    let is_used = |account: &Discord| account.enabled && account.token.as_ref() == Some(&token);
    if !house.config().accounts.iter().any(is_used) {
        let text = "The token is kept, but no account uses it.";
        return Err(trouble(text, "see `barnacle doctor`"));
    }
    // One that was parked with the same token tries again.
    wake(house);
    Ok(json!({}))
}

/// A parked account tries again.
fn wake(house: &House) {
    // Nobody waits for it, and one that has gone meanwhile is no matter.
    drop(house.fleet.borrow_mut().command(Verb::Start, Some(DEFAULT_ACCOUNT)));
}

/// How the account is.
fn account(house: &House) -> Value {
    let fleet = house.fleet.borrow();
    let Some(seat) = fleet.seats().find(|seat| seat.name == DEFAULT_ACCOUNT) else {
        return Value::Null;
    };
    let view = seat.view.as_ref();
    let cause = view.and_then(|view| view.facts(clock::now()).cause);
    json!({
        "status": seat.status.name(),
        "why": seat.why.map(str::to_owned).or(cause),
        "cure": view.and_then(View::cure),
    })
}

fn is_young(at: Instant, span: Duration) -> bool {
    clock::now().since(at) < span
}

async fn ask_application(
    house: &House,
    line: &Line,
    known: &RefCell<Known>,
) -> Result<Application, Trouble> {
    if let Some((at, application)) = &known.borrow().application
        && is_young(*at, limits::SETUP_FACTS_FOR)
    {
        return Ok(application.clone());
    }
    let asked = application(&line.http, &line.api, &line.token()?).await;
    let application = asked.map_err(|refusal| refused(house, &refusal))?;
    known.borrow_mut().application = Some((clock::now(), application.clone()));
    Ok(application)
}

/// The intents that are to be asked for and are not switched on.
fn missing(discord: &Discord, application: &Application) -> Intents {
    let wanted = match discord.intents {
        // It does without those that are off.
        config::Intents::AgentRecommended => Intents::DEFAULT,
        config::Intents::Bits(bits) => Intents(bits),
    };
    wanted.without(wanted.allowed_by(application.flags))
}

async fn intents(house: &House, known: &RefCell<Known>) -> Result<Value, Trouble> {
    let line = Line::of(house)?;
    let application = ask_application(house, &line, known).await?;
    let missing = missing(&line.discord, &application);
    if missing.0 == 0 {
        // What it is parked for may be just that.
        wake(house);
    }
    let names = missing.iter().map(|intent| Intents(1 << intent.bit).switches());
    let names: Vec<String> = names.map(|name| name.trim_matches('"').to_owned()).collect();
    Ok(json!({
        "bot": bot(&application),
        "missing": names,
        "account": account(house),
    }))
}

fn bot(application: &Application) -> Value {
    json!({ "name": application.name, "id": application.id.to_string() })
}

/// The servers that the bot is in.
async fn ask_servers(
    house: &House,
    line: &Line,
    known: &RefCell<Known>,
) -> Result<Vec<Value>, Trouble> {
    if let Some((at, servers)) = &known.borrow().servers
        && is_young(*at, limits::SETUP_FACTS_FOR)
    {
        return Ok(servers.clone());
    }
    let url = format!("{}/users/@me/guilds?limit=200", line.api);
    let asked: Asked<Value> = get(&line.http, &line.token()?, url).await;
    let list = asked.map_err(|refusal| refused(house, &refusal))?;
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default().iter();
    let servers = list.map(|guild| json!({ "id": guild["id"], "name": guild["name"] }));
    let servers: Vec<Value> = servers.collect();
    known.borrow_mut().servers = Some((clock::now(), servers.clone()));
    Ok(servers)
}

async fn invite(house: &House, known: &RefCell<Known>) -> Result<Value, Trouble> {
    let line = Line::of(house)?;
    let application = ask_application(house, &line, known).await?;
    let servers = ask_servers(house, &line, known).await?;
    let url = intents::invite_url(application.id, intents::PERMISSIONS_RECOMMENDED, None);
    Ok(json!({
        "bot": bot(&application),
        "invite": url,
        "servers": servers,
        "account": account(house),
    }))
}

async fn test(house: &House, known: &RefCell<Known>) -> Result<Value, Trouble> {
    let line = Line::of(house)?;
    let application = ask_application(house, &line, known).await?;
    let channels = channels(house, &line, known).await;
    let since = known.borrow().since;
    Ok(json!({
        "bot": bot(&application),
        "account": account(house),
        "message": message(house, since),
        "channels": channels,
    }))
}

/// The latest message since the token was handed over, and what became of it.
fn message(house: &House, since: Option<Wall>) -> Value {
    let fleet = house.fleet.borrow();
    let Some((_, started)) = fleet.running(Some(DEFAULT_ACCOUNT)) else { return Value::Null };
    let query = Query::Last { count: STORIES, dropped: false };
    let since = since.map(|since| since.to_string()).unwrap_or_default();
    let stories = started.account.view().why(query);
    // Times of one form are in order as their texts are.
    let mut young: Vec<Story> = stories.into_iter().filter(|story| story.at >= since).collect();
    young.sort_by_key(|story| story.outcome != Outcome::Answered);
    let Some(story) = young.into_iter().next() else { return Value::Null };
    json!({
        "author": story.author_name,
        "chat": story.chat_name,
        "direct": story.guild.is_none(),
        "outcome": story.outcome,
        "reason": story.reason,
        "cure": story.cure,
    })
}

/// Channels in which something can be said; none if they are not to be had.
async fn channels(house: &House, line: &Line, known: &RefCell<Known>) -> Vec<Value> {
    if let Some((at, channels)) = &known.borrow().channels
        && is_young(*at, limits::SETUP_FACTS_FOR * 15)
    {
        return channels.clone();
    }
    let servers = ask_servers(house, line, known).await.unwrap_or_default();
    let Ok(token) = line.token() else { return Vec::new() };
    let mut found = Vec::new();
    for server in servers.iter().take(SERVERS_MAX) {
        let Some(id) = server["id"].as_str() else { continue };
        let url = format!("{}/guilds/{id}/channels", line.api);
        let Ok(list) = get(&line.http, &token, url).await else { continue };
        let list = list.as_array().map(Vec::as_slice).unwrap_or_default().iter();
        let talking = list
            .filter(|channel| channel["type"].as_u64().is_some_and(|kind| TALKING.contains(&kind)));
        found.extend(talking.take(CHANNELS_MAX).map(|channel| {
            json!({ "id": channel["id"], "name": channel["name"], "server": server["name"] })
        }));
    }
    known.borrow_mut().channels = Some((clock::now(), found.clone()));
    found
}
