use super::*;
use crate::base::Rng;
use crate::core::chat::sample;

const RESEARCH: u64 = 101;
const WRITER: u64 = 102;
const MODERATOR: u64 = 103;

fn seat(agent: &str, account: &str, places: &[&str], role: Role, triggers: &[&str]) -> Seat {
    let place = |place: &&str| match place.parse() {
        Ok(id) => Place::Id(id),
        Err(_) if *place == "*" => Place::Any,
        Err(_) => Place::Name((*place).into()),
    };
    Seat {
        agent: agent.into(),
        account: account.into(),
        places: places.iter().map(place).collect(),
        role,
        names: Names::of([agent]),
        triggers: triggers.iter().filter_map(|text| Trigger::read(text)).collect(),
    }
}

/// As the guide has it: two agents with channels of their own, and one that watches all.
fn guide() -> Rules {
    let seats = vec![
        seat("researcher", "research", &["research", "sources"], Role::Active, &[]),
        seat("writer", "writer", &["drafts", "content"], Role::Active, &[]),
        seat("moderator", "moderator", &["*"], Role::Passive, &["spam", "buy now", "free*"]),
    ];
    Rules { seats, ..Rules::default() }
}

fn hearers() -> [Hearer<'static>; 3] {
    let hearer = |account, me| Hearer {
        account,
        me,
        is_here: true,
        is_member: true,
        bound: ("researcher", 0),
    };
    [hearer("research", RESEARCH), hearer("writer", WRITER), hearer("moderator", MODERATOR)]
}

fn decide(rules: &Rules, hearers: &[Hearer<'_>], inbound: &Inbound<'_>, name: &str) -> Verdict {
    let facts = Facts { inbound, chat_name: Some(name) };
    Router::default().rule(rules, hearers, &facts, &mut |_, _| true)
}

fn who(verdict: &Verdict) -> (&str, Option<Because>) {
    match verdict {
        Verdict::Answers(choice) => (&choice.agent, Some(choice.because)),
        Verdict::NotTriggered => ("not triggered", None),
        Verdict::Unassigned => ("unassigned", None),
        Verdict::Barred => ("barred", None),
        Verdict::Free => ("free", None),
    }
}

fn said(text: &str) -> Inbound<'_> {
    Inbound { text, ..sample::inbound() }
}

#[test]
fn the_guides_three_agents_get_along() {
    for (channel, text, agent, because) in [
        ("research", "any news?", "researcher", Some(Because::Assigned)),
        ("drafts", "any news?", "writer", Some(Because::Assigned)),
        ("general", "any news?", "not triggered", None),
        ("general", "moderator, are you there?", "moderator", Some(Because::Named)),
        ("general", "hey <@103> look", "moderator", Some(Because::Mentioned)),
        ("general", "this is SPAM!", "moderator", Some(Because::Triggered)),
        ("general", "please buy   now", "moderator", Some(Because::Triggered)),
        ("general", "buy it now", "not triggered", None),
        ("general", "FREEBIES here", "moderator", Some(Because::Triggered)),
        ("general", "spammer", "not triggered", None),
        ("research", "is this spam?", "moderator", Some(Because::Triggered)),
        ("research", "researcher, is this spam?", "researcher", Some(Because::Named)),
        ("research", "<@!103> and <@101>, hello", "moderator", Some(Because::Mentioned)),
        ("research", "<@101> and <@103>, hello", "researcher", Some(Because::Mentioned)),
        // Who is not assigned to a channel does not answer there.
        ("research", "<@102> hello", "researcher", Some(Because::Assigned)),
        ("general", "<@102> hello", "not triggered", None),
    ] {
        let verdict = decide(&guide(), &hearers(), &said(text), channel);
        assert_eq!(who(&verdict), (agent, because), "#{channel}: {text}");
    }
}

