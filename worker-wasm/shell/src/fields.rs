//! Field lists: packed for the policy, edited as it says, made anew for the
//! runtime.

use wasip3::http::types::Fields;

/// Bytes that few heads have more of.
const LIKELY: usize = 1 << 10;

/// Names and values in order.
pub(crate) type FieldList = Vec<(String, Vec<u8>)>;

/// Packs fields as `exchange.field-lines`. One that contains a line feed, which
/// none can (<https://www.rfc-editor.org/rfc/rfc9110#section-5.5>), is left out.
pub(crate) fn pack<'a>(fields: impl Iterator<Item = (&'a str, &'a [u8])>) -> Vec<u8> {
    let mut lines = Vec::with_capacity(LIKELY);
    for (name, value) in fields {
        if value.contains(&b'\n') {
            continue;
        }
        lines.extend_from_slice(name.as_bytes());
        lines.push(b':');
        lines.extend_from_slice(value);
        lines.push(b'\n');
    }
    lines
}

/// The names and values of a list.
pub(crate) fn views(fields: &FieldList) -> impl Iterator<Item = (&str, &[u8])> {
    fields.iter().map(|(name, value)| (&**name, &**value))
}

/// The list that `exchange.field-lines` describe.
pub(crate) fn unpack(lines: &[u8]) -> FieldList {
    lines
        .split(|&byte| byte == b'\n')
        .filter_map(field)
        .collect()
}

/// A copy of the list with `exchange.field-edits` applied in order.
pub(crate) fn edited(fields: &FieldList, edits: &[u8]) -> FieldList {
    let mut fields = fields.clone();
    for edit in edits.split(|&byte| byte == b'\n') {
        match edit.split_first() {
            Some((b'-', name)) => remove(&mut fields, name),
            Some((b'=', line)) => {
                if let Some((name, value)) = field(line) {
                    remove(&mut fields, name.as_bytes());
                    fields.push((name, value));
                }
            }
            Some((b'+', line)) => fields.extend(field(line)),
            Some(_) | None => {}
        }
    }
    fields
}

/// Takes every field of a name out of the list.
pub(crate) fn remove(fields: &mut FieldList, name: &[u8]) {
    fields.retain(|(field, _)| !field.as_bytes().eq_ignore_ascii_case(name));
}

/// The values of a field in order.
pub(crate) fn values<'a>(
    fields: &'a FieldList,
    name: &'a str,
) -> impl DoubleEndedIterator<Item = &'a [u8]> {
    fields
        .iter()
        .filter(move |(field, _)| field.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_slice())
}

/// The list as a new resource of the runtime's. What the runtime refuses, such
/// as hop-by-hop fields that it sets itself, is left out.
pub(crate) fn resource(fields: &FieldList) -> Fields {
    Fields::from_list(fields).unwrap_or_else(|_| {
        let resource = Fields::new();
        for (name, value) in fields {
            let _ = resource.append(name, value);
        }
        resource
    })
}

fn field(line: &[u8]) -> Option<(String, Vec<u8>)> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    let name = str::from_utf8(&line[..colon]).ok()?;
    Some((name.to_owned(), line[colon + 1..].to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(fields: &[(&str, &str)]) -> FieldList {
        fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
            .collect()
    }

    #[test]
    fn packing_keeps_order_and_repetition() {
        let fields = list(&[("accept", "a:b"), ("x", ""), ("accept", "c")]);
        assert_eq!(pack(views(&fields)), b"accept:a:b\nx:\naccept:c\n");
        assert_eq!(unpack(&pack(views(&fields))), fields);
    }

    #[test]
    fn no_value_can_add_a_line() {
        let fields = list(&[("x", "1\nhost:evil"), ("y", "2")]);
        assert_eq!(pack(views(&fields)), b"y:2\n");
    }

    #[test]
    fn edits_apply_in_order_whatever_the_case() {
        let fields = list(&[("Via", "a"), ("x", "1"), ("X", "2"), ("y", "3")]);
        let cases: [(&str, &[(&str, &str)]); 5] = [
            ("", &[("Via", "a"), ("x", "1"), ("X", "2"), ("y", "3")]),
            ("-x\n", &[("Via", "a"), ("y", "3")]),
            ("=x:9\n", &[("Via", "a"), ("y", "3"), ("x", "9")]),
            (
                "+via:b:c\n-y\n",
                &[("Via", "a"), ("x", "1"), ("X", "2"), ("via", "b:c")],
            ),
            ("-x\n-y\n-via\n+x:\n", &[("x", "")]),
        ];
        for (edits, expected) in cases {
            assert_eq!(edited(&fields, edits.as_bytes()), list(expected), "{edits}");
        }
    }

    #[test]
    fn values_are_found_whatever_the_case() {
        let fields = list(&[("Host", "a"), ("x", "1"), ("host", "b")]);
        assert_eq!(values(&fields, "host").next_back(), Some(&b"b"[..]));
        assert_eq!(values(&fields, "HOST").count(), 2);
    }
}
