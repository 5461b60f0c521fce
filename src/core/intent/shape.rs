//! What the words of a message are like, told in one walk over the beginning of its text.
//!
//! A word is known by its hash: letters without their case and accents, without apostrophes. The
//! words that mean something to us are few; English first, the commonest of German, Spanish,
//! French and Portuguese beside it.

use crate::base::limits::INTENT_BYTES_MAX;

/// Names that may be spoken to.
const NAMES_MAX: usize = 8;
/// The first words of a message are kept, to see whether one is somebody's name.
const HEADS_MAX: usize = 4;

/// What we are called, each name by its first word.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Names(heapless::Vec<u32, NAMES_MAX>);

impl Names {
    /// These; of more than there is room for the first.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Names {
        Names(names.into_iter().filter_map(name).take(NAMES_MAX).collect())
    }

    fn has(&self, word: Word) -> bool {
        self.0.iter().any(|&name| name == word.hash || name == word.stem)
    }

    /// The same with one more, if there is room.
    #[must_use]
    pub(super) fn with(&self, name: Option<u32>) -> Names {
        let mut names = self.clone();
        if let Some(name) = name {
            // Of so many names one less is no loss.
            let _ = names.0.push(name);
        }
        names
    }
}

/// What a person called `name` is spoken to by: the first word, if it is more than two letters.
#[must_use]
pub fn name(name: &str) -> Option<u32> {
    let mut word = Word::START;
    let mut letters = 0;
    for letter in name.chars().take(64) {
        match fold(letter) {
            Some(folded) => {
                word.push(folded);
                letters += 1;
            }
            None if letters > 2 => break,
            None => (word, letters) = (Word::START, 0),
        }
    }
    (letters > 2).then_some(word.hash)
}

/// What a word can be for us; several at once.
pub(super) mod class {
    /// A question word.
    pub(crate) const ASK: u32 = 1;
    /// Is, does, has.
    pub(crate) const AUX: u32 = 1 << 1;
    /// Can, would.
    pub(crate) const CAN: u32 = 1 << 2;
    /// You.
    pub(crate) const YOU: u32 = 1 << 3;
    /// What is to be done.
    pub(crate) const DO: u32 = 1 << 4;
    /// Please.
    pub(crate) const PLEASE: u32 = 1 << 5;
    /// Thanks, applause, laughter.
    pub(crate) const SOCIAL: u32 = 1 << 6;
    /// Hello.
    pub(crate) const GREET: u32 = 1 << 7;
    /// Anyone, all.
    pub(crate) const GROUP: u32 = 1 << 8;
    /// We.
    pub(crate) const US: u32 = 1 << 9;
    /// I.
    pub(crate) const ME: u32 = 1 << 10;
    /// Tonight, lunch.
    pub(crate) const PLAN: u32 = 1 << 11;
    /// And, but, also.
    pub(crate) const CONT: u32 = 1 << 12;
    /// Fails, broken.
    pub(crate) const TROUBLE: u32 = 1 << 13;
    /// Difference, means, many.
    pub(crate) const FACT: u32 = 1 << 14;
    /// What stands between a question word and what is asked, where facts are asked for.
    pub(crate) const HOW: u32 = 1 << 15;
    /// A verb of the third person.
    pub(crate) const THIRD: u32 = 1 << 16;
    /// A question word and its verb in one: what's.
    pub(crate) const WHATS: u32 = 1 << 17;
    /// What stands before the name of one who is spoken of.
    pub(crate) const BEFORE: u32 = 1 << 18;
    /// More, another.
    pub(crate) const MORE: u32 = 1 << 21;
    /// Who.
    pub(crate) const WHO: u32 = 1 << 20;
    /// Not, still, already.
    pub(crate) const NOT: u32 = 1 << 19;
    /// It, that, they.
    pub(crate) const IT: u32 = 1 << 22;
    /// Found, fixed.
    pub(crate) const DONE: u32 = 1 << 23;
}

