//! Lengths of examples. Takes conversations; gives a sentence on how long they are.

use crate::rows::Message;

/// Returns the number of characters in a conversation.
pub(crate) fn length(messages: &[Message]) -> usize {
    messages.iter().map(|message| message.content.chars().count()).sum()
}

/// Returns a sentence with the minimum, the median, the 95th percentile and the maximum of lengths.
pub(crate) fn sentence(mut lengths: Vec<usize>) -> String {
    lengths.sort_unstable();
    let at = |share: f64| lengths.get((share * lengths.len().saturating_sub(1) as f64).round() as usize).copied().unwrap_or(0);
    format!("{} to {} characters (median {}, 95 % up to {})", at(0.0), at(1.0), at(0.5), at(0.95))
}

#[cfg(test)]
mod tests {
    #[test]
    fn lengths_are_ranked() {
        assert_eq!(super::sentence((1..=101).rev().collect()), "1 to 101 characters (median 51, 95 % up to 96)");
        assert_eq!(super::sentence(Vec::new()), "0 to 0 characters (median 0, 95 % up to 0)");
    }
}
