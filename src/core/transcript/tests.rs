//! A log of transcripts with several sessions, made short now and then, against what a person
//! would remember of it. Keepers that are wrong on purpose show that it would be noticed.

use std::collections::VecDeque;

use super::*;
use crate::base::Rng;
use crate::core::answer::File;
use crate::core::chat::{ChannelKind, ChatId};
use proptest::prelude::*;

fn key(n: u64) -> Key {
    Key::read(&format!("s{n}"), "main").unwrap()
}

fn header(n: u64) -> Header {
    Header::new(key(n), &key(n).room(), "ann")
}

fn line(n: u64, text: &str) -> Line {
    Line::new(Wall(n), Role::User, 0, text)
}

fn person(id: u64) -> Person {
    Person { channel: ChannelKind::Discord, id }
}

/// What is changed for the worse.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Plant {
    LeavesOldPlaces,
    SkipsNothing,
    SkipsTheNewest,
    MixesSessions,
    KeepsTheForgotten,
    ForgetsWhoWaits,
    ForgetsNobody,
}

const PLANTS: [Plant; 7] = [
    Plant::ForgetsNobody,
    Plant::LeavesOldPlaces,
    Plant::SkipsNothing,
    Plant::SkipsTheNewest,
    Plant::MixesSessions,
    Plant::KeepsTheForgotten,
    Plant::ForgetsWhoWaits,
];

/// A log in memory.
#[derive(Default)]
struct Disk {
    records: Vec<(u64, Vec<u8>)>,
    end: u64,
    index: Index,
}

impl Disk {
    fn write(&mut self, record: &Record) {
        self.end = self.end.max(8);
        let bytes = record.encode();
        assert_eq!(Record::decode(&bytes).as_ref(), Some(record));
        self.index.take(self.end, &bytes);
        let length = 8 + bytes.len() as u64;
        self.records.push((self.end, bytes));
        self.end += length;
    }

    fn say(&mut self, n: u64, line: Line, plant: Option<Plant>) {
        let known = self.index.find(&key(n)).map(|(number, _)| number);
        let number = known.unwrap_or_else(|| {
            let number = self.index.next_number();
            self.write(&Record::Session(number, header(n)));
            number
        });
        let mut before = self.index.get(number).unwrap().last;
        if plant == Some(Plant::MixesSessions) {
            before = self.index.sessions.values().map(|session| session.last).max().unwrap();
        }
        self.write(&Record::Line(number, before, line));
    }

    /// The lines of a session, the oldest first.
    fn tail(&self, n: u64) -> Vec<Line> {
        let Some((number, session)) = self.index.find(&key(n)) else { return Vec::new() };
        let (mut place, mut lines) = (session.last, Vec::new());
        while place != 0 {
            let Some((_, bytes)) = self.records.iter().find(|(at, _)| *at == place) else { break };
            let Some(Record::Line(of, before, line)) = Record::decode(bytes) else { break };
            if of != number || before >= place {
                break;
            }
            lines.push(line);
            place = before;
        }
        lines.reverse();
        lines
    }

    fn shorten(&mut self, bytes_max: u64, plant: Option<Plant>) {
        let mut sieve = self.index.sieve(bytes_max);
        match plant {
            Some(Plant::SkipsNothing) => sieve.skip.clear(),
            Some(Plant::KeepsTheForgotten) => sieve.known.extend(0..1000),
            _ => {}
        }
        let mut next = Disk { end: 8, ..Disk::default() };
        let mut old = std::mem::take(&mut self.records);
        if plant == Some(Plant::SkipsTheNewest) {
            let is_line = |bytes: &[u8]| matches!(bytes[1], 2 | 5);
            let lines = old.iter().filter(|(_, bytes)| is_line(bytes)).count();
            let last = old.iter().rposition(|(_, bytes)| is_line(bytes));
            if let Some(last) = last.filter(|_| lines > 3) {
                old.remove(last);
            }
        }
        for (_, mut bytes) in old {
            let before = bytes.clone();
            if sieve.stays(next.end, &mut bytes) {
                if plant == Some(Plant::LeavesOldPlaces) {
                    bytes = before;
                }
                let length = 8 + bytes.len() as u64;
                next.records.push((next.end, bytes));
                next.end += length;
            }
        }
        next.index = sieve.index();
        if plant == Some(Plant::ForgetsWhoWaits) {
            next.index.open.clear();
        }
        *self = next;
    }

