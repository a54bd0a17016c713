//! What people see first: `edgelb demo`, and `edgelb` without a command.

use edgelb_tests::client;
use edgelb_tests::process::Edgelb;

/// The addresses in what the demo says to try.
fn switch(hint: &str) -> std::net::SocketAddr {
    let url = hint.split("http://").nth(1).unwrap();
    url.split('/').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_stopped_backend_is_passed_over_and_taken_back() {
    let mut demo = Edgelb::new("demo")
        .args(["--listen", "127.0.0.1:0"])
        .start()
        .await;
    let hint = demo.process.stderr(|line| line.contains("/stop/")).await;
    let switch = switch(&hint);
    let first = client::get(demo.address, "/").await;
    assert_eq!(first.status(), 200);
    let home = first.text().trim_end().rsplit(' ').next().unwrap();
    for _ in 0..3 {
        assert_eq!(client::get(demo.address, "/").await.text(), first.text());
    }
    let stop = client::ask(switch, "POST", &format!("/stop/{home}"), "").await;
    assert_eq!(stop.status(), 200);
    let other = client::get(demo.address, "/").await;
    assert_eq!(other.status(), 200);
    assert_ne!(other.text(), first.text());
    let name = home.to_ascii_uppercase();
    let ejected =
        |line: &str| line.contains(&format!(" backend {name} (")) && line.contains("refused");
    demo.process.stderr(ejected).await;
    let start = client::ask(switch, "POST", &format!("/start/{home}"), "").await;
    assert_eq!(start.status(), 200);
    assert_eq!(client::get(demo.address, "/").await.status(), 200);
}

#[tokio::test]
async fn without_a_command_any_variable_of_ours_means_to_serve() {
    for (name, value, error) in [
        ("BACKENDS_CF", "a.test", "`BACKEND_CF`"),
        ("MAX_RETRIES", "3", "BACKEND_<NAME>: none is set"),
        ("BACKEND_A", "ftp://a.test", "`ftp`"),
    ] {
        let ended = Edgelb::default().env(name, value).run().await;
        assert_eq!(ended.status.code(), Some(1), "{name}: {ended:?}");
        assert!(ended.stderr.contains(error), "{}", ended.stderr);
    }
}
