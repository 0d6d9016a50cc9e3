//! Statements of an answer. Takes plain text; gives the choices that the last statement asserts.
//!
//! Three kinds, the firmest first: an announced answer ("the answer is B", "Antwort: B"), a choice that is called right ("B is
//! correct"), and one that is taken ("I choose B", "so it must be B").

use std::sync::LazyLock;

use regex::Regex;

use super::{
    label::{Labels, Said, compiled, denied, quick},
    mark::marked,
};

/// What stands before an announced answer: a word for "answer", words that describe it, and a sign or word that links.
static ANNOUNCED: LazyLock<Regex> = LazyLock::new(|| {
    quick(
        r#"(?xi)
        \b(?: answers? | choice | option | solution | response | selection | pick | conclusion )\b
        (?: \s+ (?: choice | option | letter | here | chosen | selected )\b )*
        (?: \s* \( [^()\n]{0,40} \) )?
        (?: \s+ (?: to | for | of | in | among | that )\b [^.:\n]{0,100}? )??
        (?: \s* (?: \b(?: is | are | was | would\s+be | should\s+be | must\s+be | has\s+to\s+be | will\s+be | could\s+be | might\s+be | may\s+be
              | seems\s+to\s+be | appears\s+to\s+be )\b
            | [:=→] | -+>? | – | — ) )+
        (?: \s* (?: \b(?: therefore | thus | clearly | definitely | likely | most\s+likely | probably | indeed | simply | just | actually | still
              | the | correct | right | best | it\s+is | it's | that | either | both | i\s+(?: think | believe | guess | would\s+say ),? ) \s
            | [:,] \s ) )*
        \s* (?: not \s+ (?: option\s+|choice\s+ )? [("]* [a-z] [)"]* \s*,?\s* but \s+ (?: rather\s+ )? )?"#,
    )
});

/// The same in other languages.
static ANNOUNCED_ABROAD: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r"(?xi)
        (?: \b(?: antwort | lösung | réponse | respuesta | risposta | resposta | antwoord | ответ | вариант | відповідь | odpověď
            | odpowiedź | svaret | svar | vastaus | cevap | yanıt | jawaban(?:nya)? | đáp\s+án | válasz | răspunsul | απάντηση )\b
          | 答案 | 答え | 正解 | 正确选项 | 选择 | 정답 | 답 | الجواب | الإجابة | उत्तर )
        (?: \s+ [\p{L}\p{M}]{2,14} ){0,3}?
        (?: \s* (?: \b(?: ist | lautet | wäre | est | serait | es | sería | è | sarebbe | é | seria | is | to | jest | je | är | er | on | adalah
              | là | este | είναι | это | az )\b | 应该是 | 应为 | 是 | 为 | は | は、 | 은 | 는 | هي | هو | है | [:=→] | - | – | — ) )+
        (?: \s* (?: \b(?: die | der | das | la | le | el | il | a\s+letra | letra | lettera | lettre | buchstabe | буква | wohl | also ) \s
            | [:,] \s ) )*
        \s*",
    )
});

/// A word for "answer" in another language.
static ABROAD: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        "(?i)antwort|lösung|réponse|respuesta|risposta|resposta|antwoord|ответ|вариант|відповідь|odpověď|odpowiedź|svar|vastaus|cevap|\
         yanıt|jawaban|đáp|válasz|răspunsul|απάντηση|答案|答え|正解|正确选项|选择|정답|답|الجواب|الإجابة|उत्तर",
    )
});

/// What makes an announced answer one that is not asserted.
static REJECTED: LazyLock<Regex> = LazyLock::new(|| {
    quick(
        r"(?i)(?:\b(?:incorrect|wrong|false|other|another|bad|not\s+the|not\s+a|no|every|each|any|if\s+the|whether\s+the|falsche|mauvaise|incorrecta)|n't\s+the)\s+(?:correct\s+|right\s+|best\s+)?$",
    )
});

