//! An instance that outlives its traps.

use std::sync::{Arc, Mutex, PoisonError};

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

/// An id that no instance issues, and so the same as one forgotten.
const FORGOTTEN: u64 = 0;

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
    /// Which instance this is: ids of another one mean nothing to it.
    generation: u64,
    /// The version of the board that the instance has merged.
    merged: u64,
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
        self.call(now, spent, |generation, guest, store| {
            let step = guest.call_begin(store, head, now, seed)?;
            let id = step.exchange;
            Ok(((ExchangeRef { id, generation }, step.turn), step.effects))
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
        self.call(now, spent, |generation, guest, store| {
            let step =
                guest.call_settle(store, exchange.in_generation(generation), outcome, now)?;
            let id = step.exchange;
            Ok(((ExchangeRef { id, generation }, step.turn), step.effects))
        })
    }

    /// The client of an exchange under way went away. A trap here has nobody to
    /// answer to; the instance is replaced all the same. Nor is it charged to anybody.
    pub(crate) fn abandon(&self, exchange: ExchangeRef, now: u64) {
        let _ = self.call(now, &Spent::default(), |generation, guest, store| {
            let effects = guest.call_abandon(store, exchange.in_generation(generation), now)?;
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
    fn call<T>(
        &self,
        now: u64,
        spent: &Spent,
        call: impl FnOnce(u64, &Guest, &mut Store<Host>) -> wasmtime::Result<(T, Effects)>,
    ) -> wasmtime::Result<T> {
        let called = {
            let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
            self.call_in(&mut slot, now, spent, call)
        };
        match called {
            Ok((value, effects)) => {
                for event in effects.events {
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
        slot: &mut Slot,
        now: u64,
        spent: &Spent,
        call: impl FnOnce(u64, &Guest, &mut Store<Host>) -> wasmtime::Result<(T, Effects)>,
    ) -> wasmtime::Result<(T, Effects)> {
        let mut held = self.board.is_trial_due(now).then(|| self.board.hold());
        let mut instance = match slot.instance.take() {
            Some(instance) => instance,
            None => {
                slot.generation += 1;
                slot.merged = 0;
                self.blueprint.instantiate()?
            }
        };
        if slot.merged != self.board.version() {
            let held = held.get_or_insert_with(|| self.board.hold());
            merge(&mut instance, held)?;
            slot.merged = held.version();
        }
        let generation = slot.generation;
        let (value, effects) =
            instance.call(spent, |guest, store| call(generation, guest, store))?;
        if effects.changed {
            let held = held.get_or_insert_with(|| self.board.hold());
            let mut next_trial = effects.next_trial;
            if slot.merged != held.version() {
                next_trial = merge(&mut instance, held)?;
            }
            let ledger =
                instance.call(&Spent::default(), |guest, store| guest.call_ledger(store))?;
            slot.merged = held.publish(ledger, next_trial);
        }
        // Put back only here: after a trap, there is no instance.
        slot.instance = Some(instance);
        Ok((value, effects))
    }
}

/// Tells an instance what the board knows; answers when the next trial is due.
fn merge(instance: &mut Instance, held: &Held<'_>) -> wasmtime::Result<Option<u64>> {
    // What the process shares is none of the request's doing.
    instance.call(&Spent::default(), |guest, store| {
        guest.call_merge(store, held.ledger())
    })
}

impl ExchangeRef {
    fn in_generation(self, generation: u64) -> u64 {
        if self.generation == generation {
            self.id
        } else {
            FORGOTTEN
        }
    }
}
