//! `barnacle doctor`: everything that keeps a bot off the air, looked at in one go, each finding
//! with its cure. It works beside a running gateway and without one.
//!
//! Gathering and judging are apart: what was found is a value, and what it means is a function of
//! it, so that every judgement can be tested without the trouble that it is about.

mod abilities;
mod fix;
mod gather;
mod judge;

use serde_json::{Value, json};

pub(crate) use abilities::{capabilities, resolve};
pub(super) use fix::request_intents;
pub(super) use gather::{application, get};
pub(super) use judge::{Application, Asked, Refusal};

use crate::ops::config::Env;
use crate::ops::exit::Exit;
use crate::ops::options;
use crate::rt::executor;

/// How one matter stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// As it should be.
    Ok,
    /// It works, and somebody should look.
    Warn,
    /// It keeps the bot from working.
    Fail,
    /// It could not be looked at.
    Skip,
}

impl Verdict {
    /// The word for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::Warn => "warn",
            Verdict::Fail => "fail",
            Verdict::Skip => "skip",
        }
    }
}

/// One matter that was looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Check {
    /// What was looked at, in kebab case; with several accounts, `token (work)`.
    pub(crate) name: String,
    /// How it stands.
    pub(crate) verdict: Verdict,
    /// What was found.
    pub(crate) text: String,
    /// What to do about it; empty if nothing is to be done.
    pub(crate) cure: String,
    /// How the command ends if this fails.
    exit: Exit,
}

/// All that was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Findings {
    /// The matters, in the order in which one depends on the other.
    pub(crate) checks: Vec<Check>,
    /// What `--fix` has mended, or why it could not.
    pub(crate) fixed: Vec<String>,
}

impl Findings {
    /// How the command ends: by the first thing that fails, since the others often follow from it.
    pub(crate) fn exit(&self) -> Exit {
        let failed = self.checks.iter().find(|check| check.verdict == Verdict::Fail);
        failed.map_or(Exit::Ok, |check| check.exit)
    }

    /// One document for programs.
    pub(crate) fn json(&self) -> Value {
        let checks: Vec<Value> = self
            .checks
            .iter()
            .map(|check| {
                json!({
                    "name": check.name,
                    "verdict": check.verdict.name(),
                    "text": check.text,
                    "cure": Some(&check.cure).filter(|cure| !cure.is_empty()),
                })
            })
            .collect();
        json!({ "ok": self.exit() == Exit::Ok, "checks": checks, "fixed": self.fixed })
    }
}

/// Looks at everything. `running` is what the gateway on this host says of itself
/// (`/api/status`), or why it says nothing.
pub(crate) fn doctor(
    env: &Env,
    options: &options::Doctor,
    running: Result<Value, String>,
) -> Findings {
    let (env, options) = (env.clone(), options.clone());
    executor::run(|spawner| async move {
        let mut patient = gather::set_out(&env, &options.common, running);
        gather::ask_discord(&spawner, &mut patient).await;
        let mut fixed = Vec::new();
        if options.fix {
            fixed = fix::mend(&spawner, &mut patient).await;
        }
        Findings { checks: judge::all(&patient.facts), fixed }
    })
}
