//! Recordings played again, through the library.

mod backends;
mod clients;

use edgelb_host::Door;
use edgelb_host::sim::{Backend, Recording, Run, Simulation};
use serde_json::{Value, json};

/// A recording of two backends with this environment.
fn recording(
    environment: &[(&str, &str)],
    exchanges: impl IntoIterator<Item = Value>,
) -> Recording {
    let simulation = Simulation::builder()
        .backend(Backend::new("A"))
        .backend(Backend::new("B"))
        .scenario(|scenario| {
            let variables = environment.iter();
            let variables = variables.map(|(name, value)| ((*name).into(), (*value).into()));
            scenario.environment.extend(variables);
        })
        .build()
        .unwrap();
    let settings = simulation.configuration().unwrap().settings.iter();
    let settings =
        settings.map(|it| json!({"name": it.name, "value": it.value, "default": it.default}));
    let header = json!({
        "line": "recording",
        "version": 2,
        "time": "2026-11-22T10:00:00.000Z",
        "backends": [
            {"name": "A", "origin": "http://a.test"},
            {"name": "B", "origin": "http://b.test"},
        ],
        "settings": settings.collect::<Vec<_>>(),
    });
    let lines = exchanges.into_iter().enumerate().map(|(index, exchange)| {
        let mut line = json!({
            "line": "exchange", "request": index, "client": "c", "method": "GET",
            "host": "edge.test", "target": "/", "fields": [], "end": "whole",
        });
        let line = line.as_object_mut().unwrap();
        line.extend(exchange.as_object().unwrap().clone());
        format!("{}\n", Value::from(line.clone()))
    });
    let text = format!("{header}\n{}", lines.collect::<String>());
    text.parse().unwrap()
}

/// An exchange that one backend answers.
fn answered(at: u64, backend: &str) -> Value {
    json!({
        "at": at, "status": 200, "head": 20, "ended": 21,
        "attempts": [{"backend": backend, "at": 0, "ended": 20, "status": 200}],
    })
}

fn with(mut exchange: Value, more: Value) -> Value {
    let fields = exchange.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    exchange
}

fn run(recording: Recording, door: Door) -> Run {
    let simulation = Simulation::replay(recording).door(door).build().unwrap();
    let run = simulation.run().unwrap();
    assert_eq!(run.violations, []);
    let again = simulation.run().unwrap();
    assert_eq!(run.trace.to_jsonl(), again.trace.to_jsonl());
    run
}
