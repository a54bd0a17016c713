//! What one request is granted.

use std::time::Duration;

use edgelb_host::sim::{Backend, Latency, Limits, Scenario, Share};

use super::{FREE, ask, exceeded, get, handler, lawful, simulation};

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
        let received: usize = ["A", "B", "C", "D", "E"]
            .map(|name| running.requests(name).len())
            .iter()
            .sum();
        assert_eq!(received, subrequests);
        assert_eq!(exceeded(&lawful(running).await), limits);
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
        assert_eq!(exceeded(&lawful(running).await), [""; 0]);
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
    assert_eq!(self::exceeded(&lawful(running).await), ["wall-time"]);
}