    /// Forgets `person`.
    fn leave_out(&mut self, person: Person, plant: Option<Plant>) {
        let mut sieve = self.index.without(person);
        if plant == Some(Plant::ForgetsNobody) {
            sieve.without = None;
        }
        let mut next = Disk { end: 8, ..Disk::default() };
        for (_, mut bytes) in std::mem::take(&mut self.records) {
            if sieve.stays(next.end, &mut bytes) {
                let length = 8 + bytes.len() as u64;
                next.records.push((next.end, bytes));
                next.end += length;
            }
        }
        next.index = sieve.index();
        *self = next;
    }

    /// The same read again from the disk.
    fn reread(&mut self) {
        let mut index = Index::default();
        for (place, bytes) in &self.records {
            index.take(*place, bytes);
        }
        self.index = index;
    }
}

/// What a person remembers.
#[derive(Default)]
struct Memory {
    lines: BTreeMap<u64, VecDeque<Line>>,
    waiting: BTreeSet<String>,
}

impl Memory {
    fn compare(&self, disk: &Disk) -> Result<(), String> {
        for n in 0..4 {
            let known: Vec<Line> = self.lines.get(&n).into_iter().flatten().cloned().collect();
            if disk.tail(n) != known {
                return Err(format!("{:?}, and not {known:?}", disk.tail(n)));
            }
        }
        Ok(())
    }

    fn forget(&mut self, gone: Person) {
        for lines in self.lines.values_mut() {
            lines.retain(|line| !line.people.contains(&gone));
        }
    }
}

/// What waits is known as long as its question is there.
fn all_wait(disk: &Disk, memory: &Memory) -> Result<(), String> {
    let asked = |run: &&String| {
        let n = run.split('-').next().and_then(|n| n.parse().ok()).unwrap_or(9);
        let lines = memory.lines.get(&n);
        lines.is_some_and(|lines| {
            let last = lines.iter().rfind(|line| *line.run == ***run);
            last.is_some_and(|line| line.role == Role::User)
        })
    };
    let waiting: Vec<&str> = memory.waiting.iter().filter(asked).map(|run| &**run).collect();
    let is_open = |run: &&str| disk.index.open().any(|(open, _)| open == *run);
    if waiting.iter().all(is_open) { Ok(()) } else { Err(format!("{waiting:?} wait")) }
}

