//! What is refused before the first request, and how it is said.

use edgelb_host::{ComponentError, Door, Edge, EdgeError};
use edgelb_tests::scene::Scene;

crate::both_doors!(
    every_error_is_named_at_once,
    what_is_no_component_is_refused
);

async fn every_error_is_named_at_once(door: Door) {
    let environment = [
        ("BACKEND_A", "ftp://a.test"),
        ("MAX_RETRIES", "many"),
        ("AFFINITY_KEY", "mood"),
        ("BACKEND_DOWNTIME", "1000"),
        ("STATUS_TOKEN", "\u{7f}secret value"),
    ];
    let refused = Scene::build(door, &environment, |edge| edge).err();
    let Some(EdgeError::Configuration(errors)) = refused else {
        panic!("a refused configuration in place of {refused:?}");
    };
    for (name, value) in environment {
        let named = errors.iter().any(|error| error.starts_with(name));
        assert!(named, "{name} is named in {errors:#?}");
        if name == "STATUS_TOKEN" {
            let told = errors.iter().any(|error| error.contains("secret value"));
            assert!(!told, "no secret is told: {errors:#?}");
        } else {
            let told = errors.iter().any(|error| error.contains(value));
            assert!(told || name == "BACKEND_DOWNTIME", "{value} in {errors:#?}");
        }
    }
}

async fn what_is_no_component_is_refused(door: Door) {
    for bytes in [&b""[..], b"not wasm", b"\0asm\x01\0\0\0"] {
        let refused = Edge::builder().door(door).component(bytes).build().err();
        assert!(
            matches!(
                refused,
                Some(EdgeError::Component(ComponentError::Compile(_)))
            ),
            "{refused:?}"
        );
    }
    let missing = "/nonexistent/component.wasm";
    let refused = Edge::builder().door(door).component_file(missing).build();
    let message = refused.err().unwrap().to_string();
    assert!(message.contains(missing), "{message}");
}

#[tokio::test]
async fn a_component_without_the_export_is_refused_by_name() {
    for (door, component, export) in [
        (
            Door::Exchange,
            edgelb_artifacts::EDGELB,
            "edgelb:balancer/exchange",
        ),
        (
            Door::WasiHttp,
            edgelb_artifacts::BALANCER,
            "wasi:http/handler",
        ),
    ] {
        let refused = Edge::builder().door(door).component(component).build();
        let message = refused.err().unwrap().to_string();
        assert!(message.contains(export), "{message}");
    }
}

#[tokio::test]
async fn the_effective_configuration_is_the_components_own() {
    let environment = [
        ("CONNECT_TIMEOUT", "1234"),
        ("SESSION_COOKIE_SECRET", "a secret of some length"),
    ];
    let scene = Scene::new(Door::Exchange, &environment);
    let configuration = scene.edge.configuration().unwrap();
    assert_eq!(configuration.connect_timeout, 1234);
    let names: Vec<_> = configuration.backends.iter().map(|it| &*it.name).collect();
    assert_eq!(names, ["A", "B", "C"]);
    let setting = |name| {
        let mut settings = configuration.settings.iter();
        settings.find(|setting| setting.name == name).unwrap()
    };
    assert_eq!(setting("CONNECT_TIMEOUT").value, "1234");
    assert!(!setting("CONNECT_TIMEOUT").default);
    assert!(setting("MAX_RETRIES").default);
    assert!(!setting("SESSION_COOKIE_SECRET").value.contains("secret"));
}

#[tokio::test(start_paused = true)]
async fn a_large_environment_is_not_read_in_a_requests_time() {
    let scene = Scene::build(Door::Exchange, &[], |edge| {
        edge.envs((0..5_000).map(|number| (format!("SERVICE_{number}_PORT"), "80".to_owned())))
    });
    let scene = scene.unwrap();
    assert_eq!(scene.another().get("/").await.status(), 200);
    assert_eq!(scene.get("/").await.status(), 200);
}