#[test]
fn an_answer_to_a_message_finds_the_agent_that_said_it() {
    let shared = |agent: &str| seat(agent, "research", &["*"], Role::Passive, &[]);
    let rules = Rules { seats: vec![shared("one"), shared("two")], ..Rules::default() };
    let mut router = Router::default();
    router.spoke(77, &"research".into(), &"two".into());
    let rule = |reply_to, router: &mut Router| {
        let inbound = Inbound {
            reply_to: Some(reply_to),
            reply_author: Some(RESEARCH),
            id: reply_to + 1000,
            ..said("and then?")
        };
        let facts = Facts { inbound: &inbound, chat_name: None };
        router.rule(&rules, &hearers(), &facts, &mut |_, _| true)
    };
    assert_eq!(who(&rule(77, &mut router)), ("two", Some(Because::Replied)));
    assert_eq!(who(&rule(78, &mut router)), ("one", Some(Because::Replied)), "who said it?");
    let gone = Inbound { reply_to: Some(77), id: 5000, ..said("and then?") };
    let facts = Facts { inbound: &gone, chat_name: None };
    let verdict = router.rule(&rules, &hearers(), &facts, &mut |_, _| true);
    assert_eq!(who(&verdict), ("two", Some(Because::Replied)), "though it is deleted");
    // A mention of an account with several agents is for the one that is named, too.
    let verdict = decide(&rules, &hearers(), &said("<@101> two, go on"), "x");
    assert_eq!(who(&verdict), ("two", Some(Because::Mentioned)));
}

#[test]
fn the_most_exact_seat_beats_others_and_the_first_its_equals() {
    let all = ["*", "name", "5", "55"];
    let seats =
        all.map(|place| seat(&format!("at{place}"), "research", &[place], Role::Active, &[]));
    let rules = Rules { seats: seats.into(), ..Rules::default() };
    let told = |chat, parent, name: &str| {
        let inbound = Inbound { chat: sample::chat(chat), parent, ..said("hello") };
        who(&decide(&rules, &hearers(), &inbound, name)).0.to_owned()
    };
    assert_eq!(told(5, None, "name"), "at5");
    assert_eq!(told(6, None, "name"), "atname");
    assert_eq!(told(6, None, "other"), "at*");
    assert_eq!(told(54, Some(5), "name"), "at5", "a thread is of its channel");
    assert_eq!(told(55, Some(5), "name"), "at55");
    let twice = ["b", "a"].map(|agent| seat(agent, "research", &["*"], Role::Active, &[]));
    let rules = Rules { seats: twice.into(), ..Rules::default() };
    assert_eq!(who(&decide(&rules, &hearers(), &said("x"), "x")).0, "b");
}

#[test]
fn another_stands_in_for_one_that_is_away_and_only_where_it_may() {
    let seats = vec![
        seat("one", "research", &["5"], Role::Active, &[]),
        seat("two", "writer", &["*"], Role::Active, &[]),
    ];
    let rules = Rules { seats, ..Rules::default() };
    let mut hearers = hearers();
    hearers[0].is_here = false;
    let inbound = said("hello");
    let facts = Facts { inbound: &inbound, chat_name: None };
    let mut router = Router::default();
    let verdict = router.rule(&rules, &hearers, &facts, &mut |_, _| true);
    let Verdict::Answers(choice) = &verdict else { panic!("{verdict:?}") };
    assert!(choice.stands_in && &*choice.agent == "two");
    // It stays so when the other is back, and after a restart.
    assert_eq!(router.ruled(inbound.id), Some(verdict.clone()));
    let mut again = Router::default();
    router.stand_ins().cloned().for_each(|one| again.restore(one));
    assert_eq!(who(&again.ruled(inbound.id).unwrap()).0, "two");
    // Nobody else may: the first answers when it is back.
    let mut router = Router::default();
    let verdict = router.rule(&rules, &hearers, &facts, &mut |account, _| account == "research");
    assert_eq!(who(&verdict).0, "one");
    assert_eq!(router.stand_ins().count(), 0);
    let barred = Router::default().rule(&rules, &hearers, &facts, &mut |_, _| false);
    assert_eq!(barred, Verdict::Barred);
}

