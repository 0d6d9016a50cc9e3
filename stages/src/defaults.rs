//! Params and settings that a key leaves out. Takes a value; gives whether it is the default.
//!
//! A param that was added later is left out of the key while it has its default, so that keys made before it stay as they are.

/// Returns whether a value is its type's default, for serde's `skip_serializing_if`.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
