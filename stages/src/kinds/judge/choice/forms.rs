//! Tests that an answer is read in every form, wherever the right choice stands. `form_list` has the forms.

use super::{
    form_list::{NONE, ONE, SEVERAL},
    label::Said,
};

fn read(text: &str, choices: &[String]) -> Option<Said> {
    super::read::read(text, choices).map(|read| read.said)
}

const CHOICES: [&str; 12] = [
    "iron",
    "gold",
    "silver ore",
    "silver",
    "tin",
    "grey lead",
    "zinc",
    "heavy copper",
    "nickel",
    "mercury",
    "cobalt",
    "white platinum",
];

fn letter(index: usize) -> char {
    char::from(b'A' + index as u8)
}

fn filled(form: &str, texts: &[String], right: usize, other: usize, third: usize) -> String {
    [
        ("‹L›", letter(right).to_string()),
        ("‹l›", letter(right).to_lowercase().to_string()),
        ("‹N›", (right + 1).to_string()),
        ("‹T›", texts[right].clone()),
        ("‹M›", letter(other).to_string()),
        ("‹m›", letter(other).to_lowercase().to_string()),
        ("‹U›", texts[other].clone()),
        ("‹O›", letter(third).to_string()),
        ("‹P›", texts[third].clone()),
    ]
    .iter()
    .fold(form.to_owned(), |text, (name, value)| text.replace(name, value))
}

#[test]
fn every_form_is_read_wherever_the_right_choice_stands() {
    let mut wrong = Vec::new();
    for count in [4, 5, 12] {
        for shift in 0..count {
            // The choices in another order; the silver ones stay apart, since one is part of the other.
            let texts: Vec<_> = (0..count).map(|index| CHOICES[(index + shift) % count].to_owned()).collect();
            for right in 0..count {
                let (other, third) = ((right + 1 + shift % (count - 1)) % count, (right + count - 1) % count);
                let other = if other == third || other == right { (right + 1) % count } else { other };
                let third = if other == third { (right + 2) % count } else { third };
                for form in ONE {
                    let text = filled(form, &texts, right, other, third);
                    let said = read(&text, &texts);
                    if said != Some(Said::One(right)) {
                        wrong.push(format!("{form:?}: {text:?} of {texts:?} is {said:?}"));
                    }
                }
                for form in SEVERAL {
                    let text = filled(form, &texts, right, other, third);
                    let said = read(&text, &texts);
                    if !matches!(said, Some(Said::Several(_))) {
                        wrong.push(format!("{form:?}: {text:?} of {texts:?} is {said:?}, and not several"));
                    }
                }
            }
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    wrong.retain(|line| seen.insert(line.split("\": ").next().unwrap_or_default().to_owned()));
    assert!(wrong.is_empty(), "{} forms:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_text_that_names_no_choice_is_not_read() {
    let texts: Vec<_> = CHOICES[..5].iter().map(|text| (*text).to_owned()).collect();
    for text in &NONE[..NONE.len() - 1] {
        assert_eq!(read(text, &texts), None, "{text}");
    }
}

#[test]
fn choices_that_are_numbers_are_named_by_their_words() {
    let texts: Vec<_> = ["4", "3", "2", "1.5", "-3", "12"].map(str::to_owned).to_vec();
    for (text, right) in [
        ("3", 1),
        ("Answer: 3", 1),
        ("The answer is 2.", 2),
        ("The answer is 1.5", 3),
        ("B", 1),
        ("-3", 4),
        ("The answer is -3.", 4),
        ("4 + 8 = 12", 5),
        ("\\boxed{2}", 2),
    ] {
        assert_eq!(read(text, &texts), Some(Said::One(right)), "{text}");
    }
    let texts: Vec<_> = ["Hepatitis A", "Hepatitis C", "Hepatitis B", "None of these"].map(str::to_owned).to_vec();
    for (text, right) in [("Hepatitis B", 2), ("The answer is Hepatitis C.", 1), ("B", 1), ("It is hepatitis A", 0)] {
        assert_eq!(read(text, &texts), Some(Said::One(right)), "{text}");
    }
    let texts: Vec<_> = ["True", "False", "yes", "no"].map(str::to_owned).to_vec();
    for (text, right) in [("False", 1), ("The answer is True.", 0), ("Answer: no", 3), ("B is correct", 1), ("A. True", 0)] {
        assert_eq!(read(text, &texts), Some(Said::One(right)), "{text}");
    }
}

#[test]
fn no_text_panics() {
    let texts: Vec<_> = CHOICES.map(str::to_owned).to_vec();
    let pieces = [
        "A", "b", "I", " ", "\n", "(", ")", "is", "answer", ":", "İ", "gold", "silver", "ß", "not", "\\boxed{", "}", "\"", ",",
        "and", "1", "…",
    ];
    let mut state = 11_u64;
    for _ in 0..20_000 {
        let mut text = String::new();
        for _ in 0..10 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            text.push_str(pieces[(state >> 33) as usize % pieces.len()]);
        }
        drop(read(&text, &texts));
    }
}
