//! Text of others, before people see it: in names, paths and headers anyone can write anything.

/// Whether a character is not seen as itself: one that drives a terminal, is invisible, or changes
/// the direction of those around it, so that a text could pass for another.
pub fn hides(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
        )
}
