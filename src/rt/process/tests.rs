//! Real programs: good, bad and wild ones.

use super::*;
use crate::base::Instant;

const ENOUGH: Duration = Duration::from_secs(20);

fn shell(script: &str) -> Job {
    Job {
        command: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
        env: vec![("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into())],
        dir: "/".into(),
        input: Vec::new(),
        output_bytes_max: 1000,
        errors_bytes_max: 10,
        is_confined: false,
    }
}

fn run(job: Job) -> io::Result<Finished> {
    smol::block_on(async { start(job).unwrap().finished().await })
}

fn output(job: Job) -> String {
    String::from_utf8(run(job).unwrap().output).unwrap()
}

fn is_alive(pid: &str) -> bool {
    // A zombie is nothing that runs.
    std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()))
        .is_ok_and(|stat| !stat.contains(") Z "))
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let until: Instant = clock::now() + ENOUGH;
    while !is_so() {
        assert!(clock::now() < until, "waited in vain: {what}");
        nap(KILL_LOOK);
    }
}

#[test]
fn a_program_hears_its_input_and_its_answer_is_read() {
    let job = Job { input: b"hello".to_vec(), ..shell("cat; echo \" $#\"; echo oops >&2; exit 3") };
    let finished = run(job).unwrap();
    assert_eq!(finished.ending, Ending::Code(3));
    assert_eq!(finished.output, b"hello 0\n");
    assert_eq!((finished.left_out, &*finished.errors), (0, &b"oops\n"[..]));
}

#[test]
fn it_sees_no_variable_but_its_own_and_its_directory() {
    let job = Job { dir: "/tmp".into(), ..shell("env | sort; pwd") };
    let seen = output(job);
    let names: Vec<&str> =
        seen.lines().filter_map(|line| line.split_once('=')).map(|v| v.0).collect();
    assert!(
        names
            .iter()
            .all(|name| ["PATH", "PWD", "SHLVL", "_", "OLDPWD", "BARNACLE_TURN"].contains(name)),
        "{names:?}"
    );
    assert!(seen.ends_with("/tmp\n"));
}

#[test]
fn one_that_does_not_read_is_not_at_fault() {
    let job = Job { input: vec![b'x'; 1 << 20], ..shell("exec 0<&-; echo fine") };
    assert_eq!(output(job), "fine\n");
}

#[test]
fn a_flood_is_cut_and_counted() {
    let finished = run(shell("head -c 3000000 /dev/zero; head -c 100000 /dev/zero >&2")).unwrap();
    assert_eq!((finished.output.len(), finished.left_out), (1000, 2_999_000));
    assert_eq!((finished.ending, finished.errors.len()), (Ending::Code(0), 10));
}

#[test]
fn what_cannot_be_started_says_why() {
    let job = Job { command: vec!["/no/such/program".into()], ..shell("") };
    assert_eq!(run(job).unwrap_err().kind(), io::ErrorKind::NotFound);
    let job = Job { command: vec!["/etc/passwd".into()], ..shell("") };
    assert_eq!(run(job).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    assert_eq!(
        run(Job { command: vec![], ..shell("") }).unwrap_err().kind(),
        io::ErrorKind::NotFound
    );
}

#[test]
fn one_that_died_tells_of_what() {
    assert_eq!(run(shell("kill -9 $$")).unwrap().ending, Ending::Signal(9));
}

#[test]
fn told_to_end_it_goes_with_all_it_has_started_however_deaf() {
    smol::block_on(async {
        let dir = crate::rt::store::tests::Scratch::new();
        // A deaf child, and one in a session of its own whose parent is gone.
        let script = "trap '' TERM; (trap '' TERM; sleep 600) & echo $! > one; \
                      (setsid sh -c 'trap \"\" TERM; echo $$ > two; sleep 600' &); \
                      while [ ! -s two ]; do sleep 0.01; done; echo $$ > zero; sleep 600";
        let running = start(Job { dir: dir.path().into(), ..shell(script) }).unwrap();
        let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap_or_default();
        wait_until("the children", || !read("zero").is_empty());
        let pids = [read("zero"), read("one"), read("two")];
        assert!(pids.iter().all(|pid| is_alive(pid)));
        running.end();
        let finished = running.finished().await.unwrap();
        assert_eq!(finished.ending, Ending::Signal(9));
        assert!(!pids.iter().any(|pid| is_alive(pid)), "all are gone when that is told");
    });
}

#[test]
fn what_is_left_behind_or_dropped_ends_too() {
    smol::block_on(async {
        let finished = run(shell("setsid sleep 600 > /dev/null 2>&1 & echo $!")).unwrap();
        let left = String::from_utf8(finished.output).unwrap();
        wait_until("its end", || !is_alive(&left));
        let dir = crate::rt::store::tests::Scratch::new();
        let job = Job { dir: dir.path().into(), ..shell("echo $$ > pid; exec sleep 600") };
        let running = start(job).unwrap();
        let pid = || std::fs::read_to_string(dir.path().join("pid")).unwrap_or_default();
        wait_until("its start", || !pid().is_empty());
        drop(running);
        wait_until("its end", || !is_alive(&pid()));
    });
}

#[test]
fn an_output_that_stays_open_holds_nobody_up() {
    let begun = clock::now();
    assert_eq!(output(shell("echo done; sleep 600 &")), "done\n");
    assert!(clock::now().since(begun) < ENOUGH);
}

#[test]
fn it_is_ended_sooner_than_we_when_memory_runs_out() {
    let said =
        output(shell("until grep -qx 500 /proc/self/oom_score_adj; do sleep 0.02; done; echo yes"));
    assert_eq!(said, "yes\n");
}
