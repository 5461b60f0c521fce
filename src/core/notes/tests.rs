use proptest::prelude::*;

use super::*;

fn chat(id: u64) -> ChatId {
    ChatId { channel: ChannelKind::Discord, id }
}

fn eyes(agent: &str, chat_id: u64, person: u64) -> Eyes {
    Eyes { agent: agent.into(), chat: chat(chat_id), person: Some(person) }
}

fn person(user: u64) -> Owner {
    Owner::Person(ChannelKind::Discord, user)
}

fn save(notes: &mut Notes, eyes: &Eyes, owner: Owner, text: &str) -> u64 {
    notes.save(eyes, owner, text, Wall(1)).unwrap_or_else(|why| panic!("{text}: {why}")).0.id
}

fn saved(notes: &mut Notes, eyes: &Eyes, owner: Owner, text: &str) -> Option<Vec<u8>> {
    notes.save(eyes, owner, text, Wall(1)).ok().and_then(|saved| saved.1)
}

fn texts<'n>(found: &[&'n Note]) -> Vec<&'n str> {
    found.iter().map(|note| &*note.text).collect()
}

#[test]
fn notes_are_found_by_words_however_they_are_written() {
    let (mut notes, ann) = (Notes::default(), eyes("main", 5, 7));
    for text in ["The dog is called Żółw", "Straße 12, Köln", "likes tea", "her tea is green tea"]
    {
        save(&mut notes, &ann, person(7), text);
    }
    let found = |query: &str| texts(&notes.search(&ann, query));
    assert_eq!(found("zolw?"), ["The dog is called Żółw"]);
    assert_eq!(found("STRASSE koln"), ["Straße 12, Köln"]);
    assert_eq!(found("ko\u{308}ln"), ["Straße 12, Köln"]);
    assert_eq!(found("green tea"), ["her tea is green tea", "likes tea"], "the better one first");
    assert_eq!(found("tea"), ["her tea is green tea", "likes tea"], "the newer one first");
    assert_eq!(found("lik"), ["likes tea"], "a beginning is enough");
    assert_eq!(found("nothing of it"), [""; 0]);
    assert_eq!(found(" ?").len(), 4, "no words are all of them");
}

#[test]
fn nobody_sees_what_is_not_theirs() {
    let mut notes = Notes::default();
    let (ann, ben) = (eyes("main", 5, 7), eyes("main", 5, 8));
    let secret = save(&mut notes, &ann, person(7), "ann's code is 1234");
    let shared = save(&mut notes, &ann, Owner::Chat(chat(5)), "the code of the chat");
    let found = |eyes: &Eyes| texts(&notes.search(eyes, "code"));
    assert_eq!(found(&ann), ["the code of the chat", "ann's code is 1234"]);
    assert_eq!(found(&ben), ["the code of the chat"]);
    assert_eq!(found(&eyes("main", 6, 7)), ["ann's code is 1234"], "wherever she asks");
    assert_eq!(found(&eyes("main", 6, 8)), [""; 0]);
    assert_eq!(found(&eyes("other", 5, 7)), [""; 0], "another agent");
    let webchat = ChatId { channel: ChannelKind::WebChat, id: 5 };
    assert_eq!(
        found(&Eyes { chat: webchat, ..ann.clone() }),
        [""; 0],
        "the same numbers elsewhere"
    );
    assert_eq!(found(&Eyes { person: None, ..ann.clone() }), ["the code of the chat"]);
    assert_eq!(notes.forget(&ben, secret), None);
    assert_eq!(notes.forget(&eyes("main", 6, 8), shared), None);
    assert!(notes.forget(&ben, shared).is_some() && notes.forget(&ann, secret).is_some());
    assert_eq!(notes.all().count(), 0);
}

#[test]
fn what_is_kept_is_bounded_and_said_once() {
    let (mut notes, ann) = (Notes::default(), eyes("main", 5, 7));
    let id = save(&mut notes, &ann, person(7), " the same ");
    let again = notes.save(&ann, person(7), "the same", Wall(2)).unwrap();
    assert_eq!((again.0.id, again.1), (id, None));
    assert_eq!(notes.save(&ann, person(7), " \n", Wall(1)), Err(Refusal::Empty));
    let long = "x".repeat(NOTE_BYTES_MAX + 1);
    assert_eq!(notes.save(&ann, person(7), &long, Wall(1)), Err(Refusal::Long));
    for number in 1..NOTES_PER_OWNER_MAX {
        save(&mut notes, &ann, person(7), &format!("note {number}"));
    }
    assert_eq!(notes.save(&ann, person(7), "one more", Wall(1)), Err(Refusal::Many));
    assert!(notes.save(&ann, Owner::Chat(chat(5)), "one more", Wall(1)).is_ok());
    let mut other = 100;
    let refused = loop {
        let eyes = eyes("main", 5, other);
        let text = format!("{:01$}", 0, NOTE_BYTES_MAX);
        match notes.save(&eyes, person(other), &text, Wall(1)) {
            Ok(_) => other += 1,
            Err(refused) => break refused,
        }
    };
    assert_eq!(refused, Refusal::Full);
    assert!(notes.bytes <= NOTES_BYTES_MAX);
}

#[test]
fn all_about_a_person_is_found_and_forgotten_and_nothing_of_others() {
    let mut notes = Notes::default();
    let (ann, ben) = (eyes("main", 5, 7), eyes("other", 5, 8));
    save(&mut notes, &ann, person(7), "a");
    save(&mut notes, &ann, Owner::Chat(chat(5)), "b");
    save(&mut notes, &ben, Owner::Chat(chat(5)), "c");
    save(&mut notes, &ben, person(8), "d");
    let of_ann = |note: &Note| is_of_person(note, ChannelKind::Discord, 7);
    assert_eq!(notes.all().filter(|note| of_ann(note)).count(), 2);
    assert_eq!(notes.forget_all(of_ann).len(), 2);
    let left: Vec<&str> = notes.all().map(|note| &*note.text).collect();
    assert_eq!(left, ["c", "d"]);
}

proptest! {
    #[test]
    fn a_log_says_the_same_again(
        steps in proptest::collection::vec((0_u8..4, 0_u64..3, 0_u64..3, "[a-c ]{0,3}"), 0..30),
    ) {
        let (mut notes, mut log) = (Notes::default(), Vec::new());
        for (verb, user, place, text) in steps {
            let eyes = eyes("main", place, user);
            match verb {
                0 => log.extend(saved(&mut notes, &eyes, person(user), &text)),
                1 => log.extend(saved(&mut notes, &eyes, Owner::Chat(chat(place)), &text)),
                2 => log.extend(notes.forget(&eyes, user + place)),
                _ => log.extend(notes.forget_all(|n| n.by == user && n.id % 2 == place % 2)),
            }
            for note in notes.search(&eyes, &text) {
                let is_own = note.owner == person(user) || note.owner == Owner::Chat(chat(place));
                prop_assert!(is_own);
            }
            let bytes: usize = notes.all().map(size).sum();
            prop_assert_eq!(bytes, notes.bytes);
        }
        for records in [log, notes.records()] {
            let mut again = Notes::default();
            for record in &records {
                again.take(record);
            }
            prop_assert!(again.all().eq(notes.all()));
            prop_assert!(again.last <= notes.last && again.strange == 0);
        }
    }

    #[test]
    fn any_record_can_be_read(record in proptest::collection::vec(any::<u8>(), 0..60)) {
        Notes::default().take(&record);
    }
}
