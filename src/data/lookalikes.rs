//! Names that look the same and are not: written in different Unicode forms, or with characters that nobody sees.

use std::collections::BTreeMap;

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use super::vocabulary::Vocabulary;

/// Characters that take no room, and blanks that are not ASCII's (those are cut off where a name is read).
pub(crate) fn unseen(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{ad}')
}

/// A name as it is seen: composed, without unseen characters, without blanks at its ends. `None` if it is that already.
fn seen(name: &str) -> Option<String> {
    let plain =
        is_nfc_quick(name.chars()) == IsNormalized::Yes && !name.chars().any(unseen) && name.trim().len() == name.len();
    if plain {
        return None;
    }
    let form: String = name.chars().filter(|character| !unseen(*character)).nfc().collect();
    let form = form.trim().to_owned();
    (form != name).then_some(form)
}

/// A name with what is not ASCII spelt out, so that two which look alike can be told apart; no more of it than fits a line.
fn spelt(name: &str) -> String {
    let all: String = name.chars().take(60).flat_map(char::escape_default).collect();
    format!("\"{all}\"")
}

/// What to say of names that look like another one; costs nothing where all names are ASCII.
pub(crate) fn note(what: &str, names: &Vocabulary) -> Option<String> {
    if names.is_ascii() {
        return None;
    }
    let (mut count, mut example) = (0u64, None);
    let mut forms: BTreeMap<String, &str> = BTreeMap::new();
    for name in names.names().filter(|name| !name.is_ascii()) {
        let Some(form) = seen(name) else { continue };
        let twin = names.id(&form).map(|id| names.name(id)).or_else(|| forms.get(&form).copied());
        if let Some(twin) = twin {
            count += 1;
            example = example.or_else(|| Some((spelt(twin), spelt(name))));
        }
        forms.insert(form, name);
    }
    let (twin, name) = example?;
    Some(format!(
        "{count} {what} look like another one and are not: {twin} and {name} differ by their Unicode form or by characters \
         that are not seen, and count as two; in Python unicodedata.normalize('NFC', id).strip() makes most of them one"
    ))
}

/// What to say of names that have capitals and are others' names without.
pub(crate) fn note_of_case(what: &str, names: &Vocabulary) -> Option<String> {
    let capitals = names.names().filter(|name| name.bytes().any(|byte| byte.is_ascii_uppercase()));
    let mut twins = capitals.filter_map(|name| Some((name, names.name(names.id(&name.to_ascii_lowercase())?))));
    let (name, twin) = twins.next()?;
    let (name, twin, count) = (spelt(name), spelt(twin), 1 + twins.count());
    Some(format!("{count} {what} are others but for capitals ({name}, {twin}) and count as two"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_alike_are_named_as_a_pair() {
        let said = |names: &[&str]| note("items", &Vocabulary::from_names(names));
        assert_eq!(said(&["a", "b", "b "]), None, "ASCII is never looked at");
        assert_eq!(said(&["caf\u{e9}", "the\u{301}", "x"]), None);
        let two = said(&["caf\u{e9}", "cafe\u{301}", "x"]).unwrap();
        assert!(two.starts_with("1 items") && two.contains("caf\\u{e9}") && two.contains("cafe\\u{301}"), "{two}");
        for odd in ["x\u{200b}", "\u{feff}x", "x\u{a0}"] {
            assert!(said(&["x", odd]).is_some(), "{odd:?}");
        }
        let of_case = |names: &[&str]| note_of_case("users", &Vocabulary::from_names(names));
        assert_eq!(of_case(&["Ann", "BOB", "cid"]), None);
        assert!(
            of_case(&["Ann", "ann"]).unwrap().starts_with("1 users are others but for capitals (\"Ann\", \"ann\")")
        );
        // Neither is the composed one: a base with two marks in two orders.
        assert!(said(&["q\u{323}\u{307}", "q\u{307}\u{323}"]).is_some());
    }
}
