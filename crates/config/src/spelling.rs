//! Whose a variable is: ours, somebody else's, or ours but for a slip.
//!
//! A slip that went unnoticed would leave a default in force, or send clients
//! to what was never meant as a backend. Yet everything else in a process's
//! environment must pass, so only small slips count.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use crate::variable::{BACKEND_PREFIX, NAMES, PLATFORM_PREFIX};

/// What the name of a variable says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Name<'a> {
    /// One of ours that is not a backend.
    Setting(&'static str),
    /// A backend, with what follows `BACKEND_`.
    Backend(&'a str),
    /// Not ours, but nearly this one.
    Misspelt(String),
    /// A backend without a name we could have guessed.
    Malformed,
    /// Somebody else's.
    Foreign,
}

/// Judges a name, the first that applies: ours, a slip, a backend.
pub(crate) fn classify(name: &str) -> Name<'_> {
    if let Some(known) = NAMES.into_iter().find(|&known| known == name) {
        return Name::Setting(known);
    }
    if name.starts_with(PLATFORM_PREFIX) {
        return Name::Foreign;
    }
    let capital = capital(name);
    // Before backends, lest `BACKEND_DOWNTIME` be taken for one.
    if let Some(known) = NAMES.into_iter().find(|known| is_slip_of(&capital, known)) {
        return Name::Misspelt(known.to_owned());
    }
    match (name.strip_prefix(BACKEND_PREFIX), backend_meant(&capital)) {
        (Some(backend), Some(_)) if capital == name => Name::Backend(backend),
        (Some(_), None) => Name::Malformed,
        (_, Some(meant)) => Name::Misspelt(meant),
        (None, None) => Name::Foreign,
    }
}

/// The form all our names have: `backend-cf` is `BACKEND_CF`.
fn capital(name: &str) -> String {
    name.to_ascii_uppercase().replace(['-', '.'], "_")
}

/// What people append to a name to say a unit or a source.
const SUFFIXES: [&str; 12] = [
    "MS",
    "MILLIS",
    "MILLISECONDS",
    "S",
    "SEC",
    "SECS",
    "SECONDS",
    "BYTES",
    "KB",
    "LIST",
    "FILE",
    "PATH",
];

fn is_slip_of(name: &str, known: &str) -> bool {
    let suffix = name
        .strip_prefix(known)
        .and_then(|rest| rest.strip_prefix('_'));
    joined(name) == joined(known)
        || singular(name) == singular(known)
        || suffix.is_some_and(|suffix| SUFFIXES.contains(&suffix))
        || distance_at_most(slips(known), name, known)
}

/// How many slips a name bears before it could be somebody else's: with two,
/// `CONNECT_TIMEOUT` would claim `CONTEXT_TIMEOUT`, and `MAX_RETRIES`
/// `MAX_ENTRIES`.
const fn slips(known: &str) -> usize {
    if known.len() < 16 { 1 } else { 2 }
}

/// Underscores aside: `HSTSMAXAGE` is `HSTS_MAX_AGE`.
fn joined(name: &str) -> String {
    name.replace('_', "")
}

/// Underscores and plurals aside: `TRUSTED_PROXY` is `TRUSTED_PROXIES`.
fn singular(name: &str) -> String {
    let word = |word: &str| match (word.strip_suffix("IES"), word.strip_suffix('S')) {
        (Some(stem), _) => format!("{stem}Y"),
        (None, Some(stem)) => stem.to_owned(),
        (None, None) => word.to_owned(),
    };
    name.split('_').map(word).collect()
}

/// The well-formed backend's variable that a name in capitals is, or is one
/// slip away from: `BACKENDS_CF`, `BACKED_CF`, `BACKEND1`, `BACKEND`.
fn backend_meant(capital: &str) -> Option<String> {
    const WORD: &str = "BACKEND";
    let (word, name) = match capital.split_once('_') {
        Some((word, name)) => (word, Some(name)),
        None => (capital, None),
    };
    let number = word
        .strip_prefix(WORD)
        .filter(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()));
    let name = match (number, name) {
        (Some(number), None) => number.to_owned(),
        (Some(number), Some(name)) => format!("{number}_{name}"),
        (None, _) if !distance_at_most(1, word, WORD) => return None,
        (None, None) => "<NAME>".to_owned(),
        (None, Some(name)) if is_backend_name(name) => name.to_owned(),
        (None, Some(_)) => return None,
    };
    Some(format!("{BACKEND_PREFIX}{name}"))
}