/// Plays with a disk; the first promise that is broken.
fn play(seed: u64, plant: Option<Plant>) -> Result<(), String> {
    let (mut rng, mut disk, mut memory) = (Rng::new(seed), Disk::default(), Memory::default());
    for step in 0..400 {
        let n = rng.below(4);
        match rng.below(40) {
            0 => {
                let before: BTreeMap<u64, Vec<Line>> = (0..4).map(|n| (n, disk.tail(n))).collect();
                disk.shorten(3000, plant);
                let bytes: usize = disk.records.iter().map(|(_, bytes)| bytes.len()).sum();
                if bytes > 3000 + 4 * 400 {
                    return Err(format!("step {step}: {bytes} bytes are left"));
                }
                for (n, before) in before {
                    let after = disk.tail(n);
                    if !before.ends_with(&after) || (after.is_empty() && !before.is_empty()) {
                        return Err(format!("step {step}: {after:?} is not the end of {before:?}"));
                    }
                    memory.lines.insert(n, after.into());
                }
            }
            1 => {
                if let Some((number, _)) = disk.index.find(&key(n)) {
                    disk.write(&Record::Forgotten(number));
                    memory.lines.remove(&n);
                    memory.waiting.retain(|run| !run.starts_with(&format!("{n}-")));
                }
            }
            2 => disk.reread(),
            6 if step % 3 == 0 => {
                let gone = person(1 + step % 2);
                disk.leave_out(gone, plant);
                memory.forget(gone);
                if (0..4).flat_map(|n| disk.tail(n)).any(|line| line.people == [gone]) {
                    return Err(format!("step {step}: they are still there"));
                }
            }
            3..=5 => {
                let run = format!("{n}-{}", rng.below(3));
                let is_open = memory.waiting.contains(&run);
                let role = if is_open { Role::Assistant } else { Role::User };
                let line = Line { role, ..line(step, "asked") }.of_run(&run);
                disk.say(n, line.clone(), plant);
                memory.lines.entry(n).or_default().push_back(line);
                let (waiting, run) = (&mut memory.waiting, run);
                if is_open {
                    waiting.remove(&run)
                } else {
                    waiting.insert(run)
                };
            }
            _ => {
                let length = usize::try_from(rng.below(60)).unwrap();
                let mut line = line(step, &"x".repeat(length));
                // The others are as the last version wrote them.
                if length % 3 > 0 {
                    line = line.by(person(1 + length as u64 % 2), "ann");
                    line.seq = u32::try_from(step).unwrap() + 1;
                }
                disk.say(n, line.clone(), plant);
                memory.lines.entry(n).or_default().push_back(line);
            }
        }
        memory.compare(&disk).map_err(|what| format!("step {step}: {what}"))?;
        all_wait(&disk, &memory).map_err(|what| format!("step {step}: {what}"))?;
    }
    Ok(())
}

#[test]
fn what_is_read_is_the_end_of_what_was_said_whatever_is_made_short_or_forgotten() {
    for seed in 0..100 {
        assert_eq!(play(seed, None), Ok(()), "seed {seed}");
    }
}

#[test]
fn planted_bugs_are_noticed() {
    for plant in PLANTS {
        assert!((0..30).any(|seed| play(seed, Some(plant)).is_err()), "{plant:?} went unnoticed");
    }
}

#[test]
fn who_says_little_loses_nothing_to_those_who_say_much() {
    let mut disk = Disk::default();
    disk.say(0, line(1, "quiet"), None);
    for n in 0..500 {
        disk.say(1, line(n, &"x".repeat(1000)), None);
    }
    disk.say(0, line(2, "still quiet"), None);
    disk.shorten(50_000, None);
    assert_eq!(disk.tail(0), [line(1, "quiet"), line(2, "still quiet")]);
    let loud = disk.tail(1).len();
    assert!((20..60).contains(&loud), "{loud}");
}

#[test]
fn only_so_many_sessions_are_known_and_the_silent_ones_go() {
    let mut disk = Disk::default();
    for n in 0..TRANSCRIPT_SESSIONS_MAX as u64 + 2 {
        disk.say(n, line(n, "hi"), None);
        disk.say(0, line(n, "I speak often"), None);
    }
    assert_eq!(disk.index.sessions.len(), TRANSCRIPT_SESSIONS_MAX);
    assert!(disk.index.find(&key(0)).is_some() && disk.index.find(&key(1)).is_none());
    let known: Vec<Key> = disk.index.sessions().iter().map(|s| s.header.key.clone()).collect();
    disk.reread();
    let again: Vec<Key> = disk.index.sessions().iter().map(|s| s.header.key.clone()).collect();
    assert_eq!(known, again, "the same after a start");
}

#[test]
fn runs_that_have_ended_are_known_by_name_and_again_is_counted() {
    let mut disk = Disk::default();
    disk.say(0, line(1, "?").of_run("a"), None);
    disk.write(&Record::Again(0, "a".into()));
    assert_eq!(
        disk.index.open().map(|(run, open)| (run, open.again)).collect::<Vec<_>>(),
        [("a", 1)]
    );
    disk.say(0, Line { role: Role::Failed, ..line(2, "no") }.of_run("a"), None);
    for _ in 0..2 {
        assert!(disk.index.is_done("a") && !disk.index.is_done("b"));
        assert_eq!(disk.index.open().count(), 0);
        disk.shorten(3000, None);
    }
}

