//! Tests of the pace with a simulated server, under a virtual clock.

use std::sync::Arc;

use super::*;

/// A server with a token bucket that holds the calls of one second.
struct Server {
    per_second: f64,
    latency: Duration,
    /// Of 256 calls, this many are refused for no reason.
    at_random: u8,
    bucket: Mutex<(f64, Instant)>,
    tally: Mutex<Tally>,
}

#[derive(Clone, Copy, Default)]
struct Tally {
    calls: u64,
    refused: u64,
}

impl Server {
    fn new(per_second: f64, at_random: u8) -> Arc<Self> {
        let bucket = Mutex::new((per_second, Instant::now()));
        Arc::new(Self { per_second, latency: Duration::from_millis(50), at_random, bucket, tally: Mutex::default() })
    }

    fn admits(&self) -> bool {
        let mut tally = self.tally.lock().unwrap();
        tally.calls += 1;
        let unlucky = blake3::hash(&tally.calls.to_le_bytes()).as_bytes()[0] < self.at_random;
        let mut bucket = self.bucket.lock().unwrap();
        let now = Instant::now();
        bucket.0 = (bucket.0 + now.duration_since(bucket.1).as_secs_f64() * self.per_second).min(self.per_second);
        bucket.1 = now;
        let admits = !unlucky && bucket.0 >= 1.0;
        if admits {
            bucket.0 -= 1.0;
        } else {
            tally.refused += 1;
        }
        admits
    }
}

/// Makes this many calls, each again until it gets through. Returns the share refused and the calls a second.
async fn drive(limits: Limits, server: Arc<Server>, calls: usize) -> (f64, f64) {
    let pace = Arc::new(Pace::new(&limits));
    let started = Instant::now();
    let tasks: Vec<_> = (0..calls)
        .map(|_| {
            let (pace, server) = (Arc::clone(&pace), Arc::clone(&server));
            tokio::spawn(async move {
                loop {
                    let permit = pace.permit(0).await;
                    if server.admits() {
                        tokio::time::sleep(server.latency).await;
                        return permit.answered(Announced::default(), 0);
                    }
                    permit.refused(None);
                    tokio::time::sleep(Duration::from_millis(250)).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let tally = *server.tally.lock().unwrap();
    (tally.refused as f64 / tally.calls as f64, calls as f64 / started.elapsed().as_secs_f64())
}

fn limits(requests_per_minute: Option<u32>) -> Limits {
    Limits { concurrency: 256, requests_per_minute, tokens_per_minute: None }
}

#[tokio::test(start_paused = true)]
async fn a_declared_limit_is_used_and_not_passed() {
    let (refused, rate) = drive(limits(Some(3000)), Server::new(50.0, 0), 3000).await;
    assert!(refused <= 0.005 && rate >= 0.95 * 50.0, "{refused} refused at {rate} a second");
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_nobody_states_is_found_out() {
    // At the start, as many calls are in flight as the slowest server lets through in three seconds.
    for (per_second, allowed) in [(5.0, 0.05), (50.0, 0.03), (500.0, 0.03)] {
        let (refused, rate) = drive(limits(None), Server::new(per_second, 0), (per_second * 60.0) as usize).await;
        assert!(refused <= allowed && rate >= 0.85 * per_second, "{refused} refused at {rate} of {per_second} a second");
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_for_no_reason_slow_nothing_down_for_long() {
    // Without a limit, 256 concurrent calls of 50 ms each are 5,120 a second.
    let (_, rate) = drive(limits(None), Server::new(1e9, 26), 60_000).await;
    assert!(rate >= 1000.0, "{rate} a second");
}

#[tokio::test(start_paused = true)]
async fn without_a_limit_all_calls_are_used_soon() {
    let (refused, rate) = drive(limits(None), Server::new(1e9, 0), 20_000).await;
    assert!(refused == 0.0 && rate >= 4000.0, "{refused} refused at {rate} a second");
}

#[tokio::test(start_paused = true)]
async fn tokens_a_minute_are_kept() {
    let pace = Pace::new(&Limits { concurrency: 8, requests_per_minute: None, tokens_per_minute: Some(6000) });
    let started = Instant::now();
    for _ in 0..10 {
        let permit = pace.permit(500).await;
        // Only half of the reserved tokens are used, so half are given back.
        permit.answered(Announced::default(), 250);
    }
    let seconds = started.elapsed().as_secs_f64();
    assert!((20.0..27.0).contains(&seconds), "{seconds} seconds for 2,500 tokens at 100 a second");
}
