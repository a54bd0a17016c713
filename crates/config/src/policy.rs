//! The policy that the variables amount to.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::num::NonZeroU32;
use core::time::Duration;

use edgelb_balancer::{AffinityKey, Policy, millis};

use crate::environment::Environment;
use crate::error::{ConfigError, Fault};
use crate::variable::*;
use crate::{address, host, name, scalar};

/// Reads a policy, or every error.
pub(crate) fn read(
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<Policy, Vec<ConfigError>> {
    let mut env = Environment::new(variables);
    let policy = policy(&mut env);
    check_together(&mut env, &policy);
    let errors = env.into_errors();
    if errors.is_empty() {
        Ok(policy)
    } else {
        Err(errors)
    }
}

/// What is in force unless set. Two defaults follow other variables, so that
/// setting one of these is enough.
pub(crate) fn defaults(has_primary_domain: bool, backend_down_time: Duration) -> Policy {
    let fixed = Policy::default();
    Policy {
        https_redirect: has_primary_domain,
        backend_down_time_max: fixed.backend_down_time_max.max(backend_down_time),
        ..fixed
    }
}

/// Each variable by itself; a faulty one as if it were not set.
fn policy(env: &mut Environment) -> Policy {
    let milliseconds =
        |env: &mut Environment, number| env.number(number).map(Duration::from_millis);
    let seconds = |env: &mut Environment, number| env.number(number).map(Duration::from_secs);

    let backend_down_time =
        milliseconds(env, BACKEND_DOWN_TIME).unwrap_or(Policy::default().backend_down_time);
    let defaults = defaults(env.is_set(PRIMARY_DOMAIN), backend_down_time);
    Policy {
        primary_domains: env.list(PRIMARY_DOMAIN, host::bare, host::redacted),
        backends: env.backends(),
        sticky_sessions: env
            .value(STICKY_SESSIONS, scalar::switch)
            .unwrap_or(defaults.sticky_sessions),
        session_cookie_name: env
            .value(SESSION_COOKIE_NAME, name::cookie)
            .unwrap_or(defaults.session_cookie_name),
        session_cookie_ttl: seconds(env, SESSION_COOKIE_TTL).unwrap_or(defaults.session_cookie_ttl),
        session_cookie_secret: env.secret(SESSION_COOKIE_SECRET, scalar::secret),
        affinity_key: env
            .value(AFFINITY_KEY, name::affinity_key)
            .unwrap_or(defaults.affinity_key),
        client_ip_header: env.value(CLIENT_IP_HEADER, name::field),
        trusted_proxies: env.list(TRUSTED_PROXIES, address::block, ToOwned::to_owned),
        https_redirect: env
            .value(HTTPS_REDIRECT, scalar::switch)
            .unwrap_or(defaults.https_redirect),
        hsts_max_age: seconds(env, HSTS_MAX_AGE),
        failure_threshold: env
            .number(FAILURE_THRESHOLD)
            .and_then(|number| u32::try_from(number).ok())
            .and_then(NonZeroU32::new)
            .unwrap_or(defaults.failure_threshold),
        backend_down_time,
        backend_down_time_max: milliseconds(env, BACKEND_DOWN_TIME_MAX)
            .unwrap_or(defaults.backend_down_time_max),
        max_retries: env
            .number(MAX_RETRIES)
            .and_then(|number| u32::try_from(number).ok())
            .unwrap_or(defaults.max_retries),
        replay_limit: env.number(REPLAY_LIMIT).unwrap_or(defaults.replay_limit),
        connect_timeout: milliseconds(env, CONNECT_TIMEOUT).unwrap_or(defaults.connect_timeout),
        first_byte_timeout: milliseconds(env, FIRST_BYTE_TIMEOUT)
            .unwrap_or(defaults.first_byte_timeout),
        idle_timeout: milliseconds(env, IDLE_TIMEOUT).unwrap_or(defaults.idle_timeout),
        status_token: env.secret(STATUS_TOKEN, scalar::bearer_token),
    }
}

/// What no variable shows alone. Silent about variables that are faulty
/// already: one slip is one error.
fn check_together(env: &mut Environment, policy: &Policy) {
    let down = millis(policy.backend_down_time);
    let down_max = millis(policy.backend_down_time_max);
    if down_max < down
        && env.is_sound(BACKEND_DOWN_TIME.name)
        && env.is_sound(BACKEND_DOWN_TIME_MAX.name)
    {
        env.reject(
            BACKEND_DOWN_TIME_MAX.name,
            &down_max.to_string(),
            Fault::new(
                "is less than BACKEND_DOWN_TIME",
                format!("at least {down} milliseconds"),
            ),
        );
    }

    let cookie = &policy.session_cookie_name;
    if name::cookie_needs_https(cookie) && !policy.https_redirect && env.is_sound(HTTPS_REDIRECT) {
        env.reject(
            SESSION_COOKIE_NAME,
            cookie,
            Fault::new(
                "has a prefix that browsers refuse over plain http",
                "HTTPS_REDIRECT to be true, or no such prefix",
            ),
        );
    }

    if policy.sticky_sessions
        && policy.affinity_key == AffinityKey::Cookie(cookie.clone())
        && env.is_sound(SESSION_COOKIE_NAME)
    {
        env.reject(
            AFFINITY_KEY,
            &format!("cookie:{cookie}"),
            Fault::new(
                "is the balancer's own session cookie",
                "a cookie that backends or clients set",
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn with(variables: &[(&str, &str)]) -> Result<Policy, Vec<String>> {
        let backend = [("BACKEND_A", "a.example.com")];
        let variables = backend.iter().chain(variables);
        read(variables.map(|&(name, value)| (name.to_owned(), value.to_owned())))
            .map_err(|errors| errors.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_defaults_are_the_cores() {
        let mut policy = with(&[]).unwrap();
        policy.backends.clear();
        assert_eq!(policy, Policy::default());
    }

    #[test]
    fn https_redirection_follows_the_primary_domain() {
        for (variables, expected) in [
            (&[][..], false),
            (&[("PRIMARY_DOMAIN", "a.example")], true),
            (&[("PRIMARY_DOMAIN", " ")], false),
            (&[("HTTPS_REDIRECT", "on")], true),
            (
                &[("PRIMARY_DOMAIN", "a.example"), ("HTTPS_REDIRECT", "off")],
                false,
            ),
        ] {
            assert_eq!(with(variables).unwrap().https_redirect, expected);
        }
    }

    #[test]
    fn the_longest_down_time_is_no_shorter_than_the_first() {
        for (down, max, expected) in [
            ("", "", Ok(300_000)),
            ("600000", "", Ok(600_000)),
            ("1000", "1000", Ok(1_000)),
            ("", "1000", Err(1)),
            ("1001", "1000", Err(1)),
            ("0", "1", Err(1)),
            ("0", "x", Err(2)),
        ] {
            let actual = with(&[("BACKEND_DOWN_TIME", down), ("BACKEND_DOWN_TIME_MAX", max)])
                .map(|policy| policy.backend_down_time_max.as_millis())
                .map_err(|errors| errors.len());
            assert_eq!(actual, expected, "{down} {max}");
        }
    }

    #[test]
    fn a_cookie_prefix_needs_https() {
        let name = ("SESSION_COOKIE_NAME", "__Host-edgelb");
        for (other, errors) in [
            (("HTTPS_REDIRECT", ""), 1),
            (("HTTPS_REDIRECT", "false"), 1),
            (("HTTPS_REDIRECT", "true"), 0),
            (("PRIMARY_DOMAIN", "a.example"), 0),
            // One slip, one error.
            (("HTTPS_REDIRECT", "wahr"), 1),
            (("PRIMARY_DOMAIN", "*.example"), 1),
        ] {
            let actual = with(&[name, other]).map_or_else(|errors| errors.len(), |_| 0);
            assert_eq!(actual, errors, "{other:?}");
        }
    }

    #[test]
    fn the_session_cookie_is_no_affinity_key() {
        for (cookie, sticky, valid) in [
            ("cookie:edgelb", "true", false),
            ("cookie:edgelb", "false", true),
            ("cookie:EdgeLB", "true", true),
        ] {
            let result = with(&[("AFFINITY_KEY", cookie), ("STICKY_SESSIONS", sticky)]);
            assert_eq!(result.is_ok(), valid, "{cookie} {sticky}");
        }
    }
}
