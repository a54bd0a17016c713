//! HTML and SVG as text: what is put in is escaped, and what is opened is closed.

use std::fmt::{self, Display, Write};

/// A document, or a part of one.
#[derive(Default)]
pub(super) struct Markup(String);

/// Names of attributes and what they are.
pub(super) type Attributes<'a> = &'a [(&'a str, &'a dyn Display)];

impl Markup {
    /// An element with others in it.
    pub(super) fn element(
        &mut self,
        tag: &str,
        attributes: Attributes<'_>,
        content: impl FnOnce(&mut Self),
    ) {
        self.tag(tag, attributes);
        self.0.push('>');
        content(self);
        self.put(format_args!("</{tag}>"));
    }

    /// An element with text in it.
    pub(super) fn leaf(&mut self, tag: &str, attributes: Attributes<'_>, text: impl Display) {
        self.element(tag, attributes, |it| it.text(text));
    }

    /// An element with nothing in it: of SVG, or one of HTML's void ones.
    pub(super) fn empty(&mut self, tag: &str, attributes: Attributes<'_>) {
        self.tag(tag, attributes);
        self.0.push_str("/>");
    }

    /// Text.
    pub(super) fn text(&mut self, text: impl Display) {
        // Writing to a string never fails.
        let _ = write!(Escaped(&mut self.0), "{text}");
    }

    /// What is markup, style or script already, and ours.
    pub(super) fn raw(&mut self, markup: &str) {
        self.0.push_str(markup);
    }

    /// All of it.
    pub(super) fn finish(self) -> String {
        self.0
    }

    fn tag(&mut self, tag: &str, attributes: Attributes<'_>) {
        self.put(format_args!("<{tag}"));
        for (name, value) in attributes {
            self.put(format_args!(" {name}=\""));
            self.text(value);
            self.0.push('"');
        }
    }

    fn put(&mut self, text: fmt::Arguments<'_>) {
        // Writing to a string never fails.
        let _ = self.0.write_fmt(text);
    }
}

/// Writes what HTML reads back as the same text, in elements and in attributes:
/// <https://html.spec.whatwg.org/multipage/parsing.html#data-state>.
struct Escaped<'a>(&'a mut String);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            match character {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                '\n' | '\t' => self.0.push(character),
                // No document may have them, not even escaped.
                _ if character.is_control() => self.0.push('\u{fffd}'),
                _ => self.0.push(character),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_stays_text() {
        let table = [
            ("a < b & c > d", "a &lt; b &amp; c &gt; d"),
            ("</script>", "&lt;/script&gt;"),
            ("\"it's\"", "&quot;it&#39;s&quot;"),
            ("bell\u{7}, nul\0", "bell\u{fffd}, nul\u{fffd}"),
            ("größer", "größer"),
        ];
        for (text, expected) in table {
            let mut markup = Markup::default();
            markup.leaf("p", &[("title", &text)], text);
            assert_eq!(
                markup.finish(),
                format!("<p title=\"{expected}\">{expected}</p>")
            );
        }
    }
}
