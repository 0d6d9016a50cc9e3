//! How fast it is: prints figures with `cargo test -p cache --test rates -- --nocapture`, and asserts behaviour alone.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test says what it measured, and fails by panicking")]

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use cache::{Cache, Digest, Mode, Output, Preimage, StageResult};

fn unit(number: u64) -> Digest {
    Digest::of(&number.to_le_bytes())
}

/// A reply of some 1.1 KB, as a chat endpoint sends them.
fn reply(number: u64) -> Vec<u8> {
    let noise: Vec<String> = (0..8).map(|part| unit(number * 8 + part).to_string()).collect();
    let text = format!("The answer to question {number} follows from what is given. {}", noise.join(" and then "));
    serde_json::to_vec(&serde_json::json!({"text": text, "outcome": "ok", "usage": {"input": 512, "output": number}})).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_that_wait_together_are_committed_together() {
    let scratch = tempfile::tempdir().unwrap();
    let cache = Cache::open(scratch.path(), Mode::ReadWrite).unwrap();
    let (replies, in_flight) = (20_000, 256);
    let start = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..in_flight {
        let cache = Arc::clone(&cache);
        tasks.spawn(async move {
            for number in (task..replies).step_by(in_flight) {
                cache.keep(unit(number as u64), reply(number as u64), None).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    let seconds = start.elapsed().as_secs_f64();
    println!("keep: {:.0} replies/s with {in_flight} in flight, {} bytes each", replies as f64 / seconds, reply(1).len());
    println!("memo: {:.0} bytes a reply", cache.stats().unwrap().memo_bytes as f64 / replies as f64);

    let units: Vec<Digest> = (0..replies as u64).map(unit).collect();
    let start = Instant::now();
    let known = cache.replies(&units).unwrap();
    println!("replies: {:.1} µs each, many at once", start.elapsed().as_secs_f64() * 1e6 / replies as f64);
    for (number, known) in known.into_iter().enumerate() {
        assert_eq!(known, Some(reply(number as u64)));
    }
    drop(cache);

    let start = Instant::now();
    let cache = Cache::open(scratch.path(), Mode::ReadWrite).unwrap();
    println!("open: {:.1} ms with {replies} replies", start.elapsed().as_secs_f64() * 1e3);
    assert_eq!(cache.stats().unwrap().replies, replies as u64);
}

#[test]
fn results_are_looked_up() {
    let scratch = tempfile::tempdir().unwrap();
    let start = Instant::now();
    let cache = Cache::open(scratch.path(), Mode::ReadWrite).unwrap();
    println!("open: {:.1} ms, new", start.elapsed().as_secs_f64() * 1e3);
    let preimage = |seed: u64| Preimage {
        kind: "label".into(),
        version: 1,
        parts: BTreeMap::new(),
        params: serde_json::json!({ "seed": seed }),
        inputs: BTreeMap::from([("verdicts".into(), unit(seed))]),
    };
    let start = Instant::now();
    for seed in 0..100 {
        let digest = cache.put(format!("rows {seed}").as_bytes()).unwrap();
        let output = Output { digest, artifact: "dataset<label>".into(), rows: Some(1), bytes: 6, tree: false };
        let result =
            StageResult { outputs: BTreeMap::from([("labels".into(), output)]), seconds: 0.0, calls: 0, run: "r".into() };
        cache.record(&preimage(seed), &result, "quickstart", &format!("labels-{seed}")).unwrap();
    }
    println!("put and record: {:.1} ms each", start.elapsed().as_secs_f64() * 1e3 / 100.0);
    let keys: Vec<_> = (0..100).map(|seed| preimage(seed).key()).collect();
    let start = Instant::now();
    for key in &keys {
        assert!(cache.result(key).unwrap().is_some());
    }
    println!("result: {:.1} µs each", start.elapsed().as_secs_f64() * 1e6 / 100.0);
    let names: Vec<String> = (0..100).map(|seed| format!("labels-{seed}")).collect();
    let hits: Vec<_> = keys.iter().zip(&names).map(|(key, name)| (*key, "quickstart", name.as_str())).collect();
    let start = Instant::now();
    cache.used(&hits).unwrap();
    println!("used: {:.2} ms for 100 hits", start.elapsed().as_secs_f64() * 1e3);
}
