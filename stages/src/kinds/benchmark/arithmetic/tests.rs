//! Compares the answers of the questions with a second implementation of the arithmetic, and with both calculators.

use std::collections::{BTreeMap, BTreeSet};

use bigdecimal::BigDecimal;

use super::{Generated, KINDS, generate};
use crate::llm::providers::calculator::answer;

fn number(text: &str) -> BigDecimal {
    let spelled = text.split('-').map(small).sum::<Option<u32>>();
    spelled.map(BigDecimal::from).or_else(|| text.parse().ok()).unwrap_or_else(|| panic!("`{text}` is a number"))
}

fn small(word: &str) -> Option<u32> {
    const UNITS: &str = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen \
                         seventeen eighteen nineteen";
    const TENS: &str = "twenty thirty forty fifty sixty seventy eighty ninety";
    let place = |words: &str| words.split_whitespace().position(|known| known == word).map(|place| place as u32);
    place(UNITS).or_else(|| place(TENS).map(|tens| 10 * (tens + 2)))
}

fn verdict(model: &str, question: &Generated) -> &'static str {
    let text = answer(model, &question.text).unwrap();
    match text.parse::<BigDecimal>() {
        Ok(value) if question.gold.iter().any(|gold| number(gold) == value) => "correct",
        Ok(_) => "incorrect",
        Err(_) => {
            assert!(text == "Error" || text.starts_with("I don't know "), "{text}");
            // A word that is missing from the vocabulary is a mistake in the vocabulary, not a limit of the calculator.
            assert!(!text.contains("the word") && !text.contains("how to read"), "{}: {text}", question.text);
            "idk"
        }
    }
}

/// Reads a written expression by cutting it at its weakest operator, the last one first.
fn value(text: &str) -> BigDecimal {
    let text = text.trim();
    if let Some((less, from)) = text.split_once(" less than ") {
        return value(from) - value(less);
    }
    let last = |signs: &[&str]| signs.iter().filter_map(|sign| text.rfind(sign).map(|at| (at, sign.len()))).max();
    if let Some((at, length)) = last(&[" + ", " - "]) {
        let (left, right) = (value(&text[..at]), &text[at + length..]);
        let adds = text[at..].starts_with(" +");
        let right = match right.strip_suffix(" %") {
            // "a + p %" takes the part of all that stands before.
            Some(part) if !part.contains(' ') => &left * value(part) / 100,
            _ => value(right),
        };
        return if adds { left + right } else { left - right };
    }
    if let Some((at, length)) = last(&[" × ", " ÷ "]) {
        let (left, right) = (value(&text[..at]), value(&text[at + length..]));
        return if text[at..].starts_with(" ×") { left * right } else { left / right };
    }
    if let Some(part) = text.strip_suffix(" %") {
        return value(part) / 100;
    }
    if let Some(base) = text.strip_suffix(" squared") {
        return value(base).square();
    }
    if let Some((base, exponent)) = text.split_once(" to the power of ") {
        return value(base).powi(exponent.parse().unwrap());
    }
    if let Some(square) = text.strip_prefix("the square root of ") {
        return value(square).sqrt().unwrap();
    }
    number(text)
}

/// Returns the expression of a question, written in signs.
fn expression(text: &str) -> String {
    let text = text.to_lowercase();
    let inner = ["what is ", "how much is ", "calculate "].iter().find_map(|ask| text.strip_prefix(ask)).unwrap_or(&text);
    let inner = inner.trim_end_matches(|end: char| "=?. ".contains(end));
    [
        (" plus ", " + "),
        (" minus ", " - "),
        (" times ", " × "),
        (" divided by ", " ÷ "),
        ("percent", "%"),
        ("half of", "0.5 ×"),
        ("double", "2 ×"),
        ("twice", "2 ×"),
        (" % of ", " % × "),
    ]
    .iter()
    .fold(inner.to_owned(), |text, (word, sign)| text.replace(word, sign))
}

/// Returns the days since an epoch, by the formula for the proleptic Gregorian calendar.
fn day_number(text: &str) -> i64 {
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let parts: Vec<&str> = text.split(' ').collect();
    let month = MONTHS.iter().position(|name| *name == parts[1]).unwrap() as i64 + 1;
    let (year, day): (i64, i64) = (parts[2].parse().unwrap(), parts[0].parse().unwrap());
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day
}

