//! Forms in which models write the choice that they take: each is read wherever the right choice stands.
//!
//! `L` in angle brackets is the letter of the choice, `l` the same in lower case, `N` its number, `T` its words; `M`, `m` and `U` are
//! letter, small letter and words of another choice, `O` and `P` letter and words of a third.

use super::label::Said;

fn read(text: &str, choices: &[String]) -> Option<Said> {
    super::read::read(text, choices).map(|read| read.said)
}

/// Forms that name one choice.
const ONE: &[&str] = &[
    "‹L›",
    "‹l›",
    "(‹L›)",
    "(‹l›)",
    "[‹L›]",
    "‹L›.",
    "‹l›.",
    "‹L›)",
    "‹l›)",
    "‹L›:",
    "'‹L›'",
    "\"‹L›\"",
    "`‹L›`",
    "“‹L›”",
    "«‹L›»",
    "**‹L›**",
    "__‹L›__",
    "*‹L›*",
    "**(‹L›)**",
    "**‹L›.**",
    "$\\boxed{‹L›}$",
    "\\boxed{\\text{‹L›}}",
    "\\boxed{\\text{(‹L›)}}",
    "\\boxed{‹L›. ‹T›}",
    "\\(\\boxed{\\mathbf{‹L›}}\\)",
    "$\\text{‹L›}$",
    "<answer>‹L›</answer>",
    "<answer>\n‹l›\n</answer>",
    "<b>‹L›</b>",
    "<answer>‹T›</answer>",
    "<final_answer>(‹L›) ‹T›</final_answer>",
    "{\"answer\": \"‹L›\"}",
    "{\"answer\": \"‹l›\"}",
    "{\"reasoning\": \"It is not ‹M›. ‹O› is close.\", \"answer\": \"‹L›\"}",
    "```json\n{\n  \"choice\": \"‹L›\"\n}\n```",
    "{'answer': '‹L›'}",
    "{\"answer\": \"‹T›\"}",
    "{\"final_answer\": \"(‹L›) ‹T›\", \"why\": \"‹M› is soft\"}",
    "{\"answer\": [\"‹L›\"]}",
    "{\"correct_option\": \"‹L›\", \"confidence\": 0.7}",
    "[[‹L›]]",
    "#### ‹L›",
    "It shines.\n#### ‹L›",
    "‹L›\n\nIt does not rust.",
    "‹L›\nBecause ‹U› rusts and this one does not.",
    "‹L›\n\nIt rusts, unlike ‹U›.",
    "(‹L›)\n\n‹M› and ‹O› are softer.",
    "**‹L›**\n\nIt is soft.",
    "‹l›\n\nIt is soft.",
    "Final Answer\n‹L›\n\nI am sure.",
    "Final answer:\n\n**‹L›**",
    "Sure!\n\n‹L›\n\nBecause it shines.",
    "It shines, and it is heavy.\n\n‹L›",
    "It shines, and it is heavy.\n\n**‹L›. ‹T›**",
    "‹L›. ‹T›",
    "‹l›. ‹T›",
    "‹L›) ‹T›",
    "‹l›) ‹T›",
    "(‹L›) ‹T›",
    "‹L›: ‹T›",
    "‹L› - ‹T›",
    "‹L› – ‹T›",
    "‹L› ‹T›",
    "**‹L›**: ‹T›",
    "‹L›. ‹T›, because it does not rust.",
    "‹L›, because ‹M› and ‹O› are softer.",
    "‹L› because it does not rust.",
    "‹L›. It does not rust, and ‹M› does.",
    "‹L›) It does not rust.",
    "‹T›",
    "‹T›.",
    "‹T›, not ‹U›.",
    "It has to be ‹T›.",
    "It is ‹T› and not ‹U›.",
    "The answer is ‹T›, because ‹U› rusts.",
    "The answer is \"‹T›\".",
    "Not ‹U› but ‹T›.",
    "Answer: ‹L›",
    "answer: ‹l›",
    "Answer: (‹l›)",
    "ANSWER: ‹L›",
    "Answer ‹L›",
    "Option ‹L›",
    "option ‹l›",
    "Choice (‹L›)",
    "**Answer:** ‹L›",
    "**Answer: ‹L›**",
    "Answer: **‹L›) ‹T›**",
    "Answer - ‹L›",
    "Answer = ‹L›",
    "Answer: option ‹L›",
    "Answer: <‹L›>",
    "The answer is ‹L›.",
    "The answer is (‹L›).",
    "The answer is ‹l›.",
    "The answer is: ‹L›",
    "The answer is **‹L›**, which is ‹T›.",
    "The answer is ‹L› because it shines.",
    "The answer is therefore ‹L›.",
    "The answer must be ‹L›",
    "The answer should be ‹L›, not ‹M›",
    "The answer is not ‹M› but ‹L›.",
    "The answer isn't ‹M›. The answer is ‹L›.",
    "The correct answer is option ‹L›",
    "The correct answer to this question is ‹L›.",
    "The correct answer here would be ‹L›: ‹T›.",
    "The correct option is ‹L› (‹T›).",
    "The best choice is ‹L›, since ‹M› and ‹O› rust.",
    "The right choice: ‹L›",
    "My answer is ‹L›.",
    "My final answer: ‹L›",
    "So the final answer is ‹L›. I hope that helps!",
    "First I thought the answer is ‹M›. No: the answer is ‹L›",
    "A long story. It could be ‹M›, but the answer is **‹L›**.",
    "The wrong answer is ‹M›. The right answer is ‹L›.",
    "‹L› is correct.",
    "‹L› is the correct answer.",
    "‹L› is the answer",
    "‹L› is right, and ‹M› is wrong.",
    "‹L› is correct, because ‹M› and ‹O› are softer.",
    "Option ‹L› is right. Options ‹M› and ‹O› are wrong.",
    "(‹L›) is the best answer. (‹M›) is close.",
    "‹L›. ‹T› is correct; ‹M›. ‹U› is not.",
    "‹M› is wrong. ‹O› is not correct. ‹L› is correct.",
    "‹T› is the right answer, ‹U› is not.",
    "‹M›) ‹U›: incorrect\n‹L›) ‹T›: correct\n‹O›) ‹P›: incorrect",
    "- ‹M›: wrong\n- ‹O›: wrong\n- ‹L›: correct",
    "‹M›) ‹U› ❌\n‹L›) ‹T› ✅\n‹O›) ‹P› ❌",
    "I choose ‹L›. The other options ‹M› and ‹O› are false.",
    "I would choose ‹L›",
    "I'd go with ‹L›.",
    "I think it is ‹L›.",
    "I think it's (‹L›) ‹T›",
    "I believe the answer is ‹L›, but I am not certain",
    "I pick option ‹L› over option ‹M›.",
    "So it must be ‹L›",
    "Therefore, ‹L›.",
    "It shines. Hence (‹L›)",
    "It is ‹L› rather than ‹M›.",
    "Of these I take (‹L›)",
    "This leaves ‹L›.",
    "→ ‹L›",
    "✅ ‹L›",
    "Die Antwort ist ‹L›.",
    "Die richtige Antwort lautet ‹L›.",
    "Antwort: ‹L›",
    "Antwort ‹L› ist richtig.",
    "La réponse est ‹L›.",
    "La bonne réponse est la ‹L›.",
    "Réponse : ‹L›",
    "La respuesta correcta es ‹L›.",
    "La respuesta correcta es la opción ‹L›.",
    "Respuesta: ‹l›)",
    "La risposta corretta è ‹L›.",
    "A resposta correta é ‹L›.",
    "Resposta: letra ‹L›",
    "Het juiste antwoord is ‹L›.",
    "Правильный ответ: ‹L›",
    "Ответ — ‹L›.",
    "Správná odpověď je ‹L›.",
    "Prawidłowa odpowiedź to ‹L›.",
    "答案是‹L›。",
    "正确答案：‹L›",
    "答案：（‹L›）",
    "答案为‹L›，因为它不生锈。",
    "選択肢の中で、正解は‹L›です。",
    "答えは‹L›です。",
    "정답은 ‹L›입니다.",
    "정답: ‹L›",
    "Đáp án đúng là ‹L›.",
    "Jawaban: ‹L›",
    "الجواب: ‹L›",
    "‹N›",
    "(‹N›)",
    "‹N›. ‹T›",
    "‹N›) ‹T›",
    "Answer: ‹N›",
    "The answer is option ‹N›.",
    "Option ‹N› is correct.",
    "I know that a metal is meant. The answer is ‹L›",
    "A metal is meant, and I think of all of them. ‹L›",
    "~~‹M›~~ ‹L›",
    "Q: which?\nA: ‹L›",
];

