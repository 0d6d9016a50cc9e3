//! A question's text → facts by name, and the facts in a short sentence.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Raised when the facts or the sentence change.
pub const VERSION: u32 = 1;

/// Words for the signs that order the steps of a calculation.
const SIGNS: [(&str, &[&str]); 4] = [
    ("+", &["+", "plus", "add", "added", "sum", "more"]),
    ("-", &["-", "−", "–", "minus", "less", "subtract", "take"]),
    ("*", &["×", "*", "x", "times", "multiplied", "multiply", "product", "each"]),
    ("/", &["÷", "/", "divided", "divide", "over", "half"]),
];

/// What a question can ask for, by words that show it; the first that fits is taken.
const ASKS: [(&str, &[&str]); 8] = [
    ("root", &["root", "√"]),
    ("power", &["power", "squared", "cubed", "^", "raised", "²", "³"]),
    ("percentage", &["%", "percent", "percentage"]),
    ("date", &["date", "day", "days", "weeks", "january", "february", "march", "april", "june", "july", "august", "september", "october", "november", "december", "year", "when"]),
    ("unit", &["km", "metres", "meters", "miles", "kg", "grams", "kilograms", "pounds", "litres", "liters", "inches", "feet", "hours", "minutes", "seconds", "centimetres", "kilometres"]),
    ("person", &["who", "whom", "whose"]),
    ("place", &["where", "country", "city"]),
    ("thing", &["which", "what", "how"]),
];

/// Reads the facts off a question.
pub fn analyse(question: &str) -> (BTreeMap<String, Value>, String) {
    let lower = question.to_lowercase();
    let words = words(&lower);
    let numbers: Vec<_> = words.iter().filter(|word| word.starts_with(|first: char| first.is_ascii_digit())).collect();
    let longest = numbers.iter().map(|number| number.chars().filter(char::is_ascii_digit).count()).max().unwrap_or(0);
    let decimal = numbers.iter().any(|number| number.contains('.'));
    let signs: String = words.iter().filter_map(|word| sign(word)).collect();
    let asks = ASKS
        .iter()
        .find(|(_, shows)| words.iter().any(|word| shows.contains(&word.as_str())))
        .map_or("statement", |(asks, _)| asks);
    let reasoning = if numbers.is_empty() {
        format!("a {asks}, {} words", words.len())
    } else {
        let point = if decimal { " with point" } else { "" };
        format!("a {asks}, {longest} digits{point}, {}", if signs.is_empty() { "no signs" } else { &signs })
    };
    let features = BTreeMap::from([
        ("asks".to_owned(), json!(asks)),
        ("words".to_owned(), json!(words.len())),
        ("numbers".to_owned(), json!(numbers.len())),
        ("longest_number".to_owned(), json!(longest)),
        ("decimal".to_owned(), json!(decimal)),
        ("signs".to_owned(), json!(signs)),
    ]);
    (features, reasoning)
}

fn sign(word: &str) -> Option<&'static str> {
    SIGNS.iter().find(|(_, words)| words.contains(&word)).map(|(sign, _)| *sign)
}

/// Runs of letters, runs of digits with the points and commas inside them, and every other sign by itself.
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
    fn the_order_of_signs_is_kept() {
        assert_eq!(analyse("What is 3 + 41 × 5?").1, "a thing, 2 digits, +*");
        assert_eq!(analyse("What is 4 times 5 plus 1.25?").1, "a thing, 3 digits with point, *+");
        assert_eq!(analyse("Who received the award in 2010?").1, "a person, 4 digits, no signs");
        assert_eq!(analyse("Where is it?").1, "a place, 4 words");
    }
}
