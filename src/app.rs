//! The composition root: the only room that knows everybody. It puts the parts together, starts
//! them in order, and ends them in the opposite one.

mod account;
pub(crate) mod appliance;
pub(crate) mod audit;
mod completions;
mod contact;
mod cron;
mod demo;
mod desk;
mod doctor;
mod drill;
mod engine;
mod fleet;
mod ground;
mod hands;
mod history;
mod house;
mod invite;
mod metrics;
mod outside;
mod person;
mod ports;
pub(crate) mod roster;
mod sandbox;
mod selftest;
pub(crate) mod settings;
mod staff;
mod stage;
mod stories;
mod uptime;
mod webchat;

use std::io::IsTerminal as _;
use std::os::fd::OwnedFd;

use rustix::process::DumpableBehavior;

use crate::base::hash::fnv1a;
use crate::ops::config::{self, Broken, Config, Dirs, Env, Loaded, Mistake, Weight};
use crate::ops::exit::{Exit, Failure};
use crate::ops::options;
use crate::ops::state;
use crate::rt::executor;
use crate::rt::log::{self as logging, Form, Lines};
use crate::rt::net::kept::{self, Kept};
use crate::rt::process;

use self::engine::{Engine, Left};
use self::house::{Ending, Source, Standing};

pub(crate) use self::demo::demo;
pub(crate) use self::doctor::{Findings, Verdict, capabilities, doctor, resolve};
pub(crate) use self::drill::drill;
pub(crate) use self::invite::{invite_url, permissions};
pub(crate) use self::sandbox::sandbox;
pub(crate) use self::selftest::self_test;

/// `barnacle gateway`: runs until it is told to end.
///
/// # Errors
/// The few things that a restart, or a person, must mend: see [`Exit`].
pub(crate) fn gateway(env: &Env, options: &options::Gateway) -> Result<(), Failure> {
    // Before any file is opened: it takes descriptors by their numbers.
    let kept = Kept::take(|name| env.get(name));
    let dirs = Dirs::of(env).ok_or_else(|| {
        let text = "there is no place for state: neither HOME nor a state directory is set";
        Failure::new(Exit::State, text, "set BARNACLE_STATE_DIR")
    })?;
    let (mut loaded, broken) = load(env, &options.common, &dirs)?;
    options.over(&mut loaded.config.gateway);
    let lines = start_log(env, &options.common, &loaded.config)?;
    if let Some(broken) = &broken {
        log::error!(target: "config", "{broken}; going on with the last good configuration");
    }
    if let Some(file) = &loaded.file {
        log::info!(target: "config", "read {}", file.display());
    }
    tell_mistakes(&loaded.mistakes);
    let dirs = state::prepare(dirs)?;
    if broken.is_none() {
        remember(&dirs, &loaded);
    }
    guard_children(&dirs);
    let source = Source {
        env: env.clone(),
        file: options.common.config.clone(),
        dirs,
        port: options.port,
        is_level_fixed: options.common.log_level.is_some(),
    };
    let Loaded { config, file, mistakes, .. } = loaded;
    let standing = Standing { config, file, mistakes, broken, later: Vec::new() };
    let left = executor::run(|spawner| async move {
        Engine::new(&spawner, source, standing, lines, kept)?.run().await
    });
    process::end_all();
    log::logger().flush();
    let Left { ending, sockets } = left?;
    match ending {
        Ending::Restart { .. } if !env.is_managed() => Err(begin_again(&sockets)),
        // The service manager starts us again.
        Ending::Restart { .. } | Ending::Stop => Ok(()),
    }
}

