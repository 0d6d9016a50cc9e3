//! The place of the system message. Takes a setting and a chat template; gives the place, and puts the message there.
//!
//! Templates of some families (Gemma 1 and 2 among them) raise an exception at a system message. Its text can be put at the head of the
//! first question instead. The place changes what is learned, so it is decided once and recorded.

use minijinja::{Value, value::DynObject};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ChatTemplate, TemplateError, Variables, messages};
use crate::rows::Message;

/// What to do with system messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum System {
    /// A separate turn if the template supports it, else the start of the question.
    #[default]
    Auto,
    /// Always the head of the question.
    User,
    /// A separate turn; an error if the template refuses it.
    Refuse,
}

/// Where system messages stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Placement {
    /// In a turn of their own.
    #[default]
    System,
    /// At the head of the first question.
    User,
}

impl System {
    /// Decides the place for a template, by rendering a conversation that has a system message.
    ///
    /// # Errors
    /// The setting is [`System::Refuse`], and the template refuses or leaves out the system message.
    pub fn settle(self, template: &ChatTemplate, others: &[(String, Value)]) -> Result<Placement, TemplateError> {
        if self == Self::User {
            return Ok(Placement::User);
        }
        // A word that no template writes by itself, since some templates leave the system message out without an exception.
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
    /// Returns the name that files have for the place.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
        }
    }

    /// Puts the system message of a conversation in its place. A conversation without one, or whose messages are no plain texts, is not changed.
    #[must_use]
    pub fn place(self, mut conversation: Vec<Value>) -> Vec<Value> {
        let text = |place: usize, role: &str| {
            let message = conversation.get(place).filter(|message| attribute(message, "role").as_str() == Some(role))?;
            attribute(message, "content").as_str().map(str::to_owned)
        };
        if self == Self::User
            && let (Some(system), Some(question)) = (text(0, "system"), text(1, "user"))
        {
            conversation.remove(0);
            let content = Value::from(format!("{system}\n\n{question}"));
            conversation[0] = with_content(&conversation[0], &content);
        }
        conversation
    }
}

fn attribute(message: &Value, name: &str) -> Value {
    message.get_attr(name).unwrap_or_default()
}

/// Returns a message with its content replaced.
fn with_content(message: &Value, content: &Value) -> Value {
    let entries = message.as_object().and_then(DynObject::try_iter_pairs).into_iter().flatten();
    Value::from_pairs(entries.map(|(key, value)| {
        let value = if key.as_str() == Some("content") { content.clone() } else { value };
        (key, value)
    }))
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
        let placed = |placement: Placement, conversation: &[Message]| {
            let placed = serde_json::to_value(placement.place(messages(conversation))).unwrap();
            serde_json::from_value::<Vec<Message>>(placed).unwrap()
        };
        assert_eq!(placed(Placement::System, &conversation), conversation);
        let expected = [Message::new("user", "Routes.\n\nQ?"), Message::new("assistant", "A.")];
        assert_eq!(placed(Placement::User, &conversation), expected);
        assert_eq!(placed(Placement::User, &conversation[1..]), conversation[1..]);
        assert_eq!(
            placed(Placement::User, &conversation[..1]),
            conversation[..1],
            "there is no question to stand at the head of"
        );
    }
}
