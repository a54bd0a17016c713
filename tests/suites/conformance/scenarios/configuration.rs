//! A configuration that is no configuration.

use edgelb_tests::client;

use super::scenarios;
use crate::runtime::{Environment, Refusal, Runtime};

scenarios!("Configuration":
    every_error_is_named_and_no_secret_told,
    no_backend_is_an_error,
);

const SECRET: &str = "not to be told";

async fn every_error_is_named_and_no_secret_told(runtime: &'static Runtime) {
    let environment = [
        ("BACKEND_A", "ftp://a.test"),
        ("MAX_RETRIES", "many"),
        ("AFFINITY_KEY", "mood"),
        ("TRUSTED_PROXIES", "10.0.0.0/33"),
        ("SESION_COOKIE_TTL", "60"),
        ("SESSION_COOKIE_SECRET", "short"),
        ("STATUS_TOKEN", SECRET),
    ];
    let environment: Environment = environment
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let names: Vec<_> = environment.iter().map(|(name, _)| &**name).collect();
    is_refused(runtime, &environment, &names).await;
}

async fn no_backend_is_an_error(runtime: &'static Runtime) {
    is_refused(runtime, &Environment::new(), &["BACKEND_<NAME>"]).await;
}

/// And why is in the log, each word of it.
async fn is_refused(runtime: &'static Runtime, environment: &Environment, words: &[&str]) {
    let said = match runtime.refusal {
        Refusal::ToStart => {
            let ended = runtime.try_start(environment).ended().await;
            assert_eq!(ended.status.code(), Some(1), "{ended:?}");
            ended.stderr
        }
        Refusal::OfRequests => {
            let mut balancer = runtime.launch(environment).await;
            for _ in 0..2 {
                let response = client::get(balancer.address, "/").await;
                assert_eq!(response.status(), 500);
                assert!(response.body.len() < 200, "{response:?}");
                for told in ["BACKEND", "ftp", "many", SECRET] {
                    assert!(!response.text().contains(told), "{response:?}");
                }
            }
            let health = client::get(balancer.address, "/.well-known/edgelb/health").await;
            assert_eq!(health.status(), 500, "nobody is to send traffic here");
            for word in words {
                balancer.process.either(|line| line.contains(word)).await;
            }
            balancer.process.so_far()
        }
    };
    for word in words {
        assert!(said.contains(word), "`{word}` in:\n{said}");
    }
    assert!(!said.contains(SECRET), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}
