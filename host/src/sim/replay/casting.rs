//! Who plays whom: what is put in the place of hidden values, so that the
//! component sends each client where it went when it was recorded.
//!
//! The balancer chooses by a hash of the client's address, or of another value
//! that the recording hides. What stands for it would be hashed to any backend;
//! so it is asked, before the run, which of several candidates it sends there.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use http::header::SET_COOKIE;
use http::{Request, Response};

use super::super::location::{Birth, Runtime, Starter};
use super::super::scenario::Scenario;
use super::backends::Outcomes;
use super::browsers::Browsers;
use super::compose::{Affinity, Composer};
use super::{RECORDED, Recording};
use crate::body::Body;
use crate::clock::TokioClock;
use crate::error::EdgeError;
use crate::exchange::bindings::EffectiveConfiguration;
use crate::recording::{Exchange, Header};
use crate::upstream::{Answer, Cause, SendError, Timeouts, Upstream};

/// Candidates that are tried for one role. Of ten equal backends none of these
/// hits the right one once in 800 times.
const CANDIDATES: u32 = 64;

/// A recording, and all that is put in the place of what it hides.
pub(crate) struct Cast {
    pub(crate) recording: Arc<Recording>,
    pub(crate) outcomes: Outcomes,
    pub(super) composer: Composer,
    pub(super) browsers: Browsers,
    pub(super) session_cookie: String,
    /// Of each exchange, the candidate that got the role.
    variants: Vec<u32>,
    /// Of each browser that came with a session: its cookie, and the backend.
    sessions: Vec<Option<(String, usize)>>,
}

impl Cast {
    /// The request of this index, with this session.
    pub(super) fn request(&self, index: usize, session: Option<&str>) -> Option<Request<Body>> {
        let exchange = self.recording.exchanges.get(index)?;
        let variant = self.variants.get(index).copied().unwrap_or(0);
        Some(self.composer.request(exchange, variant, session))
    }

    /// The session that a browser comes with.
    pub(super) fn session(&self, browser: usize) -> Option<(String, usize)> {
        self.sessions.get(browser).cloned().flatten()
    }

    pub(super) fn browsers(&self) -> usize {
        self.browsers.all.len()
    }
}

/// Casts a recording for a component, of this configuration if it tells. Needs a tokio runtime whose time is paused.
///
/// # Errors
/// The component does not start.
pub(crate) async fn cast(
    recording: Arc<Recording>,
    scenario: &Scenario,
    authorities: &BTreeMap<String, usize>,
    starter: &Starter,
    configuration: Option<&EffectiveConfiguration>,
) -> Result<Cast, EdgeError> {
    // A scenario may have changed what was recorded.
    let effective = configuration.map(|it| Header::new(String::new(), Some(it)));
    let effective = effective.as_ref().unwrap_or(&recording.header);
    let composer = Composer::new(&recording, effective);
    let browsers = Browsers::of(&recording);
    let backends = scenario.backends.iter().map(|it| it.name.as_str());
    let names: Vec<_> = backends.clone().collect();
    let home = |exchange: &Exchange| {
        let first = exchange.attempts.first()?.backend.as_deref()?;
        names.iter().position(|name| *name == first)
    };
    let session_cookie = effective.setting("SESSION_COOKIE_NAME").to_owned();
    let mut audition = Audition::start(&recording, authorities, starter, &session_cookie)?;

    // The first that shows where a key belongs: a session comes before the key.
    let mut roles: BTreeMap<String, u32> = BTreeMap::new();
    for exchange in recording.exchanges.iter().filter(|it| it.session.is_none()) {
        let (Some(key), Some(home)) = (composer.key(exchange), home(exchange)) else {
            continue;
        };
        if let Entry::Vacant(role) = roles.entry(key) {
            role.insert(audition.candidate(&composer, exchange, home).await);
        }
    }
    let variants = recording.exchanges.iter().map(|exchange| {
        let role = composer.key(exchange);
        role.and_then(|key| roles.get(&key).copied()).unwrap_or(0)
    });
    let variants = variants.collect();

    let mut sessions = Vec::with_capacity(browsers.all.len());
    for browser in &browsers.all {
        let exchange = recording.exchanges.get(browser.first);
        let exchange = exchange.filter(|_| browser.with_session);
        let session = match exchange.and_then(|it| Some((it, home(it)?))) {
            Some((exchange, home)) => {
                if !audition.sessions.contains_key(&home) {
                    audition.candidate(&composer, exchange, home).await;
                }
                let cookie = audition.sessions.get(&home);
                cookie.map(|cookie| (cookie.clone(), home))
            }
            None => None,
        };
        sessions.push(session);
    }
    Ok(Cast {
        outcomes: Outcomes::new(Arc::clone(&recording), backends),
        recording,
        composer,
        browsers,
        session_cookie,
        variants,
        sessions,
    })
}

