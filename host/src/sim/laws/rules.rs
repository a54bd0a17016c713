//! The laws of the balancer: how often a request is sent, where to, and what
//! comes back.

use super::super::admission::Admission;
use super::super::scenario::Scenario;
use super::super::trace::{Attempt, End, Exchange, Outcome, cause_name};
use super::Law;
use crate::exchange::bindings::EffectiveConfiguration;
use crate::upstream::Delivery;

/// What the configuration says that the laws speak of.
pub(super) struct Rules<'a> {
    scenario: &'a Scenario,
    max_retries: usize,
    replay_limit: u64,
    sticky: bool,
    /// Backends that take no new clients.
    drained: Vec<bool>,
}

impl<'a> Rules<'a> {
    pub(super) fn new(scenario: &'a Scenario, configuration: &EffectiveConfiguration) -> Self {
        let setting = |name: &str| {
            let mut settings = configuration.settings.iter();
            settings
                .find(|it| it.name == name)
                .map_or("", |it| it.value.as_str())
        };
        let number = |name: &str, usual: u64| setting(name).parse().unwrap_or(usual);
        let drained = scenario.backends.iter().map(|backend| {
            let mut configured = configuration.backends.iter();
            configured.any(|it| it.name == backend.name && it.drain)
        });
        Self {
            scenario,
            max_retries: usize::try_from(number("MAX_RETRIES", 3)).unwrap_or(usize::MAX),
            replay_limit: configuration.replay_limit,
            sticky: setting("STICKY_SESSIONS") == "true",
            drained: drained.collect(),
        }
    }

    /// How often a request is sent, and why again.
    pub(super) fn attempts(&self, exchange: &Exchange, broken: &mut impl FnMut(Law, String)) {
        let attempts = &exchange.attempts;
        let most = self.max_retries.saturating_add(1);
        if attempts.len() > most {
            let count = attempts.len();
            broken(
                Law::Bounded,
                format!("{count} attempts, where {most} are allowed"),
            );
        }
        for (index, attempt) in attempts.iter().enumerate() {
            let mut before = attempts.iter().take(index);
            if before.any(|it| it.backend == attempt.backend) {
                let backend = self.name(attempt);
                broken(Law::AnotherBackend, format!("{backend} was tried twice"));
            }
            if index + 1 == attempts.len() {
                break;
            }
            match judge(attempt) {
                Judgement::Answer => {
                    let told = told(attempt);
                    broken(
                        Law::Final,
                        format!("{told} was followed by another attempt"),
                    );
                }
                Judgement::Delivered if !may_repeat(exchange) => {
                    let (told, method) = (told(attempt), &exchange.method);
                    let message = format!("a {method} was sent again after {told}");
                    broken(Law::DeliveredOnce, message);
                }
                Judgement::Delivered | Judgement::NotDelivered => {}
            }
        }
        self.persistence(exchange, broken);
    }

    /// Whether it was given up too soon.
    fn persistence(&self, exchange: &Exchange, broken: &mut impl FnMut(Law, String)) {
        let Some(last) = exchange.attempts.last() else {
            return;
        };
        let clients = exchange
            .client
            .and_then(|it| self.scenario.clients.get(it.group));
        let body = clients.map_or(0, |clients| clients.body) as u64;
        let may_go_on = match judge(last) {
            Judgement::Answer => false,
            Judgement::NotDelivered => true,
            Judgement::Delivered => may_repeat(exchange) && body <= self.replay_limit,
        };
        // Those who are no clients of the scenario may have sent any body.
        if !may_go_on || exchange.end == End::Left || clients.is_none() {
            return;
        }
        let takers = self.drained.iter().filter(|drained| !**drained).count();
        let due = takers.min(self.max_retries.saturating_add(1));
        let made = exchange.attempts.len();
        if made < due {
            let told = told(last);
            broken(
                Law::Persistent,
                format!("it was given up after {told}, with {made} of {due} attempts made"),
            );
        }
    }

