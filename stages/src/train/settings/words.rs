//! A word, or a list of words, where a setting takes either.

/// A word, or a list of words; and whether it was one word alone.
pub(super) fn one_or_many<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<(Vec<String>, bool), D::Error> {
    struct Words;
    impl<'de> serde::de::Visitor<'de> for Words {
        type Value = (Vec<String>, bool);

        fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            formatter.write_str("a word or a list of words")
        }

        fn visit_str<E>(self, word: &str) -> Result<Self::Value, E> {
            Ok((vec![word.to_owned()], true))
        }

        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut words: A) -> Result<Self::Value, A::Error> {
            let mut found = Vec::new();
            while let Some(word) = words.next_element()? {
                found.push(word);
            }
            Ok((found, false))
        }
    }
    deserializer.deserialize_any(Words)
}
