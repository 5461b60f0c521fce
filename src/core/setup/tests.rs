use super::*;

const NOW: Instant = Instant(1_000_000);
const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const MINUTE: Duration = Duration::from_secs(60);

fn far(last: u8) -> IpAddr {
    IpAddr::from([192, 168, 1, last])
}

fn open(chance: u64) -> Setup {
    let mut setup = Setup::default();
    setup.look(NOW, true, chance);
    setup
}

fn code(setup: &Setup) -> String {
    setup.code().map(|(code, _)| code.to_string()).expect("a code is shown")
}

/// Types the right code; the session of `mark`.
fn entered(mark: Mark) -> Setup {
    let mut setup = open(7);
    let code = code(&setup);
    assert_eq!(setup.attempt(NOW, far(1), &code, mark), Tried::Right);
    setup
}

#[test]
fn a_code_as_people_type_it_opens_one_session_once() {
    let mut setup = open(7);
    let code = code(&setup);
    let typed = format!(" {}-{} ", &code[..4].to_lowercase(), &code[4..]);
    assert_eq!(setup.attempt(NOW, far(1), &typed, [1; 32]), Tried::Right);
    assert_eq!(setup.enter(NOW, &[1; 32]), Some(Step::Token));
    assert_eq!(setup.enter(NOW, &[2; 32]), None);
    assert_eq!(setup.attempt(NOW, far(1), &code, [2; 32]), Tried::Taken);
    assert!(setup.code().is_none(), "a code that was used is shown no more");
    assert_eq!(setup.enter(NOW + SETUP_SESSION_TTL, &[1; 32]), None);
}

#[test]
fn what_is_no_code_costs_no_try_and_what_is_wrong_does() {
    let mut setup = open(7);
    for text in ["", "ABCD", "ABCDEFG0", "ABCD EFGH J", "🦀🦀🦀🦀🦀🦀🦀🦀"] {
        assert_eq!(setup.attempt(NOW, far(1), text, [0; 32]), Tried::Malformed, "{text}");
    }
    let until = NOW + SETUP_CODE_TTL;
    let mut guess = |peer| setup.attempt(NOW, peer, "ZZZZZZZZ", [0; 32]);
    assert_eq!(guess(far(1)), Tried::Wrong { left: 2 });
    assert_eq!(guess(far(1)), Tried::Wrong { left: 1 });
    assert_eq!(guess(far(1)), Tried::Wrong { left: 0 });
    assert_eq!(guess(far(1)), Tried::Spent { until });
    assert_eq!(guess(far(2)), Tried::Wrong { left: 1 }, "one machine leaves some for others");
    assert_eq!(guess(far(3)), Tried::Wrong { left: 0 });
    assert_eq!(guess(far(4)), Tried::Spent { until });
    assert_eq!(guess(HERE), Tried::Wrong { left: 4 }, "this host's own tries are its own");
    assert_eq!(setup.is_spent(), [true, false]);
    let right = code(&setup);
    assert_eq!(setup.attempt(NOW, far(5), &right, [0; 32]), Tried::Spent { until });
    let mut told: Vec<_> = setup.guessers().collect();
    told.sort_unstable();
    assert_eq!(told, [(HERE, 1), (far(1), 3), (far(2), 1), (far(3), 1)]);
    assert_eq!(setup.attempt(NOW, HERE, &right, [0; 32]), Tried::Right);
}

#[test]
fn another_code_comes_when_the_time_of_one_is_over() {
    let mut setup = open(7);
    let old = code(&setup);
    let later = NOW + SETUP_CODE_TTL;
    assert!(matches!(setup.attempt(later, HERE, &old, [0; 32]), Tried::Spent { .. }));
    assert_eq!(setup.deadline(), Some(later));
    setup.look(later, true, 8);
    assert_ne!(code(&setup), old);
    assert_eq!(setup.attempt(later, HERE, &old, [0; 32]), Tried::Wrong { left: 4 });
}