fn is_backend_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    !name.is_empty() && name.bytes().all(allowed)
}

/// Whether so few insertions, deletions, substitutions and swaps of neighbours
/// turn one name into the other, no part being edited twice (the optimal
/// string alignment distance).
fn distance_at_most(limit: usize, a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    // Also what bounds the work on names from outside.
    if a.len().abs_diff(b.len()) > limit {
        return false;
    }
    let mut before = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, &from) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &to) in b.iter().enumerate() {
            let substituted = above[j] + usize::from(from != to);
            let mut least = substituted.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && from == b[j - 1] && a[i - 1] == to {
                let swapped: usize = before[j - 1];
                least = least.min(swapped + 1);
            }
            row.push(least);
        }
        before = core::mem::replace(&mut above, row);
    }
    above[b.len()] <= limit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_names_are_ours() {
        for name in NAMES {
            assert_eq!(classify(name), Name::Setting(name));
        }
        for (name, backend) in [
            ("BACKEND_CF", "CF"),
            ("BACKEND_1", "1"),
            ("BACKEND__", "_"),
            ("BACKEND_EU_WEST_1", "EU_WEST_1"),
            ("BACKEND_DOWN", "DOWN"),
            ("BACKEND_TIME", "TIME"),
            ("BACKEND_UP_TIME", "UP_TIME"),
        ] {
            assert_eq!(classify(name), Name::Backend(backend), "{name}");
        }
        for name in ["BACKEND_", "BACKEND_A B", "BACKEND_Ä", "BACKEND_A\0"] {
            assert_eq!(classify(name), Name::Malformed, "{name}");
        }
    }

    #[test]
    fn slips_are_named() {
        for (name, meant) in [
            // Case and separators.
            ("backend_cf", "BACKEND_CF"),
            ("BACKEND-CF", "BACKEND_CF"),
            ("BACKEND_cf", "BACKEND_CF"),
            ("max_retries", "MAX_RETRIES"),
            ("Primary.Domain", "PRIMARY_DOMAIN"),
            ("HSTSMAXAGE", "HSTS_MAX_AGE"),
            // The prefix.
            ("BACKENDS_CF", "BACKEND_CF"),
            ("BACKED_CF", "BACKEND_CF"),
            ("BAKCEND_CF", "BACKEND_CF"),
            ("BACKEND1", "BACKEND_1"),
            ("BACKEND2_URL", "BACKEND_2_URL"),
            ("BACKEND", "BACKEND_<NAME>"),
            ("BACKENDS", "BACKEND_<NAME>"),
            // What would otherwise be a backend.
            ("BACKEND_DOWNTIME", "BACKEND_DOWN_TIME"),
            ("BACKEND_DOWN_TIMES", "BACKEND_DOWN_TIME"),
            ("BACKEND_DOWN_TIME_MS", "BACKEND_DOWN_TIME"),
            ("BACKEND_DOWNTIME_MAX", "BACKEND_DOWN_TIME_MAX"),
            ("BACKEND_DOWN_TIME_MX", "BACKEND_DOWN_TIME_MAX"),
            // Plurals.
            ("PRIMARY_DOMAINS", "PRIMARY_DOMAIN"),
            ("TRUSTED_PROXY", "TRUSTED_PROXIES"),
            ("MAX_RETRY", "MAX_RETRIES"),
            ("STICKY_SESSION", "STICKY_SESSIONS"),
            ("HTTP_REDIRECT", "HTTPS_REDIRECT"),
            // Units and sources.
            ("SESSION_COOKIE_TTL_MS", "SESSION_COOKIE_TTL"),
            ("CONNECT_TIMEOUT_SECONDS", "CONNECT_TIMEOUT"),
            ("SESSION_COOKIE_SECRET_FILE", "SESSION_COOKIE_SECRET"),
            // Letters.
            ("AFFINTY_KEY", "AFFINITY_KEY"),
            ("MAX_RETIRES", "MAX_RETRIES"),
            ("FALIURE_TRESHOLD", "FAILURE_THRESHOLD"),
            ("SESION_COOKIE_SECERT", "SESSION_COOKIE_SECRET"),
            ("STATUS_TOKE", "STATUS_TOKEN"),
        ] {
            assert_eq!(classify(name), Name::Misspelt(meant.to_owned()), "{name}");
        }
    }

    #[test]
    fn what_others_set_is_theirs() {
        const FOREIGN: &str = "
            PATH HOME HOSTNAME HOST PORT USER LOGNAME SHELL TERM PWD OLDPWD SHLVL LANG LC_ALL TZ _
            TMPDIR EDITOR PAGER DISPLAY COLORTERM SSH_AUTH_SOCK SSH_CONNECTION XDG_RUNTIME_DIR
            DBUS_SESSION_BUS_ADDRESS LS_COLORS LD_LIBRARY_PATH CI DEBIAN_FRONTEND
            HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy all_proxy
            SSL_CERT_FILE SSL_CERT_DIR NODE_ENV NODE_OPTIONS PYTHONPATH JAVA_HOME GOPATH
            RUST_LOG RUST_BACKTRACE RUSTUP_HOME RUSTUP_TOOLCHAIN CARGO CARGO_HOME
            CARGO_MANIFEST_DIR CARGO_PKG_NAME CARGO_PKG_VERSION CARGO_TARGET_DIR OUT_DIR
            npm_config_cache npm_config_user_agent npm_package_name npm_lifecycle_event
            npm_config_fetch_retries npm_config_maxsockets INIT_CWD
            KUBERNETES_SERVICE_HOST KUBERNETES_SERVICE_PORT KUBERNETES_PORT_443_TCP_ADDR
            SPIN_VARIABLE_BACKEND SPIN_HTTP_LISTEN_ADDR WASMTIME_BACKTRACE_DETAILS
            KOYEB_PUBLIC_DOMAIN KOYEB_REGION RENDER_EXTERNAL_HOSTNAME RAILWAY_PUBLIC_DOMAIN
            FLY_APP_NAME FLY_PRIMARY_REGION PRIMARY_REGION VERCEL_URL CF_PAGES CF_PAGES_URL DYNO
            CLOUDFLARE_API_TOKEN CLOUDFLARE_ACCOUNT_ID WRANGLER_SEND_METRICS
            AWS_REGION AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_MAX_ATTEMPTS
            GITHUB_TOKEN GITHUB_ACTIONS GITLAB_CI DOCKER_HOST COMPOSE_PROJECT_NAME
            DATABASE_URL REDIS_URL SECRET_KEY BASE_URL ADDON_ID TRUSTED_IPS PROXY_URL
            COOKIE_SECRET SESSION_SECRET SESSION_NAME COOKIE_NAME SESSION_TTL SESSION_TOKEN
            TIMEOUT READ_TIMEOUT WRITE_TIMEOUT REQUEST_TIMEOUT FILE_TIMEOUT CONTEXT_TIMEOUT
            CONNECTION_TIMEOUT IDLE_TIMEOUT_POLICY MAX_ENTRIES MAX_CONNECTIONS RETRIES
            RATE_LIMIT MEMORY_LIMIT API_KEY DOMAIN DOMAINS BACKUP_DIR BACKUPS BACKING_STORE
            BACKGROUND FRONTEND_URL FRONT_END BACK_END STATUS STATUS_PORT LOG_LEVEL
            EDGELB_BACKEND EDGELB_MAX_RETRIES";
        for name in FOREIGN.split_whitespace() {
            assert_eq!(classify(name), Name::Foreign, "{name}");
        }
        assert_eq!(classify(""), Name::Foreign);
        assert_eq!(classify("="), Name::Foreign);
        assert_eq!(classify("ÄÖÜ"), Name::Foreign);
    }

    #[test]
    fn distances_count_swaps_as_one() {
        for (a, b, distance) in [
            ("", "", 0),
            ("", "AB", 2),
            ("ABC", "ABC", 0),
            ("ABC", "ABD", 1),
            ("ABC", "AC", 1),
            ("ABC", "ACB", 1),
            ("ABCD", "BADC", 2),
            ("CA", "ABC", 3),
        ] {
            for limit in 0..4 {
                assert_eq!(distance_at_most(limit, a, b), distance <= limit, "{a} {b}");
                assert_eq!(distance_at_most(limit, b, a), distance <= limit, "{b} {a}");
            }
        }
    }
}
