//! `barnacle drill`: one fault, or each in turn, and the time that the recovery took.

use std::io::Write;
use std::time::Duration;

use serde_json::json;

use super::stage::Stage;
use crate::ops::exit::{Exit, Failure};
use crate::ops::options;
use crate::rt::executor::{self, Spawner};
use crate::rt::{clock, log as logging};
use crate::sandbox::{self, Args, Fault, Sees, Verdict, Watch};

/// Plays the drills that are asked for.
///
/// # Errors
/// A promise was broken, or there is no such drill.
pub(crate) fn drill(
    options: &options::Drill,
    mut out: impl Write + 'static,
) -> Result<(), Failure> {
    if options.list {
        return list(&mut out, options.common.json);
    }
    let drills: Vec<&'static Fault> = match &options.name {
        None => sandbox::drills().iter().collect(),
        Some(name) => vec![find(name)?],
    };
    let level = options.common.log_level.as_deref().unwrap_or("off");
    logging::start(level, logging::Form::Person { colours: false })
        .map_err(|text| Failure::new(Exit::Usage, text, ""))?;
    let json = options.common.json;
    executor::run(move |spawner| async move {
        let mut broken = 0;
        for fault in &drills {
            let verdict = play(&spawner, fault).await?;
            report(&mut out, fault, verdict, json)?;
            broken += usize::from(matches!(verdict, Verdict::Broken(_)));
        }
        match broken {
            0 => Ok(()),
            n => Err(Failure::new(Exit::Software, format!("{n} of {} broken", drills.len()), "")),
        }
    })
}

fn find(name: &str) -> Result<&'static Fault, Failure> {
    sandbox::drills().iter().find(|fault| fault.name == name).ok_or_else(|| {
        let names = sandbox::drills().iter().map(|fault| fault.name);
        let cure = match crate::base::spell::nearest(name, names) {
            Some(meant) => format!("did you mean {meant}?"),
            None => "see `barnacle drill --list`".to_owned(),
        };
        Failure::new(Exit::Usage, format!("there is no drill \"{name}\""), cure)
    })
}

fn list(out: &mut impl Write, json: bool) -> Result<(), Failure> {
    if json {
        let all: Vec<_> = sandbox::drills()
            .iter()
            .map(|fault| {
                json!({
                    "name": fault.name,
                    "what": fault.what,
                    "promise": sees(fault.promise.sees),
                    "withinSeconds": fault.promise.within.as_secs(),
                })
            })
            .collect();
        writeln!(out, "{}", json!(all))?;
        return Ok(());
    }
    for fault in sandbox::drills() {
        let (sees, within) = (sees(fault.promise.sees), fault.promise.within.as_secs());
        writeln!(out, "{:17} {} ({sees} {within} s)", fault.name, fault.what)?;
    }
    Ok(())
}

/// One drill, on a stage of its own: what an earlier one has left behind is no excuse.
async fn play(spawner: &Spawner, fault: &'static Fault) -> Result<Verdict, Failure> {
    let stage = Stage::set(spawner).await?;
    // What happened up to here belongs to the way up.
    while stage.events.try_recv().is_ok() {}
    let mut watch = Watch::new(fault, clock::now());
    let injected = stage.sandbox.inject(fault.name, Args::default());
    injected.map_err(|text| Failure::new(Exit::Software, text, ""))?;
    if watch.needs_question() {
        let (channel, id) = stage.say("are you there?")?;
        watch.asked(channel, id);
    }
    let verdict = watch_over(&stage, &mut watch).await;
    stage.strike().await;
    Ok(verdict)
}

async fn watch_over(stage: &Stage, watch: &mut Watch) -> Verdict {
    loop {
        match clock::timeout(watch.deadline(), stage.events.recv()).await {
            Some(Ok(event)) => {
                if let Some(verdict) = watch.see(&event) {
                    return verdict;
                }
            }
            Some(Err(_)) | None => return watch.decide(),
        }
    }
}

fn report(
    out: &mut impl Write,
    fault: &Fault,
    verdict: Verdict,
    json: bool,
) -> Result<(), Failure> {
    let (kept, seconds, text) = match verdict {
        Verdict::Kept(took) => (true, Some(took.as_secs_f64()), told(fault, took)),
        Verdict::Broken(why) => (false, None, format!("BROKEN: {why}")),
    };
    if json {
        let line = json!({
            "name": fault.name,
            "kept": kept,
            "seconds": seconds,
            "promise": sees(fault.promise.sees),
            "withinSeconds": fault.promise.within.as_secs(),
            "text": text,
        });
        writeln!(out, "{line}")?;
    } else {
        writeln!(out, "{:17} {text}", fault.name)?;
    }
    out.flush()?;
    Ok(())
}

fn told(fault: &Fault, took: Duration) -> String {
    let (sees, within) = (sees(fault.promise.sees), fault.promise.within.as_secs());
    match fault.promise.sees {
        Sees::Parked => format!("{sees}: no more than two connects in {within} s"),
        Sees::Unmoved => format!("{sees} {within} s"),
        _ => format!("{sees} {:.2} s (promised: {within} s)", took.as_secs_f64()),
    }
}

/// The promise in words that a time follows.
pub(super) fn sees(sees: Sees) -> &'static str {
    match sees {
        Sees::Resumed => "resumed within",
        Sees::Ready => "a new session within",
        Sees::Back => "back for good within",
        Sees::Parked => "parked",
        Sees::Delivered => "answered once within",
        Sees::StaysUp => "answered without a disconnect within",
        Sees::Unmoved => "undisturbed for",
    }
}
