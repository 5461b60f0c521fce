//! Where the answer of a job goes: to a chat, through its account's outbox, or to an address on the
//! network; and who is told that a job fails.

use std::rc::Rc;
use std::time::Duration;

use super::book::{Arrival, Past, Sent, Status};
use super::run::{is_nothing, is_wanted};
use super::tell;
use crate::app::account;
use crate::app::house::House;
use crate::base::limits::{
    CRON_DELIVERY_DEADLINE, CRON_SUMMARY_BYTES_MAX, CRON_WEBHOOK_RETRY, CRON_WEBHOOK_TRIES,
};
use crate::base::text::{Plain, truncate};
use crate::channels::discord::{Spoken, Target};
use crate::core::answer::{Act, Answer};
use crate::core::outbox::Fate;
use crate::core::schedule::job::{Alert, Delivery, FailureAlert, Job, Mode, Place};
use crate::core::why::{Outcome, Query};
use crate::ops::config::CronAlert;
use crate::rt::clock;
use crate::rt::executor::Tier;
use crate::rt::net::http::{self, Client, Method};
use crate::rt::net::{Net, NetOptions, Reach};

/// Messages that are looked through for the chat that was answered last.
const LOOK_BACK: usize = 100;

/// Where something is said.
struct Chat {
    account: String,
    target: Target,
    to: String,
}

/// Delivers what the agent said.
pub(super) async fn answer(house: &Rc<House>, job: &Job, past: &Past, answer: Answer) -> Sent {
    let Some(delivery) = job.delivery.as_ref().filter(|_| is_wanted(job)) else {
        return Sent::default();
    };
    if delivery.mode == Mode::Webhook {
        let body = tell::finish(house, past).to_string();
        let key = past.run.clone().unwrap_or_default();
        return post(house, delivery.to.as_deref().unwrap_or_default(), &key, body).await;
    }
    if is_nothing(&answer) {
        let silent = Some("the agent had nothing to say".to_owned());
        return Sent { arrival: Arrival::NotDelivered, silent, ..Sent::default() };
    }
    // Reactions and threads belong to a message that is answered; here is none.
    let acts = answer.acts.into_iter().filter(|act| matches!(act, Act::Say { .. })).collect();
    let key = past.run.clone().unwrap_or_default();
    match chat(house, delivery.to.as_deref(), delivery.account_id.as_deref()) {
        Ok(chat) => say(house, chat, Answer { acts }, &key).await,
        Err(why) => Sent::failed(why),
    }
}

/// The chat that is meant.
fn chat(house: &House, to: Option<&str>, account: Option<&str>) -> Result<Chat, String> {
    let Some(to) = to else { return last(house, account) };
    let target = Target::parse(to).ok_or_else(|| "delivery.to names no chat".to_owned())?;
    let fleet = house.fleet.borrow();
    let running = fleet.running(account).map(|(name, _)| name.to_owned());
    let account = running.ok_or("no such account runs now")?;
    Ok(Chat { account, target, to: to.to_owned() })
}

/// The chat that was answered last.
fn last(house: &House, account: Option<&str>) -> Result<Chat, String> {
    let fleet = house.fleet.borrow();
    let seats = fleet.seats().filter(|seat| account.is_none_or(|account| account == seat.name));
    let query = Query::Last { count: LOOK_BACK, dropped: false };
    let stories = seats.filter_map(|seat| Some(seat.view?.why(query))).flatten();
    let answered = stories.filter(|story| story.outcome == Outcome::Answered);
    let newest = answered.max_by(|a, b| a.at.cmp(&b.at)).ok_or(
        "no chat has been answered yet, so there is no last one: name a chat with --to \
         channel:ID or user:ID",
    )?;
    let target = Target::parse(&newest.chat).ok_or("the last chat has no number")?;
    Ok(Chat { account: newest.account, target, to: format!("channel:{}", newest.chat) })
}

