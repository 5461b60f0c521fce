//! Times as people read and write them.

use std::fmt::Write as _;

use jiff::civil::DateTime;

use crate::base::Wall;
use crate::rt::zones;

/// A time, as it is in `zone`, or on this host.
pub(super) fn absolute(millis: u64, zone: Option<&str>) -> String {
    let at = i64::try_from(millis).ok().and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
    match (at, zones::find(zone)) {
        (Some(at), Ok(zone)) => at.to_zoned(zone).strftime("%Y-%m-%d %H:%M:%S %Z").to_string(),
        _ => Wall(millis).to_string(),
    }
}

/// A time, seen from `now`.
pub(super) fn relative(millis: Option<u64>, now: u64) -> String {
    match millis {
        None => "-".to_owned(),
        Some(at) if at >= now => format!("in {}", rough(at - now)),
        Some(at) => format!("{} ago", rough(now - at)),
    }
}

fn rough(millis: u64) -> String {
    let seconds = millis / 1000;
    match seconds {
        0 => "<1s".to_owned(),
        1..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h {}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// A span, exactly.
pub(super) fn span(millis: u64) -> String {
    const UNITS: [(u64, &str); 4] =
        [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s")];
    let (mut rest, mut out) = (millis, String::new());
    for (unit, name) in UNITS {
        if rest >= unit {
            let _ = write!(out, "{}{name}", rest / unit);
            rest %= unit;
        }
    }
    if rest > 0 || out.is_empty() {
        let _ = write!(out, "{rest}ms");
    }
    out
}

/// A schedule.
pub(super) fn schedule(schedule: &serde_json::Value) -> String {
    let text = |key: &str| schedule[key].as_str().unwrap_or("?");
    match text("kind") {
        "at" => format!("at {}", text("at")),
        "every" => format!("every {}", span(schedule["everyMs"].as_u64().unwrap_or(0))),
        "cron" => match schedule["tz"].as_str() {
            Some(zone) => format!("{} ({zone})", text("expr")),
            None => text("expr").to_owned(),
        },
        other => other.to_owned(),
    }
}

/// `90s`, `10m`, `1h30m`, `2d`, in milliseconds.
pub(super) fn duration(text: &str) -> Option<u64> {
    let mut rest = text.trim();
    let mut sum: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, behind) = rest.split_at(digits);
        let letters = behind.len() - behind.trim_start_matches(char::is_alphabetic).len();
        let (unit, behind) = behind.split_at(letters);
        let unit: u64 = match unit {
            "ms" => 1,
            "s" | "sec" => 1000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        sum = sum.checked_add(number.parse::<u64>().ok()?.checked_mul(unit)?)?;
        rest = behind.trim_start();
    }
    (sum > 0).then_some(sum)
}

/// When `--at` means, as the gateway understands it: a time, in `zone` if it names none itself, or
/// a span from `now` on.
pub(super) fn at(text: &str, zone: Option<&str>, now: Wall) -> Result<String, String> {
    let text = text.trim();
    if let Some(span) = duration(text.strip_prefix('+').unwrap_or(text)) {
        return Ok(Wall(now.0.saturating_add(span)).to_string());
    }
    let Ok(civil) = text.parse::<DateTime>() else { return Ok(text.to_owned()) };
    // One with an offset is a moment by itself.
    if zone.is_none() || text.parse::<jiff::Timestamp>().is_ok() {
        return Ok(text.to_owned());
    }
    let zoned = civil.to_zoned(zones::find(zone)?).map_err(|error| error.to_string())?;
    let millis = u64::try_from(zoned.timestamp().as_millisecond());
    Ok(Wall(millis.map_err(|_| "that is before 1970".to_owned())?).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_they_are_written() {
        for (text, millis) in [
            ("10m", Some(600_000)),
            ("1h30m", Some(5_400_000)),
            ("1h 30m", Some(5_400_000)),
            ("2d", Some(172_800_000)),
            ("250ms", Some(250)),
            ("90", None),
            ("0s", None),
            ("-5m", None),
            ("m", None),
            ("", None),
            ("99999999999999999999d", None),
            ("5 fortnights", None),
        ] {
            assert_eq!(duration(text), millis, "{text:?}");
        }
        assert_eq!(span(5_400_000), "1h30m");
        assert_eq!((span(0), span(1001)), ("0ms".to_owned(), "1s1ms".to_owned()));
    }

    #[test]
    fn a_time_without_a_zone_is_in_the_one_that_is_named() {
        let now = Wall(1_774_085_213_589);
        let shown = |text, zone| at(text, zone, now);
        assert_eq!(shown("+20m", None).as_deref(), Ok("2026-03-21T09:46:53.589Z"));
        assert_eq!(shown("20m", None), shown("+20m", None));
        let berlin = Some("Europe/Berlin");
        assert_eq!(shown("2026-12-24T18:00", berlin).as_deref(), Ok("2026-12-24T17:00:00.000Z"));
        assert_eq!(shown("2026-07-01 18:00", berlin).as_deref(), Ok("2026-07-01T16:00:00.000Z"));
        // What is a moment by itself, and what is not understood, is for the gateway to judge.
        for text in ["2026-12-24T18:00:00Z", "2026-12-24T18:00:00+02:00", "1774085213", "soon"] {
            assert_eq!(shown(text, berlin).as_deref(), Ok(text));
        }
        assert!(shown("2026-12-24T18:00", Some("Europe/Berlni")).is_err());
    }

    #[test]
    fn times_are_told_from_now() {
        assert_eq!(relative(Some(61_000), 0), "in 1m");
        assert_eq!(relative(Some(0), 90_000_000), "1d 1h ago");
        assert_eq!(relative(Some(500), 0), "in <1s");
        assert_eq!(relative(None, 0), "-");
    }
}
