//! What `http::HeaderMap` does not do.

use http::header::{HeaderMap, HeaderName};

/// Leaves out fields. The rest keeps its order, for which
/// `HeaderMap::remove` does not care: it fills the gap with the last field.
/// There is room for so many `more`.
pub(crate) fn retain(headers: &mut HeaderMap, keep: impl Fn(&HeaderName) -> bool, more: usize) {
    if headers.keys().all(&keep) {
        headers.reserve(more);
        return;
    }
    let mut current = None;
    let mut kept = HeaderMap::with_capacity(headers.len() + more);
    for (name, value) in std::mem::take(headers) {
        if let Some(name) = name {
            current = keep(&name).then_some(name);
        }
        if let Some(name) = &current {
            kept.append(name.clone(), value);
        }
    }
    *headers = kept;
}