#[test]
fn at_the_host_a_code_is_asked_for_and_replaced_if_its_tries_are_used_up() {
    let mut setup = open(7);
    let old = code(&setup);
    assert_eq!((setup.ask(NOW, false, 8), code(&setup)), (Asked::Good, old.clone()));
    for last in 0..5 {
        setup.attempt(NOW, far(last), "ZZZZZZZZ", [0; 32]);
    }
    assert_eq!(setup.ask(NOW, false, 8), Asked::Good);
    assert_ne!(code(&setup), old);
    // Whoever came first and hands nothing over is sent away.
    let mut taken = entered([1; 32]);
    assert_eq!(taken.ask(NOW, false, 9), Asked::Good);
    assert_eq!(taken.enter(NOW, &[1; 32]), None);
    let mut made = 1;
    loop {
        let code = code(&taken);
        assert_eq!(taken.attempt(NOW, HERE, &code, [2; 32]), Tried::Right);
        match taken.ask(NOW, false, made) {
            Asked::Later(wait) => {
                assert_eq!(wait, SETUP_HOUR);
                break;
            }
            asked => assert_eq!(asked, Asked::Good),
        }
        made += 1;
    }
    assert_eq!(made, SETUP_CODES_BY_HAND_MAX as u64);
    assert_eq!(taken.ask(NOW + SETUP_HOUR, false, 99), Asked::Good);
}

#[test]
fn the_way_leads_from_the_token_to_the_end_and_nobody_else_is_on_it() {
    let (mine, other) = ([1; 32], [2; 32]);
    let mut setup = entered(mine);
    assert!(!setup.passed(NOW, &mine, Step::Token), "the token is not passed by");
    assert!(!setup.settled(NOW, &other));
    assert!(setup.settled(NOW, &mine) && !setup.settled(NOW, &mine));
    setup.look(NOW, false, 8);
    assert_eq!(setup.standing(NOW), Standing::Finishing);
    assert_eq!(setup.ask(NOW, false, 9), Asked::Finishing);
    assert_eq!(setup.attempt(NOW, HERE, "ZZZZZZZZ", other), Tried::Closed);
    for step in [Step::Intents, Step::Invite, Step::Test] {
        assert_eq!(setup.enter(NOW, &mine), Some(step));
        assert!(!setup.passed(NOW, &other, step));
        assert!(setup.passed(NOW, &mine, step) && !setup.passed(NOW, &mine, step), "{step:?}");
    }
    assert_eq!((setup.enter(NOW, &mine), setup.standing(NOW)), (None, Standing::Closed));
    assert!(setup.deadline().is_none() && setup.code().is_none());
}

#[test]
fn whatever_the_token_does_elsewhere_counts() {
    // It comes by the configuration, while somebody is about to type one.
    let mut setup = entered([1; 32]);
    setup.look(NOW, false, 8);
    assert_eq!((setup.enter(NOW, &[1; 32]), setup.standing(NOW)), (None, Standing::Closed));
    // It goes again, while somebody is finishing.
    let mut setup = entered([1; 32]);
    setup.settled(NOW, &[1; 32]);
    setup.look(NOW, true, 8);
    assert_eq!((setup.enter(NOW, &[1; 32]), setup.standing(NOW)), (None, Standing::Open));
}

#[test]
fn a_token_is_replaced_by_one_code_and_no_more() {
    let mut setup = Setup::default();
    setup.look(NOW, false, 1);
    assert_eq!((setup.ask(NOW, false, 2), setup.ask(NOW, true, 3)), (Asked::Closed, Asked::Good));
    setup.look(NOW + MINUTE, false, 4);
    assert_eq!(setup.standing(NOW + MINUTE), Standing::Open);
    setup.look(NOW + SETUP_CODE_TTL, false, 4);
    assert_eq!(setup.standing(NOW + SETUP_CODE_TTL), Standing::Closed, "it was not used");
    assert_eq!(setup.ask(NOW, true, 5), Asked::Good);
    let code = code(&setup);
    assert_eq!(setup.attempt(NOW, HERE, &code, [1; 32]), Tried::Right);
    setup.look(NOW + MINUTE, false, 6);
    assert!(setup.settled(NOW + MINUTE, &[1; 32]));
    setup.look(NOW + SETUP_SESSION_TTL, false, 6);
    assert_eq!(setup.standing(NOW + SETUP_SESSION_TTL), Standing::Closed);
}

#[test]
fn one_session_has_so_many_tokens_tried() {
    let mut setup = entered([1; 32]);
    assert!(!setup.try_token(NOW, &[2; 32]));
    let tried = (0..100).take_while(|_| setup.try_token(NOW, &[1; 32])).count();
    assert_eq!(tried, usize::from(SETUP_TOKENS_MAX));
}

#[test]
fn no_dump_has_the_code_in_it() {
    let setup = open(0x1234_5678_9abc);
    assert!(!format!("{setup:?}").contains(&code(&setup)));
}
