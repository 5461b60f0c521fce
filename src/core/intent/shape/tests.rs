//! That the words are those that are meant, and how they are found.

use super::*;

#[test]
fn every_word_is_found_under_its_class_and_written_as_it_is_looked_for() {
    for &(class, words) in WORDS {
        for text in words.split_ascii_whitespace() {
            let mut word = Word::START;
            for letter in text.chars() {
                let folded = fold(letter).expect("a letter");
                assert_eq!(folded, u32::from(letter), "{text} is written without case and accents");
                word.push(folded);
            }
            assert!(word.classes() & class != 0, "{text}");
        }
    }
    let known = TABLE.iter().filter(|(_, classes)| *classes != 0).count();
    assert!(known * 2 < SLOTS, "{known} words: a look must stay short");
    assert_eq!(classes(Word::START.hash), 0);
}

#[test]
fn one_walk_reads_each_letter_once() {
    // Marks that something begins which does not end, in numbers: none makes the walk longer.
    for piece in ["<@", "<:", "`", "```", "<", "@", "https://", "a'", "¿"] {
        let text = piece.repeat(INTENT_BYTES_MAX);
        let shape = Shape::of(&text, &Names::default());
        assert!(usize::from(shape.words) <= INTENT_BYTES_MAX, "{piece}");
    }
}

#[test]
fn where_a_part_begins_it_is_seen_what_it_asks() {
    let shape = |text| Shape::of(text, &Names::of(["Barney"]));
    assert!(shape("thanks. how do I close it").how_to);
    assert!(shape("ok and what is it").how_to);
    assert!(!shape("I know what it is").how_to);
    assert!(shape("ok, does one need a permit").openers & AUX != 0);
    assert!(shape("they said no, will ask").openers & CAN == 0);
    assert!(shape("lol ok thanks barney").is_social && !shape("thanks, why").is_social);
    assert!(shape("is it? 😂!!").asks_at_end && !shape("is it? no").asks_at_end);
}
