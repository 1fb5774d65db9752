//! What a text says, as far as words tell: promises and gifts, sender and way out. A list of words finds what it names and
//! nothing else; it must never be taken for a reading of the text.

/// The first of `words` (in lower case) that stands in `text`.
pub(crate) fn found<'w>(text: &str, words: &'w [String]) -> Option<&'w str> {
    let text = text.to_lowercase();
    words
        .iter()
        .find(|w| text.contains(w.as_str()))
        .map(String::as_str)
}

/// Letters and digits alone, in lower case: `Fund_Purchase`, `fund-purchase` and `fundPurchase` are one.
pub(crate) fn plain(text: &str) -> String {
    let letters = text.chars().filter(|c| c.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

/// Whether the text names its sender: `【name】` at its beginning or end.
pub(crate) fn names_sender(text: &str) -> bool {
    let text = text.trim();
    let first = text
        .strip_prefix('【')
        .and_then(|rest| rest.split_once('】'))
        .is_some_and(|(name, _)| !name.trim().is_empty());
    let last = text
        .strip_suffix('】')
        .and_then(|rest| rest.rsplit_once('【'))
        .is_some_and(|(_, name)| !name.trim().is_empty());
    first || last
}
