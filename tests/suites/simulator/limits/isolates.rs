//! What an isolate is granted, and what is left of it.

use std::time::Duration;

use edgelb_host::sim::{
    Backend, Clients, Entry, Fault, FaultKind, Limits, Preset, SimulationBuilder,
};

use super::{FREE, ask, exceeded, faulty, get, handler, lawful, simulation};

const PAGE: usize = 64 << 10;

fn is_lost(entries: &[Entry]) -> bool {
    entries
        .iter()
        .any(|entry| matches!(entry, Entry::Lost { .. }))
}

/// The least of a limit that is not exceeded, between what is too little and
/// what is enough.
async fn least(mut little: u64, mut enough: u64, is_enough: impl AsyncFn(u64) -> bool) -> u64 {
    assert!(!is_enough(little).await && is_enough(enough).await);
    while enough - little > 1 {
        let middle = little + (enough - little) / 2;
        if is_enough(middle).await {
            enough = middle;
        } else {
            little = middle;
        }
    }
    enough
}

#[tokio::test(start_paused = true)]
async fn a_request_has_the_processor_for_so_long_and_no_longer() {
    let with = |nanos| {
        simulation(Limits {
            cpu_time: Some(Duration::from_nanos(nanos)),
            ..FREE
        })
    };
    let needed = least(0, 10_000_000, async |nanos| {
        ask(with(nanos), get("/")).await.0.status() == 200
    })
    .await;
    // Far from the ten milliseconds of the free plan, and from nothing.
    assert!((1_000..1_000_000).contains(&needed), "{needed}");

    let running = with(needed - 1).build().unwrap().start();
    let response = running.fetch(get("/")).await.unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(response.body(), "error code: 1102");
    let entries = lawful(running).await;
    assert_eq!(exceeded(&entries), ["cpu-time"]);
    assert!(is_lost(&entries));
}

/// In which processor time is looked for.
fn units(count: u64) -> Duration {
    Duration::from_micros(20 * count)
}

/// Processor time that the handler needs to answer a request for this, in [`units`].
async fn needs(target: &str) -> u64 {
    let is_enough = async |count| {
        let limits = Limits {
            cpu_time: Some(units(count)),
            ..FREE
        };
        let running = handler(limits).build().unwrap().start();
        running
            .fetch(get(target))
            .await
            .is_ok_and(|it| it.status() == 200)
    };
    least(0, 256, is_enough).await
}

