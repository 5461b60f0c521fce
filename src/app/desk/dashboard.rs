//! `dashboard.login`: a code that lets one browser in.

use serde_json::{Value, json};

use crate::app::house::House;
use crate::base::limits;
use crate::proto::control::{Fault, code};
use crate::rt::clock;

/// The code, how long it is good, and where the page is.
pub(super) fn login(house: &House) -> Result<Value, Fault> {
    let code = house.reception.code().map_err(|error| {
        Fault::new(code::UNAVAILABLE, format!("there is no randomness to be had: {error}"))
    })?;
    Ok(json!({
        "code": code.expose(),
        "expiresAtMs": (clock::wall() + limits::LOGIN_CODE_TTL).0,
        "port": house.reception.port(),
        "lan": house.config().gateway.lan,
    }))
}
