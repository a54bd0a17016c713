//! The scenarios that ship, as their users run them.

use std::path::{Path, PathBuf};

use edgelb_host::Door;
use edgelb_host::sim::{Scenario, Simulation, Sweep};

use crate::native::Native;

/// All of `scenarios/`, by their names.
fn shipped() -> Vec<(PathBuf, Scenario)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    let mut scenarios: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let scenario = std::fs::read_to_string(&path).unwrap().parse();
            let scenario = scenario.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            (path, scenario)
        })
        .collect();
    scenarios.sort_by(|one, other| one.0.cmp(&other.0));
    assert!(scenarios.len() >= 7);
    scenarios
}

/// The same, none longer than a quarter of an hour: a day is for those who have
/// a second.
fn brief() -> Vec<(PathBuf, Scenario)> {
    let mut scenarios = shipped();
    for (_, scenario) in &mut scenarios {
        scenario.duration = scenario.duration.min(std::time::Duration::from_secs(900));
    }
    scenarios
}

#[test]
fn what_they_expect_comes_of_them() {
    for (path, scenario) in shipped() {
        // A day of one seed has as much in it.
        let seeds = if scenario.duration.as_secs() > 3600 {
            1
        } else {
            4
        };
        let simulation = Simulation::of(scenario).build().unwrap();
        let sweep = Sweep {
            seeds: 0..seeds,
            threads: 2,
        };
        let swept = sweep.run(&simulation, |_| {}).unwrap();
        if let Some(run) = swept.failed {
            let unmet = run.summary.unmet(simulation.scenario());
            let (seed, broken) = (run.seed, run.violations.first());
            panic!("{}, seed {seed}: {unmet:?} {broken:?}", path.display());
        }
    }
}

#[test]
fn equal_seeds_give_equal_traces_whatever_runs_beside_them() {
    for (path, scenario) in brief() {
        let simulation = Simulation::of(scenario).build().unwrap();
        let alone = simulation.run_seed(7).unwrap().trace.to_jsonl();
        let beside: Vec<_> = std::thread::scope(|scope| {
            let run = |seed| simulation.run_seed(seed).unwrap().trace.to_jsonl();
            let threads: Vec<_> = [7, 8, 7].map(|seed| scope.spawn(move || run(seed))).into();
            threads.into_iter().map(|it| it.join().unwrap()).collect()
        });
        let path = path.display();
        assert!(alone == beside[0], "{path}: another trace beside others");
        assert!(alone == beside[2], "{path}: another trace beside others");
        assert!(alone != beside[1], "{path}: the seed changes nothing");
    }
}

#[test]
fn the_core_and_the_component_leave_the_same_trace() {
    for (path, scenario) in brief() {
        let component = Simulation::of(scenario.clone()).build().unwrap();
        let environment = component.scenario().environment.clone();
        let environment: Vec<_> = environment.into_iter().collect();
        let native = Simulation::of(scenario)
            .runtime(move |birth| Ok(Native::start(birth, &environment)))
            .build()
            .unwrap();
        let native = native.run().unwrap().trace.to_jsonl();
        let component = component.run().unwrap().trace.to_jsonl();
        for (native, component) in native.lines().zip(component.lines()) {
            assert_eq!(native, component, "{}", path.display());
        }
        assert_eq!(native.lines().count(), component.lines().count());
    }
}

#[test]
fn both_doors_answer_alike() {
    for (path, scenario) in brief() {
        let answers = |door| {
            let simulation = Simulation::of(scenario.clone()).door(door).build().unwrap();
            let run = simulation.run().unwrap();
            assert_eq!(run.violations, [], "{}, {door:?}", path.display());
            (run.summary.requests, run.summary.failures)
        };
        assert_eq!(
            answers(Door::Exchange),
            answers(Door::WasiHttp),
            "{}",
            path.display()
        );
    }
}
