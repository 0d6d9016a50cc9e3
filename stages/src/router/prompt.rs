//! The prompt of a router. Takes policies and a question; gives the router's prompt and the completion that it has to say.
//!
//! Training, evaluation and serving use the same version of the words, `router@1`. A released version is never edited.

use crate::{rows::Message, sections::Policies};

/// The version of the prompt, which checkpoints name.
pub(crate) const VERSION: &str = "router@1";

/// The form of answer that the prompt asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// The policy alone: what scoring uses.
    Direct,
    /// A reasoning chain, then the policy.
    Reasoned,
}

/// Returns the conversation up to the router's turn: the routes in XML, then the question.
pub(crate) fn prompt(policies: &Policies, question: &str, form: Form) -> Vec<Message> {
    let ask = match form {
        Form::Direct => "Answer with the policy only.",
        Form::Reasoned => "Think, then answer with the policy.",
    };
    vec![Message::new("system", format!("{}\n{ask}", routes(policies))), Message::new("user", question)]
}

/// Returns the router's turn. If the policy that is meant has a key word, it stands before the route's name.
pub(crate) fn completion(reasoning: Option<&str>, keyword: Option<&str>, name: &str) -> String {
    let reasoning = reasoning.map_or_else(String::new, |reasoning| format!("{reasoning}\n"));
    let keyword = keyword.map_or_else(String::new, |keyword| format!("{keyword} "));
    format!("{reasoning}Policy: {keyword}{name}")
}

fn routes(policies: &Policies) -> String {
    let routes: Vec<_> = policies
        .0
        .iter()
        .map(|policy| format!("<route name=\"{}\">{}</route>", policy.name, escaped(&policy.description)))
        .collect();
    format!("<routes>{}</routes>", routes.concat())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sections::Policy;

    #[test]
    fn the_words_of_this_version_do_not_change() {
        let policies = Policies(vec![Policy {
            name: "Standard_Query".to_owned(),
            model: "medium".to_owned(),
            description: "sums < 8 digits & no brackets".to_owned(),
            keyword: None,
        }]);
        let messages = prompt(&policies, "What is 1 + 1?", Form::Direct);
        assert_eq!(
            messages[0].content,
            "<routes><route name=\"Standard_Query\">sums &lt; 8 digits &amp; no brackets</route></routes>\nAnswer with the policy only.",
            "a released prompt is never edited: add `router@2`"
        );
        assert_eq!(completion(Some("two numbers"), None, "X"), "two numbers\nPolicy: X");
        assert_eq!(completion(None, Some("sums"), "X"), "Policy: sums X");
    }
}
