//! Request targets without the credentials in them.

use std::fmt;

/// How long a path segment may be before it is taken for a token.
const SEGMENT: usize = 20;

/// A request target, fit for a log.
///
/// Query values are left out: signatures, keys and tokens travel there. Of the
/// path, segments of 20 characters and more are: people name things shorter,
/// and secrets come longer (a UUID has 36). Long file names keep their ending.
/// The segment behind a UUID is left out however short it is: a UUID names a
/// user, and a password may be next. What has a `*` itself is left out, too:
/// each `*` that is shown stands for one piece.
pub(super) struct Redacted<'a>(pub(super) &'a str);

/// A piece of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    Shown(&'a str),
    Hidden(&'a str),
}

impl<'a> Piece<'a> {
    /// What stands for it.
    pub(super) fn shown(self) -> &'a str {
        match self {
            Self::Shown(text) => text,
            Self::Hidden(_) => "*",
        }
    }
}

impl<'a> Redacted<'a> {
    /// What is left out, in order: one for each `*`.
    pub(super) fn hidden(&self) -> Vec<&'a str> {
        let mut hidden = Vec::new();
        self.pieces(|piece| {
            if let Piece::Hidden(text) = piece {
                hidden.push(text);
            }
        });
        hidden
    }

    /// Tells them in order.
    pub(super) fn pieces(&self, mut tell: impl FnMut(Piece<'a>)) {
        // That of a server-wide OPTIONS (RFC 9112 section 3.2.4).
        if self.0 == "*" {
            return tell(Piece::Shown("*"));
        }
        let (path, query) = match self.0.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (self.0, None),
        };
        let mut behind_uuid = false;
        for (index, segment) in path.split('/').enumerate() {
            if index > 0 {
                tell(Piece::Shown("/"));
            }
            // Many servers take `//` for `/`.
            if segment.is_empty() {
                continue;
            }
            if behind_uuid {
                tell(Piece::Hidden(segment));
            } else if is_shown(segment) {
                tell(Piece::Shown(segment));
            } else {
                let ending = ending(segment);
                tell(Piece::Hidden(&segment[..segment.len() - ending.len()]));
                tell(Piece::Shown(ending));
            }
            behind_uuid = is_uuid(segment);
        }
        for (index, pair) in query.into_iter().flat_map(|it| it.split('&')).enumerate() {
            tell(Piece::Shown(if index == 0 { "?" } else { "&" }));
            match pair.split_once('=') {
                Some((name, value)) if is_shown(name) => {
                    tell(Piece::Shown(name));
                    tell(Piece::Shown("="));
                    tell(Piece::Hidden(value));
                }
                _ => tell(Piece::Hidden(pair)),
            }
        }
    }
}

impl fmt::Display for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut written = Ok(());
        self.pieces(|piece| {
            written = written.and_then(|()| f.write_str(piece.shown()));
        });
        written
    }
}

fn is_shown(text: &str) -> bool {
    text.len() < SEGMENT && !text.contains('*')
}

/// <https://www.rfc-editor.org/rfc/rfc9562#section-4>
fn is_uuid(segment: &str) -> bool {
    let mut bytes = segment.bytes().enumerate();
    match segment.len() {
        36 => bytes.all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        }),
        // Some leave out the hyphens.
        32 => bytes.all(|(_, byte)| byte.is_ascii_hexdigit()),
        _ => false,
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
            (
                "/stremio/0b9c1d52-6f1a-4a0e-9d0a-0123456789ab/hunter2/manifest.json",
                "/stremio/*/*/manifest.json",
            ),
            (
                "/stremio/0B9C1D52-6F1A-4A0E-9D0A-0123456789AB//hunter.2/a//b",
                "/stremio/*//*/a//b",
            ),
            ("/0b9c1d526f1a4a0e9d0a0123456789ab/hunter2/a", "/*/*/a"),
            ("/0b9c1d52-6f1a-4a0e-9d0a-0123456789ab/", "/*/"),
            ("/0b9c1d52-6f1a-4a0e-9d0a-0123456789ab?x=1", "/*?x=*"),
            ("/0b9c1d52-6f1a-4a0e-9d0a-0123456789ax/short", "/*/short"),
            ("/0b9c1d52+6f1a-4a0e-9d0a-0123456789ab/short", "/*/short"),
            ("/login?token=abc&user=me", "/login?token=*&user=*"),
            ("/?secretwithoutaname", "/?*"),
            ("/a?", "/a?*"),
        ] {
            assert_eq!(Redacted(target).to_string(), redacted, "{target}");
        }
    }

    #[test]
    fn each_star_stands_for_one_piece() {
        for (target, hidden) in [
            ("/", &[][..]),
            ("*", &[]),
            (
                "/a/an-encrypted-blob-of-some-length.json?t=1",
                &["an-encrypted-blob-of-some-length", "1"],
            ),
            ("/a*b/c?x*=1&y", &["a*b", "x*=1", "y"]),
            (
                "//0b9c1d52-6f1a-4a0e-9d0a-0123456789ab//a*b",
                &["0b9c1d52-6f1a-4a0e-9d0a-0123456789ab", "a*b"],
            ),
        ] {
            let redacted = Redacted(target);
            assert_eq!(redacted.hidden(), hidden, "{target}");
            let stars = redacted.to_string().matches('*').count();
            assert!(target == "*" || stars == hidden.len(), "{target}");
        }
    }
}
