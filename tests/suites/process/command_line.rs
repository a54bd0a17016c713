//! The command line itself, and `edgelb check`.

use edgelb_tests::HANDLER;
use edgelb_tests::backend::Backend;
use edgelb_tests::client;
use edgelb_tests::nginx::Directory;
use edgelb_tests::process::{Edgelb, Signal};
use edgelb_tests::script::Reply;

#[tokio::test]
async fn usage_errors_exit_with_2_and_name_what_is_wrong() {
    for (arguments, word) in [
        (&["serve", "--nonsense"][..], "--nonsense"),
        (&["serve", "--listen", "here"], "here"),
        (&["serve", "--listen", "8081"], "`127.0.0.1:8081`"),
        (&["demo", "--listen", ":8081"], "`0.0.0.0:8081`"),
        (&["serve", "--door", "back"], "back"),
        (&["serve", "--threads", "0"], "0"),
        (&["serve", "--max-connections", "0"], "0"),
        (&["serve", "--drain-timeout", "soon"], "soon"),
        (&["serve", "--log-format", "xml"], "xml"),
        (&["serve", "--component"], "--component"),
        (&["sim"], "<FILE>"),
        (&["sim", "x.toml", "--seeds", "5"], "`0..256`"),
        (&["dance"], "dance"),
    ] {
        let ended = Edgelb::default().args(arguments).run().await;
        assert_eq!(ended.status.code(), Some(2), "{arguments:?}");
        assert!(ended.stderr.contains(word), "{}", ended.stderr);
        assert_eq!(ended.stdout, "");
    }
}

#[tokio::test]
async fn help_names_every_flag() {
    let ended = Edgelb::default().args(["serve", "--help"]).run().await;
    assert!(ended.status.success());
    for flag in [
        "--listen",
        "--door",
        "--component",
        "--cache",
        "--env-file",
        "--upstream-ca",
        "--threads",
        "--max-connections",
        "--access-log",
        "--log-format",
        "--drain-timeout",
    ] {
        assert!(ended.stdout.contains(flag), "{flag} in {}", ended.stdout);
    }
}

#[tokio::test]
async fn check_shows_the_effective_configuration_without_secrets() {
    let ended = Edgelb::new("check")
        .env("BACKEND_CF", "a.example.com;weight=3;drain")
        .env("BACKEND_KOYEB", "http://b.example.com:8080")
        .env("SESSION_COOKIE_SECRET", "a secret of some length")
        .env("STATUS_TOKEN", "a-token-of-some-length")
        .env("MAX_RETRIES", "2")
        .run()
        .await;
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    let line = |name: &str| {
        let mut lines = ended.stdout.lines();
        let line = lines.find(|line| line.split_whitespace().next() == Some(name));
        line.unwrap_or_else(|| panic!("{name} in:\n{}", ended.stdout))
    };
    assert!(line("BACKEND_CF").contains("https://a.example.com;weight=3;drain"));
    assert!(line("BACKEND_KOYEB").contains("http://b.example.com:8080"));
    assert!(!line("MAX_RETRIES").contains("default"));
    assert!(line("REPLAY_LIMIT").ends_with("default"));
    for secret in ["secret of", "token-of"] {
        assert!(!ended.stdout.contains(secret), "{}", ended.stdout);
    }
}

#[tokio::test]
async fn a_file_gives_what_the_environment_does_not() {
    let directory = Directory::new();
    let file = directory.write(
        "x.env",
        "# comment\nexport MAX_RETRIES=2\nBACKEND_DOWN_TIME='5000'\n\nBACKEND_A=\"a.test\"\n",
    );
    let ended = Edgelb::new("check")
        .args(["--env-file", &file])
        .env("BACKEND_DOWN_TIME", "7000")
        .env("BACKEND_A", " ")
        .run()
        .await;
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    let words: Vec<Vec<_>> = ended
        .stdout
        .lines()
        .map(|line| line.split_whitespace().take(2).collect())
        .collect();
    for expected in [
        ["MAX_RETRIES", "2"],
        ["BACKEND_DOWN_TIME", "7000"],
        ["BACKEND_A", "https://a.test"],
    ] {
        assert!(
            words.iter().any(|line| *line == expected),
            "{}",
            ended.stdout
        );
    }
}

#[tokio::test]
async fn a_file_alone_is_enough_to_serve() {
    let backend = Backend::start(|_| Reply::ok("from a file"));
    let directory = Directory::new();
    let file = directory.write("x.env", format!("BACKEND_A={}\n", backend.url()));
    let edgelb = Edgelb::serve().args(["--env-file", &file]).start().await;
    let response = client::get(edgelb.address, "/").await;
    assert_eq!(response.text(), "from a file");
}

#[tokio::test]
async fn any_component_can_be_served_by_the_standard_door() {
    let directory = Directory::new();
    let hints = "HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n";
    let reply = Reply::raw(hints).followed_by(Reply::ok("from the origin"));
    let backend = Backend::start(move |_| reply.clone());
    let mut edgelb = Edgelb::serve()
        .args(["--door", "wasi-http", "--component"])
        .arg(directory.write("handler.wasm", HANDLER))
        .env("ORIGIN", backend.authority())
        .start()
        .await;
    for count in ["1", "2"] {
        assert_eq!(client::get(edgelb.address, "/count").await.text(), count);
    }
    let through = client::get(edgelb.address, "/").await;
    assert_eq!(through.text(), "from the origin");
    // Whom it asks and why is its own affair, and so are their hints.
    assert!(through.interim.is_empty(), "{through:?}");
    assert_eq!(client::get(edgelb.address, "/trap").await.status(), 502);
    assert_eq!(client::get(edgelb.address, "/count").await.text(), "1");
    edgelb.process.signal(Signal::TERM);
    let ended = edgelb.process.ended().await;
    assert_eq!(ended.status.code(), Some(0));
    assert!(ended.stderr.contains("instance lost"), "{}", ended.stderr);
}

/// By the standard door nothing is shared between threads, so that one of them
/// is the default, and more are said to be of several minds.
#[tokio::test]
async fn several_threads_of_several_minds_are_asked_for_and_told_of() {
    const NOTE: &str = "each has its own view of the backends' health";
    for (door, threads, told) in [
        ("wasi-http", None, false),
        ("wasi-http", Some("1"), false),
        ("wasi-http", Some("3"), true),
        ("exchange", Some("3"), false),
    ] {
        let mut edgelb = Edgelb::serve().args(["--door", door]);
        if let Some(threads) = threads {
            edgelb = edgelb.args(["--threads", threads]);
        }
        let edgelb = edgelb.env("BACKEND_A", "http://127.0.0.1:9").start().await;
        let said = edgelb.process.stderr_so_far();
        let note = said.find(NOTE);
        assert_eq!(note.is_some(), told, "{door} {threads:?}: {said}");
        assert!(note < said.find("listening on "), "{said}");
    }
}
