//! The documents keep their word: the README's session goes as it is shown, and
//! every link leads to what it names.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use edgelb_tests::client;
use edgelb_tests::process::{Edgelb, Ended};

const README: &str = include_str!("../../README.md");
const BACKENDS: [&str; 3] = ["steady", "slow", "moody"];

#[tokio::test]
async fn the_session_goes_as_it_is_shown() {
    let mut demo = Edgelb::new("demo")
        .arg("--listen")
        .arg("127.0.0.1:0")
        .start()
        .await;
    let [printed, session, ..] = &blocks(README, "console")[..] else {
        panic!("the README shows the demo and a session with it");
    };
    for line in printed.lines().skip(1).filter(|line| !line.is_empty()) {
        let shown = shape(line);
        demo.process.stderr(|seen| shape(seen) == shown).await;
    }
    let switch = demo.process.stderr(|line| line.contains("/stop/")).await;
    let switch = switch.split("http://").nth(1).unwrap();
    let switch: SocketAddr = switch.split('/').next().unwrap().parse().unwrap();

    let mut cast = Cast::default();
    for (command, output) in commands(session) {
        let curl = Curl::parse(&command);
        let address = if curl.method == "POST" {
            switch
        } else {
            demo.address
        };
        let target = cast.target(&curl.target);
        let response = client::ask(address, curl.method, &target, "").await;
        let mut seen = response.text().to_owned();
        if curl.include {
            let head = String::from_utf8(response.head.bytes.to_vec()).unwrap();
            seen.insert_str(0, &head);
        }
        let shown: Vec<_> = output.lines().map(shape).collect();
        let seen: Vec<_> = seen.lines().map(shape).collect();
        let agree = shown.len() == seen.len()
            && shown
                .iter()
                .zip(&seen)
                .all(|(it, seen)| cast.agree(it, seen));
        assert!(
            agree,
            "{command}\nshown {shown:#?}\nseen {seen:#?}\n{cast:?}"
        );
    }
    assert_eq!(cast.0.len(), 2, "one answers, then another: {cast:?}");
}

#[tokio::test]
async fn the_configuration_shown_is_valid() {
    let file = Scratch::new("shown.env", &blocks(README, "env")[0]);
    let ended = check(&file).await;
    assert!(ended.status.success(), "{}", ended.stderr);
}

#[tokio::test]
async fn the_errors_shown_are_printed() {
    let shown = commands(&blocks(README, "console")[2]);
    let (_, shown) = shown
        .iter()
        .find(|(command, _)| command.starts_with("edgelb check"))
        .unwrap();
    let faulty = "BACKEND_CF=ftp://x\nCONNECT_TIMEOUT=5s\nBACKEND_DOWNTIME=30000\n";
    let ended = check(&Scratch::new("faulty.env", faulty)).await;
    assert_eq!(ended.status.code(), Some(1));
    assert_eq!(ended.stderr.trim_end(), shown.trim_end());
}

/// A link to a place in a document leads to a heading; one to Rust whose text is
/// a name in code, to a test of that name.
#[test]
fn every_link_leads_somewhere() {
    let mut broken = Vec::new();
    let mut tests = 0;
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for (label, target) in links(&prose(&text)) {
            let (path, heading) = target.split_once('#').unwrap_or((&target, ""));
            let file = if path.is_empty() {
                document.clone()
            } else {
                document.parent().unwrap().join(path)
            };
            let name = label.strip_prefix('`').and_then(|it| it.strip_suffix('`'));
            let found = match fs::read_to_string(&file) {
                Err(_) => file.exists(),
                Ok(text) if !heading.is_empty() => {
                    prose(&text).lines().any(|line| slug(line) == heading)
                }
                Ok(text) => match name {
                    Some(name) if path.ends_with(".rs") && is_identifier(name) => {
                        tests += 1;
                        is_test(&text, name)
                    }
                    _ => true,
                },
            };
            if !found {
                broken.push(format!("{}: [{label}]({target})", document.display()));
            }
        }
    }
    assert!(broken.is_empty(), "broken links:\n{}", broken.join("\n"));
    assert!(tests > 20, "the documents cite {tests} tests");
}

#[test]
fn what_is_a_test_is_told_from_what_is_not() {
    let source = "both_doors!(\n    one,\n    two,\n);\n#[tokio::test(start_paused = true)]\n\
                  #[ignore]\nasync fn three() {}\n#[test]\nfn four() {}\n\nfn five() {}\n// six,\n";
    let found =
        ["one", "two", "three", "four", "five", "six", "thre"].map(|it| is_test(source, it));
    assert_eq!(found, [true, true, true, true, false, false, false]);
}

/// Which backends play the parts of those that are shown: the hash decides.
#[derive(Debug, Default)]
struct Cast(BTreeMap<String, String>);

impl Cast {
    /// Whether a line is as shown, if each backend keeps to its part.
    fn agree(&mut self, shown: &str, seen: &str) -> bool {
        let (shown, seen) = (shown.split(' '), seen.split(' '));
        shown.clone().count() == seen.clone().count()
            && shown.zip(seen).all(|(shown, seen)| {
                if BACKENDS.contains(&shown) && BACKENDS.contains(&seen) {
                    self.plays(shown, seen)
                } else {
                    shown == seen
                }
            })
    }