use class::{
    ASK, AUX, BEFORE, CAN, CONT, DO, DONE, FACT, GREET, GROUP, HOW, IT, ME, MORE, NOT, PLAN,
    PLEASE, SOCIAL, THIRD, TROUBLE, US, WHATS, WHO, YOU,
};

/// The words, by what they are.
const WORDS: &[(u32, &str)] = &[
    (
        ASK,
        "what how why when where which who whose wie warum wann wo welche welcher welches wer \
         wieviel wieso que como cual cuando donde quien cuanto cuanta cuantos quoi comment \
         pourquoi quand quel quelle qui combien quando onde qual quem quanto quanta quantos \
         porque was ou",
    ),
    (WHO, "who whos wer quien qui quem"),
    (WHATS, "whats hows whys wheres whos"),
    (
        AUX,
        "do does did is are was were am has have had isnt arent doesnt dont didnt hasnt \
         havent ist sind hast hat gibt habt haben es esta hay son tienes tiene estce est as \
         avez tem sabe sabes voce puis",
    ),
    (
        CAN,
        "can could would will should may might shall kann kannst konntest konnte wurdest \
         puedes podrias puede peux pouvez pourrais pode poderia",
    ),
    (
        YOU,
        "you your youre u ur yours yourself youve du dir dich dein deine ihr te ti usted tus \
         tu vous votre toi voce vc voces yall",
    ),
    (
        DO,
        "explain show write summarize summarise translate list find tell give check compare \
         convert generate make create calculate suggest recommend draft rewrite shorten \
         remind swap add pick roll quiz plan define describe help put turn propose compose \
         count name look search fix correct improve continue expand simplify change remove \
         replace schreib schreibe erklar erklare mach mache gib zeig zeige ubersetze nenne \
         such rechne dame escribe explica dime haz traduce muestra cuenta ecris ecrismoi \
         ecrivez donne explique traduis montre fais dismoi escreva explique traduza mostra \
         mostre faca diga calcula",
    ),
    (PLEASE, "please pls plz bitte porfa favor stp svp pf"),
    (
        SOCIAL,
        "thanks thank thx ty tyty tysm cheers ok okay k kk lol lmao haha hahaha yes yep yup \
         yeah yess yesss yay no nope nooo nice cool great good wow omg gg ggs same true sure \
         right oh ohh ohhh ah aha perfect awesome amazing brilliant lovely sweet neat fair \
         danke super ja nein prima toll gracias vale jaja jajaja si merci oui non parfait mdr \
         obrigado obrigada valeu sim nao kkk kkkkk bom boa legal genial perfecto done works \
         worked solved finally noted deal pog legend love agreed exactly indeed hmm ugh oof \
         rip wp ez based yikes bless ha hehe bingo course clever bot",
    ),
    (
        GREET,
        "hi hey heyy hello yo hallo moin hola holaaa salut bonjour coucou oi ola morning gn \
         night bye cu goodnight welcome",
    ),
    (
        GROUP,
        "anyone anybody someone somebody everyone everybody all guys folks people team ihr \
         jemand alle alguien todos alguem gente quelquun",
    ),
    (US, "we us our lets were uns wir unser vamos nosotros nous nossa"),
    (ME, "i im ive id ill my me mine ich mein mir mich yo mi je mon moi jai eu meu minha"),
    (
        PLAN,
        "tonight tomorrow weekend lunch dinner coming meeting monday tuesday wednesday \
         thursday friday saturday sunday heute morgen abend gehen sabado noche demain soir \
         later ride game coffee beer party bring brings bringing joining",
    ),
    (
        CONT,
        "and but also so then ok or again another more shorter longer still now und aber noch \
         kurzer y pero otro mas et plus encore e outro instead same well",
    ),
    (
        TROUBLE,
        "error crash crashes fails failed failing broken stuck unable problem issue hangs \
         wrong cant wont doesnt exception missing keeps denied says shows nothing empty stays \
         forgot lost disconnected drain crashing freezes blank invalid unexpected undefined \
         refused timeout timed silent isnt didnt fehler geht kaputt erreur marche falla \
         funciona erro",
    ),
    (
        MORE,
        "more another again shorter longer mas otro plus encore noch kurzer mais outro too \
         also auch aussi tambien tambem either",
    ),
    (
        NOT,
        "not no nope never nothing still already isnt arent doesnt dont didnt cant wont \
         havent only says nicht kein keine immer ne pas toujours ainda todavia",
    ),
    (
        FACT,
        "difference mean means many much far long often old per between formula example \
         command meaning called possible name best recommended capital word type kind \
         pressure temperature version limit country countries unterschied viel viele \
         diferencia cuanto cuanta combien difference quanta quanto diferenca dit",
    ),
    (HOW, "do does did is are to can i one would was s kann ich man se on eu"),
    (
        THIRD,
        "is was has says said would decides thinks knows hurt basically probably will told \
         review",
    ),
    (
        IT,
        "it its that thats this these those he she they him her them his es das ihn sie er ca il \
         elle eso esto lo isso ele ela",
    ),
    (
        DONE,
        "found fixed works worked working solved finally done got fits runs running boots passed \
         course phew obviously helped nailed sorted geht funktioniert klappt gefunden marche \
         trouve listo funciono sirvio resolvido funcionou",
    ),
    (BEFORE, "ask asked tell told with about by like of from than to for said let have make see"),
];

