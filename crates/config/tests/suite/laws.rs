//! What holds for any variables whatever.

use edgelb_balancer::Policy;
use edgelb_config::{Setting, from_env};
use proptest::prelude::*;

/// Names of ours, nearly ours, and any at all.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => prop::sample::select(
            from_env([("BACKEND_A".to_owned(), "a".to_owned())])
                .unwrap()
                .settings
                .into_iter()
                .map(|setting| setting.name)
                .collect::<Vec<_>>()
        ),
        4 => "BACKEND_[A-C]",
        1 => "[Bb]ACKENDS?[_-][A-Za-z0-9 é]{0,3}",
        1 => "[A-Z_]{0,24}",
        1 => any::<String>(),
    ]
}

/// Values that some variable takes, values that are nearly so, and any at all.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "(https?://)?[a-c][.]example(:[0-9]{1,5})?/?(;weight=[0-9]{1,4})?(;drain)?",
        2 => "[0-9]{1,9}",
        2 => "(true|off|ip|none|path:[0-9]|header:X-[A-Z]|cookie:[a-z])",
        2 => r"(10\.0\.0\.0/8|192\.0\.2\.1|2001:db8::/32)(, ?[a-f0-9:./]{1,20})?",
        1 => "[a-z0-9._~+/-]{16,40}={0,2}",
        1 => r"[\[\]a-z0-9:;/@?#=.*%\\ -]{0,40}",
        1 => any::<String>(),
    ]
}

fn variables() -> impl Strategy<Value = Vec<(String, String)>> {
    let backend = ("BACKEND_D".to_owned(), "d.example".to_owned());
    prop::collection::vec((name(), value()), 0..12).prop_map(move |mut variables| {
        variables.push(backend.clone());
        variables
    })
}

proptest! {
    #[test]
    fn errors_are_lines_in_order_of_the_variables(variables in variables()) {
        if let Err(errors) = from_env(variables) {
            prop_assert!(!errors.is_empty());
            prop_assert!(errors.is_sorted_by_key(|error| error.variable.clone()));
            for error in errors {
                prop_assert!(!error.to_string().contains(char::is_control));
            }
        }
    }

    #[test]
    fn settings_read_back_are_the_same_policy(variables in variables()) {
        if let Ok(config) = from_env(variables) {
            let settings = config.settings.iter().map(|setting| {
                let secret = setting.value == Setting::MASK;
                let value = if secret { "" } else { &setting.value };
                (setting.name.clone(), value.to_owned())
            });
            let again = from_env(settings).unwrap();
            let public = Policy {
                session_cookie_secret: None,
                status_token: None,
                ..config.policy
            };
            prop_assert_eq!(again.policy, public);
        }
    }

    #[test]
    fn a_default_is_what_holds_when_nothing_is_set(variables in variables()) {
        if let Ok(config) = from_env(variables.clone()) {
            for setting in &config.settings {
                let unset = variables.iter().filter(|(name, _)| *name != setting.name);
                if let Ok(without) = from_env(unset.cloned()) {
                    let same = without.settings.iter().any(|other| {
                        other.name == setting.name && other.value == setting.value
                    });
                    prop_assert_eq!(setting.default, same, "{}", setting.name);
                }
            }
        }
    }

    #[test]
    fn secrets_are_not_shown(
        secret in "[a-z]{4}hunter2[a-z !]{0,20}",
        name in prop::sample::select(vec!["SESSION_COOKIE_SECRET", "STATUS_TOKEN"]),
        other in variables(),
    ) {
        let variables = other
            .into_iter()
            .filter(|(other, _)| other != name)
            .chain([(name.to_owned(), secret)]);
        let shown = match from_env(variables) {
            Ok(config) => format!("{:?}", config.settings),
            Err(errors) => format!("{errors:?}{}", errors[0]),
        };
        prop_assert!(!shown.contains("hunter2"), "{}", shown);
    }

    #[test]
    fn credentials_in_a_url_are_not_shown(
        value in "(https://)?([a-z:;/?#]{0,8}hunter2[a-z:;/?#]{0,8}@)?a[.]example/(x/hunter2)?;?",
        name in prop::sample::select(vec!["BACKEND_A", "PRIMARY_DOMAIN"]),
    ) {
        let variables = [
            ("BACKEND_D".to_owned(), "d.example".to_owned()),
            (name.to_owned(), value),
        ];
        if let Err(errors) = from_env(variables) {
            let shown = format!("{errors:?}");
            prop_assert!(!shown.contains("hunter2"), "{}", shown);
        }
    }
}