/// Hands it to the outbox, which keeps it before it is sent, and sends it once for each key.
async fn say(house: &House, chat: Chat, answer: Answer, key: &str) -> Sent {
    let Chat { account, target, to } = chat;
    let said = {
        let fleet = house.fleet.borrow();
        let running = fleet.running(Some(&account));
        running.map(|(_, started)| started.account.speak(target, answer, key.into()))
    };
    let mut sent = Sent { account: Some(account), to: Some(to), ..Sent::default() };
    let Some(said) = said else {
        (sent.arrival, sent.error) =
            (Arrival::NotDelivered, Some("no such account runs now".to_owned()));
        return sent;
    };
    let said = clock::timeout(clock::now() + CRON_DELIVERY_DEADLINE, said).await;
    (sent.arrival, sent.error) = match said {
        None => (Arrival::Unknown, Some("it waits in the outbox still".to_owned())),
        Some(Ok(Spoken::Before)) => (Arrival::Delivered, None),
        Some(Ok(Spoken::Settled(Fate::Delivered, message))) => {
            sent.message = (message != 0).then_some(message);
            (Arrival::Delivered, None)
        }
        Some(Ok(Spoken::Settled(Fate::Silent, _))) => (Arrival::NotDelivered, None),
        Some(Ok(Spoken::Settled(Fate::Dropped(why), _))) => {
            (Arrival::NotDelivered, Some(why.to_string()))
        }
        Some(Err(why)) => (Arrival::NotDelivered, Some(why)),
    };
    sent
}

/// Posts `body` to `url`, a few times if need be; the receiver tells by the key that it has had it.
async fn post(house: &House, url: &str, key: &str, body: String) -> Sent {
    let net = {
        let config = house.config();
        let discord = config.accounts.first();
        let net = discord.and_then(|discord| {
            account::network(house.spawner(), discord, config.ca_file.as_deref()).ok()
        });
        net.or_else(|| Net::new(house.spawner(), &NetOptions::default()).ok())
    };
    let Some(net) = net else { return Sent::failed("the network cannot be used".to_owned()) };
    let client = Client::new(&net, Tier::Work);
    let mut wait = CRON_WEBHOOK_RETRY;
    let mut why = String::new();
    for attempt in 1..=CRON_WEBHOOK_TRIES {
        if attempt > 1 {
            clock::sleep(wait).await;
            wait *= 2;
        }
        let request = http::Request::new(Method::POST, url)
            .header("idempotency-key", key)
            .header("user-agent", "barnacle")
            .body("application/json", body.clone())
            .plain_reach(Reach::Private);
        match client.send(request).await {
            Ok(response) if response.status.is_success() => {
                return Sent {
                    arrival: Arrival::Delivered,
                    to: Some(place(url)),
                    ..Sent::default()
                };
            }
            Ok(response) => {
                why = format!("{} answered with HTTP {}", place(url), response.status.as_u16());
                let is_final = response.status.is_client_error()
                    && !matches!(response.status.as_u16(), 408 | 425 | 429);
                if is_final {
                    break;
                }
            }
            Err(error) => why = format!("{}: {error}", place(url)),
        }
    }
    Sent { to: Some(place(url)), ..Sent::failed(why) }
}

/// Tells the further address that a job names, whatever the run came to.
pub(super) async fn completion(house: &House, job: &Job, past: &Past) {
    let Some(done) =
        job.delivery.as_ref().and_then(|delivery| delivery.completion_destination.clone())
    else {
        return;
    };
    let body = tell::finish(house, past).to_string();
    let sent = post(house, &done.to, past.run.as_deref().unwrap_or_default(), body).await;
    if let Some(why) = sent.error {
        log::warn!(target: "cron", "the job {} could not be told: {}", past.job, Plain(&why));
    }
}

