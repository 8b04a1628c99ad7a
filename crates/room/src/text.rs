//! What people write, made safe to show.

/// Characters (Unicode scalar values) of a comment, after trimming.
pub(crate) const MAX_CHARS: usize = 500;

/// Why a text is not a comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unfit {
    Empty,
    TooLong,
}

/// The text on one line, without control characters, trimmed.
///
/// Line ends and tabs become spaces. Bidirectional overrides go too: one of them turns the lines of other people
/// around (Unicode TR 36, section 2.4).
pub(crate) fn clean(text: &str) -> Result<String, Unfit> {
    let kept: String = text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).filter(|c| !harmful(*c)).collect();
    let kept = kept.trim();
    match kept.chars().count() {
        0 => Err(Unfit::Empty),
        n if n > MAX_CHARS => Err(Unfit::TooLong),
        _ => Ok(kept.to_string()),
    }
}

fn harmful(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}
