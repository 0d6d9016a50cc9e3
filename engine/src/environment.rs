//! Environment variables. Takes the manifest's folder; gives the variables of `.env` in it. Those of the process itself win, and none of
//! either is ever printed.
#![expect(clippy::disallowed_methods, reason = "this is where variables are read")]

use std::{collections::BTreeMap, io::Read as _, path::Path};

/// The variables of `.env`.
#[derive(Default)]
pub(crate) struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Reads `.env` in this folder, where there is one. A `$` in it is a `$`, and stands for no variable.
    ///
    /// # Errors
    /// A line is not `NAME=value`, or the file cannot be read. The message repeats no value.
    pub(crate) fn beside(folder: &Path) -> Result<Self, String> {
        let path = folder.join(".env");
        if !path.exists() {
            return Ok(Self::default());
        }
        let wrong = |what: String| format!("`{}`: {what}", path.display());
        let mut file = cache::open_regular(&path).map_err(|error| wrong(error.to_string()))?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(|error| wrong(error.to_string()))?;
        let text = without_variables(&text);
        let lines = dotenvy::from_read_iter(text.as_bytes());
        let mut variables = BTreeMap::new();
        for (index, variable) in lines.enumerate() {
            let (name, value) = variable.map_err(|error| match error {
                dotenvy::Error::LineParse(..) => wrong(format!("variable {} is not written as NAME=value", index + 1)),
                other => wrong(other.to_string()),
            })?;
            variables.insert(name, value);
        }
        Ok(Self(variables))
    }

    /// Returns the value of a variable.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        std::env::var(name).ok().or_else(|| self.0.get(name).cloned())
    }
}

/// Escapes every `$` that `dotenvy` would take for a variable, since keys have them and a key must be sent as it stands in the file.
fn without_variables(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut quote = None;
    let mut before = '\n';
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (None, '#') if before.is_whitespace() => {
                escaped.push(character);
                // A quote in a comment opens nothing.
                for commented in characters.by_ref() {
                    escaped.push(commented);
                    if commented == '\n' {
                        break;
                    }
                }
                before = '\n';
                continue;
            }
            (None | Some('"'), '\\') => {
                escaped.push(character);
                escaped.extend(characters.next());
                before = '\\';
                continue;
            }
            (None | Some('"'), '$') => escaped.push('\\'),
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), closing) if open == closing => quote = None,
            _ => {}
        }
        escaped.push(character);
        before = character;
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dollar_is_a_dollar_however_it_is_quoted() {
        let folder = tempfile::tempdir().expect("a folder");
        let text = "# it's a $comment\nPLAIN=sk-a$bc9 # don't $read\nBRACED=a${PLAIN}b\nDOUBLE=\"x$y \\$z \\\" $\"\nSINGLE='$a\"$b'\n\
                    ESCAPED=a\\$b\nexport LAST=$\nHASH=a#$b\n";
        std::fs::write(folder.path().join(".env"), text).expect("a file");
        let Environment(read) = Environment::beside(folder.path()).expect(text);
        for (name, value) in [
            ("PLAIN", "sk-a$bc9"),
            ("BRACED", "a${PLAIN}b"),
            ("DOUBLE", "x$y $z \" $"),
            ("SINGLE", "$a\"$b"),
            ("ESCAPED", "a$b"),
            ("LAST", "$"),
            ("HASH", "a#$b"),
        ] {
            assert_eq!(read.get(name).map(String::as_str), Some(value), "{name}");
        }
    }
}