/// Choices and what says of them that they are right.
static CALLED_RIGHT: LazyLock<Regex> = LazyLock::new(|| {
    quick(
        r#"(?x)
        (?: ^ | [^\p{L}\p{N}'] | \p{Han} )
        ( (?: (?i:options?|choices?|answers?|statements?|letters?|opción|opção|вариант|antwort) \s* )? ["'(\[]*
          (?: [A-Z] | [a-z](?:\)|\]) | \d{1,2} | [\x{E000}-\x{E3E7}] ) ["')\].:]*
          (?: \s* (?: , \s* (?:and|or)? | and | or | & | / | und | oder | et | ou | y | e | и ) \s* (?: (?i:option|choice) \s+ )? ["'(\[]* (?: [A-Z] | [\x{E000}-\x{E3E7}] ) ["')\].:]* )* )
        \s* (?: [-–—,(:]\s* )? (?i:
          (?: (?: is | are | must\s+be | has\s+to\s+be | should\s+be | seems | appears | looks | ist | sind | est | es | está | è | é | är | er | jest | je | 是 )\s* )?
          (?: \b(?: the | most | probably | likely | clearly | definitely | thus | therefore | also | indeed | my | our | only | single | to\s+be | die | la | le | el | il | los | las )\s+ )*
          (?: correct(?:e|a|o)?(?:\ (?:answer|choice|option|one))?\b | right\b | best\b | better\b | preferable\b | fits\b | most\s+(?:accurate|appropriate)\b | (?:final\s+|chosen\s+)?answer\b | accurate\b
            | richtig\w* | korrekt\w* | corrett[ao] | corret[ao] | juste\b | bonne\b | верн\w* | правильн\w* | 正确 | 正しい | juist\b | rätt\b | ✓ | ✔ | ✅ | ☑ )
        )"#,
    )
});

/// What stands before a choice that is taken.
static TAKEN: LazyLock<Regex> = LazyLock::new(|| {
    quick(
        r"(?xi)
        (?: \b(?: i (?: 'd | 'll | \s+will | \s+would | \s+am | 'm )? (?: \s+ (?: therefore | thus | have\s+to | must | also | still ) )? \s+
              (?: choose | pick | select | take | (?:would\s+)?go(?:ing)?\s+(?:with|for) | went\s+(?:with|for) | say | answer | vote\s+for | guess | chose | picked | selected
                | (?: think | believe | guess | suspect ) (?: \s+ (?: that\s+ )? (?: it (?: 's | \s+is ) | the\s+answer\s+is ) )? )
            | (?: choose | select | go\s+with | going\s+with | pick | corresponds\s+to | matches | match(?:es)?\s+with | leaves(?:\s+us\s+with)? | choosing )
            | (?: it | this | that | which | correct ) (?: 's | \s+is | \s+must\s+be | \s+has\s+to\s+be | \s+should\s+be )
            | (?: therefore | thus | hence | so | final ) ,? (?: \s+(?: it\s+(?:is|must\s+be) ) )?
            | ich\s+(?:wähle|nehme) | je\s+choisis | elijo | scelgo | escolho | выбираю )
          | → | => | ⇒ | 选择? )
        \s* :? \s* (?: (?: the | correct | right | best | is | to\s+be | likely | most\s+likely | probably ) \s+ )*",
    )
});

/// An announced answer that is none of the choices.
static NO_CHOICE: LazyLock<Regex> = LazyLock::new(|| {
    quick(
        r#"^[\s"'(\[]*(?i:none\b|neither\b|cannot\b|can't\b|unknown\b|impossible\b|undetermin|indetermin|not\s+(?:given|listed|among|possible|known|available|provided|in)\b|n/a\b|missing\b)"#,
    )
});

/// What the last announced answer of a text is.
pub(super) enum Announced {
    Choice(Said),
    /// It says that no choice is right, or that it cannot be known.
    NoChoice,
}

impl Announced {
    pub(super) fn choice(self) -> Option<Said> {
        match self {
            Self::Choice(said) => Some(said),
            Self::NoChoice => None,
        }
    }
}

/// Returns what a line announces that says nothing else, as in "The answer is (B)."
pub(super) fn bare(line: &str, labels: &Labels) -> Option<Said> {
    let found = ANNOUNCED.find(line).filter(|found| line[..found.start()].trim().trim_start_matches("The").trim().is_empty())?;
    let (said, rest) = labels.list(&line[found.end()..], true)?;
    rest.chars().all(|character| !character.is_alphanumeric()).then_some(said)
}

/// Returns the last announced answer.
pub(super) fn announced(text: &str, labels: &Labels) -> Option<Announced> {
    let mut last = None;
    let pattern = if ABROAD.is_match(text) { &ANNOUNCED_ABROAD } else { &ANNOUNCED };
    for found in pattern.find_iter(text) {
        if REJECTED.is_match(tail(&text[..found.start()], 40)) {
            continue;
        }
        let behind = &text[found.end()..];
        let behind = behind.strip_prefix('\n').map_or(behind, str::trim_start);
        let said = match labels.list(behind, true) {
            Some((_, rest)) if rest.starts_with('?') || is_wrong(rest) && !rest.trim_start().starts_with(['.', ',']) => None,
            Some((said, _)) => Some(Announced::Choice(said)),
            None if NO_CHOICE.is_match(behind) => Some(Announced::NoChoice),
            None => words(behind).map(Announced::Choice),
        };
        last = said.or(last);
    }
    last
}

/// Returns the one choice whose words stand in the clause with which a text begins.
fn words(text: &str) -> Option<Said> {
    static CLAUSE_ENDS: LazyLock<Regex> = LazyLock::new(|| {
        quick(r"(?i)\n|[.;](?:\s|$)|\b(?:not|rather|instead|unlike|because|since|but|than|while|whereas)\b|n't\b")
    });
    let clause = CLAUSE_ENDS.find(text).map_or(text, |end| &text[..end.start()]);
    let mut named: Vec<_> = clause.chars().filter_map(marked).collect();
    named.sort_unstable();
    named.dedup();
    match named[..] {
        [] => None,
        [one] => Some(Said::One(one)),
        _ => Some(Said::Several(named)),
    }
}

/// Returns whether a sentence goes on by calling wrong what stands before it. What it does not do, as in "it is B: it does not rust", is
/// said in its favour.
fn is_wrong(behind: &str) -> bool {
    static DOES: LazyLock<Regex> = LazyLock::new(|| quick(r"^\W*(?i:does|doesn't|do|don't|can|can't|cannot)\b"));
    denied(behind) && !DOES.is_match(behind)
}

/// Returns the end of a text, of about so many bytes.
pub(super) fn tail(text: &str, bytes: usize) -> &str {
    let from = text.len().saturating_sub(bytes);
    (from..=text.len()).find(|at| text.is_char_boundary(*at)).map_or("", |at| &text[at..])
}

/// Returns what is called right last, or taken last.
pub(super) fn asserted(text: &str, labels: &Labels) -> Option<Said> {
    called_right(text, labels).or_else(|| taken(text, labels))
}

fn called_right(text: &str, labels: &Labels) -> Option<Said> {
    static CONDITION: LazyLock<Regex> = LazyLock::new(|| {
        quick(
            r"(?i)\b(?:if|nor|neither|whether|not|that|when|why|unless|than|assuming)\s+(?:that\s+)?(?:the\s+)?(?:option\s+|choice\s+)?$",
        )
    });
    let mut last = None;
    for found in CALLED_RIGHT.captures_iter(text) {
        let Some(names) = found.get(1) else { continue };
        if CONDITION.is_match(tail(&text[..names.start()], 40))
            || text[found.get(0).map_or(0, |whole| whole.end())..].starts_with('?')
        {
            continue;
        }
        // The article in "that makes A correct guess" has a capital letter nowhere else than here.
        if let Some((said, _)) = labels.list(names.as_str(), true) {
            last = Some(said);
        }
    }
    last
}

fn taken(text: &str, labels: &Labels) -> Option<Said> {
    let said = TAKEN.find_iter(text).filter_map(|found| {
        let (said, rest) = labels.list(&text[found.end()..], false)?;
        (!rest.starts_with('?') && !is_wrong(rest)).then_some(said)
    });
    said.last()
}