/// Slots of the table below; twice as many as words, so that a look is a step or two.
const SLOTS: usize = 1 << 11;

/// The words by their hashes: `(hash, classes)`; no classes is an empty slot.
static TABLE: [(u32, u32); SLOTS] = table();

const fn table() -> [(u32, u32); SLOTS] {
    let mut table = [(0, 0); SLOTS];
    let mut group = 0;
    while group < WORDS.len() {
        let (class, words) = WORDS[group];
        let bytes = words.as_bytes();
        let (mut at, mut hash) = (0, Word::START.hash);
        while at <= bytes.len() {
            let is_end = at == bytes.len() || bytes[at] == b' ';
            if is_end && hash != Word::START.hash {
                let mut slot = hash as usize % SLOTS;
                while table[slot].1 != 0 && table[slot].0 != hash {
                    slot = (slot + 1) % SLOTS;
                }
                table[slot] = (hash, table[slot].1 | class);
                hash = Word::START.hash;
            } else if !is_end {
                hash = step(hash, bytes[at] as u32);
            }
            at += 1;
        }
        group += 1;
    }
    table
}

fn classes(hash: u32) -> u32 {
    let mut slot = hash as usize % SLOTS;
    loop {
        let (known, classes) = TABLE[slot];
        if classes == 0 || known == hash {
            return classes;
        }
        slot = (slot + 1) % SLOTS;
    }
}

/// FNV-1a with 32 bits.
const fn step(hash: u32, letter: u32) -> u32 {
    (hash ^ letter).wrapping_mul(0x0100_0193)
}

/// The last letters of many a word that says more of something …
const IER: u32 = u32::from_be_bytes(*b"\0ier");
/// … and of what somebody is doing.
const ING: u32 = u32::from_be_bytes(*b"\0ing");

/// A word being read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Word {
    hash: u32,
    /// The hash of what stands before its last apostrophe; that of nothing if it has none.
    stem: u32,
    /// Its last three letters, a byte each.
    ending: u32,
}

impl Word {
    const START: Word = Word { hash: 0x811c_9dc5, stem: 0x811c_9dc5, ending: 0 };

    fn push(&mut self, folded: u32) {
        self.hash = step(self.hash, folded);
        self.ending = (self.ending << 8 | folded & 0xff) & 0x00ff_ffff;
    }

