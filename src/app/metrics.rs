//! What monitors are told, put together from what everybody has counted: no names of people, and
//! no labels but those of accounts, causes and reasons, which are few.

use std::path::Path;
use std::time::Duration;

use super::house::House;
use crate::base::tally::Buckets;
use crate::base::{Instant, Wall};
use crate::channels::discord::Figures;
use crate::control::{Family, Figure, Kind};
use crate::rt::executor::{Lateness, Snapshot};
use crate::rt::{clock, disk, process};

/// The only channel with accounts so far.
const CHANNEL: &str = "discord";

/// Everything, at this moment.
pub(super) fn families(house: &House) -> Vec<Family> {
    let now = clock::now();
    let mut all = of_process(house, now);
    all.extend(of_thread(&house.meter()));
    all.extend(of_accounts(house, now));
    all.extend(of_agents(house));
    all.extend(of_cron(house));
    all
}

fn counter(name: &'static str, help: &'static str) -> Family {
    Family::new(name, Kind::Counter, help)
}

fn gauge(name: &'static str, help: &'static str) -> Family {
    Family::new(name, Kind::Gauge, help)
}

fn seconds(span: Duration) -> Figure {
    Figure::Number(span.as_secs_f64())
}

fn since_1970(at: Wall) -> f64 {
    Duration::from_millis(at.0).as_secs_f64()
}

fn size(count: usize) -> Figure {
    Figure::Count(count as u64)
}

/// What is worked out anew each time must not tremble.
fn hundredths(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

fn of_process(house: &House, now: Instant) -> Vec<Family> {
    let up = now.since(house.started);
    let started = since_1970(clock::wall()) - up.as_secs_f64();
    let open = std::fs::read_dir(Path::new("/proc/self/fd")).map_or(0, Iterator::count);
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let (whole, part) = (u64::try_from(cpu.tv_sec), u32::try_from(cpu.tv_nsec));
    let cpu = Duration::new(whole.unwrap_or(0), part.unwrap_or(0));
    let version = crate::ops::version().to_string();
    let boot = house.hub.boot_id();
    vec![
        gauge("barnacle_build_info", "What runs: always 1.")
            .with(&[("version", &version)], Figure::Count(1)),
        gauge("barnacle_boot_info", "This run, told from all others: always 1.")
            .with(&[("boot_id", boot)], Figure::Count(1)),
        gauge("barnacle_uptime_seconds", "How long this process has run.").with(&[], seconds(up)),
        gauge("barnacle_control_clients", "Clients that are let in at the control port.")
            .with(&[], size(house.hub.members())),
        counter("barnacle_disk_written_bytes_total", "Bytes written to files that last.")
            .with(&[], Figure::Count(disk::written())),
        gauge("process_resident_memory_bytes", "Resident memory.")
            .with(&[], Figure::Count(process::memory("VmRSS"))),
        gauge("process_virtual_memory_bytes", "Virtual memory.")
            .with(&[], Figure::Count(process::memory("VmSize"))),
        counter("process_cpu_seconds_total", "User and system time spent.").with(&[], seconds(cpu)),
        // The one that looks is open as well.
        gauge("process_open_fds", "Open descriptors.").with(&[], size(open.saturating_sub(1))),
        gauge("process_max_fds", "As many may be open.")
            .with(&[], Figure::Count(limit.unwrap_or(u64::MAX))),
        gauge("process_start_time_seconds", "When the process began, since 1970.")
            .with(&[], Figure::Number(hundredths(started))),
    ]
}

fn of_thread(meter: &Snapshot) -> Vec<Family> {
    let mut longest =
        gauge("barnacle_poll_max_seconds", "The longest that one step of any task took.");
    let mut slow = counter("barnacle_slow_polls_total", "Steps of tasks that took over 1 ms.");
    for tier in ["pulse", "wire", "work"] {
        let tasks = || meter.tasks.iter().filter(|task| task.tier.name() == tier);
        let max = tasks().map(|task| task.longest).max().unwrap_or_default();
        longest.add(&[("tier", tier)], seconds(max));
        slow.add(&[("tier", tier)], Figure::Count(tasks().map(|task| task.slow).sum()));
    }
    let late = Buckets {
        bounds_ms: &Lateness::BOUNDS_MS,
        counts: meter.beats.counts.to_vec(),
        sum: meter.beats.sum,
    };
    let name = "barnacle_heartbeat_lateness_seconds";
    let lateness = Family::new(name, Kind::Histogram, "How late heartbeats were sent.")
        .with(&[], Figure::Spans(late));
    vec![longest, slow, lateness]
}

/// One figure of an account.
type Draw = fn(&Figures) -> Drawn;

/// What comes of it.
enum Drawn {
    One(Figure),
    /// By the value of a further label.
    Each(&'static str, Vec<(&'static str, u64)>),
    /// Not known.
    Nothing,
}

