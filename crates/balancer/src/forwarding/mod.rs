//! The fields of what passes through: what is taken out, set and appended.

mod request;
mod response;

pub(crate) use self::request::{Route, request_edits};
pub(crate) use self::response::{Additions, ordinary_edits, response_edits, session_edits};

/// Appends our hop to `Via` (<https://www.rfc-editor.org/rfc/rfc9110#section-7.6.3>).
const VIA: &str = "+via:1.1 edgelb\n";
