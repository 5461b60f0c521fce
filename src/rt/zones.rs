//! Places and their clocks: the host's own time zone database, so that its updates count, or the
//! one in this program where the host has none.

use jiff::tz::{self, TimeZone};

use crate::base::spell;
use crate::base::text::{Plain, truncate};

/// The place called `name`, or this host's if none is named.
///
/// # Errors
/// There is none of that name; what may have been meant.
pub fn find(name: Option<&str>) -> Result<TimeZone, String> {
    let Some(name) = name.map(str::trim) else {
        // Where the host does not say where it is, it is taken to be in Greenwich.
        return Ok(TimeZone::try_system().unwrap_or(TimeZone::UTC));
    };
    if let Ok(zone) = tz::db().get(name) {
        return Ok(zone);
    }
    let known: Vec<String> = tz::db().available().map(|name| name.as_str().to_owned()).collect();
    let shown = Plain(truncate(name, 40)).to_string();
    // People know the city and not what it is filed under.
    let city = |known: &str| known.rsplit('/').next().unwrap_or(known).to_owned();
    let cities: Vec<(String, &String)> = known.iter().map(|name| (city(name), name)).collect();
    let near =
        spell::nearest(name, known.iter().map(String::as_str)).map(str::to_owned).or_else(|| {
            let asked = city(name);
            let near = spell::nearest(&asked, cities.iter().map(|(city, _)| city.as_str()))?;
            cities.iter().find(|(city, _)| city == near).map(|(_, name)| (*name).clone())
        });
    Err(match near {
        Some(near) => format!("\"{shown}\" is no time zone; did you mean {near}?"),
        None => format!("\"{shown}\" is no time zone; write one like Europe/Berlin"),
    })
}

/// What the place called `name` is called in full, as the database files it.
///
/// # Errors
/// As [`find`].
pub fn full_name(name: &str) -> Result<String, String> {
    let zone = find(Some(name))?;
    Ok(zone.iana_name().unwrap_or("UTC").to_owned())
}

/// What this host's own place is called, if that is known.
#[must_use]
pub fn own_name() -> Option<String> {
    TimeZone::try_system().ok()?.iana_name().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_found_and_slips_are_guessed() {
        assert_eq!(find(Some("Europe/Berlin")).unwrap().iana_name(), Some("Europe/Berlin"));
        assert_eq!(full_name("Europe/Berlin"), Ok("Europe/Berlin".into()));
        assert!(find(None).is_ok());
        for (slip, meant) in [
            ("Europe/Berlni", "Europe/Berlin"),
            ("berlin", "Europe/Berlin"),
            ("America/St_John", "America/St_Johns"),
        ] {
            let why = find(Some(slip)).unwrap_err();
            assert!(why.contains(&format!("did you mean {meant}?")), "{why}");
        }
        for rubbish in ["", "../../etc/passwd", "Mars/Olympus Mons and much more", "\u{1b}[2J"] {
            let why = find(Some(rubbish)).unwrap_err();
            assert!(why.contains("is no time zone") && !why.contains('\u{1b}'), "{why}");
        }
    }
}
