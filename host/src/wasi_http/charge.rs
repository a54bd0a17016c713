//! Whose doing it is, what a simulated guest takes of its processor and memory.
//!
//! One instance is at work on many requests at once, and turns to another each
//! time it waits. Whenever it is entered it is seen for which request that is;
//! and where a platform grants each request its own processor time, the tank is
//! filled with what that one has left, and what is missing when the guest is left
//! is charged to it.

use std::collections::HashMap;
use std::sync::Arc;

use wasmtime::component::GuestTaskId;
use wasmtime::{AsContextMut as _, CallHook, Store, StoreContextMut};

use super::guest::Guest;
use crate::metering::Account;

/// Who is charged for what the guest does.
#[derive(Default)]
pub(super) struct Charges {
    /// By the task that answers each. It may go on after it has answered; the id
    /// of one that ended is used again.
    accounts: HashMap<GuestTaskId, Arc<Account>>,
    last: Option<Arc<Account>>,
    /// With which it was entered last.
    fuel: u64,
}

impl Charges {
    /// From now on, what this task does is charged to this account.
    pub(super) fn open(&mut self, task: GuestTaskId, account: Arc<Account>) {
        self.accounts.insert(task, account);
    }

    /// Who was charged last: of a guest that trapped, for whom it did.
    pub(super) fn last(&self) -> Option<&Arc<Account>> {
        self.last.as_ref()
    }
}

/// Charges each request for what this guest does for it, if so much fuel is
/// granted each. What it does for none in particular has as much each time.
pub(super) fn attach(store: &mut Store<Guest>, granted: Option<u64>) {
    store.call_hook(move |store, transition| match transition {
        CallHook::CallingWasm | CallHook::ReturningFromHost => enter(store, granted),
        CallHook::ReturningFromWasm | CallHook::CallingHost if granted.is_some() => leave(store),
        CallHook::ReturningFromWasm | CallHook::CallingHost => Ok(()),
    });
}

fn enter(mut store: StoreContextMut<'_, Guest>, granted: Option<u64>) -> wasmtime::Result<()> {
    let root = store.as_context_mut().async_call_stack()?.last();
    let charges = &mut store.data_mut().charges;
    charges.last = root.and_then(|task| charges.accounts.get(&task).cloned());
    let Some(granted) = granted else {
        return Ok(());
    };
    let account = charges.last.as_deref();
    charges.fuel = account.map_or(granted, |it| it.spent.left_of(granted));
    let fuel = charges.fuel;
    store.set_fuel(fuel)
}

fn leave(mut store: StoreContextMut<'_, Guest>) -> wasmtime::Result<()> {
    let left = store.get_fuel()?;
    let charges = &mut store.data_mut().charges;
    if let Some(account) = &charges.last {
        account.spent.add(charges.fuel.saturating_sub(left));
    }
    charges.fuel = left;
    Ok(())
}
