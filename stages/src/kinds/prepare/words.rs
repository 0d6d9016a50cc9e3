//! Made-up words and names. Takes a stream of random numbers; gives words and names that mean nothing.

use crate::random::Random;

/// Words that names are made of. They say nothing about a route.
const WORDS: [&str; 48] = [
    "Amber", "Anchor", "Aspen", "Basalt", "Beacon", "Birch", "Bridge", "Canyon", "Cedar", "Cobalt", "Copper", "Coral", "Delta",
    "Ember", "Falcon", "Fern", "Garnet", "Glacier", "Harbor", "Hazel", "Indigo", "Island", "Ivory", "Jasper", "Juniper",
    "Lagoon", "Lantern", "Linden", "Maple", "Marble", "Meadow", "Mesa", "Nickel", "Ocean", "Onyx", "Opal", "Orchid", "Pebble",
    "Pine", "Prairie", "Quartz", "Raven", "River", "Saffron", "Sierra", "Summit", "Timber", "Willow",
];

/// The letters of made-up words, in which consonants and vowels alternate. Repeated ones are drawn more often.
const VOWELS: [&str; 14] = ["a", "e", "i", "o", "u", "a", "e", "i", "o", "u", "ea", "ou", "oo", "ai"];
const CONSONANTS: [&str; 32] = [
    "b", "c", "d", "f", "g", "h", "j", "k", "l", "m", "n", "p", "qu", "r", "s", "t", "v", "w", "x", "y", "z", "ch", "sh", "th",
    "st", "br", "tr", "pl", "ck", "ll", "ss", "ng",
];

/// Draws a word that can be pronounced, of one or two syllables.
pub(crate) fn word(random: &mut Random) -> String {
    let mut parts = Vec::new();
    if random.uniform() < 0.2 {
        parts.push(VOWELS[random.below(VOWELS.len())]);
    }
    for _ in 0..=random.below(2) {
        parts.push(CONSONANTS[random.below(CONSONANTS.len())]);
        parts.push(VOWELS[random.below(VOWELS.len())]);
    }
    if random.uniform() < 0.6 {
        parts.push(CONSONANTS[random.below(CONSONANTS.len())]);
    }
    parts.concat()
}

/// The style of the names in one prompt. Names of real routes share a style too.
pub(crate) struct Names {
    /// Whether words are made up, and not taken from the list.
    of_letters: bool,
    case: fn(&str) -> String,
    separator: &'static str,
    /// Share of the parts that are a single letter or digit.
    short: f64,
    /// A part that all names begin or end with.
    shared: Option<String>,
    shared_first: bool,
}

impl Names {
    /// Draws a style.
    pub(crate) fn draw(random: &mut Random) -> Self {
        let case = [capitalised, capitalised, capitalised, capitalised, str::to_lowercase];
        let mut names = Self {
            of_letters: random.uniform() < 0.5,
            case: case[random.below(case.len())],
            separator: ["_", "_", "_", "-"][random.below(4)],
            short: [0.0, 0.1, 0.5][random.below(3)],
            shared: None,
            shared_first: random.uniform() < 0.5,
        };
        if random.uniform() < 0.25 {
            names.shared = Some(names.part(random));
        }
        names
    }

    /// Draws a name of one to three parts, mostly two.
    pub(crate) fn name(&self, random: &mut Random) -> String {
        let count = [1, 2, 2, 2, 3][random.below(5)];
        let mut parts: Vec<_> = match &self.shared {
            Some(shared) => vec![self.part(random), shared.clone()],
            None => (0..count).map(|_| self.part(random)).collect(),
        };
        if self.shared_first {
            parts.reverse();
        }
        parts.join(self.separator)
    }

    /// Draws a part of a name: a word, a letter or a digit.
    fn part(&self, random: &mut Random) -> String {
        const SHORT: &[u8] = b"ABCDEFG123456789";
        if random.uniform() < self.short {
            return char::from(SHORT[random.below(SHORT.len())]).to_string();
        }
        let word = if self.of_letters { word(random) } else { WORDS[random.below(WORDS.len())].to_owned() };
        (self.case)(&word)
    }
}

fn capitalised(word: &str) -> String {
    word[..1].to_uppercase() + &word[1..]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn words_are_of_small_letters_and_seldom_come_again() {
        let mut random = Random::new(1, "words");
        let words: BTreeSet<_> = (0..1000).map(|_| word(&mut random)).collect();
        assert!(words.len() > 700, "{} of 1000", words.len());
        assert!(words.iter().all(|word| word.len() > 1 && word.bytes().all(|letter| letter.is_ascii_lowercase())), "{words:?}");
    }

    #[test]
    fn names_of_one_prompt_are_of_one_kind() {
        let mut random = Random::new(1, "names");
        let (mut shared, mut apart) = (0, 0);
        for _ in 0..200 {
            let names = Names::draw(&mut random);
            let drawn: Vec<_> = (0..8).map(|_| names.name(&mut random)).collect();
            let parts: Vec<Vec<_>> = drawn.iter().map(|name| name.split(['_', '-']).collect()).collect();
            assert!(parts.iter().all(|parts| (1..=3).contains(&parts.len())), "{drawn:?}");
            assert!(drawn.iter().all(|name| !name.contains('_')) || drawn.iter().all(|name| !name.contains('-')), "{drawn:?}");
            let begins = parts.iter().all(|other| other.len() == 2 && other[0] == parts[0][0]);
            let ends = parts.iter().all(|other| other.len() == 2 && other[1] == parts[0][1]);
            if begins || ends { shared += 1 } else { apart += 1 }
        }
        assert!((25..75).contains(&shared), "{shared} share a part, {apart} do not");
    }
}
