//! Tests that numbers are read as people, models and TeX write them.

use super::{
    amount::Amount,
    read::{Read, read},
};

fn check(text: &str, expected: &str) -> Option<String> {
    let said = match read(text).0 {
        Read::Amount(Amount { number, percent, .. }) => {
            format!("{}{}", number.with_prec(12).normalized().to_plain_string(), if percent { "%" } else { "" })
        }
        Read::Several => "several".to_owned(),
        Read::Unreadable => "unreadable".to_owned(),
        Read::Nothing => "nothing".to_owned(),
    };
    (said != expected).then(|| format!("{text:?} is {said}, and not {expected}"))
}

fn check_all(cases: &[(&str, &str)]) {
    let wrong: Vec<_> = cases.iter().filter_map(|(text, expected)| check(text, expected)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn numbers_are_read_as_people_write_them() {
    check_all(&[
        ("42", "42"),
        ("1,234,567.50", "1234567.5"),
        ("= 12", "12"),
        ("1.5e3", "1500"),
        ("1.5E+06", "1500000"),
        ("−4", "-4"),
        ("–5", "-5"),
        ("-5", "-5"),
        ("minus 5", "-5"),
        ("negative 5", "-5"),
        ("It is minus 5 degrees", "-5"),
        ("1,2", "unreadable"),
        ("none", "nothing"),
        ("1e999999999", "unreadable"),
        ("It costs $1,234.50.", "1234.5"),
        ("-$5", "-5"),
        ("$-5", "-5"),
        ("5 €", "5"),
        ("€5.50", "5.5"),
        ("USD 5", "5"),
        ("US$5", "5"),
        ("5 dollars", "5"),
        ("**42**", "42"),
        ("`42`", "42"),
        ("$42$", "42"),
        ("\\(42\\)", "42"),
        ("<b>42</b>", "42"),
        ("42.", "42"),
        ("42 [1]", "42"),
        ("42[^2]", "42"),
        ("42<sup>3</sup>", "42"),
        ("He runs 42km, on the 2nd of the 1990s", "42"),
        ("a share of 3/4", "0.75"),
        ("5/0", "unreadable"),
        ("about 12%", "12%"),
        ("12 percent", "12%"),
        ("1 234", "1234"),
        ("1 234 567,5", "1234567.5"),
        ("1\u{202f}234", "1234"),
        ("1'234", "1234"),
        ("1.234,56", "1234.56"),
        ("1.234.567", "1234567"),
        ("1,00,000", "100000"),
        ("0,5", "0.5"),
        ("2 1/2", "2.5"),
        ("2 1/2 hours", "2.5"),
        ("2½", "2.5"),
        ("2 ½ cups", "2.5"),
        ("½", "0.5"),
        ("1.5 million", "1500000"),
        ("$2.5M", "2500000"),
        ("3k", "3000"),
        ("5 m", "5"),
        ("2 hundred", "200"),
        ("10^6", "1000000"),
        ("10⁶", "1000000"),
        ("1.5 × 10^6", "1500000"),
        ("1.5 x 10^6", "1500000"),
        ("1.5*10**6", "1500000"),
        ("$1.5 \\times 10^{6}$", "1500000"),
        ("1.5 \\cdot 10^{-3}", "0.0015"),
        ("\\boxed{5\\sqrt{2}}", "7.07106781187"),
        ("5√2", "7.07106781187"),
        ("\\boxed{2^{10}}", "1024"),
        ("\\frac{3}{4}", "0.75"),
        ("\\dfrac{3}{4}", "0.75"),
        ("\\frac34", "0.75"),
        ("-\\frac{3}{4}", "-0.75"),
        ("2\\frac{1}{2}", "2.5"),
        ("\\frac{3\\sqrt{6}}{5\\sqrt{5}}", "0.657267069006"),
        ("16\\sqrt{2}", "22.627416998"),
        ("\\boxed{\\sqrt[3]{8}}", "2"),
        ("2\\pi", "6.28318530718"),
        ("\\boxed{1{,}080}", "1080"),
        ("\\boxed{12\\,000}", "12000"),
        ("\\boxed{\\text{42 apples}}", "42"),
        ("\\boxed{42\\text{ cm}^2}", "42"),
        ("\\boxed{90^\\circ}", "90"),
        ("\\boxed{x = 5}", "5"),
        ("0.\\overline{3}", "0.333333333333"),
        ("\\boxed{5x}", "unreadable"),
        ("\\boxed{\\log 5}", "unreadable"),
        ("between 3 and 5", "several"),
        ("3-5", "several"),
        ("3 – 5 hours", "several"),
        ("3 or 4", "several"),
        ("The answer is 3 or 4.", "several"),
        ("The answer is 3, 4", "several"),
        ("3 to 5 days", "several"),
        ("10:30", "unreadable"),
        ("2025-03-01", "unreadable"),
        ("5 m²", "5"),
        ("The area is 5 m^2.", "5"),
    ]);
}

#[test]
fn a_marked_answer_wins_over_the_last_number() {
    check_all(&[
        ("3*60 = <<3*60=180>>180, of 3 days\n#### 540\n\nQ: What of 7?", "540"),
        ("So $\\boxed{\\frac{3}{4}}$, as 1 = 1.", "0.75"),
        ("\\boxed{\\$1{,}080} in 3 weeks", "1080"),
        ("```json\n{ \"reasoning\": \"9 * 2 = 18 of 20\", \"answer\": \"18 dollars for 9\" }\n```", "18"),
        ("The answer is 42 apples, for 3 children.", "42"),
        ("**Answer:** 2 of 5", "2"),
        ("The final answer to this is: $20", "20"),
        ("The answer is not known. I think of 5", "5"),
        ("in 7 races she came in 6th\n#### 6th", "6"),
        ("{ \"reasoning\": \"of 5\", \"answer\": \"cannot be known\" }", "nothing"),
        ("First <<1+1=2>>2 and then 3", "3"),
        ("The answer is 3 + 4 = 7.", "7"),
        ("The answer is 1.5 million dollars.", "1500000"),
        ("The answer is $\\frac{1}{2}$.", "0.5"),
        ("She has 3 apples and 5 pears", "5"),
        ("3 * 4 = 12 eggs in 3 days", "12"),
        ("Die Antwort ist 42.", "42"),
        ("The answer is −5.", "-5"),
        ("#### -5", "-5"),
        ("A: 1,000", "1000"),
    ]);
}
