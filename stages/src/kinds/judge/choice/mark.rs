//! Characters that stand for the words of a choice. Takes a choice's place; gives its character, and back.

/// The first of the private characters that stand for the words of a choice.
const FIRST_MARK: u32 = 0xE000;

/// Returns the character that stands for the words of a choice.
pub(super) fn mark(index: usize) -> char {
    char::from_u32(FIRST_MARK + index as u32).unwrap_or('\u{E000}')
}

/// Returns the choice whose words a character stands for.
pub(super) fn marked(character: char) -> Option<usize> {
    let index = (character as u32).checked_sub(FIRST_MARK)?;
    (index < 1000).then_some(index as usize)
}