    fn plays(&mut self, shown: &str, seen: &str) -> bool {
        match self.0.get(shown) {
            Some(known) => known == seen,
            None if self.0.values().any(|taken| taken == seen) => false,
            None => self.0.insert(shown.to_owned(), seen.to_owned()).is_none(),
        }
    }

    fn target(&self, shown: &str) -> String {
        let parts = shown
            .split('/')
            .map(|part| self.0.get(part).map_or(part, String::as_str));
        parts.collect::<Vec<_>>().join("/")
    }
}

/// `curl [-i] [-X METHOD] localhost:PORT/PATH`.
struct Curl<'a> {
    include: bool,
    method: &'a str,
    target: String,
}

impl<'a> Curl<'a> {
    fn parse(command: &'a str) -> Self {
        let mut words = command.split(' ');
        assert_eq!(words.next(), Some("curl"), "{command}");
        let mut curl = Self {
            include: false,
            method: "GET",
            target: String::new(),
        };
        while let Some(word) = words.next() {
            match word {
                "-i" => curl.include = true,
                "-X" => curl.method = words.next().unwrap(),
                url => curl.target = url[url.find('/').unwrap()..].to_owned(),
            }
        }
        curl
    }
}

/// A line without what differs from run to run: ports, dates, lengths, sessions
/// and the width of columns.
fn shape(line: &str) -> String {
    let words = line
        .split_whitespace()
        .map(|word| match word.rsplit_once("127.0.0.1:") {
            Some((before, after)) => {
                let port = after.bytes().take_while(u8::is_ascii_digit).count();
                format!("{before}127.0.0.1:*{}", &after[port..])
            }
            None if word.starts_with("edgelb=") => "edgelb=*;".to_owned(),
            None => word.to_owned(),
        });
    let line = words.collect::<Vec<_>>().join(" ");
    match line.split_once(": ") {
        Some((name @ ("date" | "content-length"), _)) => format!("{name}: *"),
        _ => line,
    }
}

/// The fenced blocks in a language.
fn blocks(document: &str, language: &str) -> Vec<String> {
    let fenced = document.split("```").skip(1).step_by(2);
    let blocks = fenced.filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n'));
    blocks.map(str::to_owned).collect()
}

/// The commands of a session, each with what it prints.
fn commands(session: &str) -> Vec<(String, String)> {
    let commands = format!("\n{session}");
    let commands = commands.split("\n$ ").skip(1);
    let split = commands.map(|it| it.split_once('\n').unwrap_or((it, "")));
    split
        .map(|(command, output)| (command.to_owned(), output.to_owned()))
        .collect()
}

async fn check(file: &Scratch) -> Ended {
    let path = file.0.to_str().unwrap();
    Edgelb::new("check").arg("--env-file").arg(path).run().await
}

/// A file that goes when it is dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, text: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::write(&path, text).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Every Markdown file of the workspace.
fn documents() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("..")];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() {
                if !name.starts_with('.') && !["target", "node_modules"].contains(&name) {
                    directories.push(path);
                }
            } else if name.ends_with(".md") {
                found.push(path);
            }
        }
    }
    found
}

/// A document without its fenced blocks.
fn prose(document: &str) -> String {
    document.split("```").step_by(2).collect()
}

/// Text and target of each link within the repository.
fn links(prose: &str) -> Vec<(String, String)> {
    let mut links = Vec::new();
    for (middle, _) in prose.match_indices("](") {
        let label = prose[..middle].rsplit('[').next().unwrap_or_default();
        let target = prose[middle + 2..].split(')').next().unwrap_or_default();
        if !target.contains("://") {
            links.push((label.to_owned(), target.to_owned()));
        }
    }
    links
}

/// The anchor that a heading gets.
fn slug(line: &str) -> String {
    let heading = line.trim_start_matches('#');
    if heading == line {
        return String::new();
    }
    let kept = heading.trim().to_lowercase();
    let kept = kept
        .chars()
        .filter(|it| it.is_alphanumeric() || " -_".contains(*it));
    kept.map(|it| if it == ' ' { '-' } else { it }).collect()
}

fn is_identifier(name: &str) -> bool {
    name.bytes()
        .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

/// Whether there is a test of this name: a function with the attribute, or one
/// that `both_doors!` or `scenarios!` is given.
fn is_test(source: &str, name: &str) -> bool {
    for list in ["both_doors!(", "scenarios!("] {
        let lists = source.split(list).skip(1);
        let mut listed =
            lists.flat_map(|it| it.split(')').next().unwrap_or_default().split([',', ':']));
        if listed.any(|it| it.trim() == name) {
            return true;
        }
    }
    let Some(at) = source.find(&format!("fn {name}(")) else {
        return false;
    };
    let line = source[..at].rfind('\n').unwrap_or(0);
    let before = source[..line].lines().rev();
    let mut attributes = before.take_while(|line| line.trim_start().starts_with("#["));
    attributes.any(|line| line.contains("[test]") || line.contains("[tokio::test"))
}
