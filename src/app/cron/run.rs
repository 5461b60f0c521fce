//! One run: it is on the disk before it begins, an agent is asked, what it says is delivered, and
//! what became of it is kept.
//!
//! Each run has one key, the same for each of its tries, by which outboxes and endpoints know that
//! they have had it. So a run that is begun again after a crash says what it has to say once.

use std::rc::Rc;
use std::time::Duration;

use smol::future::or;

use super::book::{Arrival, Past, Sent, Status};
use super::{deliver, tell, time};
use crate::app::house::House;
use crate::base::Instant;
use crate::base::hash::fnv1a;
use crate::base::limits::CRON_SUMMARY_BYTES_MAX;
use crate::base::text::{Plain, truncate};
use crate::core::answer::{Act, Answer};
use crate::core::chat::Request;
use crate::core::schedule::job::{Job, Mode};
use crate::core::schedule::roster::Run;
use crate::core::session::Key;
use crate::rt::clock;

/// How long a run waits for a disk that takes nothing, before it is tried again.
const DISK_PATIENCE: Duration = Duration::from_secs(5);
/// What agents say that have nothing to say (OpenClaw's words).
const NOTHING: [&str; 2] = ["NO_REPLY", "HEARTBEAT_OK"];

/// The whole life of a run.
pub(super) async fn begin(house: Rc<House>, id: Box<str>, run: Run) {
    if !is_kept(&house, &id).await {
        // The process ends, and nothing has begun.
        return;
    }
    let job = house.cron.look().book.jobs.get(&id).map(|kept| kept.job.clone());
    let Some(job) = job else { return over(&house, &id) };
    log::info!(target: "cron", "{} ({id}) runs", Plain(&job.name));
    tell::changed(&house, &id, "started");
    let begun = clock::now();
    let answer = ask(&house, &id, &job, run).await;
    let mut past = past(&id, &job, run);
    match answer {
        Ok(answer) => {
            past.summary = Some(truncate(&answer.words(), CRON_SUMMARY_BYTES_MAX).to_owned());
            past.took_ms = Some(millis(begun));
            past.delivery = deliver::answer(&house, &job, &past, answer).await;
        }
        Err(why) => (past.status, past.error) = (Status::Error, Some(why)),
    }
    let is_lost = matches!(past.delivery.arrival, Arrival::NotDelivered | Arrival::Unknown);
    let is_silent = past.delivery.silent.is_some();
    if house.draining.get() && (past.status == Status::Error || is_lost && !is_silent) {
        // It is not for want of anything but time: the next process begins it again.
        return;
    }
    let is_needed = job.delivery.as_ref().is_some_and(|to| to.best_effort != Some(true));
    if past.delivery.arrival == Arrival::NotDelivered && is_needed && !is_silent {
        past.status = Status::Error;
        past.error = past.delivery.error.clone();
    }
    past.took_ms = Some(millis(begun));
    past.at = clock::wall();
    finish(&house, &id, &job, past).await;
}

fn past(id: &str, job: &Job, run: Run) -> Past {
    Past {
        at: clock::wall(),
        job: id.into(),
        name: job.name.clone(),
        status: Status::Ok,
        run: Some(run.id(id)),
        due: run.due,
        begun: Some(run.begun),
        took_ms: None,
        lost: None,
        error: None,
        summary: None,
        session: Some(job.session(id)),
        delivery: Sent::default(),
    }
}

fn millis(since: Instant) -> u64 {
    u64::try_from(clock::now().since(since).as_millis()).unwrap_or(u64::MAX)
}

/// Whether it is on the disk that the run begins. While the disk takes nothing, it waits: what is
/// not written down could be run twice.
async fn is_kept(house: &House, id: &str) -> bool {
    let mut is_said = false;
    loop {
        let kept = {
            let mut inner = house.cron.inner.borrow_mut();
            let super::Inner { book, roster } = &mut *inner;
            roster.progress(id).map_or(Ok(()), |progress| book.keep(id, progress))
        };
        let kept = match kept {
            Ok(()) => house.cron.sync().await,
            Err(why) => Err(why),
        };
        match kept {
            Ok(()) => return !house.draining.get(),
            Err(_) if house.draining.get() => return false,
            Err(why) if !is_said => {
                log::error!(
                    target: "cron",
                    "the job {id} waits: that it runs cannot be kept ({why})"
                );
                is_said = true;
            }
            Err(_) => {}
        }
        clock::sleep(DISK_PATIENCE).await;
    }
}