fn recomputed(question: &Generated) -> BigDecimal {
    let numbers: Vec<BigDecimal> =
        question.text.split_whitespace().filter_map(|word| word.trim_end_matches('.').parse().ok()).collect();
    match question.kind {
        "days" => {
            let tail = question.text.trim_end_matches(" in days?").trim_end_matches('?');
            let (left, right) = tail.split_once(" to ").or_else(|| tail.split_once(" minus ")).unwrap();
            let last_three = |text: &str| {
                let words: Vec<&str> = text.split(' ').collect();
                day_number(&words[words.len() - 3..].join(" "))
            };
            BigDecimal::from((last_three(right) - last_three(left)).abs())
        }
        "unit" => {
            let (from, to) = (format!(" {} ", numbers[0]), question.text.to_lowercase());
            let unit = to.split_once(&from).unwrap().1.split(' ').next().unwrap();
            let target = to.rsplit_once(&format!(" {} ", numbers[1])).unwrap().1;
            let size = |unit: &str| {
                number(match unit {
                    "centimetres" => "0.01",
                    "millimetres" => "0.001",
                    "kilometres" | "kilograms" => "1000",
                    "hours" => "60",
                    "inches" => "0.0254",
                    "miles" => "1609.344",
                    "yards" => "0.9144",
                    "pounds" => "453.59237",
                    "metres" | "grams" | "minutes" => "1",
                    other => panic!("`{other}` is a unit"),
                })
            };
            let target = target.split(|end: char| !end.is_alphabetic()).next().unwrap();
            &numbers[0] * size(unit) / size(target) + &numbers[1]
        }
        "problem" => {
            let story = question.text.split_once(". ").unwrap().0.split_once(" has ").unwrap().1;
            let part = |text: &str| {
                text.split(" of ")
                    .map(|words| number(words.split(' ').find(|word| word.parse::<u32>().is_ok()).unwrap()))
                    .fold(BigDecimal::from(1), |product, factor| product * factor)
            };
            story.split(" and ").fold(BigDecimal::from(0), |sum, words| {
                if words.starts_with("loses") { sum - part(words) } else { sum + part(words) }
            })
        }
        "each" => {
            let bags_first =
                question.text.split(" of ").next().unwrap().split(' ').filter(|word| word.parse::<u32>().is_ok()).count() == 1;
            let shared = question.text.contains(" each and ");
            match (bags_first, shared) {
                (true, _) => (&numbers[0] * &numbers[1] + &numbers[2]) * 2,
                (_, true) => &numbers[0] * 2 + &numbers[1] * &numbers[2],
                _ => (&numbers[0] + &numbers[1] * &numbers[2]) * 2,
            }
        }
        _ => value(&expression(&question.text)),
    }
}

#[test]
fn gold_is_exact() {
    let mut checked = BTreeMap::<&str, usize>::new();
    for question in generate(3000, 7) {
        if question.text.chars().any(|letter| letter.is_ascii_digit()) {
            assert_eq!(number(&question.gold[0]), recomputed(&question), "{}", question.text);
        } else {
            // Numbers in words are whole and small, so the calculators' reader and floating point are exact.
            assert_eq!(answer("scientific", &question.text).unwrap(), question.gold[0], "{}", question.text);
        }
        *checked.entry(question.kind).or_default() += 1;
    }
    assert_eq!(checked.len(), KINDS.len());
}

#[test]
fn second_readings_are_those_of_the_conventions() {
    let mut seen = BTreeSet::new();
    for question in generate(3000, 7) {
        let Some(second) = question.gold.get(1) else { continue };
        let expected = match question.kind {
            "part" => {
                let text = expression(&question.text);
                let (factor, rest) = text.split_once(" × ").unwrap();
                number(factor) * value(rest)
            }
            "each" => {
                let numbers: Vec<BigDecimal> = question.text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
                (&numbers[0] + &numbers[1] * &numbers[2]) * 2
            }
            other => panic!("`{other}` has one reading: {}", question.text),
        };
        assert_eq!(number(second), expected, "{}", question.text);
        seen.insert(question.kind);
    }
    assert_eq!(seen.len(), 2);
}

