//! Settings that take a value or a list of values. Takes either; gives a list.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize,
    de::{Deserializer, Error, SeqAccess, Visitor, value::StrDeserializer},
};

/// Reads a `T`, or a list of them.
pub(super) fn one_or_many<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    struct Words<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Words<T> {
        type Value = Vec<T>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a word or a list of words")
        }

        fn visit_str<E: Error>(self, word: &str) -> Result<Vec<T>, E> {
            T::deserialize(StrDeserializer::new(word)).map(|one| vec![one])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut words: A) -> Result<Vec<T>, A::Error> {
            let mut found = Vec::new();
            while let Some(word) = words.next_element()? {
                found.push(word);
            }
            Ok(found)
        }
    }

    deserializer.deserialize_any(Words(PhantomData))
}
