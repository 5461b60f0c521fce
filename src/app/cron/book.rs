//! The jobs and their runs on disk: one log in the state directory, of which the last word about
//! each job counts.
//!
//! What is appended is handed to the operating system at once; what must survive a power cut (a
//! job that somebody was told is kept, a run before it begins) is waited for with [`Book::sync`].

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::base::Wall;
use crate::base::limits::{
    CRON_LOG_BYTES_MAX, CRON_RECORD_BYTES_MAX, CRON_RUNS_MAX, CRON_RUNS_PER_JOB_MAX,
    CRON_SHORT_BYTES,
};
use crate::core::schedule::job::Job;
use crate::core::schedule::roster::{Lost, Progress, Roster};
use crate::rt::store::{Bounds, Log, Short, StoreError};

/// The file in the state directory.
const FILE: &str = "cron.log";

/// See the module.
pub(in crate::app) struct Book {
    log: Result<Log, String>,
    /// All jobs, by their ids.
    pub(in crate::app) jobs: BTreeMap<Box<str>, Kept>,
    /// What became of runs, the oldest first.
    pub(in crate::app) runs: VecDeque<Past>,
    /// What was lost, and is to be kept with how far its job is.
    lost: Vec<Past>,
    /// The length at which the log is made short.
    short_at: u64,
}

/// A job as it is kept.
#[derive(Clone, PartialEq, Debug)]
pub(in crate::app) struct Kept {
    /// What a person has said about it.
    pub(in crate::app) job: Job,
    /// When it was made, …
    pub(in crate::app) created: Wall,
    /// … and when it was last changed by a person.
    pub(in crate::app) updated: Wall,
    /// How it fares.
    pub(in crate::app) tally: Tally,
}

/// How a job fares.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(in crate::app) struct Tally {
    /// The last run.
    pub(in crate::app) last: Option<Past>,
    /// Failures in a row.
    pub(in crate::app) errors: u32,
    /// Due instants in a row that were left out.
    pub(in crate::app) skipped: u32,
    /// When somebody was last told that it fails.
    pub(in crate::app) alerted: Option<Wall>,
}

/// How a run ended, in OpenClaw's words.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::app) enum Status {
    Ok,
    Error,
    Skipped,
}

impl Status {
    pub(in crate::app) fn name(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Error => "error",
            Status::Skipped => "skipped",
        }
    }
}

/// Whether an answer arrived, in OpenClaw's words.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::app) enum Arrival {
    Delivered,
    NotDelivered,
    Unknown,
    #[default]
    NotRequested,
}

impl Arrival {
    pub(in crate::app) fn name(self) -> &'static str {
        match self {
            Arrival::Delivered => "delivered",
            Arrival::NotDelivered => "not-delivered",
            Arrival::Unknown => "unknown",
            Arrival::NotRequested => "not-requested",
        }
    }
}

/// What became of a run, or of due instants that were not run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::app) struct Past {
    /// When that was settled.
    pub(in crate::app) at: Wall,
    /// The job.
    pub(in crate::app) job: Box<str>,
    /// What it was called.
    pub(in crate::app) name: String,
    pub(in crate::app) status: Status,
    /// What tells the run from all others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::app) run: Option<String>,
    /// The instant that it was for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::app) due: Option<Wall>,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::app) begun: Option<Wall>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::app) took_ms: Option<u64>,
    /// Of due instants that were not run: why, and how many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::app) lost: Option<(Lost, u32)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::app) error: Option<String>,
    /// The beginning of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::app) summary: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::app) session: Option<String>,
    #[serde(default)]
    pub(in crate::app) delivery: Sent,
}

/// Where an answer went.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::app) struct Sent {
    pub(in crate::app) arrival: Arrival,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::app) error: Option<String>,
    /// Why there was nothing to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::app) silent: Option<String>,
    /// The account that said it, to whom, and as which message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::app) account: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::app) to: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::app) message: Option<u64>,
}

