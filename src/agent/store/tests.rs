//! The keeper with a real disk: cut at every byte, full, made short.

use super::*;
use crate::rt::executor;
use crate::rt::store::tests::Scratch;

fn key(name: &str) -> Key {
    Key::read(name, "main").unwrap()
}

fn said(session: &str, n: u64, text: &str) -> Said {
    let key = key(session);
    let header = Header::new(key.clone(), &key.room(), "");
    Said { header, line: Line::new(Wall(n), Role::User, 0, text) }
}

const ALL: Most = Most { conversation: 0, lines: usize::MAX, bytes: usize::MAX };

fn texts(tail: &Tail) -> Vec<&str> {
    tail.lines.iter().map(|line| &*line.text).collect()
}

/// Runs `test` with what is kept in `state`.
fn with<T, F>(state: &Scratch, test: impl FnOnce(Store) -> F) -> T
where
    T: 'static,
    F: Future<Output = T> + 'static,
{
    let path = state.path().to_owned();
    executor::run(move |spawner| {
        let store = Store::open(&spawner, &path);
        test(store)
    })
}

#[test]
fn whoever_reads_finds_what_was_written_before_also_after_a_restart() {
    let state = Scratch::new();
    with(&state, |store| async move {
        store.append(said("a", 1, "one"));
        store.append(said("b", 2, "elsewhere"));
        assert!(store.keep(said("a", 3, "two")).await);
        assert_eq!(texts(&store.tail(key("a"), ALL).await), ["one", "two"]);
    });
    let mode = std::fs::metadata(state.path().join(FILE)).unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode.permissions()) & 0o777, 0o600);
    with(&state, |store| async move {
        let last = Most { lines: 1, ..ALL };
        let tail = store.tail(key("a"), last).await;
        assert_eq!((texts(&tail), tail.has_more), (vec!["two"], true));
        let few = store.tail(key("a"), Most { bytes: 3, ..ALL }).await;
        assert_eq!((texts(&few), few.has_more), (vec!["two"], true));
        assert_eq!(store.tail(key("nobody"), ALL).await, Tail::default());
        let later = Most { conversation: 1, ..ALL };
        assert_eq!(store.tail(key("a"), later).await, Tail::default(), "it began anew");
        let keys: Vec<Key> = store.list().await.into_iter().map(|s| s.header.key).collect();
        assert_eq!(keys, [key("a"), key("b")], "the one that spoke last first");
        assert_eq!(store.find(key("b")).await.map(|found| found.updated), Some(Wall(2)));
    });
}

#[test]
fn what_is_forgotten_is_gone_from_the_file_and_others_are_not() {
    let state = Scratch::new();
    with(&state, |store| async move {
        store.append(said("a", 1, "a secret"));
        store.append(said("b", 2, "no secret"));
        store.append(said("a", 3, "more secrets"));
        assert!(store.forget(key("a")).await && !store.forget(key("a")).await);
        assert_eq!(store.tail(key("a"), ALL).await, Tail::default());
        assert_eq!(texts(&store.tail(key("b"), ALL).await), ["no secret"]);
        store.append(said("b", 4, "and on"));
        store.append(said("a", 5, "anew"));
        assert_eq!(texts(&store.tail(key("b"), ALL).await), ["no secret", "and on"]);
    });
    let bytes = std::fs::read(state.path().join(FILE)).unwrap();
    assert!(!bytes.windows(8).any(|bytes| bytes == b"a secret"));
    with(&state, |store| async move {
        assert_eq!(texts(&store.tail(key("a"), ALL).await), ["anew"]);
        assert_eq!(texts(&store.tail(key("b"), ALL).await), ["no secret", "and on"]);
    });
}