#[test]
fn without_seats_several_accounts_answer_once_by_their_bindings() {
    let mut hearers = hearers();
    hearers[1].bound = ("writer", 32);
    let rules = Rules::default();
    let of = |text: &str, hearers: &[Hearer<'_>]| {
        let verdict = decide(&rules, hearers, &said(text), "x");
        let Verdict::Answers(choice) = verdict else { panic!("{verdict:?}") };
        choice.account.to_string()
    };
    assert_eq!(of("hello", &hearers), "writer", "the most exact binding");
    assert_eq!(of("hello <@103>", &hearers), "moderator");
    hearers[1].bound.1 = 0;
    assert_eq!(of("hello", &hearers), "research", "the first");
    hearers[0].is_member = false;
    assert_eq!(of("hello", &hearers), "writer", "the first that is in the server");
    hearers[0].is_member = true;
    // With seats elsewhere, only a binding that somebody wrote counts.
    let mut elsewhere = guide();
    elsewhere.seats.truncate(2);
    assert_eq!(decide(&elsewhere, &hearers, &said("hello"), "x"), Verdict::Unassigned);
    hearers[1].bound.1 = 1;
    assert_eq!(who(&decide(&elsewhere, &hearers, &said("hello"), "x")).0, "writer");
}

#[test]
fn triggers_are_read_as_people_write_them() {
    let is_in = |trigger: &str, text: &str| Trigger::read(trigger).unwrap().is_in(&lower(text));
    for (trigger, text, is_so) in [
        ("help", "HELP me", true),
        ("help", "helpless", false),
        ("help*", "helpless", true),
        ("*less", "helpless", true),
        ("h*p*s", "helpless", true),
        ("h*x*s", "helpless", false),
        ("*", "anything", true),
        ("*", "?!", false),
        ("Über uns", "was ÜBER, uns?", true),
        ("/ask", "/ask me", true),
        ("/ask", "/asking", false),
        ("/ask", "what is /ask", false),
        ("a b c", "a b", false),
    ] {
        assert_eq!(is_in(trigger, text), is_so, "{trigger:?} in {text:?}");
    }
    assert_eq!((Trigger::read(" "), Trigger::read("!?")), (None, None));
}

/// Whatever is said, in whatever order the accounts hear it, one account at most answers, and
/// every account is told the same.
#[test]
fn all_accounts_come_to_the_same_and_one_at_most_answers() {
    for seed in 0..400 {
        let mut rng = Rng::new(seed);
        let mut router = Router::default();
        let rules = if rng.one_in(4) { Rules::default() } else { guide() };
        let mut hearers = hearers();
        for id in 1..60 {
            for hearer in &mut hearers {
                if rng.one_in(12) {
                    hearer.is_here = !hearer.is_here;
                }
            }
            let parts = ["<@101> ", "<@!102> ", "writer, ", "spam ", "hello ", "<@103> ", "what? "];
            let pieces: Vec<&str> = parts.into_iter().filter(|_| rng.one_in(3)).collect();
            let text = pieces.concat();
            let name = ["research", "drafts", "general"][usize::try_from(rng.below(3)).unwrap()];
            let mut first = None;
            for at in 0..3 {
                // Each hears it with the mention of itself cut off.
                let me = hearers[at].me;
                let own = format!("<@{me}> ");
                let rest = text.strip_prefix(&own);
                let called = rest.map(|_| me);
                let inbound = Inbound { id, called, mentions: &[], ..said(rest.unwrap_or(&text)) };
                let facts = Facts { inbound: &inbound, chat_name: Some(name) };
                let fresh = Router::default().rule(&rules, &hearers, &facts, &mut |_, _| true);
                let verdict = router
                    .ruled(id)
                    .unwrap_or_else(|| router.rule(&rules, &hearers, &facts, &mut |_, _| true));
                let first = first.get_or_insert_with(|| verdict.clone());
                assert_eq!(*first, verdict, "seed {seed}, {text:?}");
                assert_eq!(who(&fresh), who(&verdict), "seed {seed}, {text:?}: by {at} alone");
            }
        }
    }
}