/// One word about a job.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Record {
    Job {
        id: Box<str>,
        created: Wall,
        updated: Wall,
        job: Box<Job>,
    },
    State {
        id: Box<str>,
        progress: Progress,
        tally: Box<Tally>,
        /// What became of due instants that were lost, kept together with that they are settled.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        lost: Vec<Past>,
    },
    Gone {
        id: Box<str>,
    },
    Run(Box<Past>),
}

impl Book {
    /// What the state directory knows, and how far each job was. Damage costs what lies behind it,
    /// and is said.
    pub(super) fn open(dir: &Path) -> (Book, BTreeMap<Box<str>, Progress>) {
        let (mut jobs, mut states) = (BTreeMap::new(), BTreeMap::new());
        let mut book = Book {
            log: Err(String::new()),
            jobs: BTreeMap::new(),
            runs: VecDeque::new(),
            lost: Vec::new(),
            short_at: CRON_SHORT_BYTES,
        };
        let mut strange = 0;
        let opened =
            Log::open(dir, FILE, bounds(), |record| match serde_json::from_slice(record) {
                Ok(Record::Job { id, created, updated, job }) => {
                    let _ = jobs.insert(id, (created, updated, *job));
                }
                Ok(Record::State { id, progress, tally, lost }) => {
                    for past in lost {
                        book.push(past);
                    }
                    let _ = states.insert(id, (progress, *tally));
                }
                Ok(Record::Gone { id }) => {
                    jobs.remove(&id);
                    states.remove(&id);
                }
                Ok(Record::Run(past)) => book.push(*past),
                Err(_) => strange += 1,
            });
        if strange > 0 {
            log::warn!(
                target: "cron",
                "of the file of scheduled jobs {strange} records are not understood: they were \
                 written by another version, or by another program"
            );
        }
        book.log = match opened {
            Ok((log, found)) => {
                if let Some(aside) = found.quarantined {
                    log::warn!(
                        target: "cron",
                        "the file of scheduled jobs was damaged and put aside as {}; what came \
                         before the damage was read: look at `barnacle cron list --all`",
                        aside.display()
                    );
                }
                Ok(log)
            }
            Err(error) => {
                let why = format!("the file {} cannot be used: {error}", dir.join(FILE).display());
                log::error!(target: "cron", "{why}; no scheduled job runs");
                Err(why)
            }
        };
        let mut progress = BTreeMap::new();
        for (id, (created, updated, job)) in jobs {
            let state: (Progress, Tally) = states.remove(&id).unwrap_or_else(|| {
                // Whoever wrote the job did not come to write the rest.
                (Progress::from(updated), Tally::default())
            });
            progress.insert(id.clone(), state.0);
            book.jobs.insert(id, Kept { job, created, updated, tally: state.1 });
        }
        (book, progress)
    }

    /// Why nothing can be kept, if that is so.
    pub(in crate::app) fn broken(&self) -> Option<&str> {
        self.log.as_ref().err().map(String::as_str)
    }

    /// Keeps a new job, or a changed one.
    pub(super) fn put(&mut self, id: &str, kept: Kept) -> Result<(), String> {
        let Kept { job, created, updated, .. } = kept.clone();
        self.append(&Record::Job { id: id.into(), created, updated, job: job.into() })?;
        self.jobs.insert(id.into(), kept);
        Ok(())
    }

    /// Keeps how far a job is, and how it fares.
    pub(super) fn keep(&mut self, id: &str, progress: &Progress) -> Result<(), String> {
        let Some(kept) = self.jobs.get(id) else { return Ok(()) };
        let (progress, tally) = (progress.clone(), kept.tally.clone().into());
        let lost = self.lost.extract_if(.., |past| *past.job == *id).collect();
        let record = Record::State { id: id.into(), progress, tally, lost };
        let kept = self.append(&record);
        if let (Err(_), Record::State { lost, .. }) = (&kept, record) {
            self.lost.extend(lost);
        }
        kept
    }