#[test]
fn runs_without_an_end_are_found_after_a_crash_in_their_order() {
    let state = Scratch::new();
    let of = |session: &str, n, run: &str, role| {
        let said = said(session, n, run);
        Said { line: Line { role, ..said.line }.of_run(run), ..said }
    };
    with(&state, move |store| async move {
        for (session, n, run) in [("b", 1, "first"), ("a", 2, "second"), ("b", 3, "third")] {
            assert!(store.keep(of(session, n, run, Role::User)).await);
        }
        store.again(key("b"), "third".into()).await;
        assert!(store.keep(of("a", 4, "second", Role::Assistant)).await);
    });
    with(&state, |store| async move {
        let left = store.left().await;
        let runs: Vec<(&str, u8)> = left.iter().map(|left| (&*left.line.run, left.again)).collect();
        assert_eq!(runs, [("first", 0), ("third", 1)]);
        assert_eq!(left[1].header.key, key("b"));
        assert!(store.is_done("second").await && !store.is_done("first").await);
    });
}

#[test]
fn a_power_cut_at_any_byte_leaves_a_beginning_of_each_session_and_a_store_that_goes_on() {
    let state = Scratch::new();
    with(&state, |store| async move {
        for n in 0..6 {
            let session = ["a", "b"][usize::try_from(n % 2).unwrap()];
            assert!(store.keep(said(session, n, &format!("text {n}"))).await);
        }
    });
    let whole = std::fs::read(state.path().join(FILE)).unwrap();
    let all = [vec!["text 0", "text 2", "text 4"], vec!["text 1", "text 3", "text 5"]];
    let mut lines_before = 0;
    for cut in 0..whole.len() {
        let state = Scratch::new();
        std::fs::write(state.path().join(FILE), &whole[..cut]).unwrap();
        let tails = with(&state, |store| async move {
            let tails = [store.tail(key("a"), ALL).await, store.tail(key("b"), ALL).await];
            assert!(store.keep(said("a", 9, "and on")).await);
            let after = store.tail(key("a"), ALL).await;
            assert_eq!(after.lines.last().map(|line| &*line.text), Some("and on"));
            assert_eq!(after.lines.len(), tails[0].lines.len() + 1);
            tails
        });
        for (tail, all) in tails.iter().zip(&all) {
            assert!(all.starts_with(&texts(tail)), "cut at {cut}: {tail:?}");
        }
        let lines = tails.iter().map(|tail| tail.lines.len()).sum::<usize>();
        assert!(lines >= lines_before, "cut at {cut}: only {lines} are left");
        lines_before = lines;
    }
    assert_eq!(lines_before, 5, "the last is cut by a byte");
}

#[test]
fn damage_costs_what_it_hits_and_all_behind_it_and_is_put_aside() {
    let state = Scratch::new();
    with(&state, |store| async move {
        for n in 0..20 {
            assert!(store.keep(said("a", n, &format!("text {n}"))).await);
        }
    });
    let path = state.path().join(FILE);
    let mut bytes = std::fs::read(&path).unwrap();
    let place = bytes.windows(7).position(|bytes| bytes == b"text 10").unwrap();
    bytes[place] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    with(&state, |store| async move {
        assert_eq!(store.tail(key("a"), ALL).await.lines.len(), 10);
        assert!(store.keep(said("a", 30, "and on")).await);
        assert_eq!(store.tail(key("a"), ALL).await.lines.len(), 11);
    });
    assert!(state.path().join("transcripts.damaged").exists());
}

#[test]
fn without_a_place_nothing_is_kept_and_nobody_waits() {
    let state = Scratch::new();
    std::fs::create_dir(state.path().join(FILE)).unwrap();
    with(&state, |store| async move {
        assert!(!store.keep(said("a", 1, "one")).await);
        for n in 0..2 * limits::TRANSCRIPT_ORDERS_MAX as u64 {
            store.append(said("a", n, "more"));
        }
        assert_eq!(store.tail(key("a"), ALL).await, Tail::default());
        assert!(store.list().await.is_empty() && !store.forget(key("a")).await);
        store.close().await;
    });
}

