//! The commands of scheduled jobs.

use super::{Command, DOOR, Flag, TIMEOUT, flag, switch, valued};
use crate::cli::cron;

/// The job, where it is not a word.
const ID: &[Flag] = &[flag("id", "ID", "the job; the beginning of its id, or its name, will do")];

/// What is said of a job, when it is made or changed.
const JOB: &[Flag] = &[
    flag("name", "TEXT", "what it is called"),
    flag("display-name", "TEXT", "what it is called on a page"),
    flag("description", "TEXT", "what it is for"),
    flag("at", "WHEN", "once: 2026-12-24T18:00 (in --tz, else UTC), or 20m from now"),
    flag("every", "SPAN", "every so often, such as 10m, 1h30m or 1d"),
    flag("cron", "EXPR", "as an expression of five fields says, or of six with the seconds first"),
    flag("tz", "ZONE", "the place whose clock is meant, such as Europe/Berlin (this host's)"),
    switch("exact", None, "accepted for OpenClaw's sake: it always is"),
    flag("message", "TEXT", "what is said to the agent"),
    flag("system-event", "TEXT", "what is said to the agent in its main conversation"),
    flag("timeout-seconds", "N", "how long the agent may take (as long as for people)"),
    flag("model", "NAME", "kept for OpenClaw's sake: an agent has its model"),
    flag("thinking", "LEVEL", "kept for OpenClaw's sake"),
    flag("agent", "NAME", "the agent that is asked (the first one)"),
    flag("session", "NAME", "main, isolated, current or session:ID"),
    flag("session-key", "KEY", "the conversation that it belongs to"),
    flag("wake", "now|next-heartbeat", "accepted for OpenClaw's sake: it is now"),
    switch("announce", None, "send the answer to a chat"),
    switch("deliver", None, "older guides' --announce"),
    switch("no-deliver", None, "send the answer nowhere"),
    flag("webhook", "URL", "post the answer to this address"),
    flag("channel", "NAME", "the chat service: discord, or last"),
    flag("to", "TARGET", "the chat: channel:ID or user:ID (the chat that was answered last)"),
    flag("account", "ID", "the account that says it"),
    switch("best-effort-deliver", None, "the run is well even if its answer does not arrive"),
    switch("delete-after-run", None, "remove a job that is due once when it went well"),
    switch("keep-after-run", None, "keep it, switched off"),
    flag("missed", "RULE", "of runs that were missed: run (one for all), skip, or window:10m"),
    flag("overlap", "skip|queue", "of runs that are due while the last one goes on (skip)"),
    switch("failure-alert", None, "tell somebody when it fails several times"),
    switch("no-failure-alert", None, "tell nobody"),
    flag("failure-alert-after", "N", "after so many failures in a row"),
    flag("failure-alert-channel", "NAME", "on this chat service"),
    flag("failure-alert-to", "TARGET", "in this chat"),
    flag("failure-alert-cooldown", "SPAN", "and again after so long, such as 1h"),
    switch("disabled", None, "it is not run when it is due"),
];

/// Those of jobs.
pub(super) const COMMANDS: &[Command] = &[
    Command {
        name: "cron list",
        also: &["automations list"],
        words: "",
        summary: "list the scheduled jobs, with when they are due and how they fared",
        about: "Jobs that are switched off are shown with --all.",
        flags: &[
            &[
                switch("all", None, "those that are switched off, too"),
                flag("agent", "NAME", "only those of this agent"),
            ],
            DOOR,
            TIMEOUT,
        ],
        run: cron::list,
    },
    Command {
        name: "cron add",
        also: &["cron create", "automations add"],
        words: "[SCHEDULE] [MESSAGE]",
        summary: "add a job",
        about: "SCHEDULE is a time, a span such as 20m, \"every 10m\", or an expression such as \
                \"0 7 * * *\"; the flags say the same. A time that the clock leaps over in spring \
                is run at the first moment after, one that comes twice in autumn the first time; \
                what repeats within the day, such as */15, runs whenever the clock shows it. The \
                answer goes to the chat that was answered last, unless --to or --webhook name \
                another place, or --no-deliver none.",
        flags: &[
            JOB,
            &[flag("declaration-key", "KEY", "a second job of this key replaces the first")],
            DOOR,
            TIMEOUT,
        ],
        run: cron::add,
    },
    Command {
        name: "cron edit",
        also: &["cron update", "automations edit"],
        words: "[JOB]",
        summary: "change a job",
        about: "What no flag names stays as it is.",
        flags: &[
            ID,
            JOB,
            &[
                switch("enable", None, "run it when it is due"),
                switch("disable", None, "do not"),
                switch("clear-agent", None, "ask the usual agent again"),
                switch("clear-session-key", None, "it belongs to no conversation"),
                switch("clear-display-name", None, "it is called by its name"),
            ],
            DOOR,
            TIMEOUT,
        ],
        run: cron::edit,
    },
    Command {
        name: "cron rm",
        also: &["cron remove", "cron delete", "automations rm"],
        words: "[JOB]",
        summary: "remove a job",
        about: "",
        flags: &[ID, DOOR, TIMEOUT],
        run: cron::remove,
    },
    Command {
        name: "cron enable",
        also: &["automations enable"],
        words: "[JOB]",
        summary: "run a job again when it is due",
        about: "What was due while it was switched off is not made up for.",
        flags: &[ID, DOOR, TIMEOUT],
        run: cron::enable,
    },
    Command {
        name: "cron disable",
        also: &["automations disable"],
        words: "[JOB]",
        summary: "keep a job, and do not run it",
        about: "",
        flags: &[ID, DOOR, TIMEOUT],
        run: cron::disable,
    },
    Command {
        name: "cron run",
        also: &["automations run"],
        words: "[JOB]",
        summary: "run a job now",
        about: "With --wait the exit code is that of the run: 0 if it went well.",
        flags: &[
            ID,
            &[
                switch("due", None, "only if it is due"),
                switch("wait", None, "wait until the run is over"),
                flag("wait-timeout", "SPAN", "for how long, such as 30s or 10m (10m)"),
            ],
            DOOR,
            TIMEOUT,
        ],
        run: cron::run,
    },
    Command {
        name: "cron runs",
        also: &["automations runs"],
        words: "[JOB]",
        summary: "show what became of runs, those that were missed or left out included",
        about: "Without a job, of all of them.",
        flags: &[
            ID,
            &[
                valued("limit", Some('n'), "N", "how many of the latest (50)"),
                flag("offset", "N", "leave out so many"),
                flag("run-id", "ID", "only this run"),
                flag("status", "all|ok|error|skipped", "only those that ended so"),
                flag(
                    "delivery-status",
                    "delivered|not-delivered|unknown|not-requested",
                    "only those whose answers fared so",
                ),
                flag("query", "TEXT", "only those that say this"),
                flag("sort", "asc|desc", "the oldest or the newest first (desc)"),
            ],
            DOOR,
            TIMEOUT,
        ],
        run: cron::runs,
    },
    Command {
        name: "cron show",
        also: &["cron get", "automations show"],
        words: "[JOB]",
        summary: "show all about a job, and its next runs",
        about: "",
        flags: &[ID, DOOR, TIMEOUT],
        run: cron::show,
    },
    Command {
        name: "cron status",
        also: &["automations status"],
        words: "",
        summary: "show whether jobs run at all, and when the next one does",
        about: "",
        flags: &[DOOR, TIMEOUT],
        run: cron::status,
    },
];
