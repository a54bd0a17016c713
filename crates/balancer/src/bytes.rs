//! Bytes searched and compared, eight at a time: every head is read by this, on
//! targets whose vectors are not to be counted on.

/// Where a byte is for the first time, or where the text ends.
#[inline(never)]
pub(crate) fn find(byte: u8, text: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 0xff;
    let mut rest = text;
    while let Some((word, after)) = rest.split_first_chunk() {
        // The byte becomes zero. The highest bit of a zero is then set, and perhaps
        // those of bytes after the first zero, but of none before it.
        let word = u64::from_le_bytes(*word) ^ (ONES * u64::from(byte));
        let found = word.wrapping_sub(ONES) & !word & (ONES << 7);
        if found != 0 {
            return text.len() - rest.len() + found.trailing_zeros() as usize / 8;
        }
        rest = after;
    }
    let position = rest.iter().position(|&other| other == byte);
    text.len() - rest.len() + position.unwrap_or(rest.len())
}

/// Whether two texts are the same.
#[inline(never)]
pub(crate) fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len()
        && match one.len() {
            0..4 => one.iter().zip(other).all(|(byte, other)| byte == other),
            4..8 => same_ends::<4>(one, other),
            _ => {
                let (words, others) = (one.as_chunks::<8>().0, other.as_chunks::<8>().0);
                words.iter().zip(others).all(|(word, other)| word == other)
                    && same_ends::<8>(one, other)
            }
        }
}

/// Whether so many bytes at the beginning and at the end are the same.
fn same_ends<const N: usize>(one: &[u8], other: &[u8]) -> bool {
    one.first_chunk::<N>() == other.first_chunk() && one.last_chunk::<N>() == other.last_chunk()
}

/// What a byte may be part of: a bit for each.
static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < classes.len() {
        let alphanumeric = (byte as u8).is_ascii_alphanumeric();
        classes[byte] = if alphanumeric { TOKEN | REG_NAME } else { 0 };
        byte += 1;
    }
    classes = classes_of(classes, TOKEN, b"!#$%&'*+-.^_`|~");
    classes_of(classes, REG_NAME, b"-._~!$&'()*+,;=")
};

/// `tchar` (<https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2>).
pub(crate) const TOKEN: u8 = 1;
/// `unreserved / sub-delims` (<https://www.rfc-editor.org/rfc/rfc3986#section-3.2.2>).
pub(crate) const REG_NAME: u8 = 2;

const fn classes_of(mut classes: [u8; 256], class: u8, bytes: &[u8]) -> [u8; 256] {
    let mut index = 0;
    while index < bytes.len() {
        classes[bytes[index] as usize] |= class;
        index += 1;
    }
    classes
}

/// Whether a byte is of a class.
pub(crate) fn is_in(class: u8, byte: u8) -> bool {
    CLASSES[usize::from(byte)] & class != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_found() {
        for length in 0..40 {
            for end in 0..=length {
                for other in [0, 9, 11, 0x8a, 0xff] {
                    let mut text = vec![other; length];
                    text[end..].fill(b'\n');
                    assert_eq!(find(b'\n', &text), end, "{text:?}");
                    if let Some(last) = text.get_mut(end + 1) {
                        *last = other;
                    }
                    assert_eq!(find(b'\n', &text), end, "{text:?}");
                }
            }
        }
    }

    #[test]
    fn the_same_is_told_from_others() {
        for length in 0..40 {
            let text = vec![b'a'; length];
            assert!(same(&text, &text.clone()));
            assert!(!same(&text, &vec![b'a'; length + 1]));
            for index in 0..length {
                let mut other = text.clone();
                other[index] = b'b';
                assert!(!same(&text, &other), "at {index} of {length}");
            }
        }
    }
}
