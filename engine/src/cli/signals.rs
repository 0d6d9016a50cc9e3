//! Signals. Takes a signal; gives the end of a run: what runs ends first and is kept or, after a second signal, everything ends at once.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{exit::Exit, talk, terminal::STOPPING};
use crate::event::{Event, Events};

/// How long a run may go on after a hang-up, since nobody is there to send a second signal.
const AFTER_HANG_UP: Duration = Duration::from_secs(30);

/// How long a message may take to be written before the run goes on to its end all the same.
const WORD: Duration = Duration::from_millis(100);

/// What a signal asks for.
#[derive(PartialEq)]
enum Signal {
    Stop,
    /// The terminal is gone.
    HangUp,
}

/// Obeys signals. The first lets what runs end, and keeps it; the second stops at once.
pub(super) async fn obey(cancellation: CancellationToken, events: Events, silent: bool) {
    // Without signals there is nothing to obey, and the run goes on to its end.
    let Ok(mut signals) = Signals::new() else { return };
    let first = signals.next().await;
    let stopping = events.clone();
    written(move || {
        stopping.send(&Event::Stopping);
        if silent {
            talk(&format!("{STOPPING}\n"));
        }
    })
    .await;
    cancellation.cancel();
    if first == Signal::HangUp {
        let _second = tokio::time::timeout(AFTER_HANG_UP, signals.next()).await;
    } else {
        signals.next().await;
    }
    written(move || events.cut_off()).await;
    #[expect(clippy::exit, reason = "a second signal asks for the end at once, and the cache is safe at any moment")]
    std::process::exit(i32::from(Exit::Interrupted as u8));
}

/// Waits a moment for a message to be written. A terminal that takes no output, or that asks a question, holds up neither the end nor
/// the second signal.
async fn written(word: impl FnOnce() + Send + 'static) {
    let _late = tokio::time::timeout(WORD, tokio::task::spawn_blocking(word)).await;
}

/// The signals of the process, as they come. None is missed between two calls of `next`.
#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Stop,
            _ = self.terminate.recv() => Signal::Stop,
            _ = self.hang_up.recv() => Signal::HangUp,
        }
    }
}

#[cfg(windows)]
struct Signals(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        tokio::signal::windows::ctrl_c().map(Self)
    }

    async fn next(&mut self) -> Signal {
        self.0.recv().await;
        Signal::Stop
    }
}
