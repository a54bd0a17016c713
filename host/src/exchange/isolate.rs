//! An instance that outlives its traps.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wasmtime::Store;

use super::bindings::{BodyEnd, Effects, Guest, Outcome, RequestHead, Tail, Turn};
use super::board::{Board, Held};
use super::instance::{Blueprint, Host, Instance};
use crate::event::{Event, EventSink};
use crate::metering::Spent;

/// An exchange under way: its id, and the instance that issued it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ExchangeRef {
    id: u64,
    generation: u64,
}

/// An id that no instance issues: of none, or of one forgotten.
const NONE: u64 = 0;

/// One instance of the policy: replaced when it traps, and told what was known.
pub(crate) struct Isolate {
    blueprint: Arc<Blueprint>,
    board: Arc<Board>,
    events: EventSink,
    slot: Mutex<Slot>,
}

#[derive(Default)]
struct Slot {
    instance: Option<Instance>,
    state: State,
}

/// What is known of the instance.
#[derive(Default)]
struct State {
    /// Which instance this is: ids of another one mean nothing to it.
    generation: u64,
    /// The version of the board that the instance has merged.
    merged: u64,
    /// Whether it holds nothing against any backend.
    holds_nothing: bool,
    /// Exchanges that ended without the instance being told so far.
    over: Vec<u64>,
}

impl Isolate {
    /// An isolate whose instance starts with its first call.
    pub(crate) fn new(blueprint: Arc<Blueprint>, board: Arc<Board>, events: EventSink) -> Self {
        Self {
            blueprint,
            board,
            events,
            slot: Mutex::default(),
        }
    }

    /// Opens an exchange.
    pub(crate) fn begin(
        &self,
        head: RequestHead<'_>,
        now: u64,
        seed: u64,
        spent: &Spent,
    ) -> wasmtime::Result<(ExchangeRef, Turn)> {
        self.call(now, spent, |state, guest, store| {
            let over = state.over.pop().unwrap_or(NONE);
            let step = guest.call_begin(store, head, now, seed, over)?;
            Ok(((state.issued(step.exchange), step.turn), step.effects))
        })
    }

    /// Ends an exchange whose response is ordinary. Whether that may be
    /// forwarded at once: else the exchange is to be settled.
    pub(crate) fn conclude(&self, exchange: ExchangeRef) -> bool {
        let state = &mut self.lock().state;
        let nothing_new =
            state.generation == exchange.generation && state.holds_nothing(&self.board);
        if nothing_new {
            state.over.push(exchange.id);
        }
        nothing_new
    }

    /// Whether nothing is held against any backend, as far as anybody knows.
    pub(crate) fn holds_nothing(&self) -> bool {
        self.lock().state.holds_nothing(&self.board)
    }

    /// Reports the outcome of an attempt that it does not know of.
    pub(crate) fn adopt(
        &self,
        head: RequestHead<'_>,
        tail: Tail,
        seed: u64,
        outcome: Outcome<'_>,
        now: u64,
        spent: &Spent,
    ) -> wasmtime::Result<(ExchangeRef, Turn)> {
        self.call(now, spent, |state, guest, store| {
            let exchange = guest.call_adopt(&mut *store, head, tail, seed)?;
            let step = guest.call_settle(store, exchange, outcome, now)?;
            Ok(((state.issued(step.exchange), step.turn), step.effects))
        })
    }

    /// Reports an attempt's outcome.
    pub(crate) fn settle(
        &self,
        exchange: ExchangeRef,
        outcome: Outcome<'_>,
        now: u64,
        spent: &Spent,
    ) -> wasmtime::Result<(ExchangeRef, Turn)> {
        self.call(now, spent, |state, guest, store| {
            let step = guest.call_settle(store, state.id(exchange), outcome, now)?;
            Ok(((state.issued(step.exchange), step.turn), step.effects))
        })
    }

