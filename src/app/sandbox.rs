//! `barnacle sandbox`: the embedded Discord alone, for tests of any client.

use std::cell::RefCell;
use std::io::Write;
use std::rc::Rc;

use smol::future::or;

use crate::ops::config::Env;
use crate::ops::exit::{Exit, Failure};
use crate::ops::options;
use crate::rt::executor::{self, Spawner};
use crate::rt::signal::Signals;
use crate::sandbox::{self, Handle, Options, Sandbox};

/// Runs until a signal ends it. Lines of standard input are its controls; when that ends, it runs
/// on, and is steered by HTTP.
///
/// # Errors
/// A port is taken, or the certificate cannot be used.
pub(crate) fn sandbox(
    env: &Env,
    options: &options::Sandbox,
    out: impl Write + 'static,
) -> Result<(), Failure> {
    let level = options.common.log_level.as_deref().unwrap_or("warn");
    crate::rt::log::start(level, super::log_form(env))
        .map_err(|text| Failure::new(Exit::Usage, text, ""))?;
    let usual = Options::default();
    let options = Options {
        port: options.port,
        gateway_port: options.gateway_port,
        host: options.host.clone().unwrap_or(usual.host.clone()),
        tls: options.tls.clone(),
        heartbeat: options.heartbeat.unwrap_or(usual.heartbeat),
        ..usual
    };
    let out = Rc::new(RefCell::new(out));
    executor::run(|spawner| run(spawner, options, out))
}

async fn run(
    spawner: Spawner,
    options: Options,
    out: Rc<RefCell<impl Write + 'static>>,
) -> Result<(), Failure> {
    let handle = start(options, &spawner).await?;
    let print = |line: &str| {
        let mut out = out.borrow_mut();
        // Nobody reads: the sandbox is steered by HTTP then.
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    };
    print(&format!("DISCORD_API_URL={}/v10", handle.urls().api));
    print(&format!("GATEWAY_URL={}", handle.urls().gateway));
    let mut signals =
        Signals::listen().map_err(|error| Failure::new(Exit::Software, error.to_string(), ""))?;
    let steered = async {
        sandbox::stdin(handle.clone(), print).await;
        smol::future::pending::<()>().await;
    };
    or(steered, async {
        signals.next().await;
    })
    .await;
    Ok(())
}

/// Starts a sandbox, or says why not.
pub(super) async fn start(options: Options, spawner: &Spawner) -> Result<Handle, Failure> {
    Sandbox::start(options, spawner).await.map_err(|error| {
        Failure::new(
            Exit::Unavailable,
            format!("the sandbox cannot start: {error}"),
            "choose another --port or --gateway-port, or look at --cert and --key",
        )
    })
}
