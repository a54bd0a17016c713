//! What an instance holds: configuration, ledger and exchanges under way.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use atomic_refcell::AtomicRefCell;
use edgelb_balancer::{Balancer, Ledger, LocalReply, Seed, Step, Timestamp};
use edgelb_config::{Config, Setting};

use crate::bindings::exports::edgelb::balancer::exchange as wit;
use crate::bindings::wasi::cli::environment::get_environment;
use crate::convert;
use crate::exchanges::Exchanges;

/// Runs a call on the instance's state, which the first call makes from the
/// environment.
pub(crate) fn with<R>(call: impl FnOnce(&mut State) -> R) -> R {
    static STATE: AtomicRefCell<Option<State>> = AtomicRefCell::new(None);
    let mut state = STATE.borrow_mut();
    call(state.get_or_insert_with(|| State::new(get_environment())))
}

/// An instance: configured, or able to say why it is not.
#[derive(Debug)]
pub(crate) enum State {
    /// Every error of the configuration.
    Misconfigured(Vec<String>),
    /// Ready to balance.
    Ready(Box<Ready>),
}

/// A configured instance.
#[derive(Debug)]
pub(crate) struct Ready {
    balancer: Balancer,
    settings: Vec<Setting>,
    ledger: Ledger,
    exchanges: Exchanges,
}

impl State {
    fn new(environment: Vec<(String, String)>) -> Self {
        match configure(environment) {
            Ok(ready) => Self::Ready(Box::new(ready)),
            Err(errors) => Self::Misconfigured(errors),
        }
    }

    /// See `exchange.configuration`.
    pub(crate) fn configuration(&self) -> Result<wit::EffectiveConfiguration, Vec<String>> {
        match self {
            Self::Ready(ready) => Ok(convert::configuration(&ready.balancer, &ready.settings)),
            Self::Misconfigured(errors) => Err(errors.clone()),
        }
    }

    /// See `exchange.begin`.
    pub(crate) fn begin(
        &mut self,
        head: &wit::RequestHead,
        now: u64,
        seed: u64,
        over: u64,
    ) -> wit::Step {
        match self {
            Self::Ready(ready) => {
                ready.exchanges.conclude(over);
                ready.begin(head, Timestamp::from_millis(now), Seed(seed))
            }
            Self::Misconfigured(_) => misconfigured(),
        }
    }

    /// See `exchange.settle`.
    pub(crate) fn settle(&mut self, exchange: u64, outcome: &wit::Outcome, now: u64) -> wit::Step {
        match self {
            Self::Ready(ready) => ready.settle(exchange, outcome, Timestamp::from_millis(now)),
            Self::Misconfigured(_) => misconfigured(),
        }
    }

    /// See `exchange.adopt`.
    pub(crate) fn adopt(
        &mut self,
        head: &wit::RequestHead,
        tail: wit::Tail,
        seed: u64,
    ) -> wit::ExchangeId {
        match self {
            Self::Ready(ready) => {
                ready.sweep(Timestamp::from_millis(tail.began));
                let head = convert::request_head(head);
                let (balancer, ledger) = (&ready.balancer, &mut ready.ledger);
                let adopted = balancer.adopt(&head, tail.into(), ledger, Seed(seed));
                adopted.map_or(NOBODYS, |adopted| {
                    let exchange = ready.exchanges.issue();
                    ready.exchanges.put(exchange, adopted);
                    exchange
                })
            }
            Self::Misconfigured(_) => NOBODYS,
        }
    }

    /// See `exchange.abandon`.
    pub(crate) fn abandon(&mut self, exchange: u64, now: u64) -> Option<wit::Effects> {
        self.on_ledger(|ready| {
            if let Some(in_flight) = ready.exchanges.take(exchange) {
                in_flight.abandon(&mut ready.ledger, Timestamp::from_millis(now));
            }
            ready.exchanges.release(exchange);
        })
    }

