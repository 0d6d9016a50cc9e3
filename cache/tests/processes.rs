//! Several processes on one cache, some of which are killed. The other process is this test binary itself, in a role.
#![expect(clippy::disallowed_methods, reason = "a test program is told what to do by variables")]
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test says what it measured, and fails by panicking")]

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use cache::{Cache, Claim, Digest, Key, Mode, Preimage};

const ROLE: &str = "CACHE_TEST_ROLE";
const FOLDER: &str = "CACHE_TEST_FOLDER";

fn unit(number: u32) -> Digest {
    Digest::of(&number.to_le_bytes())
}

fn reply(number: u32) -> Vec<u8> {
    format!("reply {number}").repeat(60).into_bytes()
}

fn key() -> Key {
    let none = BTreeMap::new();
    Preimage { kind: "sft".into(), version: 1, parts: none, params: serde_json::Value::Null, inputs: BTreeMap::new() }.key()
}

/// Another process, killed when dropped: a test that fails leaves none behind.
struct Other(Child);

impl Drop for Other {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Starts this binary in a role; what it prints can be read line by line.
fn start(role: &str, folder: &Path) -> (Other, impl Iterator<Item = String> + use<>) {
    start_in(Command::new(std::env::current_exe().unwrap()), role, folder)
}

fn start_in(mut command: Command, role: &str, folder: &Path) -> (Other, impl Iterator<Item = String> + use<>) {
    let mut child = command
        .args(["--exact", "other_process", "--ignored", "--nocapture", "--test-threads", "1"])
        .env(ROLE, role)
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = said(child.stdout.take().unwrap());
    (Other(child), lines)
}

/// What the role said, without what the test harness says around it.
fn said(output: ChildStdout) -> impl Iterator<Item = String> {
    BufReader::new(output).lines().map_while(Result::ok).filter_map(|line| line.strip_prefix("> ").map(str::to_owned))
}

fn say(text: &str) {
    // One write for one line: a kill must not cut it in two.
    std::io::stdout().write_all(format!("\n> {text}\n").as_bytes()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the other process of the tests here, started by them"]
async fn other_process() {
    let role = std::env::var(ROLE).expect("started by a test");
    let folder = std::env::var(FOLDER).expect("started by a test");
    let cache = Cache::open(Path::new(&folder), Mode::ReadWrite).unwrap();
    match role.as_str() {
        "open" => say("open"),
        "keep without end" => {
            let mut tasks = tokio::task::JoinSet::new();
            for task in 0..64 {
                let cache = Arc::clone(&cache);
                tasks.spawn(async move {
                    for number in (0..).map(|round| round * 64 + task) {
                        cache.keep(unit(number), reply(number), None).await.unwrap();
                        say(&format!("{number}"));
                    }
                });
            }
            tasks.join_all().await;
        }
        "claim and hang" => {
            let mut blob = cache.writer().unwrap();
            blob.write_all(&vec![7; 500_000]).unwrap();
            let _lock = cache.lock(&key()).unwrap();
            let claims = cache.claim((0..10).map(unit).collect()).await.unwrap();
            say(&format!("{}", claims.iter().filter(|claim| **claim == Claim::Ours).count()));
            std::future::pending::<()>().await;
        }
        "keep slowly" => {
            cache.claim(vec![unit(1), unit(2)]).await.unwrap();
            say("claimed");
            tokio::time::sleep(Duration::from_millis(300)).await;
            cache.keep(unit(1), reply(1), None).await.unwrap();
            cache.release(vec![unit(2)]).await.unwrap();
            std::future::pending::<()>().await;
        }
        "buy" => {
            say("ready");
            while !Path::new(&folder).with_extension("go").exists() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            for chunk in 0..40 {
                let units: Vec<u32> = (chunk * 25..chunk * 25 + 25).collect();
                let claims = cache.claim(units.iter().copied().map(unit).collect()).await.unwrap();
                for (number, claim) in units.into_iter().zip(claims) {
                    let claim = if matches!(claim, Claim::Theirs(_)) { cache.wait(unit(number)).await.unwrap() } else { claim };
                    match claim {
                        Claim::Known(known) => assert_eq!(known, reply(number)),
                        Claim::Ours => {
                            say(&format!("{number}"));
                            tokio::time::sleep(Duration::from_millis(1)).await;
                            cache.keep(unit(number), reply(number), None).await.unwrap();
                        }
                        Claim::Theirs(owner) => panic!("waited for {owner:?}, and not to the end"),
                    }
                }
            }
        }
        other => panic!("no role {other}"),
    }
}

#[test]
fn kill_9_loses_no_acknowledged_reply() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("cache");
    let mut total = 0;
    for round in 0..6 {
        let (child, mut lines) = start("keep without end", &folder);
        let mut acknowledged: Vec<String> = lines.by_ref().take(200 + 150 * round).collect();
        drop(child);
        acknowledged.extend(lines);

        let cache = Cache::open(&folder, Mode::ReadWrite).unwrap();
        for line in &acknowledged {
            let Ok(number) = line.parse() else { panic!("`{line}` is no number") };
            assert_eq!(cache.reply(&unit(number)).unwrap(), Some(reply(number)), "reply {number} of round {round}");
        }
        assert_eq!(cache.verify().unwrap(), []);
        total += acknowledged.len();
    }
    println!("{total} acknowledged replies, 6 kills");
    assert!(total > 3000);
}

#[tokio::test]
async fn what_a_killed_process_held_is_free() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("cache");
    let cache = Cache::open(&folder, Mode::ReadWrite).unwrap();
    let (child, mut lines) = start("claim and hang", &folder);
    assert_eq!(lines.next().unwrap(), "10");
    assert!(cache.try_lock(&key()).unwrap().is_none());
    let claims = cache.claim(vec![unit(0), unit(10)]).await.unwrap();
    assert!(matches!(&claims[0], Claim::Theirs(owner) if owner.pid == child.0.id()), "{claims:?}");
    assert_eq!(claims[1], Claim::Ours);
    assert_eq!(std::fs::read_dir(folder.join("tmp")).unwrap().count(), 2);

    drop(child);
    assert_eq!(cache.claim((0..11).map(unit).collect()).await.unwrap(), vec![Claim::Ours; 11]);
    assert!(cache.try_lock(&key()).unwrap().is_some());
    drop(cache);
    let cache = Cache::open(&folder, Mode::ReadWrite).unwrap();
    assert_eq!(std::fs::read_dir(folder.join("tmp")).unwrap().count(), 1, "its half-written file is gone");
    assert_eq!(cache.stats().unwrap().claims, 0, "what was claimed and not kept is free when the cache is closed");
}

#[tokio::test]
async fn a_waiter_takes_the_reply_when_it_comes_and_the_unit_when_it_is_given_back() {
    let scratch = tempfile::tempdir().unwrap();
    let cache = Cache::open(scratch.path(), Mode::ReadWrite).unwrap();
    let (child, mut lines) = start("keep slowly", scratch.path());
    assert_eq!(lines.next().unwrap(), "claimed");
    let claims = cache.claim(vec![unit(1), unit(2)]).await.unwrap();
    assert!(claims.iter().all(|claim| matches!(claim, Claim::Theirs(_))), "{claims:?}");
    let (first, second) = tokio::join!(cache.wait(unit(1)), cache.wait(unit(2)));
    assert_eq!((first.unwrap(), second.unwrap()), (Claim::Known(reply(1)), Claim::Ours));
    drop(child);
}

#[test]
fn processes_that_need_the_same_units_buy_each_once() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("cache");
    let mut children: Vec<_> = (0..3).map(|_| start("buy", &folder)).collect();
    for (_, lines) in &mut children {
        assert_eq!(lines.next().unwrap(), "ready");
    }
    std::fs::write(folder.with_extension("go"), "").unwrap();
    let mut bought = BTreeMap::new();
    let mut buyers = 0;
    for (mut child, lines) in children {
        let before = bought.len();
        for line in lines {
            *bought.entry(line).or_insert(0) += 1;
        }
        assert!(child.0.wait().unwrap().success());
        buyers += usize::from(bought.len() > before);
    }
    assert_eq!(bought.len(), 1000);
    assert!(bought.values().all(|times| *times == 1), "{bought:?}");
    println!("1000 units, {buyers} processes bought some");
}

#[cfg(target_os = "linux")]
#[test]
fn a_process_with_little_address_space_opens_the_cache() {
    let scratch = tempfile::tempdir().unwrap();
    let mut shell = Command::new("sh");
    // In KiB: far below the 64 GiB that are asked for first.
    shell.args(["-c", "ulimit -v 3000000 && exec \"$@\"", "sh"]).arg(std::env::current_exe().unwrap());
    let (mut child, mut lines) = start_in(shell, "open", scratch.path());
    assert_eq!(lines.next().unwrap(), "open");
    assert!(child.0.wait().unwrap().success());
}