    /// What the client got.
    pub(super) fn answer(&self, exchange: &Exchange, broken: &mut impl FnMut(Law, String)) {
        let Some(status) = exchange.status else {
            return;
        };
        let Some(last) = exchange.attempts.last() else {
            self.unsent(exchange, status, broken);
            return;
        };
        if let (End::Whole, Some(length)) = (exchange.end, last.length)
            && exchange.bytes != length
        {
            let bytes = exchange.bytes;
            broken(
                Law::Faithful,
                format!("{bytes} bytes of {length} were passed on as whole"),
            );
        }
        match last.outcome {
            Outcome::Status(sent) if sent != status => {
                broken(Law::Faithful, format!("{sent} was answered as {status}"));
            }
            Outcome::Failed(..) if !(502..=504).contains(&status) => {
                let told = told(last);
                broken(Law::Faithful, format!("{told} was answered as {status}"));
            }
            Outcome::Status(_) if exchange.by.is_some() && exchange.by != last.backend => {
                let backend = self.name(last);
                broken(
                    Law::Faithful,
                    format!("the answer is not that of {backend}"),
                );
            }
            Outcome::Status(_) | Outcome::Failed(..) | Outcome::Pending | Outcome::Cancelled => {}
        }
    }

    /// What is answered without being sent: the balancer has a say of its own
    /// about where requests go, not about what they are for.
    fn unsent(&self, exchange: &Exchange, status: u16, broken: &mut impl FnMut(Law, String)) {
        let clients = exchange
            .client
            .and_then(|it| self.scenario.clients.get(it.group));
        let own = clients.is_none_or(|clients| clients.path.starts_with("/.well-known/"));
        if own || self.drained.iter().all(|drained| *drained) {
            return;
        }
        if status >= 500 {
            broken(
                Law::Persistent,
                format!("it was answered {status} and sent to nobody"),
            );
        } else if status < 300 {
            broken(
                Law::Faithful,
                format!("it was answered {status}, by no backend"),
            );
        }
    }

    /// Where it was sent.
    pub(super) fn choice(
        &self,
        exchange: &Exchange,
        admission: &Admission,
        broken: &mut impl FnMut(Law, String),
    ) {
        let Some(isolate) = exchange.isolate else {
            return;
        };
        for (index, attempt) in exchange.attempts.iter().enumerate() {
            let Some(backend) = attempt.backend else {
                continue;
            };
            if !admission.refuses(isolate, backend, attempt.begun) {
                continue;
            }
            // Fail open: none of those that are left admits.
            let tried: Vec<_> = exchange
                .attempts
                .iter()
                .take(index)
                .map(|it| it.backend)
                .collect();
            let mut others = (0..self.scenario.backends.len())
                .filter(|other| *other != backend && !tried.contains(&Some(*other)))
                .filter(|other| !self.drained.get(*other).is_some_and(|drained| *drained));
            if let Some(other) =
                others.find(|other| admission.admits(isolate, *other, attempt.begun))
            {
                let (told, other) = (self.name(attempt), self.backend(other));
                let message =
                    format!("it was sent to {told}, which is ejected, while {other} admits");
                broken(Law::Ejected, message);
            }
        }
        let (Some(session), Some(first)) = (exchange.session, exchange.attempts.first()) else {
            return;
        };
        if self.sticky
            && first.backend != Some(session)
            && admission.admits(isolate, session, first.begun)
        {
            let (first, session) = (self.name(first), self.backend(session));
            let message = format!("it was sent to {first}, its session being with {session}");
            broken(Law::Sticky, message);
        }
    }

    fn name(&self, attempt: &Attempt) -> String {
        attempt
            .backend
            .map_or_else(|| "an unknown name".to_owned(), |it| self.backend(it))
    }

    fn backend(&self, index: usize) -> String {
        let backend = self.scenario.backends.get(index);
        backend.map_or_else(
            || index.to_string(),
            |backend| format!("`{}`", backend.name),
        )
    }
}

/// What an attempt's outcome means for the next.
enum Judgement {
    /// It is the answer.
    Answer,
    /// It failed, and may have been delivered.
    Delivered,
    /// It failed, and was not.
    NotDelivered,
}

fn judge(attempt: &Attempt) -> Judgement {
    match attempt.outcome {
        // These speak of the request, not of the backend.
        Outcome::Status(501 | 505) => Judgement::Answer,
        Outcome::Status(status) if status >= 500 => Judgement::Delivered,
        Outcome::Status(_) | Outcome::Pending | Outcome::Cancelled => Judgement::Answer,
        Outcome::Failed(_, Delivery::MaybeSent) => Judgement::Delivered,
        Outcome::Failed(_, Delivery::NotSent) => Judgement::NotDelivered,
    }
}

fn may_repeat(exchange: &Exchange) -> bool {
    exchange.method.is_idempotent() || exchange.repeatable
}

fn told(attempt: &Attempt) -> String {
    match attempt.outcome {
        Outcome::Status(status) => format!("status {status}"),
        Outcome::Failed(cause, _) => cause_name(cause).to_owned(),
        Outcome::Pending | Outcome::Cancelled => "an attempt given up".to_owned(),
    }
}