/// Tells somebody that a job fails, if it has failed often enough and they were not told lately.
pub(super) async fn alert(house: &Rc<House>, id: &str) {
    let usual = house.config().cron.alert.clone();
    let now = clock::wall();
    let (chosen, text, key) = {
        let mut inner = house.cron.inner.borrow_mut();
        let Some(kept) = inner.book.jobs.get_mut(id) else { return };
        let Some(chosen) = route(&kept.job, &usual) else { return };
        let tally = &mut kept.tally;
        let is_skipped = tally.last.as_ref().is_some_and(|last| last.status == Status::Skipped);
        let count = if is_skipped { tally.skipped } else { tally.errors };
        let is_told = tally.alerted.is_some_and(|at| at <= now && now.since(at) < chosen.cooldown);
        if count < chosen.after || is_told || is_skipped && !chosen.skipped {
            return;
        }
        tally.alerted = Some(now);
        let why = tally.last.as_ref().and_then(|last| last.error.as_deref()).unwrap_or("unknown");
        let verb = if is_skipped { "was left out" } else { "failed" };
        let why = truncate(why, CRON_SUMMARY_BYTES_MAX);
        let text =
            format!("Automation \"{}\" {verb} {count} times\nLast error: {why}", kept.job.name);
        inner.keep(id);
        (chosen, text, format!("alert:{id}:{}", now.0))
    };
    let sent = if chosen.is_webhook {
        let body = serde_json::json!({ "jobId": id, "message": text }).to_string();
        post(house, chosen.to.as_deref().unwrap_or_default(), &key, body).await
    } else {
        match chat(house, chosen.to.as_deref(), chosen.account.as_deref()) {
            Ok(chat) => say(house, chat, Answer::text(text), &key).await,
            Err(why) => Sent::failed(why),
        }
    };
    match sent.error {
        Some(why) => log::error!(
            target: "cron",
            "the job {id} fails, and nobody could be told: {}",
            Plain(&why)
        ),
        None => log::warn!(target: "cron", "the job {id} fails; it was told"),
    }
}

/// Whom to tell, and when.
struct Route {
    after: u32,
    cooldown: Duration,
    skipped: bool,
    is_webhook: bool,
    to: Option<String>,
    account: Option<String>,
}

/// Whom to tell of a job: as it says itself, else as the configuration says, else where its answers
/// go.
fn route(job: &Job, usual: &CronAlert) -> Option<Route> {
    let own = match &job.failure_alert {
        Some(FailureAlert::Off(_)) => return None,
        Some(FailureAlert::On(alert)) => alert.clone(),
        None if !usual.enabled => return None,
        None => Alert::default(),
    };
    let is_asked = job.failure_alert.is_some();
    let place = job.delivery.as_ref().and_then(|delivery| delivery.failure_destination.clone());
    let Place { to, account_id, mode, .. } = place.clone().unwrap_or_default();
    let announce = job.delivery.as_ref().filter(|delivery| delivery.mode == Mode::Announce);
    let own_chat = announce.and_then(|delivery| delivery.to.clone());
    let named = own.to.or(to).or_else(|| usual.to.clone());
    // With nobody named, and no chat of its own, there is nobody to tell.
    if named.is_none() && announce.is_none() && !is_asked && place.is_none() {
        return None;
    }
    let own_account = announce.and_then(|Delivery { account_id, .. }| account_id.clone());
    Some(Route {
        after: own.after.unwrap_or(usual.after),
        cooldown: own.cooldown_ms.map_or(usual.cooldown, Duration::from_millis),
        skipped: own.include_skipped.unwrap_or(usual.include_skipped),
        is_webhook: own.mode.or(mode) == Some(Mode::Webhook),
        to: named.or(own_chat),
        account: own.account_id.or(account_id).or_else(|| usual.account.clone()).or(own_account),
    })
}

/// Where an address leads, without what may be secret in it.
pub(super) fn place(url: &str) -> String {
    let place: String = url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
    let place = match place.split_once('@') {
        Some((_, host)) => format!("…@{host}"),
        None => place,
    };
    Plain(&place).to_string()
}

/// Whether a webhook can be there at all.
pub(super) fn check_address(url: &str) -> Result<(), String> {
    let is_plain = url.bytes().all(|byte| byte.is_ascii_graphic());
    if is_plain && (url.starts_with("https://") || url.starts_with("http://")) {
        return Ok(());
    }
    Err("the webhook's address must be an http(s) URL".to_owned())
}

impl Sent {
    fn failed(why: String) -> Sent {
        Sent { arrival: Arrival::NotDelivered, error: Some(why), ..Sent::default() }
    }
}