    fn is_empty(self) -> bool {
        self.hash == Word::START.hash
    }

    fn classes(self) -> u32 {
        let whole = classes(self.hash);
        match whole {
            0 if self.stem != Word::START.hash => classes(self.stem),
            // `funnier`, `friendlier`: more of something.
            0 if self.ending == IER => MORE,
            whole => whole,
        }
    }
}

/// A letter or digit without case and accent; `None` is no part of a word.
fn fold(letter: char) -> Option<u32> {
    let plain = match letter {
        'a'..='z' | '0'..='9' => letter,
        'A'..='Z' => letter.to_ascii_lowercase(),
        'à'..='å' | 'À'..='Å' => 'a',
        'ç' | 'Ç' => 'c',
        'è'..='ë' | 'È'..='Ë' => 'e',
        'ì'..='ï' | 'Ì'..='Ï' => 'i',
        'ñ' | 'Ñ' => 'n',
        'ò'..='ö' | 'Ò'..='Ö' => 'o',
        'ù'..='ü' | 'Ù'..='Ü' => 'u',
        'ß' => 's',
        _ if letter.is_alphanumeric() => letter,
        _ => return None,
    };
    Some(plain.into())
}

/// Where our name stands in a message.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(super) enum Place {
    /// Nowhere.
    #[default]
    Nowhere,
    /// Where somebody is spoken of.
    Third,
    /// Where somebody is spoken to.
    Spoken,
}

/// Whether `text` speaks to somebody who has one of these names.
#[must_use]
pub fn calls(text: &str, names: &Names) -> bool {
    Shape::of(text, names).name == Place::Spoken
}

/// What a message is like.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact about the text by itself")]
pub(super) struct Shape {
    /// How many words it has, as far as it was read.
    pub(super) words: u16,
    /// The classes of all its words.
    pub(super) classes: u32,
    /// The classes of the words that begin its parts.
    pub(super) openers: u32,
    /// Whether its very first word begins something that goes on.
    pub(super) continues: bool,
    /// Whether its very first word is thanks, a nod or the like.
    pub(super) reacts: bool,
    /// Whether it begins with a greeting.
    pub(super) greets: bool,
    /// `how do`, `what is`.
    pub(super) how_to: bool,
    /// `can you`.
    pub(super) can_you: bool,
    /// `did you`.
    pub(super) do_you: bool,
    /// Whether every word is thanks, applause, laughter or a greeting.
    pub(super) is_social: bool,
    /// Where our name stands.
    pub(super) name: Place,
    /// Whether it ends with a question mark.
    pub(super) asks_at_end: bool,
    /// Whether one stands in it.
    pub(super) asks: bool,
    /// Whether there is an exclamation mark or a smiley in it.
    pub(super) exclaims: bool,
    /// Whether its first word ends in -ing.
    pub(super) doing: bool,
    /// Whether there is a number in it.
    pub(super) digits: bool,
    /// Whether there is something between quotation marks in it.
    pub(super) quotes: bool,
    /// Whether it shows code.
    pub(super) code: bool,
    /// Whether it has a link.
    pub(super) link: bool,
    /// Whether it mentions a person or role.
    pub(super) mentions: bool,
    /// Whether it mentions everybody.
    pub(super) everyone: bool,
    /// Its first words …
    pub(super) heads: [u32; HEADS_MAX],
    /// … and its last.
    pub(super) tail: u32,
}

/// A text being read.
struct Reader<'n> {
    names: &'n Names,
    shape: Shape,
    word: Word,
    /// Whether a part begins with the next word that says something.
    opens: bool,
    /// The word that began the part, until the next has come.
    opener: u32,
    /// Whether the last word was our name, and what it would be if nothing came after it.
    after_name: Option<Place>,
    /// Whether the last word was followed by a comma or the like.
    paused: bool,
    /// Words that are thanks, applause or names.
    social: u16,
    /// Words that may stand before a name and leave it the first.
    soft: u16,
    /// The classes of the word before.
    before: u32,
}

