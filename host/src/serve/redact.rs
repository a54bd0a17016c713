//! Request targets without the credentials in them.

use std::fmt;

/// How long a path segment may be before it is taken for a token.
const SEGMENT: usize = 20;

/// A request target, fit for a log.
///
/// Query values are left out: signatures, keys and tokens travel there. Of the
/// path, segments of 20 characters and more are: people name things shorter,
/// and secrets come longer (a UUID has 36). Long file names keep their ending.
pub(super) struct Redacted<'a>(pub(super) &'a str);

impl fmt::Display for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, query) = match self.0.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (self.0, None),
        };
        for (index, segment) in path.split('/').enumerate() {
            if index > 0 {
                f.write_str("/")?;
            }
            if segment.len() < SEGMENT {
                f.write_str(segment)?;
            } else {
                f.write_str("*")?;
                f.write_str(ending(segment))?;
            }
        }
        for (index, pair) in query.into_iter().flat_map(|it| it.split('&')).enumerate() {
            f.write_str(if index == 0 { "?" } else { "&" })?;
            match pair.split_once('=') {
                Some((name, _)) if name.len() < SEGMENT => write!(f, "{name}=*")?,
                _ => f.write_str("*")?,
            }
        }
        Ok(())
    }
}

/// `.json` of `abc.json`; nothing where the ending is long or odd itself.
fn ending(segment: &str) -> &str {
    match segment.rfind('.') {
        Some(dot)
            if segment.len() - dot <= 6
                && segment.as_bytes()[dot + 1..]
                    .iter()
                    .all(u8::is_ascii_alphanumeric) =>
        {
            &segment[dot..]
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::Redacted;

    #[test]
    fn credentials_in_targets_are_left_out_and_the_rest_stays() {
        for (target, redacted) in [
            ("/", "/"),
            ("*", "*"),
            ("/api/v1/health", "/api/v1/health"),
            (
                "/stremio/0b9c1d52-6f1a-4a0e-9d0a-0123456789ab/eyJhbGciOiJkaXIiLCJlbmMi/manifest.json",
                "/stremio/*/*/manifest.json",
            ),
            ("/a/an-encrypted-blob-of-some-length.json", "/a/*.json"),
            ("/login?token=abc&user=me", "/login?token=*&user=*"),
            ("/?secretwithoutaname", "/?*"),
            ("/a?", "/a?*"),
        ] {
            assert_eq!(Redacted(target).to_string(), redacted, "{target}");
        }
    }
}