/// What the agent says.
async fn ask(house: &House, id: &str, job: &Job, run: Run) -> Result<Answer, String> {
    if job.policy.reminder.is_some() {
        return Ok(Answer::text(job.payload.text()));
    }
    let usual = house.config().agents.first().map(|agent| agent.id.clone());
    let agent = job.agent_id.clone().or(usual).unwrap_or_else(|| "main".to_owned());
    let key = Key::read(&job.session(id), &agent).map_err(|bad| bad.to_string())?;
    let room = key.room();
    let request = Request {
        account: room.account,
        agent: agent.into(),
        chat: room.chat,
        // The same for each try, so that an endpoint can tell that it has had it.
        id: fnv1a(run.id(id).bytes()),
        seq: 0,
        guild: None,
        parent: None,
        author: 0,
        author_name: "cron".into(),
        roles: Box::default(),
        text: job.payload.text().into(),
        reply_to: None,
        at: clock::wall(),
        late: false,
        attempt: run.attempt.saturating_sub(1),
        session: 0,
        session_key: Some(key.as_str().into()),
        attachments: Vec::new(),
        context: Vec::new(),
        along: Vec::new(),
    };
    let desk = house.fleet.borrow().desk().clone();
    let asked = async { Some(desk.ask(request).await.map_err(|fault| fault.to_string())) };
    let late = async {
        match job.payload.timeout() {
            Some(timeout) => clock::sleep(timeout).await,
            None => smol::future::pending().await,
        }
        None
    };
    or(asked, late).await.unwrap_or_else(|| Err("the agent took longer than the job allows".into()))
}

/// Keeps what became of it, and tells.
async fn finish(house: &Rc<House>, id: &str, job: &Job, past: Past) {
    let is_ok = past.status == Status::Ok;
    let said = past.error.as_deref().unwrap_or("well");
    log::info!(target: "cron", "{} ({id}) has run: {}", Plain(&job.name), Plain(said));
    let is_gone = is_ok && job.schedule.is_once() && job.delete_after_run == Some(true);
    let gone = {
        let mut inner = house.cron.inner.borrow_mut();
        let time = time(house);
        if let Some(kept) = inner.book.jobs.get_mut(id) {
            let tally = &mut kept.tally;
            tally.errors = if is_ok { 0 } else { tally.errors.saturating_add(1) };
            tally.skipped = 0;
            tally.last = Some(past.clone());
        }
        // What cannot be kept is begun again after a crash, once, under the same key.
        let _ = inner.book.note(past.clone());
        inner.roster.finished(id, time);
        let is_manual = past.due.is_none();
        if is_gone && !is_manual {
            inner.roster.remove(id);
            inner.book.forget(id).ok().flatten()
        } else {
            if job.schedule.is_once() && !is_manual {
                inner.switch_off(id);
            }
            inner.keep(id);
            None
        }
    };
    if let Err(why) = house.cron.sync().await {
        log::warn!(target: "cron", "what became of the job {id} may be forgotten: {why}");
    }
    tell::finished(house, &past);
    if let Some(gone) = gone {
        tell::removed(house, id, &gone);
    }
    house.cron.wake();
    deliver::completion(house, job, &past).await;
    if !is_ok {
        deliver::alert(house, id).await;
    }
}

fn over(house: &House, id: &str) {
    let time = time(house);
    house.cron.inner.borrow_mut().roster.finished(id, time);
    house.cron.wake();
}

/// Whether the agent had nothing to say.
pub(super) fn is_nothing(answer: &Answer) -> bool {
    let has_words = answer.acts.iter().any(|act| match act {
        Act::Say { text, files } => {
            !files.is_empty() || !text.trim().is_empty() && !NOTHING.contains(&text.trim())
        }
        Act::React { .. } | Act::Thread { .. } => false,
    });
    !has_words
}

/// Whether a job wants its answer delivered.
pub(super) fn is_wanted(job: &Job) -> bool {
    job.delivery.as_ref().is_some_and(|delivery| delivery.mode != Mode::None)
}
