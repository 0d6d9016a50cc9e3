//! Letters of choices. Takes the place or the text of a choice; gives its letter.

const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// Returns the letter of the choice at a place, counted from 0; nothing if there is no letter for it.
pub(crate) fn letter(place: usize) -> Option<&'static str> {
    LETTERS.get(place..=place)
}

/// Returns the letter of the choice that `gold` names, by its letter or by its text.
///
/// # Errors
/// A sentence, if `gold` names no choice or more than one.
pub(crate) fn letter_of(gold: &str, choices: &[String]) -> Result<String, String> {
    let Some(last) = choices.len().checked_sub(1).and_then(letter) else {
        return Err(format!("there are {} choices, and letters for 1 to 26", choices.len()));
    };
    if gold.len() == 1 && ("A"..=last).contains(&gold) {
        return Ok(gold.to_owned());
    }
    let mut places = (0..choices.len()).filter(|place| choices[*place] == gold);
    match (places.next().and_then(letter), places.next()) {
        (Some(letter), None) => Ok(letter.to_owned()),
        _ => Err(format!("the right answer `{gold}` is neither a letter from A to {last} nor the text of one choice")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_comes_before_a_text() {
        let choices = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let given = choices(&["B", "x", "x", "y"]);
        assert_eq!(letter_of("B", &given).unwrap(), "B");
        assert_eq!(letter_of("y", &given).unwrap(), "D");
        for gold in ["E", "b", "x", "", "AB", "É"] {
            assert!(letter_of(gold, &given).is_err(), "{gold}");
        }
        assert!(letter_of("A", &choices(&["x"; 27])).unwrap_err().contains("27 choices"));
        assert_eq!(letter_of("Z", &choices(&["x"; 26])).unwrap(), "Z");
    }
}