    /// Forgets a job; what became of its runs is still known.
    pub(super) fn forget(&mut self, id: &str) -> Result<Option<Kept>, String> {
        self.append(&Record::Gone { id: id.into() })?;
        Ok(self.jobs.remove(id))
    }

    /// Forgets what became of the runs that are `gone`; the log is made short soon.
    pub(super) fn leave_out(&mut self, gone: impl Fn(&Past) -> bool) {
        self.runs.retain(|past| !gone(past));
        self.lost.retain(|past| !gone(past));
        self.short_at = 0;
    }

    /// Keeps what became of a run.
    pub(super) fn note(&mut self, past: Past) -> Result<(), String> {
        let appended = self.append(&Record::Run(Box::new(past.clone())));
        self.push(past);
        appended
    }

    /// Due instants are lost: that is kept with the next word of how far the job is.
    pub(super) fn lose(&mut self, past: Past) {
        self.lost.push(past.clone());
        self.push(past);
    }

    /// The oldest run makes room: of the same job, if that has many.
    fn push(&mut self, past: Past) {
        let of_job = self.runs.iter().filter(|run| run.job == past.job).count();
        if of_job >= CRON_RUNS_PER_JOB_MAX {
            if let Some(at) = self.runs.iter().position(|run| run.job == past.job) {
                self.runs.remove(at);
            }
        } else if self.runs.len() >= CRON_RUNS_MAX {
            self.runs.pop_front();
        }
        self.runs.push_back(past);
    }

    fn append(&mut self, record: &Record) -> Result<(), String> {
        let log = self.log.as_mut().map_err(|why| why.clone())?;
        let bytes = serde_json::to_vec(record).map_err(|error| error.to_string())?;
        log.append(&bytes).map_err(|error| error.to_string())
    }

    /// Waits until all of that is on the disk.
    pub(super) fn sync(&self) -> impl Future<Output = Result<(), String>> + use<> {
        let sync = self.log.as_ref().map(Log::sync).map_err(Clone::clone);
        async move { sync?.await.map_err(|error| error.to_string()) }
    }

    /// Makes the log short, if it has grown: what comes of it is to be taken over.
    pub(super) fn shorten(
        &mut self,
        roster: &Roster,
    ) -> Option<impl Future<Output = Result<Short, StoreError>> + use<>> {
        if self.log.as_ref().ok()?.bytes() < self.short_at {
            return None;
        }
        let mut records = Vec::new();
        for (id, kept) in &self.jobs {
            let Kept { job, created, updated, tally } = kept.clone();
            records.push(Record::Job { id: id.clone(), created, updated, job: job.into() });
            if let Some(progress) = roster.progress(id).cloned() {
                let (lost, tally) = (Vec::new(), tally.into());
                records.push(Record::State { id: id.clone(), progress, tally, lost });
            }
        }
        records.extend(self.runs.iter().cloned().map(|past| Record::Run(Box::new(past))));
        let records = records.iter().filter_map(|record| serde_json::to_vec(record).ok());
        Some(self.log.as_mut().ok()?.shorten(records.collect()))
    }

    /// Goes on with the short log.
    pub(super) fn take_over(&mut self, short: Result<Short, StoreError>) {
        let Ok(log) = &mut self.log else { return };
        if let Err(error) = log.take_over(short) {
            log::warn!(target: "cron", "the file of scheduled jobs cannot be made short: {error}");
        }
        self.short_at = CRON_SHORT_BYTES.max(log.bytes().saturating_mul(2));
    }
}

fn bounds() -> Bounds {
    Bounds { record_bytes_max: CRON_RECORD_BYTES_MAX, file_bytes_max: CRON_LOG_BYTES_MAX }
}

impl Sent {
    pub(in crate::app) fn is_delivered(&self) -> bool {
        self.arrival == Arrival::Delivered
    }
}
