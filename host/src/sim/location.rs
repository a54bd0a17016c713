//! Where the component runs: isolates that start, serve and are evicted.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{Request, Response};
use rand_pcg::Pcg64Mcg;

use super::dice;
use super::network::Network;
use super::platform::Invocation;
use super::trace::{Entry, Isolate};
use super::world::World;
use crate::body::Body;
use crate::clock::Clock;
use crate::edge::{Edge, Tag};
use crate::error::EdgeError;
use crate::event::Event;
use crate::metering::Account;
use crate::upstream::Upstream;

/// What answers requests: an isolate, or what a test puts in its place.
pub trait Runtime: Send + Sync {
    /// Answers a request. The client's address is its
    /// [`Peer`](crate::Peer) extension.
    fn fetch(
        &self,
        request: Request<Body>,
    ) -> Pin<Box<dyn Future<Output = Response<Body>> + Send + '_>>;

    /// Another that shares with this one what either learns, as the threads
    /// of one process do; none where that is not known.
    ///
    /// # Errors
    /// It does not start.
    fn another(&self) -> Result<Option<Arc<dyn Runtime>>, EdgeError> {
        Ok(None)
    }
}

impl Runtime for Edge {
    fn fetch(
        &self,
        request: Request<Body>,
    ) -> Pin<Box<dyn Future<Output = Response<Body>> + Send + '_>> {
        Box::pin(Self::fetch(self, request))
    }

    fn another(&self) -> Result<Option<Arc<dyn Runtime>>, EdgeError> {
        Ok(Some(Arc::new(Self::another(self)?)))
    }
}

/// What a runtime is given when it starts.
pub struct Birth {
    /// What it sends by.
    pub upstream: Arc<dyn Upstream>,
    /// Its time.
    pub clock: Arc<dyn Clock>,
    /// Its chance.
    pub seed: u64,
    /// Whom it tells what happens.
    pub events: Arc<dyn Fn(&Event) + Send + Sync>,
}

/// Starts runtimes.
pub(crate) type Starter = Arc<dyn Fn(Birth) -> Result<Arc<dyn Runtime>, EdgeError> + Send + Sync>;

/// A location while a run goes on.
pub(crate) struct Site {
    world: Arc<World>,
    index: usize,
    starter: Starter,
    state: Arc<Mutex<State>>,
    /// Backends of the component's configuration, as indices of the scenario's.
    backends: Arc<[usize]>,
}

struct State {
    slots: Vec<Option<Slot>>,
    /// Of the run, so far: shared by its sites.
    started: Arc<Mutex<u32>>,
}

#[derive(Clone)]
struct Slot {
    runtime: Arc<dyn Runtime>,
    isolate: Isolate,
    /// When it is up.
    ready: Duration,
    started: Duration,
    used: Duration,
}

