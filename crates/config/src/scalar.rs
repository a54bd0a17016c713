//! Values that are one thing: a number, a switch, a secret.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};

use crate::error::Fault;
use crate::variable::Number;

/// A whole number within the variable's range, in decimal digits alone.
pub(crate) fn number(text: &str, number: Number) -> Result<u64, Fault> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Fault::new("is not a whole number", number.to_string()));
    }
    // Digits alone that do not parse are too many of them.
    match text.parse() {
        Ok(value) if value < number.min => Err(Fault::new("is too small", number.to_string())),
        Ok(value) if value <= number.max => Ok(value),
        Ok(_) | Err(_) => Err(Fault::new("is too large", number.to_string())),
    }
}

/// `true`, `yes`, `on`, `1` and their opposites, in any case.
pub(crate) fn switch(text: &str) -> Result<bool, Fault> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => Err(Fault::new(
            "is neither true nor false",
            "one of true, yes, on, 1, false, no, off, 0",
        )),
    }
}

/// The fewest bytes of a secret: 128 bits, were each of them random.
const SECRET_MIN: usize = 16;

/// The key of the session cookie's MAC.
/// <https://www.rfc-editor.org/rfc/rfc2104.html#section-3>
pub(crate) fn secret(text: &str) -> Result<String, Fault> {
    if text.len() < SECRET_MIN {
        return Err(Fault::new(
            "is too short",
            format!("at least {SECRET_MIN} bytes, such as `openssl rand -hex 32` prints"),
        ));
    }
    Ok(text.to_owned())
}

/// A bearer token: what a client can send in `Authorization`.
/// <https://www.rfc-editor.org/rfc/rfc6750.html#section-2.1>
pub(crate) fn bearer_token(text: &str) -> Result<String, Fault> {
    let unpadded = text.trim_end_matches('=');
    let sendable = |byte: u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/')
    };
    if !unpadded.bytes().all(sendable) {
        return Err(Fault::new(
            "has a character that a bearer token cannot have",
            "letters, digits and any of -._~+/, then any number of =",
        ));
    }
    if unpadded.len() < SECRET_MIN {
        return Err(Fault::new(
            "is too short",
            format!("at least {SECRET_MIN} characters, such as `openssl rand -hex 32` prints"),
        ));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::variable::{CONNECT_TIMEOUT, MAX_RETRIES};

    #[test]
    fn numbers_are_digits_within_the_range() {
        for (text, expected) in [
            ("0", Ok(0)),
            ("010", Ok(10)),
            ("10", Ok(10)),
            ("11", Err("is too large")),
            ("99999999999999999999999", Err("is too large")),
            ("", Err("is not a whole number")),
            ("+1", Err("is not a whole number")),
            ("-1", Err("is not a whole number")),
            ("1.5", Err("is not a whole number")),
            ("1_0", Err("is not a whole number")),
            ("5s", Err("is not a whole number")),
            ("٣", Err("is not a whole number")),
        ] {
            let actual = number(text, MAX_RETRIES).map_err(|fault| fault.problem);
            assert_eq!(actual, expected.map_err(Into::into), "{text}");
        }
        let fault = number("0", CONNECT_TIMEOUT).unwrap_err();
        assert_eq!(
            fault,
            Fault::new("is too small", "1 to 86400000 milliseconds")
        );
    }

    #[test]
    fn switches_are_words_in_any_case() {
        for text in ["true", "TRUE", "Yes", "on", "1"] {
            assert_eq!(switch(text), Ok(true), "{text}");
        }
        for text in ["false", "No", "OFF", "0"] {
            assert_eq!(switch(text), Ok(false), "{text}");
        }
        for text in ["", "2", "enabled", "\"true\"", "wahr"] {
            assert!(switch(text).is_err(), "{text}");
        }
    }

    #[test]
    fn secrets_have_a_least_length() {
        assert!(secret(&"x".repeat(15)).is_err());
        assert!(secret(&"x".repeat(16)).is_ok());
        assert!(secret("ääääääää").is_ok(), "bytes count, not characters");
    }

    #[test]
    fn bearer_tokens_can_be_sent() {
        for (text, valid) in [
            ("0123456789abcdef", true),
            ("0123456789abcde-._~+/==", true),
            ("0123456789abcde", false),
            ("0123456789abcde=", false),
            ("================", false),
            ("0123456789=abcdef", false),
            ("0123456789 abcdef", false),
            ("0123456789abcdeé", false),
        ] {
            assert_eq!(bearer_token(text).is_ok(), valid, "{text}");
        }
    }
}