impl Shape {
    /// What `text` is like, where we have these `names`.
    pub(super) fn of(text: &str, names: &Names) -> Shape {
        let read = crate::base::text::truncate(text, INTENT_BYTES_MAX);
        let mut reader = Reader {
            names,
            shape: Shape::default(),
            word: Word::START,
            opens: true,
            opener: 0,
            after_name: None,
            paused: true,
            social: 0,
            soft: 0,
            before: 0,
        };
        reader.walk(read);
        let mut shape = reader.finish();
        shape.asks_at_end = asks_at_end(text);
        shape
    }
}

/// Whether the last mark of `text` is a question mark, smileys aside.
pub(super) fn asks_at_end(text: &str) -> bool {
    const LOOKED_AT: usize = 32;
    let mut last = text.chars().rev().take(LOOKED_AT);
    let mark = last.find(|&mark| mark == '?' || mark == '？' || fold(mark).is_some());
    matches!(mark, Some('?' | '？'))
}

impl Reader<'_> {
    fn walk(&mut self, text: &str) {
        let mut rest = text;
        while let Some(letter) = rest.chars().next() {
            if self.word.is_empty()
                && let Some(after) = self.special(rest)
            {
                rest = after;
                continue;
            }
            rest = &rest[letter.len_utf8()..];
            match (fold(letter), letter) {
                (Some(folded), letter) => {
                    self.shape.digits |= letter.is_ascii_digit();
                    self.word.push(folded);
                }
                (None, '\'' | '’') if !self.word.is_empty() => self.word.stem = self.word.hash,
                // French and Portuguese tie words together: dis-moi, est-ce.
                (None, '-') => {}
                (None, mark) => {
                    self.end_word();
                    self.mark(mark);
                }
            }
        }
        self.end_word();
    }

    /// What is no word: a mention, a smiley of the server's, a link, code. What comes after it.
    fn special<'t>(&mut self, rest: &'t str) -> Option<&'t str> {
        if let Some(inside) = rest.strip_prefix("```") {
            self.shape.code = true;
            self.mark('\n');
            return Some(inside.split_once("```").map_or("", |(_, after)| after));
        }
        if let Some(inside) = rest.strip_prefix('`') {
            self.shape.code = true;
            return Some(inside.split_once('`').map_or(inside, |(_, after)| after));
        }
        if let Some(inside) = rest.strip_prefix('<') {
            let is_smiley = inside.starts_with([':', 'a', '#', '/', 't']);
            let is_person = inside.starts_with('@');
            if !is_smiley && !is_person {
                return None;
            }
            // The longest of them is some sixty bytes long.
            let end = inside.bytes().take(64).position(|byte| byte == b'>')?;
            self.shape.mentions |= is_person;
            return Some(&inside[end + 1..]);
        }
        for word in ["@everyone", "@here"] {
            if let Some(after) = rest.strip_prefix(word) {
                self.shape.everyone = true;
                return Some(after);
            }
        }
        if rest.starts_with("https://") || rest.starts_with("http://") {
            self.shape.link = true;
            let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
            return Some(&rest[end..]);
        }
        None
    }

    fn mark(&mut self, mark: char) {
        match mark {
            '?' | '？' => {
                self.shape.asks = true;
                self.opens = true;
                // A name before a question mark is that of who is asked.
                if self.after_name == Some(Place::Third) {
                    self.after_name = Some(Place::Spoken);
                }
                self.paused = true;
            }
            '.' | '!' | ':' | ';' | '\n' | '…' | '¿' | '¡' => {
                self.shape.exclaims |= mark == '!';
                self.opens = true;
                self.paused = true;
            }
            // Behind a comma a part begins only if what stands before it says nothing.
            ',' => {
                self.opens |= self.soft == self.shape.words;
                self.paused = true;
            }
            '"' | '“' | '„' | '«' => self.shape.quotes = true,
            '\u{2600}'..='\u{27bf}' | '\u{1f300}'..='\u{1faff}' => self.shape.exclaims = true,
            _ => {}
        }
    }

    fn end_word(&mut self) {
        let word = std::mem::replace(&mut self.word, Word::START);
        if word.is_empty() {
            return;
        }
        let at = usize::from(self.shape.words);
        if let Some(head) = self.shape.heads.get_mut(at) {
            *head = word.hash;
        }
        self.shape.tail = word.hash;
        self.shape.words += 1;
        let classes = word.classes();
        if self.names.has(word) {
            return self.name(word);
        }
        self.settle_name(classes);
        // `thank you` speaks to nobody who should answer.
        let is_thanked = classes & YOU != 0 && self.before & SOCIAL != 0;
        self.shape.classes |= if is_thanked { 0 } else { classes };
        if at == 0 {
            self.shape.doing = word.ending == ING;
            self.shape.continues = classes & CONT != 0;
            self.shape.reacts = classes & SOCIAL != 0 && classes & NOT == 0;
            self.shape.greets = classes & GREET != 0;
        }
        let is_social = classes & (SOCIAL | GREET) != 0;
        self.social += u16::from(is_social || is_thanked);
        let is_soft = is_social || classes & (CONT | PLEASE) != 0;
        self.soft += u16::from(is_soft);
        self.before = classes;
        self.pair(classes);
        if self.opens && !is_soft {
            self.shape.openers |= classes;
            self.opener = classes;
            self.opens = false;
        }
        self.paused = false;
    }

    /// What the word that began a part is together with the next.
    fn pair(&mut self, classes: u32) {
        let first = std::mem::take(&mut self.opener);
        if first & WHATS != 0 || first & ASK != 0 && classes & (HOW | FACT) != 0 {
            self.shape.how_to = true;
        }
        self.shape.can_you |= first & CAN != 0 && classes & YOU != 0;
        self.shape.do_you |= first & AUX != 0 && classes & YOU != 0;
    }

    fn name(&mut self, word: Word) {
        let is_of = word.stem != Word::START.hash && !self.names.0.contains(&word.hash);
        let is_opening = self.opens && (self.paused || self.soft + 1 == self.shape.words);
        let place =
            if !is_of && (is_opening || self.paused) { Place::Spoken } else { Place::Third };
        self.settle_name(0);
        self.social += 1;
        self.soft += 1;
        self.after_name = Some(place);
        self.paused = false;
    }

    /// The name before is judged by the word after it, if one of these `classes` has come.
    fn settle_name(&mut self, classes: u32) {
        let Some(mut place) = self.after_name.take() else { return };
        let is_subject = !self.paused && classes & THIRD != 0;
        if place == Place::Spoken && is_subject {
            place = Place::Third;
        }
        self.shape.name = self.shape.name.max(place);
    }

    fn finish(mut self) -> Shape {
        if self.shape.words > 0 && self.opener & WHATS != 0 {
            self.shape.how_to = true;
        }
        let is_told_of = self.before & BEFORE != 0;
        let is_name_last = self.after_name == Some(Place::Third) && !is_told_of;
        // `thank you barney`, `why barney`: so short, it is to us.
        if is_name_last && (self.shape.words <= 3 || self.shape.openers & (ASK | DO) != 0) {
            self.after_name = Some(Place::Spoken);
        }
        self.settle_name(0);
        // `that worked` nods as well as `ok I see`.
        self.shape.reacts |= self.before & SOCIAL != 0;
        // `two more` goes on as well as `and another`.
        self.shape.continues |= self.shape.words <= 6 && self.shape.classes & MORE != 0;
        self.shape.is_social = self.social == self.shape.words && !self.shape.code;
        self.shape
    }
}

#[cfg(test)]
mod tests;
