//! Why a stream is cut, as an error code of HTTP/2. A reset is the one place for it:
//!
//! //= RFC 9113 section 8.5: "Frame types other than DATA or stream management frames (RST_STREAM,
//! //= WINDOW_UPDATE, and PRIORITY) MUST NOT be sent on a connected stream"
//!
//! Ours are `L`, the letter and the number of a [`Code`], from the top byte down. Whoever does not know
//! them sees a reset like others:
//!
//! //= RFC 9113 section 7: "Unknown or unsupported error codes MUST NOT trigger any special behavior."

use h2::Reason;
use leno_model::Code;

/// The error code that tells `why`; without a reason, that the stream is no longer needed.
pub(crate) fn of(why: Option<Code>) -> Reason {
    let told = why.and_then(|code| {
        let (letter, number) = code.as_str().split_at_checked(1)?;
        let [letter] = letter.as_bytes() else {
            return None;
        };
        let number = number.parse::<u16>().ok()?;
        Some(OURS | u32::from(*letter) << 16 | u32::from(number))
    });
    told.map_or(Reason::CANCEL, Reason::from)
}

/// What an error code tells, if it is one of ours.
pub(crate) fn code(reason: Reason) -> Option<Code> {
    let [ours, letter, high, low] = u32::from(reason).to_be_bytes();
    if u32::from(ours) << 24 != OURS {
        return None;
    }
    let number = u16::from_be_bytes([high, low]);
    format!("{}{number:03}", char::from(letter)).parse().ok()
}

const OURS: u32 = (b'L' as u32) << 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_understood_and_nothing_else() {
        for known in Code::ALL {
            assert_eq!(code(of(Some(*known))), Some(*known));
        }
        assert_eq!(of(None), Reason::CANCEL);
        for strange in [0, 8, 13, 0x4c52_0000, 0x4c52_ffff, 0x4cff_0006, u32::MAX] {
            assert_eq!(code(strange.into()), None, "{strange:x}");
        }
    }
}
