//! What the tools of agents have done by others: messages are read and posted by the accounts, and
//! reminders are kept as scheduled jobs.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};

use serde_json::json;

use super::cron::Fault;
use super::house::House;
use crate::agent::tools::hands::{Doing, Hands, Page, Posted, Reminder, Said, Target, Whose, Wish};
use crate::base::Wall;
use crate::base::limits::{
    CRON_NAME_CHARS_MAX, NAME_BYTES_MAX, REMINDERS_MAX, REMINDERS_PER_PERSON_MAX, TOOL_PATIENCE,
    TOOL_POST_PATIENCE,
};
use crate::base::text::{Plain, truncate};
use crate::channels::discord::{self, Spoken};
use crate::core::answer::Answer;
use crate::core::chat::{ChannelKind, Request};
use crate::core::outbox::Fate;
use crate::core::permit::To;
use crate::core::schedule::job::{self, Job, Schedule};
use crate::core::tools::Used;
use crate::core::trace::Step;
use crate::rt::{clock, zones};

/// See the module.
#[derive(Default)]
pub(super) struct Errands {
    house: OnceCell<Weak<House>>,
    /// How often each tool was called, by how it ended.
    calls: RefCell<BTreeMap<(&'static str, &'static str), u64>>,
}

/// What is said while nothing can be done.
const NOBODY: &str = "the account does not run now";

impl Errands {
    /// From here on, `house` is where errands go.
    pub(super) fn of(&self, house: &Rc<House>) {
        // It is said once, when the house is built.
        let _ = self.house.set(Rc::downgrade(house));
    }

    /// How often each tool was called, by how it ended.
    pub(super) fn calls(&self) -> BTreeMap<(&'static str, &'static str), u64> {
        self.calls.borrow().clone()
    }

    fn house(&self) -> Result<Rc<House>, String> {
        self.house.get().and_then(Weak::upgrade).ok_or_else(|| NOBODY.to_owned())
    }
}

/// What `act` does with the account of this name.
fn with<T>(
    house: &House,
    account: &str,
    act: impl FnOnce(&discord::Account) -> T,
) -> Result<T, String> {
    let fleet = house.fleet.borrow();
    let running = fleet.running(Some(account)).ok_or(NOBODY)?;
    Ok(act(&running.1.account))
}

impl Hands for Errands {
    fn around<'h>(&'h self, account: &'h str, chat: u64) -> Doing<'h, To> {
        Box::pin(async move {
            let by = clock::now() + TOOL_PATIENCE;
            let around = with(&*self.house()?, account, |account| account.around(chat, by))?;
            let (guild, parent) = around.await?;
            Ok(To::Chat { id: chat, parent, guild })
        })
    }

    fn history<'h>(
        &'h self,
        account: &'h str,
        chat: u64,
        count: usize,
        since: Option<Wall>,
    ) -> Doing<'h, Page> {
        Box::pin(async move {
            let by = clock::now() + TOOL_PATIENCE;
            let read =
                with(&*self.house()?, account, |account| account.read(chat, count, since, by))?;
            let read = read.await?;
            let said = read.said.into_iter().map(|heard| Said {
                id: heard.id,
                at: heard.at,
                author: heard.author,
                text: heard.text,
                has_more: heard.has_more,
            });
            Ok(Page { said: said.collect(), has_older: read.has_older })
        })
    }

    fn post<'h>(
        &'h self,
        account: &'h str,
        to: Target,
        text: String,
        key: String,
    ) -> Doing<'h, Posted> {
        Box::pin(async move {
            let to = match to {
                Target::Chat(chat) => discord::Target::Chat(chat),
                Target::Person(person) => discord::Target::Person(person),
            };
            let answer = Answer::text(text);
            let said =
                with(&*self.house()?, account, |account| account.speak(to, answer, key.into()))?;
            match clock::timeout(clock::now() + TOOL_POST_PATIENCE, said).await {
                // It is kept, and will be sent.
                None => Ok(Posted::Waiting),
                Some(Ok(Spoken::Before)) => Ok(Posted::Before),
                Some(Ok(Spoken::Settled(Fate::Delivered, _))) => Ok(Posted::Delivered),
                Some(Ok(Spoken::Settled(Fate::Silent, _))) => {
                    Err("there was nothing to say".to_owned())
                }
                Some(Ok(Spoken::Settled(Fate::Dropped(why), _))) => {
                    Err(format!("it was not delivered: {why}"))
                }
                Some(Err(why)) => Err(why),
            }
        })
    }

    fn remind<'h>(&'h self, whose: &'h Whose, wish: Wish) -> Doing<'h, Reminder> {
        Box::pin(async move {
            let house = self.house()?;
            if !super::cron::is_on(&house) {
                return Err("scheduled jobs are switched off here (cron.enabled)".to_owned());
            }
            room(&house, whose, &wish.key)?;
            let params = job(whose, &wish);
            let added = house.cron.add(&house, &params).await;
            let (id, _) = added.map_err(|fault| match fault {
                Fault::Invalid(why) => why,
                Fault::Unkept(why) => format!("it could not be kept: {why}"),
                Fault::Unknown => "it could not be kept".to_owned(),
            })?;
            let inner = house.cron.look();
            let kept = inner.book.jobs.get(&id).ok_or("it is gone already")?;
            reminder(&id, &kept.job).ok_or_else(|| "it could not be kept".to_owned())
        })
    }

    fn reminders(&self, whose: &Whose) -> Vec<Reminder> {
        let Ok(house) = self.house() else { return Vec::new() };
        let inner = house.cron.look();
        let all = inner.book.jobs.iter();
        let of_account = all.filter(|(_, kept)| is_of(&kept.job, &whose.account));
        of_account
            .filter_map(|(id, kept)| reminder(id, &kept.job))
            .filter(|reminder| reminder.author == whose.author)
            .collect()
    }

    fn forget<'h>(&'h self, id: &'h str) -> Doing<'h, ()> {
        Box::pin(async move {
            let house = self.house()?;
            let is_one = {
                let inner = house.cron.look();
                inner.book.jobs.get(id).is_some_and(|kept| kept.job.policy.reminder.is_some())
            };
            if !is_one {
                return Err("there is no reminder of that id".to_owned());
            }
            match house.cron.remove(id).await {
                Ok(_) => Ok(()),
                Err(Fault::Unknown) => Err("there is no reminder of that id".to_owned()),
                Err(Fault::Invalid(why) | Fault::Unkept(why)) => Err(why),
            }
        })
    }

    fn used(&self, request: &Request, used: Used) {
        let key = (used.tool(), used.how.name());
        let mut calls = self.calls.borrow_mut();
        let count = calls.entry(key).or_insert(0);
        *count = count.saturating_add(1);
        let Ok(house) = self.house() else { return };
        if request.chat.channel == ChannelKind::Discord && request.author != 0 {
            let Request { chat, id, .. } = *request;
            // Without the account there is no trail, either.
            let _ = with(&house, &request.account, |account| {
                account.note(chat, id, Step::Used(used));
            });
        }
    }
}

