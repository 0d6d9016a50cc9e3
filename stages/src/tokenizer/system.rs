//! Where the system message goes: a wish and a chat template → its place in a conversation.
//!
//! Templates of some families (Gemma 1 and 2 among them) raise an exception at a system message. What it says can stand at the head of the
//! first question instead. Which of the two it is changes what is learned, so it is decided once, and recorded.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ChatTemplate, TemplateError, Variables, messages};
use crate::rows::Message;

/// What to do with system messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum System {
    /// A turn of its own where the template has one, else the head of the question.
    #[default]
    Auto,
    /// Always the head of the question.
    User,
    /// A turn of its own, or an error where the template refuses it.
    Refuse,
}

/// Where system messages stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Placement {
    /// In a turn of their own.
    System,
    /// At the head of the first question.
    User,
}

impl System {
    /// Decides for a template, by rendering a conversation that has a system message.
    ///
    /// # Errors
    /// [`System::Refuse`], and a template that refuses or leaves out the system message.
    pub fn settle(self, template: &ChatTemplate, others: &[(String, minijinja::Value)]) -> Result<Placement, TemplateError> {
        if self == Self::User {
            return Ok(Placement::User);
        }
        // A word that no template writes of itself: some leave the system message out without a word.
        let probe = "system-message-probe";
        let conversation = [Message::new("system", probe), Message::new("user", "question")];
        let variables = Variables { messages: messages(&conversation), others: others.to_vec(), ..Variables::default() };
        match (template.render(&variables), self) {
            (Ok(text), _) if text.contains(probe) => Ok(Placement::System),
            (_, Self::Auto | Self::User) => Ok(Placement::User),
            (Err(error), Self::Refuse) => Err(error),
            (Ok(_), Self::Refuse) => Err(TemplateError::Refused {
                template: template.name().to_owned(),
                role: "system".to_owned(),
                message: 1,
                reason: "the system message is left out".to_owned(),
            }),
        }
    }
}

impl Placement {
    /// Puts the system message of a conversation in its place.
    #[must_use]
    pub fn place(self, conversation: &[Message]) -> Vec<Message> {
        let mut placed = conversation.to_vec();
        let leads = matches!(conversation, [first, second, ..] if first.role == "system" && second.role == "user");
        if self == Self::User && leads {
            let system = placed.remove(0);
            placed[0].content = format!("{}\n\n{}", system.content, placed[0].content);
        }
        placed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokenizer::family;

    fn settled(system: System, family_name: &str) -> Result<Placement, TemplateError> {
        let template = family(family_name).unwrap();
        system.settle(&template, &[("bos_token".into(), "<bos>".into())])
    }

    #[test]
    fn the_template_decides_unless_the_user_does() {
        assert_eq!(settled(System::Auto, "gemma").unwrap(), Placement::User);
        assert_eq!(settled(System::Auto, "qwen2").unwrap(), Placement::System);
        assert_eq!(settled(System::User, "qwen2").unwrap(), Placement::User);
        assert_eq!(settled(System::Refuse, "qwen2").unwrap(), Placement::System);
        let refused = settled(System::Refuse, "gemma2").unwrap_err().to_string();
        assert!(refused.starts_with("chat template `gemma` refuses role `system` at message 1: "), "{refused}");
        let silent = ChatTemplate::new("silent", "{{ messages[-1].content }}").unwrap();
        assert_eq!(System::Auto.settle(&silent, &[]).unwrap(), Placement::User);
        assert!(System::Refuse.settle(&silent, &[]).is_err());
    }

    #[test]
    fn a_system_message_goes_to_the_head_of_the_question() {
        let conversation = [Message::new("system", "Routes."), Message::new("user", "Q?"), Message::new("assistant", "A.")];
        assert_eq!(Placement::System.place(&conversation), conversation);
        let placed = Placement::User.place(&conversation);
        assert_eq!(placed, [Message::new("user", "Routes.\n\nQ?"), Message::new("assistant", "A.")]);
        assert_eq!(Placement::User.place(&conversation[1..]), conversation[1..]);
    }
}
