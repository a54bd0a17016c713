//! Groups of clients: what one of them does, none of the others changes.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use edgelb_host::sim::{
    Backend, Birth, Clients, Latency, Location, Runtime, Simulation, SimulationBuilder,
};
use edgelb_host::{Body, Clock, Peer};
use http::{Request, Response};

use crate::native::Native;

/// All that clients sent, by the first segment of the path.
type Log = Arc<Mutex<BTreeMap<String, Vec<String>>>>;

/// Writes down every byte of what it is asked.
struct Witness {
    runtime: Arc<dyn Runtime>,
    clock: Arc<dyn Clock>,
    log: Log,
}

impl Runtime for Witness {
    fn fetch(
        &self,
        request: Request<Body>,
    ) -> Pin<Box<dyn Future<Output = Response<Body>> + Send + '_>> {
        let path = request.uri().path();
        let group = path.split('/').nth(1).unwrap().to_owned();
        let (now, peer) = (self.clock.now(), request.extensions().get::<Peer>());
        let line = format!(
            "{now} {peer:?} {} {path} {:?}",
            request.method(),
            request.headers()
        );
        self.log
            .lock()
            .unwrap()
            .entry(group)
            .or_default()
            .push(line);
        self.runtime.fetch(request)
    }
}

/// Two locations of two isolates, and three groups of which no two are alike.
fn three() -> SimulationBuilder {
    let clients = |name: &str| Clients {
        path: format!("/{name}/{{client}}"),
        ..Clients::at_rate(name, 5.0)
    };
    let location = |name: &str| Location {
        isolates: 2.try_into().unwrap(),
        latency: Latency::Uniform {
            min: Duration::from_millis(5),
            max: Duration::from_millis(50),
        },
        ..Location::new(name)
    };
    Simulation::builder()
        .duration(Duration::from_secs(120))
        .location(location("here"))
        .location(location("there"))
        .backend(Backend::new("A"))
        .backend(Backend::new("B"))
        .clients(clients("browsers"))
        .clients(Clients {
            cookies: false,
            methods: [("GET".to_owned(), 3), ("POST".to_owned(), 1)].into(),
            body: 100,
            ..clients("players")
        })
        .clients(Clients {
            rate: None,
            think: Some(Latency::Constant(Duration::from_secs(20))),
            addresses: Some(7.try_into().unwrap()),
            ..clients("readers")
        })
}

/// What the groups sent, of a scenario with these alone.
fn sent(groups: &[&str]) -> BTreeMap<String, Vec<String>> {
    let log = Log::default();
    let written = Arc::clone(&log);
    let environment = ["A", "B"].map(|name| {
        let backend = format!("http://{}.test", name.to_lowercase());
        (format!("BACKEND_{name}"), backend)
    });
    let simulation = three()
        .scenario(|it| it.clients.retain(|it| groups.contains(&it.name.as_str())))
        .runtime(move |birth: Birth| {
            Ok(Arc::new(Witness {
                clock: Arc::clone(&birth.clock),
                runtime: Native::start(birth, &environment),
                log: Arc::clone(&log),
            }))
        });
    assert_eq!(simulation.build().unwrap().run().unwrap().violations, []);
    let mut sent = std::mem::take(&mut *written.lock().unwrap());
    // Of one millisecond, any may come first.
    sent.values_mut().for_each(|lines| lines.sort());
    sent
}

#[test]
fn a_group_that_is_taken_out_leaves_the_others_as_they_were() {
    let groups = ["browsers", "players", "readers"];
    let all = sent(&groups);
    let carries = |group: &str, field: &str| all[group].iter().any(|it| it.contains(field));
    assert!(carries("browsers", "\"cookie\": ") && carries("readers", "\"cookie\": "));
    assert!(!carries("players", "\"cookie\": ") && carries("players", " POST "));
    for taken in groups {
        let mut left = all.clone();
        left.remove(taken);
        let names: Vec<_> = left.keys().map(String::as_str).collect();
        assert!(sent(&names) == left, "without {taken}");
    }
}