impl Site {
    pub(crate) fn new(
        world: Arc<World>,
        index: usize,
        starter: Starter,
        backends: Arc<[usize]>,
        started: Arc<Mutex<u32>>,
    ) -> Self {
        let location = world.scenario.locations.get(index);
        let isolates = location.map_or(1, |location| location.isolates.get());
        Self {
            index,
            starter,
            state: Arc::new(Mutex::new(State {
                slots: vec![None; isolates],
                started,
            })),
            backends,
            world,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Answers a request by one of the isolates.
    pub(crate) async fn fetch(
        &self,
        id: u64,
        mut request: Request<Body>,
        dice: &mut Pcg64Mcg,
    ) -> Result<Response<Body>, EdgeError> {
        let invocation = Invocation {
            world: Arc::clone(&self.world),
            request: id,
        };
        if let Some(refusal) = invocation.refuse(&request) {
            return Ok(refusal);
        }
        request.extensions_mut().insert(Tag(id));
        let slot = self.slot(dice)?;
        (self.world).update(id, |exchange| exchange.isolate = Some(slot.isolate));
        // Whoever comes before it is up waits for it, not the first alone.
        self.world.until(slot.ready).await;
        let account = Arc::new(self.account(&invocation, slot.isolate));
        request.extensions_mut().insert(Arc::clone(&account));
        let answering = slot.runtime.fetch(request);
        let response = invocation.run(slot.isolate, account, answering).await;
        self.leave(slot.isolate);
        Ok(response)
    }

    /// Where a request's excess is noted, whenever it comes; it may be the end
    /// of the isolate.
    fn account(&self, invocation: &Invocation, isolate: Isolate) -> Account {
        // Whoever has the account may be had by these.
        let world = Arc::downgrade(&self.world);
        let state = Arc::downgrade(&self.state);
        let request = invocation.request;
        Account::telling(move |exceeded| {
            let Some(world) = world.upgrade() else {
                return;
            };
            let limit = exceeded.into();
            let ends = world.limits.preset.ends_isolate(limit);
            if ends && let Some(state) = state.upgrade() {
                vacate(&mut lock(&state), isolate, &world);
            }
            Invocation { world, request }.note(limit, Some(isolate));
        })
    }

    /// An isolate has answered, and was not idle until now.
    fn leave(&self, isolate: Isolate) {
        let now = self.world.now();
        for slot in self.state().slots.iter_mut().flatten() {
            if slot.isolate == isolate {
                slot.used = now;
            }
        }
    }

    /// One of the isolates; it may start with this request. Those who are with
    /// an evicted one stay with it.
    fn slot(&self, dice: &mut Pcg64Mcg) -> Result<Slot, EdgeError> {
        let now = self.world.now();
        let mut state = self.state();
        let index = dice::below(dice, state.slots.len());
        if let Some(slot) = state.slots.get_mut(index).and_then(Option::as_mut) {
            if !self.is_over(slot, now) {
                slot.used = now;
                return Ok(slot.clone());
            }
            self.world.note(Entry::Evicted {
                at: self.world.millis(),
                isolate: slot.isolate,
            });
        }
        // It is no neighbour of what takes its place.
        if let Some(place) = state.slots.get_mut(index) {
            *place = None;
        }
        let (runtime, isolate) = self.start(&state)?;
        let location = self.world.scenario.locations.get(self.index);
        let cold_start = location.map_or(Duration::ZERO, |it| it.cold_start.draw(dice));
        self.world.note(Entry::Started {
            at: self.world.millis(),
            isolate,
        });
        let slot = Slot {
            runtime,
            isolate,
            ready: now + cold_start,
            started: now,
            used: now,
        };
        if let Some(place) = state.slots.get_mut(index) {
            *place = Some(slot.clone());
        }
        Ok(slot)
    }

    /// An isolate that knows what its neighbours do where they share that, and
    /// nothing elsewhere. Those who share are recorded as one.
    fn start(&self, state: &State) -> Result<(Arc<dyn Runtime>, Isolate), EdgeError> {
        let location = self.world.scenario.locations.get(self.index);
        if location.is_some_and(|location| location.shared_health)
            && let Some(neighbour) = state.slots.iter().flatten().next()
            && let Some(another) = neighbour.runtime.another()?
        {
            return Ok((another, neighbour.isolate));
        }
        let mut started = state.started.lock().unwrap_or_else(PoisonError::into_inner);
        let isolate = Isolate {
            location: self.index,
            number: *started,
        };
        *started += 1;
        Ok(((self.starter)(self.birth(isolate))?, isolate))
    }

    fn is_over(&self, slot: &Slot, now: Duration) -> bool {
        let Some(location) = self.world.scenario.locations.get(self.index) else {
            return false;
        };
        let idle = |length| slot.used + length < now;
        let old = |length| slot.started + length < now;
        location.evict_after.is_some_and(idle) || location.lifetime.is_some_and(old)
    }

    fn birth(&self, isolate: Isolate) -> Birth {
        let world = Arc::downgrade(&self.world);
        let backends = Arc::clone(&self.backends);
        Birth {
            upstream: Arc::new(Network {
                world: Arc::clone(&self.world),
                isolate,
            }),
            clock: Arc::clone(&self.world.clock) as Arc<dyn Clock>,
            seed: self.world.dice.seed("isolate", u64::from(isolate.number)),
            events: Arc::new(move |event| {
                if let Some(world) = world.upgrade() {
                    world.note(entry(event, world.millis(), isolate, &backends));
                }
            }),
        }
    }
}

/// An isolate is gone, unless another has taken its place already.
fn vacate(state: &mut State, gone: Isolate, world: &World) {
    for place in &mut state.slots {
        if place.take_if(|slot| slot.isolate == gone).is_some() {
            world.note(Entry::Evicted {
                at: world.millis(),
                isolate: gone,
            });
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn entry(event: &Event, at: u64, isolate: Isolate, backends: &[usize]) -> Entry {
    let index = |backend: u32| {
        let index = backends.get(backend as usize);
        index.copied().unwrap_or(usize::MAX)
    };
    match event {
        Event::Ejected(ejection) => Entry::Ejected {
            at,
            isolate,
            backend: index(ejection.backend),
            until: at + super::world::millis(ejection.length),
            reason: ejection.reason.clone(),
        },
        Event::Trial(backend) => Entry::Trial {
            at,
            isolate,
            backend: index(*backend),
        },
        Event::Recovered(backend) => Entry::Recovered {
            at,
            isolate,
            backend: index(*backend),
        },
        Event::Told { line } => Entry::Told {
            at,
            isolate,
            line: line.clone(),
        },
        Event::InstanceLost { reason } => Entry::Lost {
            at,
            isolate,
            reason: reason.clone(),
        },
    }
}
