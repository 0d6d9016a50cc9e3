//! The question for a budget. Takes what a stage would buy; gives what the run may spend, as a person says.

use std::{io::Write, sync::mpsc, thread, time::Duration};

use indicatif::MultiProgress;
use tokio_util::sync::CancellationToken;

use super::style::counted;
use crate::{
    budget::{Limit, dollars},
    contract::forecast::Forecast,
    visible::visible,
};

/// How long a signal takes to end the question.
const POLL: Duration = Duration::from_millis(50);

/// Asks on the terminal, with the live lines out of the way.
pub(super) fn ask(live: &MultiProgress, stage: &str, forecast: &Forecast, stop: &CancellationToken) -> Option<Limit> {
    live.suspend(|| question(stage, forecast, || line(stop), &mut std::io::stderr().lock()))
}

/// Reads the next line of standard input; `None` at its end, or when the run is to stop.
fn line(stop: &CancellationToken) -> Option<String> {
    let (send, read) = mpsc::channel();
    // Nothing interrupts a read, so a thread of its own waits for it. It reads one line and no more: the rest is for later readers.
    let reader = move || {
        let mut line = String::new();
        if std::io::stdin().read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
            // Once the run is to stop, nobody waits for the line any more.
            let _late = send.send(line);
        }
    };
    thread::Builder::new().spawn(reader).ok()?;
    loop {
        match read.recv_timeout(POLL) {
            Ok(line) => return Some(line),
            Err(mpsc::RecvTimeoutError::Timeout) if !stop.is_cancelled() => {}
            Err(_) => return None,
        }
    }
}

/// Asks until there is an answer. The end of the input counts as a no.
fn question(
    stage: &str,
    forecast: &Forecast,
    mut line: impl FnMut() -> Option<String>,
    output: &mut impl Write,
) -> Option<Limit> {
    let (calls, worst) = (counted(forecast.calls, "call"), dollars(forecast.worst_nano_dollars));
    let (cost, none) = match forecast.unpriced {
        0 => (format!("for at most {worst}"), "`none` for no limit"),
        unpriced => (
            format!("for at most {worst}, and {unpriced} of them at an unknown price"),
            "`none` for no limit, which an unknown price needs",
        ),
    };
    let prompt = format!(
        "`{}` would make {calls} {cost}; the run has no budget.\n\
         How many dollars may it spend? A number, {none}, or Enter to spend nothing: ",
        visible(stage)
    );
    write!(output, "{prompt}").and_then(|()| output.flush()).ok()?;
    loop {
        let Some(line) = line() else {
            // What comes next starts on a line of its own.
            writeln!(output).ok()?;
            return None;
        };
        match line.trim() {
            "" | "n" | "no" => return None,
            answer => match answer.parse() {
                Ok(limit) => return Some(limit),
                Err(message) => write!(output, "{}: ", visible(&message)).and_then(|()| output.flush()).ok()?,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(unpriced: u64, typed: &str) -> (Option<Limit>, String) {
        let forecast = Forecast { calls: 412, worst_nano_dollars: 1_200_000_000, unpriced, ..Forecast::default() };
        let mut output = Vec::new();
        let mut lines = typed.lines().map(str::to_owned);
        let limit = question("answers", &forecast, || lines.next(), &mut output);
        (limit, String::from_utf8(output).unwrap())
    }

    #[test]
    fn an_amount_is_taken_and_anything_else_is_asked_again() {
        let (limit, shown) = asked(0, "much\n1.5\n");
        assert_eq!(limit, Some(Limit::AtMost(1_500_000_000)));
        assert!(shown.contains("412 calls for at most $1.20") && shown.contains("`much` is not an amount"), "{shown}");
        assert_eq!(asked(0, "none\n").0, Some(Limit::Unlimited));
        assert!(asked(3, "none\n").1.contains("3 of them at an unknown price") && asked(3, "").1.contains("which an unknown"));
    }

    #[test]
    fn nothing_is_spent_on_enter_no_or_the_end() {
        for typed in ["\n", "n\n", "no\n", ""] {
            assert_eq!(asked(0, typed).0, None, "{typed:?}");
        }
        assert!(asked(0, "").1.ends_with('\n'), "what follows has a line of its own");
    }
}
