//! Who keeps cookies: told by the hashes of those that came back.

use std::collections::BTreeMap;

use super::Recording;

/// Which browser made each request.
///
/// A browser is followed by its session cookie: it sends what it was last
/// given. So several behind one address stay apart, and whoever never sends
/// one back is a new one each time.
#[derive(Debug)]
pub(super) struct Browsers {
    /// Of each exchange, its browser.
    pub(super) of: Vec<usize>,
    /// Of each browser, the first exchange, and whether it came with a session.
    pub(super) all: Vec<Browser>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Browser {
    pub(super) first: usize,
    pub(super) with_session: bool,
}

impl Browsers {
    pub(super) fn of(recording: &Recording) -> Self {
        let mut owners: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        let mut browsers = Self {
            of: Vec::with_capacity(recording.exchanges.len()),
            all: Vec::new(),
        };
        for (index, exchange) in recording.exchanges.iter().enumerate() {
            let client = exchange.client.as_str();
            let session = exchange.session.as_deref().map(|it| (client, it));
            let known = session.and_then(|session| owners.get(&session).copied());
            let browser = known.unwrap_or_else(|| {
                browsers.all.push(Browser {
                    first: index,
                    with_session: session.is_some(),
                });
                browsers.all.len() - 1
            });
            let given = exchange.new_session.as_deref().map(|it| (client, it));
            for session in session.into_iter().chain(given) {
                owners.insert(session, browser);
            }
            browsers.of.push(browser);
        }
        browsers
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by it")]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_followed_by_the_session_it_was_given() {
        // Client, session, new session; and whose request it is.
        let table = [
            ("a", None, Some("1"), 0),
            ("a", None, Some("2"), 1),
            ("a", Some("1"), Some("3"), 0),
            ("a", Some("3"), None, 0),
            ("a", Some("2"), None, 1),
            ("b", Some("1"), None, 2),
            ("b", Some("1"), None, 2),
            ("c", None, None, 3),
            ("c", None, None, 4),
        ];
        let mut text = concat!(
            r#"{"line":"recording","version":2,"time":"2026-11-22T10:00:00.000Z"}"#,
            "\n"
        )
        .to_owned();
        for (index, (client, session, new_session, _)) in table.iter().enumerate() {
            let given = |name: &str, value: &Option<&str>| {
                value.map_or_else(String::new, |value| format!(r#","{name}":"{value}""#))
            };
            text.push_str(&format!(
                r#"{{"line":"exchange","request":{index},"at":{index},"client":"{client}","method":"GET","target":"/","fields":[]{}{},"attempts":[],"ended":1,"end":"whole"}}{}"#,
                given("session", session),
                given("new_session", new_session),
                "\n"
            ));
        }
        let recording: Recording = text.parse().unwrap();
        let browsers = Browsers::of(&recording);
        assert_eq!(browsers.of, table.map(|(.., browser)| browser));
        let with_session: Vec<_> = browsers.all.iter().map(|it| it.with_session).collect();
        assert_eq!(with_session, [false, false, true, false, false]);
    }
}
