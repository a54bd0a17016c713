//! What is read, and what is refused.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

const HEADER: &str = r#"{"line":"recording","version":2,"time":"2026-11-22T10:00:00.000Z","backends":[],"settings":[]}"#;

fn exchange(request: u64, at: u64) -> String {
    format!(
        r#"{{"line":"exchange","request":{request},"at":{at},"client":"c","method":"GET","target":"/","fields":[],"attempts":[],"status":200,"head":1,"ended":1,"end":"whole"}}"#
    )
}

/// An exchange with one attempt.
fn attempted(members: &str) -> String {
    let attempts = format!(r#""attempts":[{{"backend":"A",{members}}}]"#);
    exchange(0, 1).replace(r#""attempts":[]"#, &attempts)
}

#[test]
fn exchanges_come_in_the_order_in_which_they_were_made() {
    let text = format!("{HEADER}\n{}\n{}\n", exchange(1, 20), exchange(0, 10));
    let recording: Recording = text.parse().unwrap();
    let requests: Vec<_> = recording.exchanges.iter().map(|it| it.request).collect();
    assert_eq!(requests, [0, 1]);
}

#[test]
fn times_count_from_the_first_request() {
    let day = 86_400_000;
    let lines = [exchange(8, day + 20), exchange(7, day + 10)];
    let recording: Recording = format!("{HEADER}\n{}\n{}\n", lines[0], lines[1])
        .parse()
        .unwrap();
    let times: Vec<_> = recording.exchanges.iter().map(|it| it.at).collect();
    assert_eq!(times, [0, 10]);
    assert_eq!(recording.span(), Duration::from_millis(10));
    let began = humantime::format_rfc3339_millis(UNIX_EPOCH + recording.began);
    assert_eq!(began.to_string(), "2026-11-23T10:00:00.010Z");
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    let one = exchange(0, 1);
    let many = format!("[{}]", [r#"{"name":"a","value":"b"}"#; 1001].join(","));
    let table = [
        (
            HEADER.replace("\"version\":2", "\"version\":1"),
            "line 1: version: `1` is not the format this reads; expected 2",
        ),
        (HEADER.replace("2026-", "x"), "line 1: time: `x"),
        (
            format!("{HEADER}\nnonsense\n{one}\n"),
            "line 2: expected ident",
        ),
        (
            format!("{HEADER}\n{}\n{one}", one.replace("\"at\":1,", "")),
            "line 2: missing field `at`",
        ),
        (
            format!(
                "{HEADER}\n{}\n",
                one.replace("\"at\":1", "\"at\":18446744073709551615")
            ),
            "line 2: at: `18446744073709551615` is too long",
        ),
        (
            format!(
                "{HEADER}\n{}\n",
                one.replace("\"ended\":1", "\"ended\":3162240000000")
            ),
            "line 2: ended: `3162240000000` is too long; expected milliseconds",
        ),
        (
            format!("{HEADER}\n{}\n", one.replace("200", "1000")),
            "line 2: status: `1000` is no status code; expected 100 to 999",
        ),
        (
            format!("{HEADER}\n{}\n", attempted(r#""at":0,"status":99"#)),
            "line 2: attempts: status: `99` is no status code",
        ),
        (
            format!("{HEADER}\n{}\n", attempted(r#""at":3162240000000"#)),
            "line 2: attempts: at: `3162240000000` is too long",
        ),
        (
            format!("{HEADER}\n{}\n", attempted(r#""at":0,"failure":"no""#)),
            "line 2: attempts: failure: `no` is no Proxy-Status",
        ),
        (
            format!("{HEADER}\n{}\n", one.replacen("[]", &many, 1)),
            "line 2: fields: there are 1001; expected 1000 at most",
        ),
        (
            format!(
                "{HEADER}\n{}\n",
                attempted(&format!(r#""at":0,"fields":{many}"#))
            ),
            "line 2: attempts: fields: there are 1001",
        ),
        (
            format!("{HEADER}\n{one}\n{}\n", one.replace("GET", "G T")),
            "line 3: method: `G T`",
        ),
        (
            format!(
                "{HEADER}\n{}",
                HEADER.replace(
                    "\"settings\":[]",
                    "\"settings\":[{\"name\":\"A\",\"value\":\"\"}]"
                )
            ),
            "line 2: a recording with another configuration",
        ),
    ];
    for (text, expected) in table {
        let error = text.parse::<Recording>().unwrap_err().to_string();
        assert!(error.starts_with(expected), "{expected}: {error}");
    }
}

#[test]
fn what_is_no_recording_is_said_to_be_none() {
    let table = [
        ("", "it is empty"),
        ("\n\n", "it is empty"),
        (
            "\nname = \"a scenario\"\n",
            "line 2 is not JSON: expected ident",
        ),
        ("\u{1f}\u{8b}", "line 1 is not JSON: expected value"),
        (
            "{\"time\":1}\n",
            "line 1 is not its header: missing field `line`",
        ),
        ("[1]\n", "line 1 is not its header: "),
        (
            r#"{"line":"lost","exchanges":1}"#,
            "line 1 is one that comes after its header",
        ),
        (&exchange(0, 1), "line 1 is one that comes after its header"),
    ];
    for (text, reason) in table {
        let error = text.parse::<Recording>().unwrap_err().to_string();
        let expected = format!("is no recording, as `edgelb serve --record` writes it: {reason}");
        assert!(error.starts_with(&expected), "{text}: {error}");
    }
}

#[test]
fn what_is_required_is_said_if_it_is_missing() {
    const EXCHANGE: &str = r#"{"line":"exchange","request":0,"at":1,"client":"c","method":"GET","target":"/","ended":1,"end":"whole","body":{},"attempts":[{"at":0}]}"#;
    let text = format!(
        "{}\n{EXCHANGE}\n",
        HEADER.replace(r#","backends":[],"settings":[]"#, "")
    );
    assert_eq!(text.parse::<Recording>().unwrap().requests(), 1);
    for (member, name) in [
        (r#""request":0,"#, "request"),
        (r#""at":1,"#, "at"),
        (r#""client":"c","#, "client"),
        (r#""method":"GET","#, "method"),
        (r#""target":"/","#, "target"),
        (r#""ended":1,"#, "ended"),
        (r#""end":"whole","#, "end"),
        (r#""at":0"#, "at"),
    ] {
        let without = format!("{HEADER}\n{}\n", EXCHANGE.replacen(member, "", 1));
        let error = without.parse::<Recording>().unwrap_err().to_string();
        let expected = format!("line 2: missing field `{name}`");
        assert!(error.starts_with(&expected), "{member}: {error}");
    }
}

#[test]
fn what_a_crash_cut_off_is_left_out() {
    let one = exchange(0, 1);
    let cut = &one[..40];
    let recording: Recording = format!("{HEADER}\n{one}\n{cut}").parse().unwrap();
    assert_eq!((recording.requests(), recording.cut_off()), (1, &[3][..]));
    let later = HEADER.replace("10:00:00", "10:00:05");
    let restarted = format!("{HEADER}\n{one}\n{cut}\n{later}\n{one}\n");
    let recording: Recording = restarted.parse().unwrap();
    assert_eq!((recording.requests(), recording.cut_off()), (2, &[3][..]));
    assert_eq!(recording.exchanges[1].at, 5000);
}

#[test]
fn what_was_lost_is_counted() {
    let lost = r#"{"line":"lost","exchanges":7}"#;
    let recording: Recording = format!("{HEADER}\n{lost}\n").parse().unwrap();
    assert_eq!(recording.lost(), 7);
    let most = lost.replace('7', &u64::MAX.to_string());
    let recording: Recording = format!("{HEADER}\n{lost}\n{most}\n").parse().unwrap();
    assert_eq!(recording.lost(), u64::MAX);
}
