use super::*;

fn every(every_ms: u64, anchor: u64) -> When {
    When::Every { every_ms, anchor: Wall(anchor) }
}

#[test]
fn an_interval_is_counted_from_its_anchor_and_does_not_drift() {
    let when = every(1000, 500);
    assert_eq!(when.next(Wall(0)), Some(Wall(500)));
    assert_eq!(when.next(Wall(500)), Some(Wall(1500)));
    assert_eq!(when.next(Wall(1499)), Some(Wall(1500)));
    assert_eq!(when.last(Wall(0), Wall(499)), None);
    assert_eq!(when.last(Wall(0), Wall(9_999)), Some(Wall(9_500)));
    assert_eq!(when.count(Wall(500), Wall(9_500), 100), 9);
    assert_eq!(when.count(Wall(0), Wall(u64::MAX / 2), 7), 7);
    assert_eq!(every(u64::MAX, 1).next(Wall(5)), None);
}

#[test]
fn what_is_due_once_is_due_once() {
    let when = When::At(Wall(7));
    assert_eq!((when.next(Wall(6)), when.next(Wall(7))), (Some(Wall(7)), None));
    assert_eq!(when.last(Wall(0), Wall(100)), Some(Wall(7)));
    assert_eq!(when.last(Wall(7), Wall(100)), None);
}

proptest::proptest! {
    /// The last of a span is found without going through all of it.
    #[test]
    fn the_last_is_the_one_after_which_none_follows(
        which in 0_usize..4, from in 0_u64..4_000_000_000, span in 1_u64..3_000_000_000,
    ) {
        let zone = jiff::tz::TimeZone::get("America/St_Johns").expect("it is bundled");
        let texts = ["*/10 * * * * *", "* * 3 * * *", "0 0 1 1 *", "30 2 * * *"];
        let pattern = Pattern::parse(texts[which], zone).expect("fine");
        let when = When::Cron(Box::new(pattern));
        let (from, upto) = (Wall(from), Wall(from + span));
        match when.last(from, upto) {
            None => proptest::prop_assert!(when.next(from).is_none_or(|next| next > upto)),
            Some(last) => {
                proptest::prop_assert!(last > from && last <= upto);
                proptest::prop_assert!(when.next(last).is_none_or(|next| next > upto));
                // It is one of them.
                proptest::prop_assert_eq!(when.next(Wall(last.0 - 1)), Some(last));
            }
        }
    }
}
