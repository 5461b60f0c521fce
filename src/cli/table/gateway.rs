//! The commands of the process itself.

use super::{Command, DOOR, TIMEOUT, flag, switch, valued};
use crate::cli::{ask, dashboard, local, probe, restart, service, setup};

/// Those of the process, and of what it says of itself.
pub(super) const COMMANDS: &[Command] = &[
    Command {
        name: "gateway",
        also: &["gateway run"],
        words: "",
        summary: "keep the bot connected, in the foreground",
        about: "Runs until SIGTERM or Ctrl-C. It needs a bot token: in DISCORD_BOT_TOKEN, in the \
                configuration, or from the page that `barnacle setup` names.",
        flags: &[&[
            flag("port", "N", "listen on this control port, whatever is configured"),
            flag("bind", "loopback|lan", "who may connect to it, whatever is configured"),
            flag("auth", "none|token|password", "what it asks for, whatever is configured"),
            flag("token", "TOKEN", "the token that it asks for; lists of processes show it"),
            flag("password-file", "FILE", "a file with the password that it asks for"),
            switch("verbose", Some('v'), "the same as --log-level debug"),
        ]],
        run: local::gateway,
    },
    Command {
        name: "status",
        also: &[],
        words: "",
        summary: "show what the running gateway does",
        about: "Asks the gateway of this host by its socket, else by its control port with the \
                token that it keeps in its state directory.",
        flags: &[
            &[
                switch("all", None, "all that is known, to paste it into a report"),
                switch("deep", None, "ask the chat services too"),
                switch("usage", None, "accepted for OpenClaw's sake: agents keep their own"),
                switch("verbose", Some('v'), "the same as --all"),
            ],
            DOOR,
            TIMEOUT,
        ],
        run: ask::status,
    },
    Command {
        name: "health",
        also: &["gateway health"],
        words: "",
        summary: "show how healthy each channel is, by its last proof of life",
        about: "Succeeds whenever the gateway answers: an outage of a chat service is no fault of \
                the gateway's. How well things are is in the answer's words.",
        flags: &[
            &[switch("verbose", Some('v'), "accepted for OpenClaw's sake: all is shown")],
            DOOR,
            TIMEOUT,
        ],
        run: ask::health,
    },
    Command {
        name: "setup",
        also: &[],
        words: "",
        summary: "show where a gateway without a token takes one, and the code that opens the page",
        about: "While no account has a token, the gateway serves the page /setup at its control \
                port, for browsers on this host; with gateway.setup: \"lan\" (or BARNACLE_SETUP) \
                also on the network, at gateway.setupPort, where nothing else is served, and only \
                until it is done. It leads through the token, the intents, the invitation and a \
                first message. A code opens it, to one browser at a time: it holds for ten \
                minutes, and of wrong ones five are looked at that come from the network, and five \
                from this host. It is also in contact.txt in the runtime directory. The page is \
                plain HTTP: on the network, everybody can read what is typed there. Safer are `ssh \
                -L`, which this prints, and a file with the token. The token is kept in the state \
                directory, and used if nothing else names one; what is kept on flash memory is not \
                surely erased when its file is.",
        flags: &[
            &[switch("again", None, "replace a token that was taken so, such as a revoked one")],
            DOOR,
            TIMEOUT,
        ],
        run: setup::setup,
    },
    Command {
        name: "dashboard",
        also: &[],
        words: "",
        summary: "print a link to the page that shows and steers everything",
        about: "The link logs one browser in, once, within two minutes. The page is served by the \
                gateway itself, and needs no internet. No browser is opened.",
        flags: &[
            &[switch("no-open", None, "accepted for OpenClaw's sake: none is ever opened")],
            DOOR,
            TIMEOUT,
        ],
        run: dashboard::dashboard,
    },
    Command {
        name: "logs",
        also: &["gateway logs"],
        words: "",
        summary: "show the gateway's latest log lines",
        about: "They come from a ring in the gateway's memory. With --json each line is an object \
                with seq, at, level, target and text. --follow goes on over a restart of the \
                gateway, and says so on standard error.",
        flags: &[
            &[
                switch("follow", Some('f'), "go on with new lines as they come"),
                valued("limit", Some('n'), "N", "how many of the latest lines (200)"),
                flag("max-bytes", "N", "how many bytes of them at most (1000000)"),
                flag("interval", "MS", "how often --follow looks (500)"),
                flag("level", "LEVEL", "only lines as grave as error, warn, info, debug or trace"),
                switch("plain", None, "the same as --no-color"),
                switch("utc", None, "accepted for OpenClaw's sake: times are always in UTC"),
            ],
            DOOR,
            TIMEOUT,
        ],
        run: ask::logs,
    },
    Command {
        name: "gateway stop",
        also: &[],
        words: "",
        summary: "end the running gateway, in order",
        about: "Answers under way are finished first, in bounded time. A service manager that \
                keeps the gateway running would start it again: stop the service there.",
        flags: &[DOOR, TIMEOUT],
        run: restart::stop,
    },
    Command {
        name: "gateway restart",
        also: &["restart"],
        words: "",
        summary: "restart the running gateway, and see that it is back",
        about: "Waits until the gateway answers with a new boot id and is ready, and prints what \
                it took. The exit code is the truth: 0 only if it is back. Sessions are resumed, \
                so that no message is missed.",
        flags: &[
            &[
                flag("wait", "SPAN", "how long it may take, such as 30s or 2m (30s)"),
                switch("fresh", None, "begin new sessions instead of resuming the old ones"),
                flag("reason", "TEXT", "what the log shall say of it"),
                switch("safe", None, "accepted for OpenClaw's sake: it always is"),
                switch("force", None, "accepted for OpenClaw's sake"),
            ],
            DOOR,
            TIMEOUT,
        ],
        run: restart::restart,
    },
    Command {
        name: "gateway call",
        also: &[],
        words: "METHOD",
        summary: "call a method of the gateway's protocol, and print the answer",
        about: "The protocol is version 4 of OpenClaw's. The answer is printed as JSON.",
        flags: &[&[flag("params", "JSON", "the method's parameters ({})")], DOOR, TIMEOUT],
        run: restart::call,
    },
    Command {
        name: "gateway status",
        also: &[],
        words: "",
        summary: "show the service that keeps it running, and what it does",
        about: "Fails with 69 if the gateway does not answer.",
        flags: &[
            &[
                switch("no-probe", None, "show the service only, and ask no gateway"),
                switch("require-rpc", None, "accepted for OpenClaw's sake: it always is"),
                switch("deep", None, "accepted for OpenClaw's sake: the system's is looked for"),
            ],
            DOOR,
            TIMEOUT,
        ],
        run: service::status,
    },
    Command {
        name: "gateway install",
        also: &[],
        words: "",
        summary: "let systemd keep the gateway running, as a service of yours",
        about: "Writes ~/.config/systemd/user/barnacle.service, and enables and starts it. It runs \
                without a login after `loginctl enable-linger`. Tokens that only your shell knows \
                belong into ~/.config/barnacle/barnacle.env.",
        flags: &[&[
            flag("port", "N", "listen on this control port, whatever is configured"),
            switch("force", None, "replace the unit that is there, and restart"),
        ]],
        run: service::install,
    },
    Command {
        name: "gateway uninstall",
        also: &[],
        words: "",
        summary: "stop the service, and remove its unit",
        about: "State and configuration stay.",
        flags: &[],
        run: service::uninstall,
    },
    Command {
        name: "gateway start",
        also: &[],
        words: "",
        summary: "start the service that is installed",
        about: "Yours, else the system's.",
        flags: &[],
        run: service::start,
    },
    Command {
        name: "gateway probe",
        also: &[],
        words: "",
        summary: "see whether the gateway can be reached, and how fast it answers",
        about: "",
        flags: &[DOOR, TIMEOUT],
        run: probe::probe,
    },
    Command {
        name: "gateway stability",
        also: &[],
        words: "",
        summary: "show what disturbed the gateway lately",
        about: "",
        flags: &[
            &[
                valued("limit", Some('n'), "N", "how many of the latest events (25)"),
                flag("type", "NAME", "only events of this kind"),
                flag("since-seq", "N", "only events after this number"),
            ],
            DOOR,
            TIMEOUT,
        ],
        run: probe::stability,
    },
    Command {
        name: "gateway diagnostics",
        also: &[],
        words: "export",
        summary: "write a report for somebody who is to help, without secrets",
        about: "One JSON file with status, health, history, the doctor's findings, the \
                configuration and the latest log lines. Tokens and passwords are blotted out; \
                ids of chats are not. Example: `barnacle gateway diagnostics export`.",
        flags: &[
            &[
                flag("output", "FILE", "where it goes: a new file, or a directory (here)"),
                flag("log-lines", "N", "how many log lines (5000)"),
                flag("log-bytes", "N", "how many bytes of them (1000000)"),
            ],
            DOOR,
            TIMEOUT,
        ],
        run: probe::diagnostics,
    },
];
