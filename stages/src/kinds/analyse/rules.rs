//! The analysis by rules. Takes a question's text; gives facts by name, and the facts in a short sentence.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Raised when the facts or the sentence change.
pub(crate) const VERSION: u32 = 1;

/// Words for the signs that order the steps of a calculation.
const SIGNS: [(&str, &[&str]); 4] = [
    ("+", &["+", "plus", "and", "more", "gets"]),
    ("-", &["-", "−", "–", "minus", "less", "loses"]),
    ("*", &["×", "*", "x", "times", "of", "boxes", "bags", "packs"]),
    ("/", &["÷", "/", "divided", "over"]),
];

/// Topics of questions, each with the words that show it; the first topic that fits is taken.
const TOPICS: [(&str, &[&str]); 12] = [
    ("roots", &["root", "√"]),
    ("powers", &["power", "squared", "cubed", "^", "raised", "²", "³"]),
    ("percentages", &["%", "percent", "percentage"]),
    (
        "units",
        &["convert", "km", "metres", "miles", "kg", "grams", "pounds", "litres", "inches", "feet", "hours", "minutes", "seconds"],
    ),
    (
        "dates",
        &[
            "date",
            "days",
            "weeks",
            "monday",
            "january",
            "february",
            "march",
            "april",
            "june",
            "july",
            "august",
            "september",
            "october",
            "november",
            "december",
        ],
    ),
    ("comparisons", &["than"]),
    ("shares", &["each"]),
    ("parts", &["half", "twice", "double", "third", "quarter"]),
    ("persons", &["who", "whom", "whose"]),
    ("places", &["where", "country", "city"]),
    ("times", &["when", "year"]),
    ("things", &["which", "what", "how"]),
];

/// Returns the facts about a question and the sentence that says them.
pub(crate) fn analyse(question: &str) -> (BTreeMap<String, Value>, String) {
    let lower = question.to_lowercase();
    let words = words(&lower);
    let numbers: Vec<_> = words.iter().filter(|word| word.starts_with(|first: char| first.is_ascii_digit())).collect();
    let digits: usize = numbers.iter().map(|number| number.chars().filter(char::is_ascii_digit).count()).sum();
    let decimals = numbers.iter().any(|number| number.contains('.'));
    let signs: Vec<_> = words.iter().filter_map(|word| sign(word)).collect();
    let binds = |sign: &&str| "*/".contains(*sign);
    let late = signs.iter().skip_while(|sign| binds(sign)).any(&binds);
    let order = match (signs.iter().any(binds), late) {
        (false, _) => None,
        (true, true) => Some("times after plus"),
        (true, false) => Some("in order"),
    };
    let topic = TOPICS.iter().find(|(_, shows)| words.iter().any(|word| shows.contains(&word.as_str()))).map(|(topic, _)| *topic);
    let mut facts = Vec::new();
    if numbers.is_empty() {
        facts.push(format!("{} words", words.len()));
    } else {
        facts.push(format!("terms {}", numbers.len()));
        facts.extend(order.map(str::to_owned));
        facts.extend(decimals.then(|| "decimals".to_owned()));
    }
    facts.extend(topic.map(str::to_owned));
    if digits > 0 {
        facts.push(format!("digits {digits}"));
    }
    let features = BTreeMap::from([
        ("topic".to_owned(), json!(topic)),
        ("words".to_owned(), json!(words.len())),
        ("terms".to_owned(), json!(numbers.len())),
        ("digits".to_owned(), json!(digits)),
        ("decimals".to_owned(), json!(decimals)),
        ("signs".to_owned(), json!(signs.concat())),
        ("order".to_owned(), json!(order)),
    ]);
    (features, facts.join("; "))
}

fn sign(word: &str) -> Option<&'static str> {
    SIGNS.iter().find(|(_, words)| words.contains(&word)).map(|(sign, _)| *sign)
}

/// Splits a text into runs of letters, runs of digits with the points and commas inside them, and every other sign by itself.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut characters = text.chars().peekable();
    while let Some(first) = characters.next() {
        if first.is_whitespace() {
            continue;
        }
        let mut word = String::from(first);
        while let Some(&next) = characters.peek() {
            let joins = if first.is_ascii_digit() {
                next.is_ascii_digit() || ".,".contains(next)
            } else {
                first.is_alphabetic() && (next.is_alphabetic() || next == '\'')
            };
            if !joins {
                break;
            }
            word.push(next);
            characters.next();
        }
        let trimmed = word.trim_end_matches(['.', ',']);
        words.push(if trimmed.is_empty() { word } else { trimmed.to_owned() });
    }
    words
}

#[cfg(test)]
mod tests {
    use super::analyse;

    #[test]
    fn the_order_of_signs_is_seen() {
        assert_eq!(analyse("What is 3 + 41 × 5?").1, "terms 3; times after plus; things; digits 4");
        assert_eq!(analyse("What is 4 times 5 plus 1.25?").1, "terms 3; in order; decimals; things; digits 5");
        assert_eq!(analyse("How much is 3 plus 4?").1, "terms 2; things; digits 2");
    }

    #[test]
    fn a_question_without_numbers_has_a_topic() {
        assert_eq!(analyse("Where is it?").1, "4 words; places");
        assert_eq!(analyse("Who received the award in 2010?").1, "terms 1; persons; digits 4");
    }
}