/// Each family of the accounts that run, and where it comes from.
const OF_ACCOUNT: &[(&str, Kind, &str, Draw)] = &[
    (
        "barnacle_reconnects_total",
        Kind::Counter,
        "Connections that were lost and had to be made again, by cause.",
        |account| Drawn::Each("cause", account.lost.clone()),
    ),
    (
        "barnacle_dial_failures_total",
        Kind::Counter,
        "Dials that led to no connection, by cause.",
        |account| Drawn::Each("cause", account.not_dialled.clone()),
    ),
    ("barnacle_connects_total", Kind::Counter, "Connections that came up.", |account| {
        Drawn::One(Figure::Count(account.counters.connects))
    }),
    ("barnacle_resume_total", Kind::Counter, "RESUMEs, by what came of them.", |account| {
        let resumes = account.counters.resumes;
        let rows = [
            ("resumed", resumes.accepted),
            ("refused", resumes.refused),
            ("swallowed", resumes.swallowed),
        ];
        Drawn::Each("outcome", rows.into())
    }),
    ("barnacle_identifies_total", Kind::Counter, "IDENTIFYs that were sent.", |account| {
        Drawn::One(Figure::Count(account.counters.identifies))
    }),
    (
        "barnacle_identify_remaining",
        Kind::Gauge,
        "IDENTIFYs that are left until the service renews the budget.",
        |account| match account.identify_remaining {
            Some(left) => Drawn::One(Figure::Count(left.into())),
            None => Drawn::Nothing,
        },
    ),
    (
        "barnacle_time_to_recover_seconds",
        Kind::Histogram,
        "How long outages lasted, from the loss of a connection to the next.",
        |account| Drawn::One(Figure::Spans(account.recovery.clone())),
    ),
    (
        "barnacle_heartbeat_rtt_seconds",
        Kind::Histogram,
        "How long heartbeats took there and back.",
        |account| Drawn::One(Figure::Spans(account.rtt.clone())),
    ),
    ("barnacle_heartbeats_total", Kind::Counter, "Heartbeats that were sent.", |account| {
        Drawn::One(Figure::Count(account.counters.beats.sent))
    }),
    ("barnacle_events_total", Kind::Counter, "Events that came.", |account| {
        Drawn::One(Figure::Count(account.counters.delivered))
    }),
    (
        "barnacle_drops_total",
        Kind::Counter,
        "Messages that were not answered, by reason; `barnacle why` explains each.",
        |account| Drawn::Each("reason", account.drops.clone()),
    ),
    ("barnacle_in_flight", Kind::Gauge, "Messages that an agent works on.", |account| {
        Drawn::One(size(account.in_flight))
    }),
    ("barnacle_queue_depth", Kind::Gauge, "Messages that wait for an agent.", |account| {
        Drawn::One(size(account.waiting))
    }),
    (
        "barnacle_outbox_depth",
        Kind::Gauge,
        "Parts of replies that wait or are under way.",
        |account| Drawn::One(size(account.outbox_depth)),
    ),
    (
        "barnacle_outbox_delivered_total",
        Kind::Counter,
        "Parts of replies that arrived.",
        |account| Drawn::One(Figure::Count(account.outbox_delivered)),
    ),
    (
        "barnacle_outbox_failed_total",
        Kind::Counter,
        "Parts of replies that did not arrive, by reason.",
        |account| Drawn::Each("reason", account.outbox_dropped.clone()),
    ),
    ("barnacle_rest_calls_total", Kind::Counter, "Calls of the service's REST API.", |account| {
        Drawn::One(Figure::Count(account.rest.calls))
    }),
    ("barnacle_rest_failures_total", Kind::Counter, "Calls that failed for good.", |account| {
        Drawn::One(Figure::Count(account.rest.failed))
    }),
    (
        "barnacle_rest_retries_total",
        Kind::Counter,
        "Calls that got no answer, or an error of the service, and were put off.",
        |account| Drawn::One(Figure::Count(account.rest.retried)),
    ),
    (
        "barnacle_rate_limit_waits_total",
        Kind::Counter,
        "Calls that the service told to wait (429).",
        |account| Drawn::One(Figure::Count(account.rest.limited)),
    ),
];

