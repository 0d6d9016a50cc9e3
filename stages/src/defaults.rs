//! A param or setting → whether a key leaves it out: keys were made before there was it, and stay as they were where it changes nothing.

/// Says whether a value is its type's default; serde asks it of what is left out then.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
