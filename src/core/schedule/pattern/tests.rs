//! Expressions against a model that knows nothing of how they are searched: it goes through two
//! years minute by minute and looks at the clock on the wall.

use jiff::civil::date;
use jiff::tz::TimeZone;

use super::*;

/// Both hemispheres, a transition of half an hour, and an offset of half an hour.
const ZONES: [&str; 3] = ["Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe"];

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).expect("it is bundled")
}

fn pattern(text: &str, name: &str) -> Pattern {
    Pattern::parse(text, zone(name)).expect(text)
}

type Meant = fn(DateTime) -> bool;

/// The clock on the wall at each minute of two years: how it stands, counted from 1970.
struct Clock {
    first: i64,
    walls: Vec<i64>,
    times: Vec<DateTime>,
}

fn civil(wall: i64) -> DateTime {
    Offset::UTC.to_datetime(Timestamp::from_second(wall * 60).expect("a time"))
}

impl Clock {
    fn of(name: &str) -> Clock {
        let zone = zone(name);
        let first = date(2026, 1, 1).at(0, 0, 0, 0).to_zoned(TimeZone::UTC).expect("a day");
        let first = first.timestamp().as_second() / 60;
        let wall = |minute: i64| {
            let at = Timestamp::from_second(minute * 60).expect("a time");
            minute + i64::from(zone.to_offset(at).seconds()) / 60
        };
        let walls: Vec<i64> = (first..first + 2 * 365 * 1440).map(wall).collect();
        let times = walls.iter().map(|&wall| civil(wall)).collect();
        Clock { first, walls, times }
    }

    /// When something is due that is meant at the minutes of the wall which `is_meant` tells.
    fn due(&self, is_meant: Meant, repeats: bool) -> Vec<u64> {
        let mut due = Vec::new();
        let mut latest = self.walls[0] - 1;
        for ((minute, &wall), &time) in (self.first..).zip(&self.walls).zip(&self.times) {
            let is_due = match wall - latest {
                1 => is_meant(time),
                _ if repeats => is_meant(time),
                // What was leapt over comes now, and what is shown again was there already.
                _ => (latest + 1..=wall).any(|wall| is_meant(civil(wall))),
            };
            if is_due {
                due.push(u64::try_from(minute * 60_000).expect("after 1970"));
            }
            latest = latest.max(wall);
        }
        due
    }

    fn end(&self) -> u64 {
        let end = self.first + i64::try_from(self.walls.len()).expect("small");
        u64::try_from(end * 60_000).expect("after 1970")
    }
}

/// What the search finds in the same two years.
fn found(pattern: &Pattern, clock: &Clock) -> Vec<u64> {
    let first = u64::try_from(clock.first * 60_000).expect("after 1970");
    let next = |after: &Wall| pattern.next(*after);
    let all = std::iter::successors(next(&Wall(first - 1000)), next);
    all.map(|due| due.0).take_while(|&due| due < clock.end()).collect()
}