fn of_accounts(house: &House, now: Instant) -> Vec<Family> {
    let fleet = house.fleet.borrow();
    let mut up =
        gauge("barnacle_channel_up", "Whether the account is connected, with a young proof.");
    let mut proof = gauge(
        "barnacle_channel_last_proof_timestamp_seconds",
        "When the connection last proved that it lives, since 1970.",
    );
    let family = |&(name, kind, help, _): &(&'static str, Kind, &'static str, Draw)| {
        Family::new(name, kind, help)
    };
    let mut rest: Vec<Family> = OF_ACCOUNT.iter().map(family).collect();
    let wall = since_1970(clock::wall());
    for seat in fleet.seats().filter(|seat| seat.enabled) {
        let labels = [("channel", CHANNEL), ("account", seat.name)];
        let figures = seat.view.as_ref().map(|view| view.figures(now));
        let is_up = figures.as_ref().is_some_and(|figures| figures.is_up);
        up.add(&labels, Figure::Count(is_up.into()));
        let Some(figures) = figures else { continue };
        if let Some(age) = figures.proof_age {
            proof.add(&labels, Figure::Number(hundredths(wall - age.as_secs_f64())));
        }
        for (family, (.., draw)) in rest.iter_mut().zip(OF_ACCOUNT) {
            match draw(&figures) {
                Drawn::One(figure) => family.add(&labels, figure),
                Drawn::Each(label, rows) => {
                    for (value, count) in rows {
                        let labels = [labels[0], labels[1], (label, value)];
                        family.add(&labels, Figure::Count(count));
                    }
                }
                Drawn::Nothing => {}
            }
        }
    }
    [up, proof].into_iter().chain(rest).collect()
}

fn of_agents(house: &House) -> Vec<Family> {
    let fleet = house.fleet.borrow();
    let mut turns =
        counter("barnacle_agent_turns_total", "Turns of agents that ended, by outcome.");
    let outcomes = fleet.desk().outcomes();
    // So that a rate can be taken from the first one on.
    if outcomes.iter().all(|(word, _)| *word != "answered") {
        turns.add(&[("outcome", "answered")], Figure::Count(0));
    }
    for (word, count) in outcomes {
        turns.add(&[("outcome", word)], Figure::Count(count));
    }
    let running = gauge("barnacle_agent_turns_running", "Turns of agents under way.")
        .with(&[], size(fleet.desk().running()));
    let mut tools =
        counter("barnacle_tool_calls_total", "Calls of tools, by the tool and how they ended.");
    for ((tool, outcome), count) in house.errands.calls() {
        tools.add(&[("tool", tool), ("outcome", outcome)], Figure::Count(count));
    }
    vec![turns, running, tools]
}

fn of_cron(house: &House) -> Vec<Family> {
    let inner = house.cron.look();
    let next = inner.roster.next_of_all().filter(|_| super::cron::is_on(house));
    let mut due = gauge("barnacle_cron_next_run_timestamp_seconds", "When the next job is due.");
    if let Some(next) = next {
        due.add(&[], Figure::Number(since_1970(next)));
    }
    vec![
        gauge("barnacle_cron_jobs", "Scheduled jobs.").with(&[], size(inner.book.jobs.len())),
        gauge("barnacle_cron_running", "Scheduled jobs that run now.")
            .with(&[], size(inner.roster.running())),
        due,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::METRICS_PREFIX as PREFIX;

    #[test]
    fn names_say_what_they_count_and_are_there_once() {
        for (at, (name, kind, help, _)) in OF_ACCOUNT.iter().enumerate() {
            assert!(name.starts_with(PREFIX) && help.ends_with('.'), "{name}");
            assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
            assert!(*kind != Kind::Histogram || name.ends_with("_seconds"), "{name}");
            assert!(OF_ACCOUNT[..at].iter().all(|(other, ..)| other != name), "{name}");
        }
    }
}
