//! Two calculators that answer questions in English without a network. Takes a question; gives the text on the display.
//!
//! Read [`language`] (the question as keys) first, then `pocket` and `scientific`, which each press these keys within their own limits, and
//! `provider`, which makes models of them. What they cannot do they say in a sentence that begins with "I don't know"; a number that is
//! too large for the display reads `Error`.

mod language;
mod pocket;
mod provider;
mod scientific;

pub(crate) use provider::KIND;

/// The version of both calculators: raised whenever one of them answers any question differently.
pub(crate) const VERSION: u32 = 1;

/// Answers a question as the calculator `pocket` or `scientific` does. Returns `None` for any other name.
pub(crate) fn answer(model: &str, question: &str) -> Option<String> {
    let compute = match model {
        "pocket" => pocket::answer,
        "scientific" => scientific::answer,
        _ => return None,
    };
    Some(compute(&language::read(question)).unwrap_or_else(|refusal| refusal.to_string()))
}

/// Why a calculator shows no number.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Refusal {
    /// The number is too large for the display, or there is none (a division by zero).
    Error,
    /// The calculator has no key for this.
    Unknown(String),
    /// The keys are in an order in which they cannot be pressed.
    Unreadable,
}

impl Refusal {
    fn unknown(what: &str) -> Self {
        Self::Unknown(what.to_owned())
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Error => write!(out, "Error"),
            Self::Unknown(what) => write!(out, "I don't know {what}."),
            Self::Unreadable => write!(out, "I don't know how to read that."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::answer;

    #[test]
    fn both_answer_what_the_question_says() {
        for (question, pocket, scientific) in [
            ("What is 12 + 30?", "42", "42"),
            ("What is 3 + 4 × 5?", "35", "23"),
            ("What is 4 × 5 + 3?", "23", "23"),
            ("How much is twelve times thirty-one minus forty-five?", "327", "327"),
            ("How much is three hundred and five plus two thousand?", "2305", "2305"),
            ("Calculate 1,200 divided by 16 plus 7.", "82", "82"),
            ("What is 10 / 3?", "3.3333333", "3.3333333333333335"),
            ("What is 0.1 + 0.2?", "0.3", "0.30000000000000004"),
            ("What is 45.3 - 1.2 × 3.7?", "163.17", "40.86"),
            ("What is 48213 × 93775?", "Error", "4521174075"),
            ("What is 123456789 × 987654321?", "Error", "121932631112635260"),
            ("What is 123456789 + 1?", "Error", "123456790"),
            ("What is 7 / 0?", "Error", "Error"),
            ("What is 240 + 15 %?", "276", "I don't know a percent key."),
            ("What is 15 % of 240 plus 12?", "48", "I don't know a percent key."),
            ("What is 12 plus 15 percent of 240?", "3312", "I don't know a percent key."),
            ("What is half of 8 plus 6?", "10", "10"),
            ("What is 6 plus half of 8?", "52", "10"),
            ("What is double 45 minus 30?", "60", "60"),
            ("What is 30 less than 4 times 60?", "1560", "-210"),
            ("Ann has 12 bags of 15 coins and 120 coins. How many coins?", "300", "300"),
            ("Ann has 120 coins and 12 bags of 15 coins. How many coins?", "1980", "300"),
            ("Tom has 500 pens and loses 12 boxes of 15 pens. How many pens?", "7320", "320"),
            ("Ann and Tom have 40 coins each and 25 coins. How many coins?", "65", "65"),
            ("What is 12 squared plus 5?", "I don't know powers.", "149"),
            ("What is 5 plus 2 to the power of 10?", "I don't know powers.", "1029"),
            ("What is 1.1 squared?", "I don't know powers.", "1.2100000000000002"),
            ("What is the square root of 144 plus 5?", "I don't know roots.", "17"),
            ("How many metres are 12 kilometres plus 350 metres?", "I don't know units.", "12350"),
            ("How many centimetres are 37 inches?", "I don't know units.", "93.97999999999999"),
            ("Convert 30 miles to kilometres.", "I don't know units.", "I don't know miles."),
            ("How many days are there from 3 March 2025 to 17 April 2025?", "I don't know dates.", "I don't know dates."),
            ("What is (3 + 4) × 5?", "I don't know brackets.", "35"),
            ("Who wrote Hamlet?", "I don't know the word \"who\".", "I don't know the word \"who\"."),
            ("What is 3 + ?", "I don't know how to read that.", "I don't know how to read that."),
            ("What is 3 4?", "I don't know how to read that.", "I don't know how to read that."),
            ("", "I don't know how to read that.", "I don't know how to read that."),
        ] {
            assert_eq!(answer("pocket", question).as_deref(), Some(pocket), "pocket: {question}");
            assert_eq!(answer("scientific", question).as_deref(), Some(scientific), "scientific: {question}");
        }
        assert_eq!(answer("abacus", "What is 1 + 1?"), None);
    }

    #[test]
    fn no_nesting_is_too_deep_to_be_answered() {
        for opening in ["(", "- ", "square root of "] {
            let question = format!("What is {}5?", opening.repeat(100_000));
            assert_eq!(answer("scientific", &question).as_deref(), Some("I don't know how to read that."), "{opening}");
        }
        let nested = format!("{}5{}", "(".repeat(100), ")".repeat(100));
        assert_eq!(answer("scientific", &nested).as_deref(), Some("5"));
    }
}