/// Whether there is room for another reminder, or the one of this key is there already.
fn room(house: &House, whose: &Whose, key: &str) -> Result<(), String> {
    let inner = house.cron.look();
    let jobs = || inner.book.jobs.values().map(|kept| &kept.job);
    if jobs().any(|job| job.declaration_key.as_deref() == Some(key)) {
        return Ok(());
    }
    let all = jobs().filter(|job| job.policy.reminder.is_some()).count();
    let author = whose.author.to_string();
    let is_theirs = |job: &&Job| {
        job.policy.reminder.as_ref().is_some_and(|reminder| {
            reminder.author == author && *reminder.account == *whose.account
        })
    };
    if jobs().filter(is_theirs).count() >= REMINDERS_PER_PERSON_MAX {
        return Err(format!(
            "they have {REMINDERS_PER_PERSON_MAX} reminders, and no more are kept: forget one first"
        ));
    }
    if all >= REMINDERS_MAX {
        return Err("no more reminders are kept: too many people have some".to_owned());
    }
    Ok(())
}

/// The job that reminds.
fn job(whose: &Whose, wish: &Wish) -> serde_json::Value {
    let Whose { account, agent, chat, author, author_name } = whose;
    let name: String =
        format!("reminder: {}", Plain(&wish.text)).chars().take(NAME_CHARS).collect();
    let author_name = Plain(truncate(author_name, NAME_BYTES_MAX)).to_string();
    json!({
        "name": name,
        "declarationKey": wish.key,
        "agentId": agent,
        "schedule": wish.schedule,
        "sessionTarget": "isolated",
        "wakeMode": "now",
        "payload": { "kind": "agentTurn", "message": format!("⏰ <@{author}> {}", wish.text) },
        "delivery": {
            "mode": "announce",
            "channel": chat.channel.name(),
            "to": format!("channel:{}", chat.id),
            "accountId": account,
        },
        "policy": {
            // Better late than never.
            "missed": "run",
            "reminder": {
                "author": author.to_string(),
                "authorName": author_name,
                "account": account,
                "chat": chat.id.to_string(),
                "text": wish.text,
            },
        },
    })
}

/// Of a job's name, so much is a reminder's.
const NAME_CHARS: usize = 80;
const _: () = assert!(NAME_CHARS <= CRON_NAME_CHARS_MAX);

fn is_of(job: &Job, account: &str) -> bool {
    job.policy.reminder.as_ref().is_some_and(|reminder| *reminder.account == *account)
}

fn reminder(id: &str, job: &Job) -> Option<Reminder> {
    let job::Reminder { author, chat, text, .. } = job.policy.reminder.as_ref()?;
    let now = clock::wall();
    let when = job.schedule.clone().settle(now, &zones::find).ok();
    let next = when.filter(|_| job.enabled).and_then(|when| when.next(now));
    let words = match &job.schedule {
        Schedule::At { .. } => "once".to_owned(),
        Schedule::Every { every_ms, .. } => {
            format!("every {:?}", std::time::Duration::from_millis(*every_ms))
        }
        Schedule::Cron { expr, tz: Some(tz), .. } => format!("{expr} in {tz}"),
        Schedule::Cron { expr, tz: None, .. } => expr.clone(),
    };
    Some(Reminder {
        id: id.into(),
        author: author.parse().ok()?,
        chat: chat.parse().ok()?,
        text: text.clone(),
        next,
        when: words,
    })
}
