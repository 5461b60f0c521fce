//! The only clock. Everything that decides is given the time; everything that waits, waits here.

use std::future::Future;
use std::sync::OnceLock;
use std::time::Duration;

use crate::base::{Instant, Wall};

/// Where our time line begins: at the first question for the time.
static EPOCH: OnceLock<std::time::Instant> = OnceLock::new();

#[allow(clippy::disallowed_methods, reason = "this is the one place that asks")]
fn epoch() -> std::time::Instant {
    *EPOCH.get_or_init(std::time::Instant::now)
}

/// The monotonic time, from an arbitrary start.
#[must_use]
pub fn now() -> Instant {
    Instant(0) + epoch().elapsed()
}

/// The time of day. It may jump; see [`Wall`].
#[must_use]
#[allow(clippy::disallowed_methods, reason = "this is the one place that asks")]
pub fn wall() -> Wall {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    // A clock before 1970 has never been set.
    Wall(0) + since.unwrap_or_default()
}

/// How long ago the host was booted, its sleep included.
#[must_use]
pub fn uptime() -> Duration {
    let since = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::from_secs(u64::try_from(since.tv_sec).unwrap_or_default())
}

/// Whether systemd has set the time of day by the network since the host was booted. Another
/// program that does so leaves no such mark.
#[must_use]
pub fn is_synced() -> bool {
    std::path::Path::new("/run/systemd/timesync/synchronized").exists()
}

/// Waits until `due`; not at all if it is past, for ever if it is beyond what a timer can hold.
pub async fn sleep_until(due: Instant) {
    match epoch().checked_add(Duration::from_nanos(due.0)) {
        Some(at) if due != Instant(u64::MAX) => smol::Timer::at(at).await,
        _ => smol::Timer::never().await,
    };
}

/// Waits for `span`.
pub async fn sleep(span: Duration) {
    sleep_until(now() + span).await;
}

/// Holds the thread for `span`: only for the command line, which has nothing else to do.
#[allow(clippy::disallowed_methods, reason = "nobody waits for this thread")]
pub fn pause(span: Duration) {
    std::thread::sleep(span);
}

/// What `future` gives, or `None` if `deadline` goes by first. A result that is ready at the
/// deadline wins over it.
pub async fn timeout<T>(deadline: Instant, future: impl Future<Output = T>) -> Option<T> {
    let late = async {
        sleep_until(deadline).await;
        None
    };
    smol::future::or(async { Some(future.await) }, late).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_forward_and_starts_now() {
        let first = now();
        assert!(now() >= first);
        assert!(wall() > Wall(1_700_000_000_000), "the wall clock counts milliseconds of 1970");
    }

    #[test]
    fn a_deadline_ends_what_hangs_and_spares_what_is_ready() {
        smol::block_on(async {
            let past = now();
            assert_eq!(timeout(past, std::future::pending::<()>()).await, None);
            assert_eq!(timeout(past, async { 7 }).await, Some(7));
            assert_eq!(timeout(Instant(u64::MAX), async { 8 }).await, Some(8));
        });
    }
}
