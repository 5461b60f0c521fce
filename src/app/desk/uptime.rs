//! `channels.uptime`: how long each account was up, for a day and for a month, and how long its
//! last heartbeats took.

use serde_json::{Value, json};

use super::channels::{chosen, unknown_account};
use crate::app::fleet::Seat;
use crate::app::house::House;
use crate::base::{Instant, Wall, limits};
use crate::channels::discord::View;
use crate::core::uptime::{DAY_MS, Tally};
use crate::proto::control::Fault;
use crate::rt::clock;

/// Of every account, or of the one that is named.
pub(super) fn uptime(house: &House, params: &Value) -> Result<Value, Fault> {
    let chosen = chosen(params)?;
    let fleet = house.fleet.borrow();
    let is_meant = |seat: &Seat<'_>| chosen.as_deref().is_none_or(|name| name == seat.name);
    let (now, wall) = (clock::now(), clock::wall());
    let accounts: Vec<Value> =
        fleet.seats().filter(is_meant).map(|seat| account(&seat, now, wall)).collect();
    if let Some(name) = &chosen
        && accounts.is_empty()
    {
        return Err(unknown_account(house, Some(name)));
    }
    Ok(json!({ "ts": wall.0, "accounts": accounts }))
}

fn account(seat: &Seat<'_>, now: Instant, wall: Wall) -> Value {
    let uptime = seat.record.until(now, wall);
    let slots: Vec<Value> = uptime
        .last_day(wall)
        .into_iter()
        .map(|run| {
            let mut slot = told(run.tally);
            slot["atMs"] = run.begin().0.into();
            slot["count"] = run.count.into();
            slot["cause"] = json!(run.cause);
            slot
        })
        .collect();
    let days: Vec<Value> = uptime
        .last_days(wall)
        .map(|day| {
            let mut told = told(day.tally);
            let begin = day.begin();
            // Of today, what is still to come is not unknown.
            let length = wall.0.saturating_sub(begin.0).min(DAY_MS);
            told["atMs"] = begin.0.into();
            told["day"] = begin.to_string().chars().take(10).collect::<String>().into();
            told["unknownMs"] = length.saturating_sub(day.tally.sum()).into();
            let mut causes = day.causes.clone();
            causes.sort_by_key(|(_, ms)| std::cmp::Reverse(*ms));
            let cause = |(text, ms): (Box<str>, u32)| json!({ "text": text, "ms": ms });
            told["causes"] = causes.into_iter().map(cause).collect();
            told
        })
        .collect();
    let beats = seat.view.as_ref().map(View::beats).unwrap_or_default();
    let beats: Vec<Value> = beats
        .into_iter()
        .map(|(at, rtt)| json!({ "atMs": at.0, "rttMs": rtt.as_secs_f64() * 1000.0 }))
        .collect();
    json!({
        "channel": "discord",
        "accountId": seat.name,
        "state": seat.status.name(),
        "slotMs": limits::UPTIME_SLOT.as_secs() * 1000,
        "slots": slots,
        "days": days,
        "heartbeats": beats,
    })
}

fn told(tally: Tally) -> Value {
    json!({ "upMs": tally.up, "downMs": tally.down, "offMs": tally.off })
}