#[test]
fn what_is_long_is_cut_and_says_so_and_fits_its_record() {
    let long = "\u{1f980}".repeat(TRANSCRIPT_TEXT_BYTES_MAX);
    let line = Line::new(Wall(1), Role::User, 3, &long).of_run(&long);
    assert!(line.is_cut && line.text.len() <= TRANSCRIPT_TEXT_BYTES_MAX);
    let bytes = Record::Line(1, 2, line.clone()).encode();
    assert!(bytes.len() <= crate::base::limits::TRANSCRIPT_RECORD_BYTES_MAX as usize);
    assert_eq!(Record::decode(&bytes), Some(Record::Line(1, 2, line)));
    let key =
        Key::read(&"x".repeat(crate::base::limits::SESSION_KEY_BYTES_MAX - 11), "main").unwrap();
    let chat = ChatId { channel: ChannelKind::WebChat, id: u64::MAX };
    let room = Room { account: "\u{7}".repeat(64).into(), chat };
    let header = Header::new(key, &room, &"\u{7}".repeat(64));
    let bytes = Record::Session(1, header).encode();
    assert!(bytes.len() <= crate::base::limits::TRANSCRIPT_RECORD_BYTES_MAX as usize);
}

#[test]
fn whoever_is_forgotten_takes_their_sessions_answers_and_summaries_along() {
    let ann = person(1);
    let mut disk = Disk::default();
    let own = Key::read("discord:direct:1", "main").unwrap();
    disk.write(&Record::Session(7, Header::new(own, &key(0).room(), "ann")));
    disk.write(&Record::Line(7, 0, line(1, "of an older version")));
    disk.say(0, line(2, "mine").by(ann, "ann"), None);
    disk.say(0, line(3, "to ann").about(vec![ann]), None);
    disk.say(0, line(4, "to bob").about(vec![person(2)]), None);
    let summary = Line { role: Role::Summary, upto: 2, ..line(5, "they talked") };
    disk.say(0, summary.clone().about(vec![person(2), ann]), None);
    disk.say(0, summary.about(vec![person(2)]), None);
    let begun = |conversation| Begun { conversation, at: Wall(9), why: Why::Daily };
    let of = disk.index.find(&key(0)).unwrap().0;
    disk.write(&Record::Begun(of, begun(1)));
    disk.write(&Record::Begun(of, begun(2)));
    disk.leave_out(ann, None);
    let texts: Vec<String> = disk.tail(0).iter().map(|line| line.text.to_string()).collect();
    assert_eq!(texts, ["to bob", "they talked"]);
    assert!(disk.index.get(7).is_none());
    let begins = disk.records.iter().filter(|(_, bytes)| bytes[1] == 6).count();
    let session = disk.index.find(&key(0)).unwrap().1;
    assert_eq!((begins, session.begun, session.conversation), (1, Some(begun(2)), 2));
    disk.reread();
    assert_eq!(disk.index.find(&key(0)).unwrap().1.begun, Some(begun(2)));
}

#[test]
fn of_files_the_names_are_kept() {
    let mut answer = Answer::text("look");
    let file = File { name: "a.png".into(), bytes: vec![0; 9] };
    answer.acts.push(Act::Say { text: "".into(), files: vec![file] });
    assert_eq!(words(&answer), "look\n\n[a.png]");
    assert_eq!(words(&Answer::default()), "");
}

proptest! {
    #[test]
    fn any_bytes_can_be_taken_in(records in prop::collection::vec(
        prop::collection::vec(any::<u8>(), 0..80), 0..20
    )) {
        let mut index = Index::default();
        for (place, mut record) in records.into_iter().enumerate() {
            index.take(place as u64 * 100 + 8, &record);
            // As if of our own version.
            if let Some([version, kind]) = record.first_chunk_mut() {
                (*version, *kind) = (VERSION, *kind % 8);
            }
            index.take(place as u64 * 100 + 58, &record);
            let _ = index.sieve(10).stays(8, &mut record);
        }
    }
}
