//! Strangers who write, flood, guess and wait, and an owner who approves.

use std::time::Duration;

use super::*;
use crate::base::Rng;
use crate::core::chat::ChannelKind;

fn chat(id: u64) -> ChatId {
    ChatId { channel: ChannelKind::Discord, id }
}

fn minutes(count: u64) -> Wall {
    Wall(1_000_000_000 + count * 60_000)
}

fn code(told: &Told) -> String {
    match told {
        Told::Code { code, .. } => code.to_string(),
        other => panic!("{other:?}"),
    }
}

fn ask(pairing: &mut Pairing, now: Wall, author: u64) -> Told {
    pairing.knock(
        now,
        (author, "ann"),
        chat(author * 10),
        author.wrapping_mul(0x9e37_79b9_7f4a_7c15),
    )
}

#[test]
fn a_stranger_gets_a_code_and_is_let_in_by_it() {
    let mut pairing = Pairing::default();
    let code = code(&ask(&mut pairing, minutes(0), 7));
    assert!(!pairing.is_paired(7));
    let typed = format!(" {}-{} ", code[..4].to_lowercase(), &code[4..]);
    let paired = pairing.approve(minutes(1), &typed).unwrap();
    assert_eq!((paired.author, paired.chat, &*paired.name), (7, chat(70), "ann"));
    assert!(pairing.is_paired(7));
    assert_eq!(pairing.approve(minutes(1), &code), Err(Wrong::Unknown), "once");
    assert_eq!(pairing.pending(minutes(1)).count(), 0);
}

#[test]
fn the_same_stranger_gets_the_same_code_and_not_at_every_word() {
    let mut pairing = Pairing::default();
    let first = ask(&mut pairing, minutes(0), 7);
    assert!(matches!(first, Told::Code { record: Some(_), .. }));
    assert_eq!(ask(&mut pairing, minutes(0) + Duration::from_secs(59), 7), Told::Nothing);
    let again = ask(&mut pairing, minutes(1), 7);
    assert_eq!(code(&again), code(&first));
    assert!(matches!(again, Told::Code { record: None, .. }), "nothing new is kept");
}

#[test]
fn only_so_many_wait_and_the_next_is_told_so() {
    let mut pairing = Pairing::default();
    for author in 1..=3 {
        assert!(matches!(ask(&mut pairing, minutes(0), author), Told::Code { .. }));
    }
    assert_eq!(ask(&mut pairing, minutes(1), 4), Told::Full);
    assert_eq!(ask(&mut pairing, minutes(1), 5), Told::Nothing, "not each of a flood");
    assert_eq!(ask(&mut pairing, minutes(2), 5), Told::Full);
    assert_eq!(pairing.counts().full, 3);
    assert!(matches!(ask(&mut pairing, minutes(60), 5), Told::Code { .. }), "the first ran out");
}

#[test]
fn a_code_holds_for_an_hour() {
    let mut pairing = Pairing::default();
    let code = code(&ask(&mut pairing, minutes(0), 7));
    assert_eq!(pairing.approve(minutes(60), &code), Err(Wrong::Expired));
    let before = Wall(minutes(0).0 - 2 * 3_600_000);
    assert_eq!(pairing.approve(before, &code), Err(Wrong::Expired), "the clock was set back");
    assert!(pairing.approve(minutes(59), &code).is_ok());
}

#[test]
fn guesses_are_counted_and_come_to_an_end() {
    let mut pairing = Pairing::default();
    let code = code(&ask(&mut pairing, minutes(0), 7));
    assert_eq!(pairing.approve(minutes(0), "what?"), Err(Wrong::Malformed));
    for _ in 1..PAIRING_GUESSES_MAX {
        assert_eq!(pairing.approve(minutes(0), "ABCDEFGH"), Err(Wrong::Unknown));
    }
    assert_eq!(pairing.approve(minutes(5), &code), Err(Wrong::TooMany), "not even the right one");
    assert_eq!(pairing.counts().wrong, u64::from(PAIRING_GUESSES_MAX));
    assert!(pairing.approve(minutes(10), &code).is_ok());
}

