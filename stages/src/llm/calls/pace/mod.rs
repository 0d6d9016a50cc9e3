//! The pace of an account's calls. Takes limits, declared or announced, and the outcome of each call; gives permits to start the next.
//!
//! The number of concurrent calls starts low and grows by half each round until a call is refused. A limit per minute that is neither
//! declared nor announced is measured: a server refuses when its token bucket is empty, so the calls that got through between two
//! refusals, over the time between them, are its rate. If refusals go on although calls are slower than that, they have another
//! cause, and calls are not slowed down. Read this file first, then `tests` (a simulated server).

#[cfg(test)]
mod tests;

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

/// The limits in a provider's settings.
pub(crate) struct Limits {
    pub concurrency: usize,
    pub requests_per_minute: Option<u32>,
    pub tokens_per_minute: Option<u32>,
}

/// The limits in a response's headers.
#[derive(Clone, Copy, Default)]
pub(crate) struct Announced {
    pub requests_per_minute: Option<u32>,
    pub tokens_per_minute: Option<u32>,
}

/// Concurrent calls at the start.
const FIRST_WINDOW: f64 = 16.0;

/// Concurrent calls after the first refusal.
const CAREFUL_WINDOW: f64 = 4.0;

/// By how much each reply widens the window of concurrent calls while nothing was refused, which is by half in a round.
const GROWTH: f64 = 0.5;

/// The pause after a refusal without a hint.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// Refusals closer together than this count as one, since no rate can be measured in less time.
const ONE_REFUSAL: Duration = Duration::from_secs(1);

/// The share of a measured rate that is used at first, and the share by which it grows every second.
const MARGIN: f64 = 0.97;
const CREEP: f64 = 0.005;

/// The lowest rate that is measured, in calls a second.
const SLOWEST: f64 = 0.05;

/// The lateness that a rate catches up on.
const CATCH_UP: Duration = Duration::from_millis(100);

/// The number of calls over which the share of refusals is counted.
const SAMPLE: u32 = 30;

/// A larger share of refusals in this many samples in a row, although calls keep to the measured rate, shows that the rate is not the cause.
const SUSPICIOUS_SHARE: f64 = 0.06;
const SUSPICIOUS_SAMPLES: u32 = 2;

/// A larger share of refusals shows that the rate is the cause after all.
const LARGEST_SHARE: f64 = 0.4;

/// The gate of an account.
pub(crate) struct Pace {
    /// Locked by the caller that is next; the others wait for it in their order.
    gate: tokio::sync::Mutex<()>,
    changed: Notify,
    state: Mutex<State>,
}

struct State {
    most: f64,
    window: f64,
    in_flight: usize,
    refused_ever: bool,
    /// The rates of requests and of tokens, a second.
    requests: Option<Rate>,
    tokens: Option<Rate>,
    /// No call starts before this time.
    paused_until: Instant,
    /// The time since which calls that got through are counted, and their number.
    since: Instant,
    through: u32,
    /// Calls and refusals in the current sample.
    sample: (u32, u32),
    /// Samples in a row with too many refusals.
    suspicious: u32,
    /// Whether refusals have another cause than the rate.
    unrelated: bool,
}

/// An even rate: the next unit may pass when the time of the one before is over.
struct Rate {
    per_second: f64,
    /// Whether the rate was measured, and is neither declared nor announced.
    measured: bool,
    next: Instant,
    set: Instant,
}

impl Rate {
    fn per_minute(limit: u32) -> Self {
        let now = Instant::now();
        Self { per_second: f64::from(limit) / 60.0, measured: false, next: now, set: now }
    }

    /// Lets `amount` pass, and moves the time of the next unit on accordingly.
    fn take(&mut self, now: Instant, amount: f64) {
        let mut per_second = self.per_second;
        if self.measured {
            per_second *= (1.0 + CREEP).powf(now.duration_since(self.set).as_secs_f64());
        }
        let late = now.checked_sub(CATCH_UP).unwrap_or(now);
        self.next = self.next.max(late) + Duration::from_secs_f64(amount / per_second);
    }
}

impl Pace {
    pub(crate) fn new(limits: &Limits) -> Self {
        let now = Instant::now();
        let most = limits.concurrency as f64;
        Self {
            gate: tokio::sync::Mutex::new(()),
            changed: Notify::new(),
            state: Mutex::new(State {
                most,
                window: most.min(FIRST_WINDOW),
                in_flight: 0,
                refused_ever: false,
                requests: limits.requests_per_minute.map(Rate::per_minute),
                tokens: limits.tokens_per_minute.map(Rate::per_minute),
                paused_until: now,
                since: now,
                through: 0,
                sample: (0, 0),
                suspicious: 0,
                unrelated: false,
            }),
        }
    }

