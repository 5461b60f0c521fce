//! `config.reload`, `gateway.restart.request` and `gateway.stop`.

use serde_json::{Value, json};

use crate::app::house::{Ending, House};
use crate::proto::control::Fault;

/// `config.reload`: reads the files again. A file that cannot be used changes nothing.
pub(super) fn reload(house: &House) -> Result<Value, Fault> {
    let told = house.reload();
    match told {
        Ok((changes, mistakes)) => {
            let mistakes: Vec<String> =
                mistakes.iter().map(|mistake| house.lines.blot(mistake.to_string())).collect();
            Ok(json!({
                "ok": true,
                "changed": changes.applied,
                "restarted": changes.restarted,
                "added": changes.added,
                "removed": changes.removed,
                "mistakes": mistakes,
            }))
        }
        Err(broken) => Err(Fault::invalid(format!(
            "{}; nothing was changed",
            house.lines.blot(broken.to_string())
        ))),
    }
}

/// `gateway.restart.request`: the process begins again once this is answered. What is being
/// answered is, and the connections RESUME, unless `fresh` wants new sessions.
pub(super) fn restart(house: &House, params: &Value) -> Result<Value, Fault> {
    if house.ending.get().is_some() || house.draining.get() {
        return Err(Fault::later("the gateway is on its way down already", 1000));
    }
    let fresh = params["fresh"].as_bool().unwrap_or(false);
    let running = house.fleet.borrow().desk().running();
    house.end(Ending::Restart { fresh });
    log::info!(target: "gateway", "restarting, as asked by the control port");
    Ok(json!({
        "ok": true,
        "status": "scheduled",
        "preflight": {
            "safe": true,
            "counts": { "activeRuns": running },
            "blockers": [],
            "summary": "what is being answered is finished first",
        },
        "restart": {
            "pid": std::process::id(),
            "bootId": house.hub.boot_id(),
            "reason": params["reason"].as_str().unwrap_or("requested"),
        },
    }))
}

/// `gateway.stop`: the process ends once this is answered.
pub(super) fn stop(house: &House) -> Value {
    log::info!(target: "gateway", "stopping, as asked by the control port");
    house.end(Ending::Stop);
    json!({ "ok": true, "pid": std::process::id() })
}