/// Makes sure that no program which an agent runs reads our memory, gets away, or outlives us: not
/// those of a process before this one either, that was killed.
fn guard_children(dirs: &Dirs) {
    let hide = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    if let Err(error) = hide {
        log::warn!(target: "gateway", "our memory is open to other programs of this user: {error}");
    }
    let tag = fnv1a(dirs.state.as_os_str().as_encoded_bytes().iter().copied());
    if let Err(error) = process::become_reaper(&format!("{tag:016x}")) {
        log::warn!(target: "gateway", "programs of agents may leave others behind: {error}");
    }
    match process::end_leftovers() {
        0 => {}
        count => log::info!(
            target: "gateway",
            "ended {count} processes that agents of an earlier run had left behind"
        ),
    }
}

/// Puts a fresh image of the program in our place: the same process id, the same arguments, these
/// sockets, and all other sockets and files closed. It returns only if that failed.
fn begin_again(sockets: &[OwnedFd]) -> Failure {
    let program = std::env::current_exe().map(|path| {
        // What stands at our path now is what is to run, be it newer than we are.
        let name = path.to_string_lossy();
        name.strip_suffix(" (deleted)").map_or_else(|| path.clone(), std::path::PathBuf::from)
    });
    let error = match program {
        Ok(program) => {
            let mut command = std::process::Command::new(program);
            if let Err(error) = kept::hand_on(&mut command, sockets) {
                log::warn!(target: "gateway", "the ports will be closed for a moment: {error}");
            }
            std::os::unix::process::CommandExt::exec(command.args(config::arguments()))
        }
        Err(error) => error,
    };
    Failure::new(Exit::Software, format!("the program cannot be started again: {error}"), "")
}

/// The configuration, or the last good one and what is wrong with this one.
fn load(
    env: &Env,
    common: &options::Common,
    dirs: &Dirs,
) -> Result<(Loaded, Option<Broken>), Failure> {
    match config::load(env, common.config.as_deref()) {
        Ok(loaded) => Ok((loaded, None)),
        Err(broken) => {
            let cure = "correct it there; there is no last good configuration to go on with";
            let failure = || Failure::new(Exit::Config, broken.to_string(), cure);
            let loaded = config::load_last_good(&dirs.state, env).ok_or_else(failure)?;
            Ok((loaded, Some(broken)))
        }
    }
}

/// Keeps a copy of what can be used, for the day when the file cannot.
fn remember(dirs: &Dirs, loaded: &Loaded) {
    if loaded.file.is_some()
        && let Err(error) = config::remember_good(&dirs.state, &loaded.text)
    {
        log::warn!(target: "config", "no copy of the configuration could be kept: {error}");
    }
}

fn start_log(env: &Env, common: &options::Common, config: &Config) -> Result<Lines, Failure> {
    let level = common.log_level.as_deref().unwrap_or(&config.log_level);
    let lines =
        logging::start(level, log_form(env)).map_err(|text| Failure::new(Exit::Usage, text, ""))?;
    config.secrets().iter().for_each(|secret| lines.hide(secret));
    log_into_file(&lines, config);
    Ok(lines)
}

/// What cannot be written costs the file, and nothing else.
fn log_into_file(lines: &Lines, config: &Config) {
    let place = config.log_file.as_ref().map(|file| (file.path.as_path(), file.bytes_max));
    if let Err(error) = lines.also_into(place) {
        log::warn!(target: "gateway", "the log cannot go to its file: {error}");
    }
}

/// systemd names the journal's device and inode; only if standard error still is that file does
/// what we write go there (systemd.exec(5)).
fn log_form(env: &Env) -> Form {
    let stderr = std::io::stderr();
    let is_journal = env.journal_stream().is_some_and(|journal| {
        rustix::fs::fstat(&stderr).is_ok_and(|stat| (stat.st_dev, stat.st_ino) == journal)
    });
    if is_journal {
        return Form::Journal;
    }
    Form::Person { colours: env.wants_colours(stderr.is_terminal()) }
}

fn tell_mistakes(mistakes: &[Mistake]) {
    for mistake in mistakes {
        let level = match mistake.weight {
            Weight::Note => log::Level::Info,
            Weight::Warning => log::Level::Warn,
        };
        log::log!(target: "config", level, "{mistake}");
    }
}
