//! Platforms' limits: each exceeded, and each reached without being exceeded.

use std::time::Duration;

use bytes::Bytes;
use edgelb_host::Door;
use edgelb_host::sim::{
    Backend, Clients, Entry, Latency, Limits, Preset, Scenario, Share, Simulation,
    SimulationBuilder,
};
use edgelb_tests::{FAULTY, HANDLER};
use http::{Request, Response};

const FREE: Limits = Preset::CloudflareFree.limits();
const PAGE: usize = 64 << 10;

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
    (response, exceeded(&running.trace().entries))
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
async fn what_a_request_may_be_is_counted_to_the_byte() {
    let target = |length: usize| format!("/{}", "a".repeat(length - "http://edge.test/".len()));
    let field = |length: usize| {
        // What it has besides: a host, and the number that a simulated request carries.
        let others = "host: edge.test\r\nx-request-id: 4611686018427387904\r\nx: \r\n".len();
        let mut request = get("/");
        let value = "a".repeat(length - others).parse().unwrap();
        request.headers_mut().insert("x", value);
        request
    };
    let table = [
        (get(&target(16 << 10)), 200, None),
        (get(&target((16 << 10) + 1)), 414, Some("url-size")),
        (field(128 << 10), 200, None),
        (field((128 << 10) + 1), 431, Some("request-header-size")),
    ];
    for (request, status, limit) in table {
        let (response, exceeded) = ask(simulation(FREE), request).await;
        assert_eq!(
            (response.status().as_u16(), exceeded.as_slice()),
            (status, limit.as_slice())
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_response_with_too_many_fields_is_an_unknown_one() {
    let with = |size| {
        simulation(Limits {
            response_header_size: Some(size),
            ..FREE
        })
    };
    let (response, _) = ask(with(128 << 10), get("/")).await;
    let fields = response.headers().iter();
    let size = fields.map(|(name, value)| format!("{name}: \r\n").len() + value.len());
    let size = size.sum();
    assert_eq!(ask(with(size), get("/")).await.0.status(), 200);
    let (response, exceeded) = ask(with(size - 1), get("/")).await;
    assert_eq!(response.status().as_u16(), 520);
    assert_eq!(exceeded, ["response-header-size"]);
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
    let trace = running.trace();
    assert_eq!(exceeded(&trace.entries), ["cpu-time"]);
    assert!(is_lost(&trace.entries));
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
        let trace = running.trace();
        assert_eq!(exceeded(&trace.entries), ["cpu-time"], "{target}");
        assert!(is_lost(&trace.entries));
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
            let trace = running.trace();
            assert_eq!(exceeded(&trace.entries), limits, "{preset:?} {target}");
            assert!(is_lost(&trace.entries), "{preset:?} {target}");
            // Another instance serves the next.
            let response = running.fetch(get("/")).await.unwrap();
            assert_eq!(response.status(), 200, "{preset:?} {target}");
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
                (response.unwrap(), exceeded(&running.trace().entries))
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
}

#[tokio::test(start_paused = true)]
async fn so_many_subrequests_are_sent_and_the_next_is_not() {
    for (subrequests, limits) in [(4, [].as_slice()), (3, &["subrequests"])] {
        let limits_of = Limits {
            subrequests: Some(subrequests),
            ..FREE
        };
        // Each is refused by another backend, so the component asks four of them.
        let mut simulation = simulation(limits_of).env("MAX_RETRIES", "3");
        for name in ["B", "C", "D", "E"] {
            simulation = simulation.backend(Backend::new(name));
        }
        let down = |it: &mut Scenario| {
            for backend in &mut it.backends {
                backend.error_rate = Share::ALL;
            }
        };
        let running = simulation.scenario(down).build().unwrap().start();
        let response = running.fetch(get("/")).await.unwrap();
        assert!(response.status().is_server_error());
        assert_eq!(exceeded(&running.trace().entries), limits);
        let received: usize = ["A", "B", "C", "D", "E"]
            .map(|name| running.requests(name).len())
            .iter()
            .sum();
        assert_eq!(received, subrequests);
    }
}

#[tokio::test(start_paused = true)]
async fn subrequests_are_counted_for_guests_that_say_nothing_of_them() {
    for (asked, answered) in [(50, "50"), (51, "50")] {
        let (response, exceeded) = ask(handler(FREE), get(&format!("/fan/{asked}"))).await;
        assert_eq!(response.body(), answered);
        assert_eq!(exceeded.len(), asked - 50);
    }
}

#[tokio::test(start_paused = true)]
async fn the_seventh_connection_waits_for_one_of_six() {
    // Bodies take a second each, and are not waited for.
    let slow = |it: &mut Scenario| {
        for backend in &mut it.backends {
            backend.transfer = Latency::Constant(Duration::from_secs(1));
        }
    };
    for (asked, millis) in [(6, 10), (7, 20), (12, 20), (13, 30)] {
        let running = handler(FREE).scenario(slow).build().unwrap().start();
        let response = running.fetch(get(&format!("/fan/{asked}"))).await.unwrap();
        assert_eq!(response.body(), &asked.to_string());
        assert_eq!(running.elapsed().as_millis(), millis, "{asked}");
        assert_eq!(exceeded(&running.trace().entries), [""; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_has_so_much_time_and_no_more() {
    let with = |millis, transfer| {
        let limits = Limits {
            wall_time: Some(Duration::from_millis(millis)),
            ..Limits::default()
        };
        let slow = move |it: &mut Scenario| {
            it.backends[0].transfer = Latency::Constant(Duration::from_millis(transfer));
        };
        simulation(limits).scenario(slow)
    };
    let (response, exceeded) = ask(with(10, 0), get("/")).await;
    assert_eq!((response.status().as_u16(), exceeded.len()), (200, 0));
    let (response, exceeded) = ask(with(9, 0), get("/")).await;
    assert_eq!(
        (response.status().as_u16(), exceeded.as_slice()),
        (504, ["wall-time"].as_slice())
    );

    let (response, exceeded) = ask(with(1010, 1000), get("/")).await;
    assert_eq!((response.body().len(), exceeded.len()), (64, 0));
    let running = with(1009, 1000).build().unwrap().start();
    assert!(running.fetch(get("/")).await.is_err());
    assert_eq!(self::exceeded(&running.trace().entries), ["wall-time"]);
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
    let exceeded = exceeded(&first.trace.entries);
    assert!(exceeded.contains(&"cpu-time") && exceeded.contains(&"memory"));
    let again = std::thread::spawn(move || simulation.run_seed(7).unwrap());
    assert_eq!(
        again.join().unwrap().trace.to_jsonl(),
        first.trace.to_jsonl()
    );
}
