//! One run.

use std::rc::Rc;

use super::*;

/// Where an address leads, without what may be secret in it.
pub(in crate::app) fn place(url: &str) -> String {
    let place: String = url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
    let place = match place.split_once('@') {
        Some((_, host)) => format!("…@{host}"),
        None => place,
    };
    crate::base::text::Plain(&place).to_string()
}

pub(super) async fn begin(house: Rc<House>, job: Box<str>, run: Run) {
    let _ = run;
    let time = time(&house);
    house.cron.inner.borrow_mut().roster.finished(&job, time);
    house.cron.wake();
}

/// Whether a webhook can be there at all.
pub(super) fn check_address(url: &str) -> Result<(), String> {
    if url.starts_with("https://") || url.starts_with("http://") {
        return Ok(());
    }
    Err("delivery.to must be an http(s) URL".to_owned())
}
