//! The commands that need no running gateway, and those about the program itself.

use super::{Command, DOOR, TIMEOUT, flag, switch};
use crate::cli::{backup, care, doctor, local, pages};

/// Those that stand alone.
pub(super) const COMMANDS: &[Command] = &[
    Command {
        name: "doctor",
        also: &[],
        words: "",
        summary: "examine the set-up from end to end, and say what to mend",
        about: "Looks at the configuration, the token, intents and permissions, the way to Discord \
                by IPv4 and IPv6, the clock, the host and its disk, and at the running gateway if \
                there is one. Fails if something keeps the bot from working, by the exit code of \
                the first such thing. --fix asks Discord to switch on privileged intents that are \
                missing, by the limited flags that applications in few servers may set, and \
                closes files with secrets to everybody else; it says what it did.",
        flags: &[
            &[
                switch("fix", None, "mend what can be mended without harm"),
                switch("repair", None, "the same as --fix"),
                switch("generate-gateway-token", None, "write a new token into the configuration"),
                switch("lint", None, "accepted for OpenClaw's sake: it only looks without --fix"),
                switch("deep", None, "accepted for OpenClaw's sake: it always is"),
                switch("non-interactive", None, "accepted for OpenClaw's sake: nothing is asked"),
                switch("post-upgrade", None, "accepted for OpenClaw's sake: there are no plugins"),
                switch("yes", None, "accepted for OpenClaw's sake: nothing is asked"),
            ],
            DOOR,
            TIMEOUT,
        ],
        run: doctor::doctor,
    },
    Command {
        name: "security audit",
        also: &[],
        words: "",
        summary: "find what others could get at, on this host or by the network",
        about: "Looks at the modes of files with secrets, the control port's door, policies that \
                let everybody in, the programs of agents, and tokens among the words of \
                processes. Each finding has its cure. Fails with 78 if a critical one is left.",
        flags: &[&[
            switch("fix", None, "close files and directories that are open"),
            switch("deep", None, "accepted for OpenClaw's sake: it always is"),
        ]],
        run: care::audit,
    },
    Command {
        name: "update",
        also: &["update status"],
        words: "",
        summary: "say how this installation is updated",
        about: "By the package manager that it came with, or by hand. It asks nobody, changes \
                nothing, and ends with 65, so that no script takes that for an update.",
        flags: &[],
        run: care::update,
    },
    Command {
        name: "system presence",
        also: &[],
        words: "",
        summary: "show who is connected to the gateway",
        about: "",
        flags: &[DOOR, TIMEOUT],
        run: care::presence,
    },
    Command {
        name: "system heartbeat",
        also: &[],
        words: "last",
        summary: "show the last heartbeat of an agent",
        about: "Agents of OpenClaw's have heartbeats; here jobs of `cron` take their place. \
                Example: `barnacle system heartbeat last`.",
        flags: &[DOOR, TIMEOUT],
        run: care::heartbeat,
    },
    Command {
        name: "backup create",
        also: &[],
        words: "",
        summary: "write configuration, state and sessions into one file",
        about: "The gateway may run meanwhile: what is written is how things stood in one \
                instant. The file is a .tar.gz with a manifest, readable by its owner only, since \
                there are secrets in it. Tokens that come from the environment or from files of \
                their own are not in it. Example: `barnacle backup create --output \
                /media/usb --verify`.",
        flags: &[&[
            flag("output", "FILE", "where it goes: a new file, or a directory (here)"),
            switch("verify", None, "read it back, and hold it against its manifest"),
        ]],
        run: backup::create,
    },
    Command {
        name: "backup verify",
        also: &[],
        words: "FILE",
        summary: "see whether a backup is whole",
        about: "Reads all of it, and holds every file's SHA-256 against the manifest. Fails with \
                65 if anything is damaged or missing.",
        flags: &[],
        run: backup::verify,
    },
    Command {
        name: "backup restore",
        also: &[],
        words: "FILE",
        summary: "put a backup into its place",
        about: "All of it is checked before anything is touched, and a gateway that runs on this \
                state is not pulled from under. What was there before is kept beside it, as \
                .before-restore and .bak. Run the bot on one host only: two gateways with one \
                token throw each other out.",
        flags: &[&[
            switch("dry-run", None, "only check it, and say what would be done"),
            switch("force", None, "replace what is there"),
        ]],
        run: backup::restore,
    },
    Command {
        name: "confine",
        also: &[],
        words: "COMMAND...",
        summary: "run a program behind the walls that programs of agents have",
        about: "The program sees the system's programs and libraries, what --read and --write \
                name, and of other processes nothing; it may write to what --write names only. \
                Its exit code is the command's, or 65 if it cannot be run. The kernel's Landlock \
                does it; a kernel without it lets everything through, as `barnacle doctor` says. \
                Example: `barnacle confine --write . -- ls -l /home`.",
        flags: &[&[
            flag("read", "PATH", "what it may read and execute besides; may be repeated"),
            flag("write", "PATH", "where it may also write; may be repeated"),
            flag("hide", "PATH", "what it may not see, though it lies there; may be repeated"),
            switch("no-network", None, "it may not speak to other hosts by TCP"),
        ]],
        run: local::confine,
    },
    Command {
        name: "invite-url",
        also: &[],
        words: "",
        summary: "print the link that invites the bot into a server",
        about: "The application's id is asked of Discord with the bot's token, unless it is given.",
        flags: &[&[
            flag("permissions", "WHICH", "minimal, recommended, bits, or NAME,NAME (recommended)"),
            flag("application", "ID", "the application's id"),
            flag("account", "ID", "whose application it is, if there are several accounts"),
            flag("guild", "ID", "the server that is chosen beforehand"),
        ]],
        run: local::invite_url,
    },
    Command {
        name: "demo",
        also: &[],
        words: "",
        summary: "try everything against an embedded Discord, with faults to inject",
        about: "Needs no account, no network and no configuration. Keys inject faults; each is \
                healed before your eyes, with the time it took.",
        flags: &[],
        run: local::demo,
    },
    Command {
        name: "drill",
        also: &[],
        words: "[NAME]",
        summary: "inject one fault, or each in turn, and time the recovery",
        about: "Runs against the embedded Discord. Fails if a recovery took longer than promised.",
        flags: &[&[switch("list", None, "name the drills")]],
        run: local::drill,
    },
    Command {
        name: "self-test",
        also: &[],
        words: "",
        summary: "try out whether this binary works on this machine",
        about: "Needs no account, no network and no configuration, and leaves nothing behind: \
                clocks and randomness, JSON, files that are cut off, then the bot itself against \
                the embedded Discord over TLS, with one connection lost and resumed. Takes a \
                second, on the smallest boards a few. Fails with 70 if anything does not work.",
        flags: &[],
        run: local::self_test,
    },
    Command {
        name: "sandbox",
        also: &[],
        words: "",
        summary: "run the embedded Discord alone, for tests of any client",
        about: "Prints DISCORD_API_URL for the client. Faults are named on standard input, or \
                posted over HTTP to /_sandbox/fault.",
        flags: &[&[
            flag("port", "N", "the REST port (0: any that is free)"),
            flag("gateway-port", "N", "the gateway's port (0: any that is free)"),
            flag("host", "NAME", "the host that its URLs name (127.0.0.1, where it listens)"),
            flag("heartbeat", "MS", "the heartbeat interval that HELLO names (41250)"),
            flag("cert", "FILE", "serve TLS with this certificate chain (PEM)"),
            flag("key", "FILE", "and this private key (PEM)"),
        ]],
        run: local::sandbox,
    },
    Command {
        name: "completion",
        also: &[],
        words: "[bash|zsh|fish]",
        summary: "print what completes commands and flags in a shell",
        about: "For bash: `source <(barnacle completion bash)` in ~/.bashrc. For zsh: into a file \
                _barnacle in a directory of fpath. For fish: into \
                ~/.config/fish/completions/barnacle.fish.",
        flags: &[&[flag("shell", "bash|zsh|fish", "the same, as OpenClaw has it said (bash)")]],
        run: pages::completion,
    },
    Command {
        name: "man",
        also: &[],
        words: "",
        summary: "print the manual page, in roff",
        about: "To read it: `barnacle man | man -l -`.",
        flags: &[],
        run: pages::man,
    },
    Command {
        name: "help",
        also: &[],
        words: "[TOPIC...]",
        summary: "explain a command, or: config, environment, exit-codes",
        about: "`help config` also lists every configuration key.",
        flags: &[],
        run: pages::help,
    },
];
