//! The question for a budget: what a stage would buy → what the run may spend, as a person says.

use std::io::{BufRead, Write};

use indicatif::MultiProgress;

use super::style::counted;
use crate::{
    budget::{Limit, dollars},
    contract::forecast::Forecast,
    visible::visible,
};

/// Asks on the terminal, with the live lines out of the way.
pub(super) fn ask(live: &MultiProgress, stage: &str, forecast: &Forecast) -> Option<Limit> {
    live.suspend(|| question(stage, forecast, &mut std::io::stdin().lock(), &mut std::io::stderr().lock()))
}

/// Asks until there is an answer; the end of the input is a no.
fn question(stage: &str, forecast: &Forecast, input: &mut impl BufRead, output: &mut impl Write) -> Option<Limit> {
    let (calls, worst) = (counted(forecast.calls, "call"), dollars(forecast.worst_nano_dollars));
    let cost = match forecast.unpriced {
        0 => format!("for at most {worst}"),
        unpriced => format!("for at most {worst}, and {unpriced} of them at an unknown price"),
    };
    let prompt = format!(
        "`{}` would make {calls} {cost}; the run has no budget.\n\
         How many dollars may it spend? A number, `none` for no limit, or Enter to spend nothing: ",
        visible(stage)
    );
    write!(output, "{prompt}").and_then(|()| output.flush()).ok()?;
    loop {
        let mut line = String::new();
        if input.read_line(&mut line).ok()? == 0 {
            return None;
        }
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
        let limit = question("answers", &forecast, &mut typed.as_bytes(), &mut output);
        (limit, String::from_utf8(output).unwrap())
    }

    #[test]
    fn an_amount_is_taken_and_anything_else_is_asked_again() {
        let (limit, shown) = asked(0, "much\n1.5\n");
        assert_eq!(limit, Some(Limit::AtMost(1_500_000_000)));
        assert!(shown.contains("412 calls for at most $1.20") && shown.contains("`much` is no amount"), "{shown}");
        assert_eq!(asked(0, "none\n").0, Some(Limit::Unlimited));
        assert!(asked(3, "none\n").1.contains("3 of them at an unknown price"));
    }

    #[test]
    fn nothing_is_spent_on_enter_no_or_the_end() {
        for typed in ["\n", "n\n", "no\n", ""] {
            assert_eq!(asked(0, typed).0, None, "{typed:?}");
        }
    }
}
