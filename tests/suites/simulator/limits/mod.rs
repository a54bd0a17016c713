//! Platforms' limits: each exceeded, and each reached without being exceeded.

mod isolates;
mod requests;

use bytes::Bytes;
use edgelb_host::Door;
use edgelb_host::sim::{Backend, Entry, Limits, Preset, Running, Simulation, SimulationBuilder};
use edgelb_tests::{FAULTY, HANDLER};
use http::{Request, Response};

const FREE: Limits = Preset::CloudflareFree.limits();

/// One backend, answering in 10 ms.
fn simulation(limits: Limits) -> SimulationBuilder {
    Simulation::builder()
        .backend(Backend::new("A"))
        .scenario(|it| it.limits = limits)
}

/// The policy, with faults on request.
fn faulty(limits: Limits) -> SimulationBuilder {
    simulation(limits).component(FAULTY)
}

/// A guest that is no balancer, whose origin is that backend.
fn handler(limits: Limits) -> SimulationBuilder {
    simulation(limits)
        .component(HANDLER)
        .door(Door::WasiHttp)
        .env("ORIGIN", "a.test")
}

fn get(target: &str) -> Request<()> {
    let request = Request::get(target).header("host", "edge.test");
    request.body(()).unwrap()
}

/// What one request gives: its answer, and the limits that were exceeded.
async fn ask(
    simulation: SimulationBuilder,
    request: Request<()>,
) -> (Response<Bytes>, Vec<&'static str>) {
    let running = simulation.build().unwrap().start();
    let response = running.fetch(request).await.unwrap();
    (response, exceeded(&lawful(running).await))
}

/// What happened, and no law was broken by it.
async fn lawful(running: Running) -> Vec<Entry> {
    let run = running.finish().await;
    assert_eq!(run.violations, []);
    run.trace.entries
}

fn exceeded(entries: &[Entry]) -> Vec<&'static str> {
    let limits = entries.iter().filter_map(|entry| {
        let Entry::Exceeded {
            limit,
            request,
            isolate,
            ..
        } = entry
        else {
            return None;
        };
        assert!(request.is_some(), "{entry:?}");
        // Those two are found before any isolate is asked.
        let early = ["url-size", "request-header-size"].contains(limit);
        assert_eq!(isolate.is_none(), early, "{entry:?}");
        Some(*limit)
    });
    limits.collect()
}