    /// The client of an exchange under way went away. A trap here has nobody to
    /// answer to; the instance is replaced all the same. Nor is it charged to anybody.
    pub(crate) fn abandon(&self, exchange: ExchangeRef, now: u64) {
        let _ = self.call(now, &Spent::default(), |state, guest, store| {
            let effects = guest.call_abandon(store, state.id(exchange), now)?;
            Ok(((), effects))
        });
    }

    /// A forwarded body broke off. As for traps and charges, see [`Self::abandon`].
    pub(crate) fn finish(&self, tail: Tail, end: BodyEnd, now: u64) {
        let _ = self.call(now, &Spent::default(), |_, guest, store| {
            Ok(((), guest.call_finish(store, tail, end, now)?))
        });
    }

    /// One call; what it did to the backends is reported once it is over.
    fn call<T>(&self, now: u64, spent: &Spent, call: impl Call<T>) -> wasmtime::Result<T> {
        let called = self.call_in(&mut self.lock(), now, spent, call);
        match called {
            Ok((value, effects)) => {
                for event in effects.into_iter().flat_map(|effects| effects.events) {
                    (self.events)(&Event::told(event, now));
                }
                Ok(value)
            }
            Err(trap) => {
                (self.events)(&Event::lost(&trap));
                Err(trap)
            }
        }
    }

    /// With what others have learned, and telling them what it changed.
    fn call_in<T>(
        &self,
        Slot { instance, state }: &mut Slot,
        now: u64,
        spent: &Spent,
        call: impl Call<T>,
    ) -> wasmtime::Result<(T, Option<Effects>)> {
        let mut held = self.board.is_trial_due(now).then(|| self.board.hold());
        let mut called = match instance.take() {
            Some(instance) => instance,
            None => {
                *state = State {
                    generation: state.generation + 1,
                    ..State::default()
                };
                self.blueprint.instantiate()?
            }
        };
        // Not known before the call is over, nor if it never is.
        state.holds_nothing = false;
        if state.merged != self.board.version() {
            let held = held.get_or_insert_with(|| self.board.hold());
            merge(&mut called, held)?;
            state.merged = held.version();
        }
        let (value, effects) = called.call(spent, |guest, store| call(state, guest, store))?;
        state.holds_nothing = effects.is_none();
        if let Some(effects) = effects.as_ref().filter(|effects| effects.changed) {
            let held = held.get_or_insert_with(|| self.board.hold());
            let mut next_trial = effects.next_trial;
            if state.merged != held.version() {
                next_trial = merge(&mut called, held)?;
            }
            let ledger = called.call(&Spent::default(), |guest, store| guest.call_ledger(store))?;
            state.merged = held.publish(ledger, next_trial);
        }
        // Put back only here: after a trap, there is no instance.
        *instance = Some(called);
        Ok((value, effects))
    }

    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that answers something, and what else it did.
trait Call<T>:
    FnOnce(&mut State, &Guest, &mut Store<Host>) -> wasmtime::Result<(T, Option<Effects>)>
{
}

impl<T, F> Call<T> for F where
    F: FnOnce(&mut State, &Guest, &mut Store<Host>) -> wasmtime::Result<(T, Option<Effects>)>
{
}

/// Tells an instance what the board knows; answers when the next trial is due.
fn merge(instance: &mut Instance, held: &Held<'_>) -> wasmtime::Result<Option<u64>> {
    // What the process shares is none of the request's doing.
    instance.call(&Spent::default(), |guest, store| {
        guest.call_merge(store, held.ledger())
    })
}

impl State {
    fn holds_nothing(&self, board: &Board) -> bool {
        self.holds_nothing && self.merged == board.version()
    }

    /// An exchange that the instance issued.
    const fn issued(&self, id: u64) -> ExchangeRef {
        ExchangeRef {
            id,
            generation: self.generation,
        }
    }

    /// What the instance knows an exchange by.
    fn id(&self, exchange: ExchangeRef) -> u64 {
        if exchange.generation == self.generation {
            exchange.id
        } else {
            NONE
        }
    }
}