#[test]
fn a_long_file_is_made_short_and_the_last_words_of_everybody_stay() {
    let state = Scratch::new();
    let long = "x".repeat(limits::TRANSCRIPT_TEXT_BYTES_MAX);
    with(&state, move |store| async move {
        assert!(store.keep(said("quiet", 0, "once")).await);
        let count = limits::TRANSCRIPTS_SHORT_BYTES / limits::TRANSCRIPT_TEXT_BYTES_MAX as u64 + 2;
        for n in 0..count {
            assert!(store.keep(said("loud", n, &long)).await);
        }
        assert!(store.keep(said("quiet", 9, "twice")).await);
        assert_eq!(texts(&store.tail(key("quiet"), ALL).await), ["once", "twice"]);
        let loud = store.tail(key("loud"), ALL).await.lines;
        assert!(loud.len() as u64 >= limits::TRANSCRIPT_SESSION_BYTES / long.len() as u64 - 1);
    });
    let length = std::fs::metadata(state.path().join(FILE)).unwrap().len();
    assert!(length < limits::TRANSCRIPTS_SHORT_BYTES / 2, "{length}");
}

#[test]
fn what_a_summary_stands_for_is_not_told_and_what_came_since_is() {
    let state = Scratch::new();
    with(&state, |store| async move {
        for n in 1..=5 {
            store.append(said("a", n, &format!("line {n}")));
        }
        let before = store.context(key("a"), ALL).await;
        assert_eq!((texts(&before).len(), &before.summary), (5, &None));
        assert_eq!(before.lines[2].seq, 3, "each has a number");
        let summary = said("a", 6, "in short");
        let line = Line { role: Role::Summary, upto: 3, ..summary.line };
        // It came while the other was at work.
        store.append(said("a", 7, "meanwhile"));
        store.append(Said { line, ..summary });
        store.append(said("a", 8, "since"));
        let told = store.context(key("a"), ALL).await;
        assert_eq!(texts(&told), ["line 4", "line 5", "meanwhile", "since"]);
        assert_eq!(told.summary.map(|line| line.text), Some("in short".into()));
        let few = store.context(key("a"), Most { lines: 2, ..ALL }).await;
        assert_eq!((texts(&few), few.has_more), (vec!["meanwhile", "since"], true));
        assert_eq!(store.tail(key("a"), ALL).await.lines.len(), 8, "people see all of it");
    });
    with(&state, |store| async move {
        store.append(said("a", 9, "after a restart"));
        let told = store.context(key("a"), ALL).await;
        assert_eq!(texts(&told).last(), Some(&"after a restart"));
        assert_eq!(told.lines.last().map(|line| line.seq), Some(9));
    });
}

#[test]
fn all_about_a_person_is_told_in_parts_and_gone_when_it_is_to_be() {
    let state = Scratch::new();
    let ann = Person { channel: crate::core::chat::ChannelKind::Discord, id: 1 };
    let of_ann =
        move |n| Said { line: said("a", n, "ann's").line.by(ann, "ann"), ..said("a", n, "") };
    with(&state, move |store| async move {
        for n in 0..9 {
            store.append(of_ann(n));
            store.append(said("a", n, "another's"));
        }
        store.append(said("discord:direct:1", 1, "of an older version"));
        let (mut lines, mut from) = (Vec::new(), 0);
        loop {
            let part = store.of_person(ann, from, 12).await;
            assert!(part.lines.len() <= 4, "in parts");
            lines.extend(part.lines);
            match part.next {
                Some(next) => from = next,
                None => break,
            }
        }
        assert_eq!(lines.len(), 10);
        assert_eq!(lines[9].0.as_str(), "agent:main:discord:direct:1");
        assert!(store.without(ann).await.is_some_and(|bytes| bytes > 100));
        assert_eq!(store.of_person(ann, 0, 1000).await, OfPerson::default());
        assert_eq!(store.tail(key("a"), ALL).await.lines.len(), 9);
        store.append(said("a", 10, "and on"));
        assert_eq!(store.tail(key("a"), ALL).await.lines.len(), 10);
    });
    let bytes = std::fs::read(state.path().join(FILE)).unwrap();
    let has = |text: &[u8]| bytes.windows(text.len()).any(|bytes| bytes == text);
    assert!(!has(b"ann's") && !has(b"older version") && has(b"another's"));
}