    /// See `exchange.finish`.
    pub(crate) fn finish(
        &mut self,
        tail: wit::Tail,
        end: wit::BodyEnd,
        now: u64,
    ) -> Option<wit::Effects> {
        self.on_ledger(|ready| {
            let now = Timestamp::from_millis(now);
            ready
                .balancer
                .finish(tail.into(), end.into(), &mut ready.ledger, now);
        })
    }

    /// See `exchange.ledger`.
    pub(crate) fn ledger(&self) -> Vec<u8> {
        match self {
            Self::Ready(ready) => ready.ledger.encode(),
            Self::Misconfigured(_) => Vec::new(),
        }
    }

    /// See `exchange.merge`.
    pub(crate) fn merge(&mut self, ledger: &[u8]) -> Option<wit::Timestamp> {
        match self {
            Self::Ready(ready) => {
                ready.ledger.merge(ledger);
                ready.ledger.next_trial().map(|due| due.as_millis())
            }
            Self::Misconfigured(_) => None,
        }
    }

    fn on_ledger(&mut self, call: impl FnOnce(&mut Ready)) -> Option<wit::Effects> {
        match self {
            Self::Ready(ready) => {
                call(ready);
                convert::effects(&mut ready.ledger)
            }
            Self::Misconfigured(_) => None,
        }
    }
}

impl Ready {
    /// Forgets what nobody settles; before there is another exchange.
    fn sweep(&mut self, now: Timestamp) {
        for _ in 0..2 {
            if let Some(forgotten) = self.exchanges.sweep(now) {
                forgotten.abandon(&mut self.ledger, now);
            }
        }
    }

    fn begin(&mut self, head: &wit::RequestHead, now: Timestamp, seed: Seed) -> wit::Step {
        self.sweep(now);
        let head = convert::request_head(head);
        let step = self.balancer.begin(&head, &mut self.ledger, now, seed);
        let exchange = self.exchanges.issue();
        self.step(exchange, step)
    }

    fn settle(&mut self, exchange: u64, outcome: &wit::Outcome, now: Timestamp) -> wit::Step {
        let outcome = convert::outcome(outcome);
        let step = match self.exchanges.take(exchange) {
            Some(in_flight) => in_flight.settle(outcome, &mut self.ledger, now),
            None => self.balancer.settle_unknown(outcome, now),
        };
        self.step(exchange, step)
    }

    fn step(&mut self, exchange: u64, step: Step) -> wit::Step {
        if !matches!(step, Step::Send { .. }) {
            self.exchanges.release(exchange);
        }
        let turn = match step {
            Step::Send { attempt, then } => {
                self.exchanges.put(exchange, then);
                wit::Turn::Send(attempt.into())
            }
            Step::Forward { edits, tail } => wit::Turn::Forward(wit::Forward {
                edits: edits.into_bytes(),
                tail: tail.into(),
            }),
            Step::Reply(reply) => wit::Turn::Reply(reply.into()),
        };
        wit::Step {
            exchange,
            turn,
            effects: convert::effects(&mut self.ledger),
        }
    }
}

/// Reads the variables.
fn configure(environment: Vec<(String, String)>) -> Result<Ready, Vec<String>> {
    let Config { policy, settings } = edgelb_config::from_env(environment)
        .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    let ledger = Ledger::new(&policy);
    let balancer = Balancer::new(policy).map_err(|error| vec![error.to_string()])?;
    Ok(Ready {
        balancer,
        settings,
        ledger,
        exchanges: Exchanges::default(),
    })
}

/// An id that names no exchange.
const NOBODYS: u64 = u64::MAX;

/// What every request gets while the configuration is invalid. It names no
/// variable and no value: the client is not whom they concern.
fn misconfigured() -> wit::Step {
    let mut reply = LocalReply {
        status: 500,
        fields: edgelb_balancer::FieldLines::new(),
        body: b"The load balancer is misconfigured; its log says how.\n".to_vec(),
    };
    reply
        .fields
        .push("content-type", "text/plain; charset=utf-8");
    reply.fields.push("cache-control", "no-store");
    wit::Step {
        // No call follows a reply.
        exchange: NOBODYS,
        turn: wit::Turn::Reply(reply.into()),
        effects: None,
    }
}