#[test]
fn a_larger_count_adds_questions_and_changes_none() {
    let few = generate(40, 3);
    assert_eq!(few, generate(400, 3)[..40]);
    assert_ne!(few, generate(40, 4));
}

#[test]
fn questions_are_short_and_hardly_ever_repeat() {
    let questions = generate(3000, 7);
    let texts: BTreeSet<&str> = questions.iter().map(|question| question.text.as_str()).collect();
    assert!(texts.len() >= 2990, "{} of 3000 differ", texts.len());
    assert!(questions.iter().all(|question| question.text.len() <= 100));
}

/// What each kind of question can lead to, pocket first.
const OUTCOMES: &[(&str, &[&str])] = &[
    ("sum", &["correct/correct"]),
    ("mixed", &["correct/correct", "incorrect/correct"]),
    ("decimal", &["correct/incorrect", "incorrect/incorrect"]),
    ("percent", &["correct/idk", "incorrect/idk"]),
    ("surcharge", &["correct/idk", "incorrect/idk"]),
    ("problem", &["correct/correct", "incorrect/correct"]),
    ("part", &["correct/correct", "incorrect/correct"]),
    ("each", &["incorrect/incorrect"]),
    ("than", &["incorrect/incorrect"]),
    ("power", &["idk/correct", "idk/incorrect"]),
    ("root", &["idk/correct"]),
    ("keys", &["idk/idk"]),
    ("long", &["idk/correct", "idk/incorrect"]),
    ("unit", &["idk/correct", "idk/incorrect", "idk/idk"]),
    ("days", &["idk/idk"]),
];

#[test]
fn the_calculators_fill_all_nine_cells() {
    let questions = generate(3000, 7);
    let mut cells = BTreeMap::<String, usize>::new();
    let mut kinds = BTreeMap::<&str, BTreeSet<String>>::new();
    for question in &questions {
        let cell = format!("{}/{}", verdict("pocket", question), verdict("scientific", question));
        *cells.entry(cell.clone()).or_default() += 1;
        kinds.entry(question.kind).or_default().insert(cell);
    }
    assert_eq!(cells.len(), 9, "{cells:?}");
    assert!(cells.values().all(|count| *count >= 75), "{cells:?}");
    let expected: BTreeMap<&str, BTreeSet<String>> =
        OUTCOMES.iter().map(|(kind, cells)| (*kind, cells.iter().map(ToString::to_string).collect())).collect();
    assert_eq!(kinds, expected);

    let count = |names: &[&str]| names.iter().map(|name| cells[*name]).sum::<usize>();
    let standard = count(&["correct/correct", "correct/incorrect", "correct/idk"]);
    let complex = count(&["incorrect/correct", "incorrect/idk", "idk/correct"]);
    assert!((1200..=1500).contains(&standard), "{standard} of 3000, {cells:?}");
    assert!((750..=900).contains(&complex), "{complex} of 3000, {cells:?}");

    let large = count(&["correct/correct", "incorrect/correct", "idk/correct"]);
    let routed = standard + count(&["incorrect/correct", "idk/correct"]);
    assert!(routed > large);
}

/// The first questions of one seed: when this fails, raise `VERSION` and write the new ones here.
#[test]
fn questions_stay_as_they_are() {
    let texts: Vec<String> =
        generate(5, 7).into_iter().map(|question| format!("{}: {} {:?}", question.kind, question.text, question.gold)).collect();
    let expected = [
        r#"mixed: Calculate 86 - 99 × 44 × 33. ["-143662"]"#,
        r#"days: How many days is it from 26 June 2025 to 8 October 2027? ["834"]"#,
        r#"mixed: What is 90 plus 31 times 694 minus 20? ["21584"]"#,
        r#"mixed: How much is 396 + 48 × 435 + 89? ["21365"]"#,
        r#"days: How many days are there from 16 June 2026 to 19 November 2028? ["887"]"#,
    ];
    assert_eq!(texts, expected, "the questions changed: raise `VERSION` in arithmetic.rs and write the new ones here");
}

#[test]
fn a_sum_that_cannot_be_large_enough_gives_way_to_a_product() {
    let question = super::question(&mut super::draw::generator(0, 7766));
    assert!(question.text.contains("997 less than 414 times 343"), "{}", question.text);
    assert_eq!(question.gold, ["141005"]);
}
