//! When the next call of an account may start: so many at once, so many a minute, as declared, as announced, or as found out.
//!
//! Calls at once start low and grow by half each round until something is refused. A limit per minute that nobody states is
//! measured: a server that refuses has given out what had gathered, so the calls that got through between two refusals, over the
//! time between them, are its rate. Where refusals go on although calls are slower than that, they have another cause and slow
//! nothing down.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Notify;

/// What a provider's settings say.
pub(super) struct Limits {
    pub concurrency: usize,
    pub requests_per_minute: Option<u32>,
    pub tokens_per_minute: Option<u32>,
}

/// What a reply's headers say of the limits.
#[derive(Clone, Copy, Default)]
pub(super) struct Announced {
    pub requests_per_minute: Option<u32>,
    pub tokens_per_minute: Option<u32>,
}

/// Calls at once before anything is known.
const FIRST_WINDOW: f64 = 16.0;

/// Calls at once after the first refusal.
const CAREFUL_WINDOW: f64 = 4.0;

/// By how much each reply widens the window while nothing was refused: by half in a round.
const GROWTH: f64 = 0.5;

/// The pause after a refusal without a hint.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// Refusals so close together are one.
const ONE_REFUSAL: Duration = Duration::from_millis(500);

/// How much of a measured rate is used at first, and by how much it grows a second.
const MARGIN: f64 = 0.97;
const CREEP: f64 = 0.005;

/// Lateness that a rate makes up for.
const CATCH_UP: Duration = Duration::from_millis(100);

/// Refusals in a row, each soon after the last, that show that the rate is not their cause.
const SOON: Duration = Duration::from_secs(3);
const SOON_REFUSALS: u32 = 3;

/// Calls that are counted to see whether refusals that have another cause still do, and the share of refusals that says no.
const SAMPLE: u32 = 50;
const LARGEST_SHARE: f64 = 0.4;

/// The gate of an account.
pub(super) struct Pace {
    /// Held by the one who is next: the others wait for it in their order.
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
    /// Nothing starts before.
    paused_until: Instant,
    /// Since when calls that got through are counted, and how many.
    since: Instant,
    through: u32,
    /// Refusals in a row that came soon.
    soon: u32,
    /// Refusals have another cause than the rate: calls and refusals since that was seen.
    unrelated: Option<(u32, u32)>,
}

/// An even stream: the next unit may pass when the one before has had its time.
struct Rate {
    per_second: f64,
    /// Measured, and not stated by anybody.
    measured: bool,
    next: Instant,
    set: Instant,
}

impl Rate {
    fn per_minute(limit: u32) -> Self {
        let now = Instant::now();
        Self { per_second: f64::from(limit) / 60.0, measured: false, next: now, set: now }
    }

    /// The moment at which `amount` may pass; the stream moves on by it.
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
    pub(super) fn new(limits: &Limits) -> Self {
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
                soon: 0,
                unrelated: None,
            }),
        }
    }

    /// Waits until a call of about so many tokens may start.
    pub(super) async fn permit(&self, tokens: u64) -> Permit<'_> {
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
                    () = tokio::time::sleep_until(at.into()) => {}
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
        let step = if self.refused_ever && self.unrelated.is_none() { 1.0 / self.window } else { GROWTH };
        self.window = (self.window + step).min(self.most);
        self.count(0);
    }

    /// Counts a call whose refusals have another cause than the rate, and takes that back where too many are refused.
    fn count(&mut self, refused: u32) {
        let Some((calls, refusals)) = &mut self.unrelated else { return };
        *calls += 1;
        *refusals += refused;
        if *calls < SAMPLE {
            return;
        }
        let share = f64::from(*refusals) / f64::from(*calls);
        self.unrelated = if share > LARGEST_SHARE { None } else { Some((0, 0)) };
    }

    fn refused(&mut self, now: Instant, after: Option<Duration>) {
        self.count(1);
        if self.unrelated.is_some() {
            return;
        }
        if self.stated() {
            // The rate is kept; what a hint says is another's use of the same limit.
            self.pause(now, after);
            return;
        }
        let elapsed = now.duration_since(self.since);
        if self.refused_ever && elapsed < ONE_REFUSAL {
            return;
        }
        let first = !self.refused_ever;
        self.refused_ever = true;
        self.soon = if !first && elapsed < SOON + after.unwrap_or(PAUSE) { self.soon + 1 } else { 0 };
        if self.soon >= SOON_REFUSALS {
            self.unrelated = Some((0, 0));
            self.requests = None;
            self.paused_until = now;
            self.window = self.window.max(FIRST_WINDOW).min(self.most);
        } else if first {
            self.window = CAREFUL_WINDOW.min(self.most);
            self.pause(now, Some(after.unwrap_or(PAUSE)));
        } else {
            let per_second = (f64::from(self.through) / elapsed.as_secs_f64() * MARGIN).max(0.05);
            self.requests = Some(Rate { per_second, measured: true, next: now, set: now });
            // The rate bounds what is under way from here on.
            self.window = self.most;
            self.pause(now, after);
        }
        self.since = now;
        self.through = 0;
    }

    fn pause(&mut self, now: Instant, after: Option<Duration>) {
        if let Some(after) = after {
            self.paused_until = self.paused_until.max(now + after.min(LONGEST_PAUSE));
        }
    }
}

/// A call under way. Dropped without a word it counts as failed.
pub(super) struct Permit<'a> {
    pace: &'a Pace,
    tokens: u64,
    open: bool,
}

impl Permit<'_> {
    /// The call was answered, with these limits in its headers, and used so many tokens.
    pub(super) fn answered(mut self, announced: Announced, used: u64) {
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
            // What was taken beyond what was used comes back.
            if let Some(rate) = &mut state.tokens {
                let over = Duration::from_secs_f64(self.tokens.saturating_sub(used) as f64 / rate.per_second);
                rate.next = rate.next.checked_sub(over).unwrap_or(rate.next);
            }
        });
    }

    /// The call was refused for being too fast.
    pub(super) fn refused(mut self, after: Option<Duration>) {
        self.open = false;
        self.pace.leave(|state| state.refused(Instant::now(), after));
    }

    /// The call failed, which says nothing about the pace.
    pub(super) fn failed(self) {
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