#[tokio::test(start_paused = true)]
async fn what_a_request_takes_adds_up_over_the_turns_of_its_guest() {
    for target in ["/toil", "/toil-on"] {
        let once = needs(&format!("{target}/1")).await;
        let often = needs(&format!("{target}/4")).await;
        assert!(once > 10, "{target}: {once}");
        assert!(
            (3 * once..5 * once).contains(&often),
            "{target}: {once}, {often}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn whose_limit_it_is_is_who_exceeded_it() {
    let limits = Limits {
        cpu_time: Some(units(needs("/toil/4").await)),
        ..FREE
    };
    for target in ["/toil/6", "/toil-on/6"] {
        let running = handler(limits).build().unwrap().start();
        // All by one instance, all of whose turns together exceed the limit.
        let (guilty, one, other) = tokio::join!(
            running.fetch(get(target)),
            running.fetch(get("/toil/3")),
            running.fetch(get("/toil/3")),
        );
        match guilty {
            Ok(response) => assert_eq!(response.body(), "error code: 1102"),
            // Its head had left before.
            Err(_) => assert_eq!(target, "/toil-on/6"),
        }
        assert_eq!([one, other].map(|it| it.unwrap().status()), [200, 200]);
        assert_eq!(running.fetch(get("/count")).await.unwrap().body(), "1");
        let entries = lawful(running).await;
        assert_eq!(exceeded(&entries), ["cpu-time"], "{target}");
        assert!(is_lost(&entries));
        // And the isolate is gone with it, whenever that was.
        let gone = |entry: &&Entry| matches!(entry, Entry::Evicted { .. });
        assert_eq!(entries.iter().filter(gone).count(), 1, "{target}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_guest_that_never_returns_is_ended() {
    // By the platform, or where that sets no limit, by what serves it.
    let table = [
        (Preset::CloudflareFree, 503, ["cpu-time"].as_slice()),
        (Preset::None, 502, &[]),
        (Preset::Spin, 502, &[]),
    ];
    for (preset, status, limits) in table {
        let limited = || Limits::from(preset);
        let guests = [
            (faulty(limited()), "/spin-begin"),
            (handler(limited()), "/spin"),
        ];
        for (simulation, target) in guests {
            let running = simulation.build().unwrap().start();
            let response = running.fetch(get(target)).await.unwrap();
            assert_eq!(response.status().as_u16(), status, "{preset:?} {target}");
            // Another instance serves the next.
            let response = running.fetch(get("/")).await.unwrap();
            assert_eq!(response.status(), 200, "{preset:?} {target}");
            let entries = lawful(running).await;
            assert_eq!(exceeded(&entries), limits, "{preset:?} {target}");
            assert!(is_lost(&entries), "{preset:?} {target}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn memory_ends_at_a_page() {
    let with_faults: fn(Limits) -> SimulationBuilder = faulty;
    for (target, guest) in [("/hog-begin", with_faults), ("/hog", handler)] {
        let mut least_too_much = Vec::new();
        for pages in [256, 257] {
            let memory = Some(pages * PAGE);
            let simulation = guest(Limits { memory, ..FREE }).build().unwrap();
            let hog = async |bytes: u64| {
                let running = simulation.start();
                let response = running.fetch(get(&format!("{target}/{bytes}"))).await;
                (response.unwrap(), exceeded(&lawful(running).await))
            };
            let most = (pages * PAGE) as u64;
            let too_much = least(0, most, async |bytes| hog(bytes).await.0.status() == 503).await;
            let (response, exceeded) = hog(too_much).await;
            assert_eq!(response.body(), "error code: 1102", "{target}");
            assert_eq!(exceeded, ["memory"], "{target}");
            let (response, exceeded) = hog(too_much - 1).await;
            assert_eq!(
                (response.status().as_u16(), exceeded.len()),
                (200, 0),
                "{target}"
            );
            least_too_much.push(too_much);
        }
        // A page more is a page more.
        assert_eq!(
            least_too_much[1] - least_too_much[0],
            PAGE as u64,
            "{target}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn memory_is_the_isolates_and_not_the_requests() {
    let running = faulty(FREE).build().unwrap().start();
    let mut statuses = Vec::new();
    for _ in 0..5 {
        let hog = get(&format!("/hog-begin/{}", 40 << 20));
        statuses.push(running.fetch(hog).await.unwrap().status().as_u16());
    }
    // The fourth is too much for what three left, and leaves a fresh isolate.
    assert_eq!(statuses, [200, 200, 200, 503, 200]);
    lawful(running).await;
}

#[tokio::test(start_paused = true)]
async fn what_takes_the_isolate_along_takes_what_it_knew() {
    let hog = format!("/hog-begin/{}", 200 << 20);
    let table = [
        // The instance traps; what surrounds it lives on, and tells the next.
        (Preset::CloudflareFree, "/trap-begin", 1),
        (Preset::CloudflareFree, "/spin-begin", 2),
        (Preset::CloudflarePaid, &hog, 2),
        // These limits are of no such platform.
        (Preset::None, "/spin-begin", 1),
    ];
    for (preset, loss, ejections) in table {
        let limits = Limits {
            cpu_time: Some(Duration::from_millis(10)),
            ..Limits::from(preset)
        };
        let running = faulty(limits)
            .backend(Backend::new("B"))
            // All requests go to A first.
            .env("BACKEND_A", "http://a.test;weight=1000")
            .fault(Fault::new(FaultKind::Down, "A"))
            .build()
            .unwrap()
            .start();
        for target in ["/", loss, "/"] {
            running.fetch(get(target)).await.unwrap();
        }
        let entries = lawful(running).await;
        let count = |is: fn(&Entry) -> bool| entries.iter().filter(|entry| is(entry)).count();
        let ejected = count(|entry| matches!(entry, Entry::Ejected { .. }));
        let started = count(|entry| matches!(entry, Entry::Started { .. }));
        let evicted = count(|entry| matches!(entry, Entry::Evicted { .. }));
        assert!(is_lost(&entries), "{preset:?} {loss}");
        assert_eq!(ejected, ejections, "{preset:?} {loss}");
        assert_eq!(
            (started, evicted),
            (ejections, ejections - 1),
            "{preset:?} {loss}"
        );
    }
}

#[test]
fn equal_seeds_exceed_equally() {
    let limits = Limits {
        cpu_time: Some(Duration::from_micros(150)),
        memory: Some(3 << 20),
        ..FREE
    };
    let clients = |path: &str| Clients {
        path: path.to_owned(),
        ..Clients::at_rate(path, 5.0)
    };
    let simulation = faulty(limits)
        .backend(Backend::new("B"))
        .clients(clients("/"))
        .clients(clients("/spin-begin"))
        .clients(clients("/hog-begin/300000"))
        .build()
        .unwrap();
    let first = simulation.run_seed(7).unwrap();
    assert_eq!(first.violations, []);
    let exceeded = exceeded(&first.trace.entries);
    assert!(exceeded.contains(&"cpu-time") && exceeded.contains(&"memory"));
    let again = std::thread::spawn(move || simulation.run_seed(7).unwrap());
    assert_eq!(
        again.join().unwrap().trace.to_jsonl(),
        first.trace.to_jsonl()
    );
}