    /// Waits until a call of about this many tokens may start.
    pub(crate) async fn permit(&self, tokens: u64) -> Permit<'_> {
        let _gate = self.gate.lock().await;
        loop {
            let changed = self.changed.notified();
            let now = Instant::now();
            let wait = {
                let mut state = self.state();
                let at = state.earliest();
                if state.in_flight as f64 >= state.window.floor() {
                    None
                } else if at > now {
                    Some(at)
                } else {
                    state.in_flight += 1;
                    if let Some(rate) = &mut state.requests {
                        rate.take(now, 1.0);
                    }
                    if let Some(rate) = &mut state.tokens {
                        rate.take(now, tokens as f64);
                    }
                    return Permit { pace: self, tokens, open: true };
                }
            };
            match wait {
                None => changed.await,
                Some(at) => tokio::select! {
                    () = tokio::time::sleep_until(at) => {}
                    () = changed => {}
                },
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leave(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        state.in_flight -= 1;
        change(&mut state);
        drop(state);
        self.changed.notify_one();
    }
}

impl State {
    fn earliest(&self) -> Instant {
        let rates = [&self.requests, &self.tokens].into_iter().flatten().map(|rate| rate.next);
        rates.fold(self.paused_until, Instant::max)
    }

    fn stated(&self) -> bool {
        self.requests.as_ref().is_some_and(|rate| !rate.measured)
    }

    fn through(&mut self) {
        self.through += 1;
        let step = if self.refused_ever && !self.unrelated { 1.0 / self.window } else { GROWTH };
        self.window = (self.window + step).min(self.most);
        self.count(0);
    }

    fn refused(&mut self, now: Instant, after: Option<Duration>) {
        self.count(1);
        if self.unrelated {
            return;
        }
        if self.stated() {
            // The rate is kept to, so the refusal is due to another program that uses the same limit. The hint says for how long.
            return self.pause(now, after);
        }
        let elapsed = now.duration_since(self.since);
        if self.refused_ever && elapsed < ONE_REFUSAL {
            return;
        }
        if self.refused_ever {
            let per_second = (f64::from(self.through) / elapsed.as_secs_f64() * MARGIN).max(SLOWEST);
            self.requests = Some(Rate { per_second, measured: true, next: now, set: now });
            // From here on the rate limits the calls in flight.
            self.window = self.most;
            self.pause(now, after);
        } else {
            self.refused_ever = true;
            self.be_careful(now, after);
        }
        self.since = now;
        self.through = 0;
    }

    /// Slows down so that the server's token bucket fills, and its rate can be measured.
    fn be_careful(&mut self, now: Instant, after: Option<Duration>) {
        self.window = CAREFUL_WINDOW.min(self.most);
        self.pause(now, Some(after.unwrap_or(PAUSE)));
    }

    /// Counts a call, and decides after each sample whether refusals are caused by the rate.
    fn count(&mut self, refused: u32) {
        self.sample = (self.sample.0 + 1, self.sample.1 + refused);
        if self.sample.0 < SAMPLE {
            return;
        }
        let share = f64::from(self.sample.1) / f64::from(self.sample.0);
        self.sample = (0, 0);
        if self.unrelated {
            if share > LARGEST_SHARE {
                let now = Instant::now();
                self.unrelated = false;
                (self.since, self.through) = (now, 0);
                self.be_careful(now, None);
            }
            return;
        }
        let paced = self.requests.as_ref().is_some_and(|rate| rate.measured);
        self.suspicious = if paced && share > SUSPICIOUS_SHARE { self.suspicious + 1 } else { 0 };
        if self.suspicious >= SUSPICIOUS_SAMPLES {
            self.unrelated = true;
            self.suspicious = 0;
            self.requests = None;
            self.window = self.window.min(FIRST_WINDOW).min(self.most);
        }
    }

    fn pause(&mut self, now: Instant, after: Option<Duration>) {
        if let Some(after) = after {
            self.paused_until = self.paused_until.max(now + after.min(LONGEST_PAUSE));
        }
    }
}

/// The permit of a call in flight. A call whose permit is dropped counts as failed.
pub(crate) struct Permit<'a> {
    pace: &'a Pace,
    tokens: u64,
    open: bool,
}

impl Permit<'_> {
    /// Notes that the call was answered, with these limits in its headers, and used this many tokens.
    pub(crate) fn answered(mut self, announced: Announced, used: u64) {
        self.open = false;
        self.pace.leave(|state| {
            state.through();
            if let Some(limit) = announced.requests_per_minute.filter(|limit| *limit > 0)
                && state.requests.as_ref().is_none_or(|rate| rate.measured)
            {
                state.requests = Some(Rate::per_minute(limit));
            }
            if let Some(limit) = announced.tokens_per_minute.filter(|limit| *limit > 0) {
                state.tokens.get_or_insert_with(|| Rate::per_minute(limit));
            }
            // Tokens that were reserved and not used are given back.
            if let Some(rate) = &mut state.tokens {
                let over = Duration::from_secs_f64(self.tokens.saturating_sub(used) as f64 / rate.per_second);
                rate.next = rate.next.checked_sub(over).unwrap_or(rate.next);
            }
        });
    }

    /// Notes that the call was refused for being too fast.
    pub(crate) fn refused(mut self, after: Option<Duration>) {
        self.open = false;
        self.pace.leave(|state| state.refused(Instant::now(), after));
    }

    /// Notes that the call failed, which says nothing about the pace.
    pub(crate) fn failed(self) {
        drop(self);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.open {
            self.pace.leave(|_| {});
        }
    }
}