/// Expressions, whether they repeat, and what they mean, written down a second time.
const CASES: &[(&str, bool, Meant)] = &[
    ("30 2 * * *", false, |t| (t.hour(), t.minute()) == (2, 30)),
    ("0 2 * * *", false, |t| (t.hour(), t.minute()) == (2, 0)),
    ("15,45 1-3 * * *", false, |t| matches!(t.minute(), 15 | 45) && (1..4).contains(&t.hour())),
    ("5 3 * * *", false, |t| (t.hour(), t.minute()) == (3, 5)),
    ("*/30 * * * *", true, |t| t.minute() % 30 == 0),
    ("20 * * * *", true, |t| t.minute() == 20),
    ("*/20 2 * * *", true, |t| t.hour() == 2 && t.minute() % 20 == 0),
    ("45 1 * * SUN", false, |t| {
        (t.hour(), t.minute()) == (1, 45) && t.weekday() == Weekday::Sunday
    }),
    ("0 0 1 * *", false, |t| (t.day(), t.hour(), t.minute()) == (1, 0, 0)),
    ("0 9-17/4 * * MON-FRI", false, |t| {
        let is_free = matches!(t.weekday(), Weekday::Saturday | Weekday::Sunday);
        matches!(t.hour(), 9 | 13 | 17) && t.minute() == 0 && !is_free
    }),
    ("10 0 L * *", false, |t| {
        (t.hour(), t.minute()) == (0, 10) && t.date().tomorrow().is_ok_and(|next| next.day() == 1)
    }),
    ("0 8 * * 5#3", false, |t| {
        let is_third = (15..=21).contains(&t.day()) && t.weekday() == Weekday::Friday;
        is_third && (t.hour(), t.minute()) == (8, 0)
    }),
    ("0 8 * * 5L", false, |t| {
        let week_later = t.date().checked_add(jiff::Span::new().weeks(1)).expect("a day");
        let is_last = t.weekday() == Weekday::Friday && week_later.month() != t.month();
        is_last && (t.hour(), t.minute()) == (8, 0)
    }),
    // Either the day of the month or that of the week, and both with a plus.
    ("0 3 13 * 5", false, |t| {
        (t.day() == 13 || t.weekday() == Weekday::Friday) && (t.hour(), t.minute()) == (3, 0)
    }),
    ("0 3 13 * +5", false, |t| {
        t.day() == 13 && t.weekday() == Weekday::Friday && (t.hour(), t.minute()) == (3, 0)
    }),
    ("0 12 15W * *", false, |t| {
        let fifteenth = date(t.year(), t.month(), 15);
        let nearest = match fifteenth.weekday() {
            Weekday::Saturday => 14,
            Weekday::Sunday => 16,
            _ => 15,
        };
        (t.day(), t.hour(), t.minute()) == (nearest, 12, 0)
    }),
    ("0 6 1W,31W JAN,MAY *", false, |t| {
        let is_month = matches!(t.month(), 1 | 5);
        let nearest = |day: i8| match date(t.year(), t.month(), day).weekday() {
            Weekday::Saturday if day == 1 => 3,
            Weekday::Saturday => day - 1,
            Weekday::Sunday if day == 31 => 29,
            Weekday::Sunday => day + 1,
            _ => day,
        };
        let is_day = is_month && (t.day() == nearest(1) || t.day() == nearest(31));
        is_day && (t.hour(), t.minute()) == (6, 0)
    }),
];

#[test]
fn two_years_in_three_places_are_what_the_clock_on_the_wall_says() {
    for name in ZONES {
        let clock = Clock::of(name);
        for (text, repeats, is_meant) in CASES {
            let expected = clock.due(*is_meant, *repeats);
            let found = found(&pattern(text, name), &clock);
            let wrong = expected.iter().zip(&found).find(|(a, b)| a != b);
            assert_eq!((wrong, expected.len()), (None, found.len()), "{text} in {name}");
        }
    }
}

/// The suite's own proof: a search that treats one kind like the other is found out, in each place.
#[test]
fn a_search_that_is_wrong_about_dst_is_found_out() {
    for name in ZONES {
        let clock = Clock::of(name);
        for (is_fixed, texts) in [
            (true, ["30 2 * * *", "45 1 * * SUN", "15,45 1-3 * * *"]),
            (false, ["*/30 * * * *", "20 * * * *", "*/30 * * * *"]),
        ] {
            let caught = texts.iter().any(|text| {
                let mut planted = pattern(text, name);
                planted.repeats = is_fixed;
                let case = CASES.iter().find(|case| case.0 == *text).expect("a case");
                clock.due(case.2, case.1) != found(&planted, &clock)
            });
            assert!(caught, "{name}, fixed: {is_fixed}");
        }
    }
}

#[test]
fn a_time_in_the_gap_comes_at_its_end_once_and_one_in_the_overlap_the_first_time() {
    let shown = |text: &str, after: &str, count: usize| -> Vec<String> {
        let after = after.parse::<Timestamp>().expect("a time").as_millisecond();
        let after = Wall(u64::try_from(after).expect("after 1970"));
        let pattern = pattern(text, "Europe/Berlin");
        let next = |after: &Wall| pattern.next(*after);
        let all = std::iter::successors(next(&after), next);
        all.take(count).map(|due| due.to_string()[5..16].to_owned()).collect()
    };
    // 2027-03-28: 02:00 to 03:00 does not exist; it ends at 01:00 UTC.
    let spring = "2027-03-27T12:00:00Z";
    assert_eq!(shown("30 2 * * *", spring, 2), ["03-28T01:00", "03-29T00:30"]);
    assert_eq!(shown("0,30 2 * * *", spring, 2), ["03-28T01:00", "03-29T00:00"]);
    assert_eq!(shown("0 3 * * *", spring, 2), ["03-28T01:00", "03-29T01:00"]);
    assert_eq!(
        shown("*/30 * * * *", "2027-03-28T00:00:00Z", 3),
        ["03-28T00:30", "03-28T01:00", "03-28T01:30"]
    );
    // 2026-10-25: 02:00 to 03:00 comes twice, at 00:00 and at 01:00 UTC.
    let autumn = "2026-10-24T12:00:00Z";
    assert_eq!(shown("30 2 * * *", autumn, 2), ["10-25T00:30", "10-26T01:30"]);
    // A gateway that starts within the second hour does not run it again.
    assert_eq!(shown("30 2 * * *", "2026-10-25T01:10:00Z", 1), ["10-26T01:30"]);
    assert_eq!(
        shown("30 * * * *", "2026-10-25T00:00:00Z", 3),
        ["10-25T00:30", "10-25T01:30", "10-25T02:30"]
    );
}

