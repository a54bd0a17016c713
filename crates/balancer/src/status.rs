//! The status page: the balancer's view of its backends as JSON.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt::Write as _;

use crate::ledger::{Ledger, State};
use crate::policy::Policy;
use crate::time::Timestamp;

/// The page. Times are milliseconds since the Unix epoch; `until` is the end of
/// an ejection or the latest end of a trial.
pub(crate) fn page(policy: &Policy, ledger: &Ledger, now: Timestamp) -> String {
    let mut json = format!(
        r#"{{"version":"{}","now":{},"backends":["#,
        env!("CARGO_PKG_VERSION"),
        now.as_millis(),
    );
    for (index, backend) in policy.backends.iter().enumerate() {
        let standing = ledger.standing(index);
        let (state, until) = match standing.state {
            State::Admitting => ("admitting", "null".to_owned()),
            State::Ejected { until } => ("ejected", until.as_millis().to_string()),
            State::Trial { deadline } => ("trial", deadline.as_millis().to_string()),
        };
        if index > 0 {
            json.push(',');
        }
        json.push_str(r#"{"name":"#);
        push_string(&mut json, &backend.name);
        json.push_str(r#","origin":"#);
        push_string(&mut json, &backend.origin.to_string());
        // Writing to a string cannot fail.
        let _ = write!(
            json,
            r#","weight":{},"drain":{},"state":"{state}","failures":{},"ejections":{},"until":{until}}}"#,
            backend.weight.as_u16(),
            backend.drain,
            standing.failures,
            standing.ejections,
        );
    }
    json.push_str("]}\n");
    json
}

/// <https://www.rfc-editor.org/rfc/rfc8259#section-7>
fn push_string(json: &mut String, text: &str) {
    json.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                json.push('\\');
                json.push(character);
            }
            '\0'..='\x1f' => {
                let _ = write!(json, "\\u{:04x}", u32::from(character));
            }
            _ => json.push(character),
        }
    }
    json.push('"');
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;
    use crate::head::Scheme;
    use crate::ledger::Charge;
    use crate::outcome::Reason;
    use crate::policy::{Backend, Origin, Weight};

    #[test]
    fn the_page_shows_each_backend() {
        let backend = |name: &str, drain| Backend {
            name: name.to_owned(),
            origin: Origin {
                scheme: Scheme::Https,
                authority: "host.example".to_owned(),
            },
            weight: Weight::ONE,
            drain,
        };
        let policy = Policy {
            backends: vec![backend("A", false), backend("B\"\n", true)],
            ..Policy::default()
        };
        let mut ledger = Ledger::new(&policy);
        let now = Timestamp::from_millis(1_000);
        let departure = ledger.depart(0, now, Duration::from_secs(1));
        let charge = Charge {
            reason: Reason::Status(500),
            retry_after: None,
        };
        ledger.fail(0, departure, now, charge, &policy);
        let expected = format!(
            concat!(
                r#"{{"version":"{}","now":1000,"backends":["#,
                r#"{{"name":"A","origin":"https://host.example","weight":1,"drain":false,"state":"ejected","failures":1,"ejections":1,"until":31000}},"#,
                r#"{{"name":"B\"\u000a","origin":"https://host.example","weight":1,"drain":true,"state":"admitting","failures":0,"ejections":0,"until":null}}"#,
                "]}}\n",
            ),
            env!("CARGO_PKG_VERSION")
        );
        assert_eq!(page(&policy, &ledger, now), expected);
    }
}