/// A component that candidates are shown to.
struct Audition<'a> {
    runtime: Arc<dyn Runtime>,
    seen: Arc<Seen>,
    session_cookie: &'a str,
    /// A session with each backend that was ever chosen.
    sessions: BTreeMap<usize, String>,
}

/// Backends that all are well, and which of them was chosen last.
struct Seen {
    authorities: BTreeMap<String, usize>,
    chosen: Mutex<Option<usize>>,
}

impl<'a> Audition<'a> {
    fn start(
        recording: &Recording,
        authorities: &BTreeMap<String, usize>,
        starter: &Starter,
        session_cookie: &'a str,
    ) -> Result<Self, EdgeError> {
        let seen = Arc::new(Seen {
            authorities: authorities.clone(),
            chosen: Mutex::default(),
        });
        let runtime = starter(Birth {
            upstream: Arc::clone(&seen) as Arc<dyn Upstream>,
            clock: Arc::new(TokioClock::anchored(UNIX_EPOCH + recording.began)),
            seed: 1,
            events: Arc::new(|_| {}),
        })?;
        Ok(Self {
            runtime,
            seen,
            session_cookie,
            sessions: BTreeMap::new(),
        })
    }

    /// The first candidate whom the component sends to this backend; the very
    /// first if none is.
    async fn candidate(&mut self, composer: &Composer, exchange: &Exchange, home: usize) -> u32 {
        if composer.affinity == Affinity::None {
            return 0;
        }
        for candidate in 0..CANDIDATES {
            let request = composer.request(exchange, candidate, None);
            match self.ask(request).await {
                Some(chosen) if chosen == home => return candidate,
                Some(_) => {}
                // The balancer answers this one itself, whoever asks.
                None => break,
            }
        }
        0
    }

    async fn ask(&mut self, request: Request<Body>) -> Option<usize> {
        *self.seen.chosen() = None;
        let response = self.runtime.fetch(request).await;
        let chosen = *self.seen.chosen();
        let chosen = chosen?;
        let cookie = session(&response, self.session_cookie);
        if let Some(cookie) = cookie {
            self.sessions.entry(chosen).or_insert(cookie);
        }
        Some(chosen)
    }
}

/// The session that a response gives, as `name=value`.
pub(super) fn session(response: &Response<Body>, name: &str) -> Option<String> {
    let mut cookies = response.headers().get_all(SET_COOKIE).iter();
    cookies.find_map(|cookie| {
        let pair = cookie.to_str().ok()?.split(';').next()?;
        let value = pair.strip_prefix(name)?.strip_prefix('=')?;
        (!value.is_empty() && !name.is_empty()).then(|| pair.to_owned())
    })
}

impl Seen {
    fn chosen(&self) -> std::sync::MutexGuard<'_, Option<usize>> {
        self.chosen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Upstream for Seen {
    fn send(self: Arc<Self>, request: Request<Body>, _: Timeouts) -> Answer {
        let authority = request.uri().authority().map_or("", |it| it.as_str());
        let backend = self.authorities.get(authority).copied();
        *self.chosen() = backend;
        Box::pin(async move {
            match backend {
                Some(_) => Ok(Response::new(Body::empty())),
                None => Err(SendError::not_sent(Cause::DnsError)),
            }
        })
    }
}

impl std::fmt::Debug for Cast {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct(RECORDED).finish_non_exhaustive()
    }
}