#[test]
fn seconds_words_and_rare_days_are_understood() {
    let next = |text: &str, after: u64| pattern(text, "UTC").next(Wall(after)).map(|due| due.0);
    assert_eq!(next("*/10 * * * * *", 1), Some(10_000));
    assert_eq!(next("*/10 * * * * *", 10_000), Some(20_000));
    assert_eq!(next("* * * * *", 59_999), Some(60_000));
    assert_eq!(next("@hourly", 0), Some(3_600_000));
    assert_eq!(next("@DAILY", 0), Some(86_400_000));
    // The 29th of February that is a Monday: 2044.
    assert_eq!(next("0 0 29 2 +1", 1_774_085_213_589), Some(2_340_316_800_000));
    let week = |text: &str| pattern(text, "UTC").weekdays;
    assert_eq!(week("0 0 * * FRI-MON"), 0b110_0011);
    assert_eq!(week("0 0 * * 7"), 1);
    assert_eq!(week("0 0 * * 1-7"), 0b111_1111);
    assert_eq!(week("0 0 * * mon,wed"), 0b000_1010);
}

#[test]
fn what_is_wrong_with_an_expression_is_said_of_its_field() {
    for (text, said) in [
        ("60 * * * *", "the minute \"60\""),
        ("* 24 * * *", "the hour \"24\""),
        ("* * 0 * *", "the day of the month \"0\""),
        ("* * 32 * *", "the day of the month \"32\""),
        ("* * * 13 *", "the month \"13\""),
        ("* * * FOO *", "the month \"FOO\""),
        ("* * * * 8", "the day of the week \"8\""),
        ("* * * * MON#6", "the day of the week"),
        ("60 * * * * *", "the second \"60\""),
        ("5-1 * * * *", "the minute \"5-1\""),
        ("*/0 * * * *", "the minute \"*/0\""),
        ("1,,2 * * * *", "the minute \"1,,2\""),
        ("+1 * * * *", "the minute"),
        ("* * * *", "4 fields"),
        ("* * * * * * *", "7 fields"),
        ("", "0 fields"),
        ("@never", "@daily"),
        ("0 0 30 2 *", "no such day ever comes"),
        ("0 0 31 4,6,9,11 *", "no such day ever comes"),
        ("\u{1b}[2J * * * *", "the minute"),
        (&"1,".repeat(600), "longer than"),
    ] {
        let bad = Pattern::parse(text, TimeZone::UTC).expect_err(text).to_string();
        assert!(bad.contains(said), "{text:?}: {bad}");
        assert!(!bad.contains('\u{1b}') && bad.len() < 300, "{bad}");
    }
}

proptest::proptest! {
    #[test]
    fn whatever_is_written_is_read_or_refused_and_goes_forward(
        text in "[0-9*,/LW#+?A-Z -]{0,24}",
        spaced in "([0-9*]{1,2}([-/,][0-9]{1,2})?)( [0-9*]{1,2}([-/,][0-9]{1,2})?){4,5}",
        after in 0_u64..4_000_000_000_000,
    ) {
        for text in [text, spaced] {
            if let Ok(pattern) = Pattern::parse(&text, zone("Europe/Berlin"))
                && let Some(next) = pattern.next(Wall(after))
            {
                proptest::prop_assert!(next.0 > after);
                // Nothing is due in between.
                let between = Wall(after + (next.0 - after) / 2);
                proptest::prop_assert_eq!(pattern.next(between), Some(next));
            }
        }
    }
}
