//! What `http::HeaderMap` does not do.

use http::header::{HeaderMap, HeaderName};

/// Leaves out fields. The rest keeps its order, for which
/// `HeaderMap::remove` does not care: it fills the gap with the last field.
/// There is room for so many `more`.
pub(crate) fn retain(headers: &mut HeaderMap, keep: impl Fn(&HeaderName) -> bool, more: usize) {
    let Some(first) = headers.keys().position(|name| !keep(name)) else {
        headers.reserve(more);
        return;
    };
    if !headers.keys().skip(first).any(&keep) {
        // What goes comes last, and leaves no gap.
        let gone: Vec<_> = headers.keys().skip(first).cloned().collect();
        for name in gone.iter().rev() {
            headers.remove(name);
        }
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

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn what_is_left_keeps_its_order_wherever_the_gaps_are() {
        let fields = ["a", "b", "a", "c", "d", "c"];
        for (gone, left) in [
            ("", "a0 a2 b1 c3 c5 d4"),
            ("d", "a0 a2 b1 c3 c5"),
            ("cd", "a0 a2 b1"),
            ("c", "a0 a2 b1 d4"),
            ("ac", "b1 d4"),
            ("ad", "b1 c3 c5"),
            ("abcd", ""),
        ] {
            let mut headers = HeaderMap::new();
            for (index, name) in fields.into_iter().enumerate() {
                headers.append(name, HeaderValue::from(index));
            }
            retain(&mut headers, |name| !gone.contains(name.as_str()), 1);
            let shown = headers
                .iter()
                .map(|(name, value)| format!("{name}{}", value.to_str().unwrap_or_default()));
            assert_eq!(shown.collect::<Vec<_>>().join(" "), left, "without {gone}");
        }
    }
}