/// Forms that name two choices and assert neither alone.
const SEVERAL: &[&str] = &[
    "‹L› and ‹M›",
    "‹L›, ‹M›",
    "(‹L›) and (‹M›)",
    "‹L›/‹M›",
    "Both ‹L› and ‹M› are correct.",
    "Answer: ‹L› and ‹M›",
    "Answer: ‹L› or ‹M›",
    "Answer: ‹L›, ‹M›",
    "Answer: ‹L› & ‹M›",
    "The answer is ‹L› or ‹M›.",
    "The answer is either ‹L› or ‹M›, I am not sure which.",
    "The answers are ‹L› and ‹M›.",
    "\\boxed{‹L›, ‹M›}",
    "{\"answer\": [\"‹L›\", \"‹M›\"]}",
    "{\"answer\": \"‹L› and ‹M›\"}",
    "Die Antwort ist ‹L› oder ‹M›.",
    "答案是‹L›和‹M›",
    "The answer is ‹T› or ‹U›.",
    "The answer is (‹M›).\n\nThe answer is (‹L›).",
];

/// Texts that name none of five choices.
const NONE: &[&str] = &[
    "",
    "A metal, I think.",
    "I cannot tell. A metal, I think.",
    "The answer is a metal.",
    "It is I who asks.",
    "I am not sure.",
    "The answer is H",
    "The answer is 42",
    "None of these.",
    "Gold is close. The answer is (None of the above).",
    "Is the answer B?",
    "A",
];

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
