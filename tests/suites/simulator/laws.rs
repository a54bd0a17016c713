//! A component that breaks a law is found out, and the smallest scenario that
//! shows it.

use std::time::Duration;

use edgelb_host::sim::{Clients, FaultKind, Law, Scenario, Simulation, Sweep, shrink};

/// More than is needed to break anything.
const CROWDED: &str = r#"
duration = "5m"

[[location]]
name = "here"
isolates = 3

[[location]]
name = "there"

[[backend]]
name = "A"

[[backend]]
name = "B"

[[clients]]
name = "readers"
rate = 10.0

[[clients]]
name = "writers"
rate = 2.0
path = "/deliver-twice"
methods = { POST = 1 }

[[fault]]
kind = "down"
backend = "B"
at = "1m"
for = "20s"

[[fault]]
kind = "reset"
backend = "A"
at = "2m"
for = "1m"
share = 0.2

[[fault]]
kind = "slow"
backend = "B"
at = "3m"
for = "1m"
"#;

fn faulty() -> Vec<u8> {
    edgelb_tests::FAULTY.to_vec()
}

fn crowded(component: Option<Vec<u8>>) -> Simulation {
    let scenario: Scenario = CROWDED.parse().unwrap();
    let simulation = Simulation::of(scenario);
    let simulation = match component {
        Some(bytes) => simulation.component(bytes),
        None => simulation,
    };
    simulation.build().unwrap()
}

#[test]
fn the_component_that_ships_breaks_none() {
    let sweep = Sweep {
        seeds: 0..4,
        threads: 2,
    };
    let swept = sweep.run(&crowded(None), |_| {}).unwrap();
    assert_eq!(swept.passed, 4);
    assert!(swept.failed.is_none());
}

#[test]
fn a_post_delivered_twice_is_found_and_shrunk_to_what_it_takes() {
    let simulation = crowded(Some(faulty()));
    let sweep = Sweep {
        seeds: 0..64,
        threads: 2,
    };
    let swept = sweep.run(&simulation, |_| {}).unwrap();
    let run = swept.failed.unwrap();
    let violation = run.violations.first().unwrap();
    assert_eq!(violation.law, Law::DeliveredOnce);
    assert!(
        violation.to_string().contains("a POST was sent again"),
        "{violation}"
    );

    let smallest = shrink(&simulation, run.seed, violation.law, 300).unwrap();
    let names = |clients: &[Clients]| clients.iter().map(|it| it.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&smallest.clients), ["writers"]);
    assert_eq!(smallest.locations.len(), 1);
    assert_eq!(smallest.faults.len(), 1);
    assert!(matches!(
        smallest.faults[0].kind,
        FaultKind::Reset | FaultKind::Down
    ));
    assert!(smallest.duration < Duration::from_secs(300));

    // It is a file that shows the same.
    let again: Scenario = smallest.to_string().parse().unwrap();
    let again = Simulation::of(again).component(faulty()).build().unwrap();
    let again = again.run().unwrap();
    assert!(
        again
            .violations
            .iter()
            .any(|it| it.law == Law::DeliveredOnce)
    );
}