#[test]
fn who_is_sent_away_is_a_stranger_again() {
    let mut pairing = Pairing::default();
    let code = code(&ask(&mut pairing, minutes(0), 7));
    pairing.approve(minutes(0), &code).unwrap();
    assert_eq!(pairing.revoke(7), Some(Record::Revoked { author: 7 }));
    assert!(!pairing.is_paired(7));
    assert_eq!(pairing.revoke(7), None);
    assert!(matches!(ask(&mut pairing, minutes(0), 8), Told::Code { .. }));
    assert!(pairing.revoke(8).is_some(), "waiting ones too");
    assert_eq!(pairing.pending(minutes(0)).count(), 0);
}

#[test]
fn codes_are_made_of_what_nobody_mistakes() {
    for chance in [0, u64::MAX, 0x0123_4567_89ab_cdef] {
        let code = Code::of(chance);
        assert_eq!(code.to_string().len(), PAIRING_CODE_CHARS);
        assert!(code.to_string().bytes().all(|byte| ALPHABET.contains(&byte)), "{code}");
        assert_eq!(Code::typed(&code.to_string()), Some(code));
    }
    for text in ["", "ABCDEFG", "ABCDEFGHJ", "ABCDEFG0", "ABCDEFGI", "ABCDEFGÜ"] {
        assert_eq!(Code::typed(text), None, "{text}");
    }
    assert_eq!(Code::typed("abcd efgh"), Code::typed("AB-CD-EF-GH"));
}

#[test]
fn two_who_wait_never_have_the_same_code() {
    let mut pairing = Pairing::default();
    let codes: Vec<String> =
        (1..=3).map(|a| code(&pairing.knock(minutes(0), (a, ""), chat(a), 77))).collect();
    assert!(codes[0] != codes[1] && codes[1] != codes[2] && codes[0] != codes[2]);
}

/// Strangers, owners and restarts at random: the log always tells the whole state.
#[test]
fn whatever_happens_the_log_gives_the_same_list_again_and_stays_short() {
    for seed in 0..100 {
        let (mut rng, mut pairing) = (Rng::new(seed), Pairing::default());
        let mut log: Vec<Record> = Vec::new();
        let (mut now, mut asked) = (minutes(0), 0);
        for _ in 0..300 {
            now = now + Duration::from_secs(rng.below(600));
            let author = rng.below(8);
            match rng.below(8) {
                0 => {
                    let code = pairing.pending(now).next().map(|pending| pending.code.to_string());
                    let paired = code.and_then(|code| pairing.approve(now, &code).ok());
                    log.extend(paired.map(Record::Approved));
                }
                1 => log.extend(pairing.revoke(author)),
                2 => {
                    let mut again = Pairing::default();
                    log.iter().cloned().for_each(|record| again.replay(record));
                    let list = |pairing: &Pairing| -> (Vec<Paired>, Vec<Pending>) {
                        (
                            pairing.paired().cloned().collect(),
                            pairing.pending(now).cloned().collect(),
                        )
                    };
                    let ((paired, mut pending), (is_paired, mut is_pending)) =
                        (list(&pairing), list(&again));
                    pending.sort_by_key(|pending| pending.author);
                    is_pending.sort_by_key(|pending| pending.author);
                    assert_eq!((is_paired, is_pending), (paired, pending), "seed {seed}");
                    let mut short = Pairing::default();
                    pairing.records().into_iter().for_each(|record| short.replay(record));
                    assert!(short.paired().eq(pairing.paired()), "seed {seed}: made short");
                    pairing = again;
                }
                _ if pairing.is_paired(author) => {}
                _ => {
                    if let Told::Code { record: Some(record), .. } =
                        pairing.knock(now, (author, "x"), chat(author), rng.bits())
                    {
                        asked += 1;
                        log.push(record);
                    }
                }
            }
            assert!(pairing.pending(now).count() <= PAIRING_PENDING_MAX, "seed {seed}");
            // Everything that is kept is somebody's doing, or one of a few codes.
            let hours = now.since(minutes(0)).as_secs() / 3600 + 1;
            let let_in = log.iter().filter(|record| !matches!(record, Record::Asked(_))).count();
            let bound = hours * PAIRING_PENDING_MAX as u64 + let_in as u64;
            assert!(asked <= bound, "seed {seed}: {asked} codes in {hours} hours");
        }
    }
}
