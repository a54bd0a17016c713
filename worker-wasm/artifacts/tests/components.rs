//! What the shipped components are: their imports and exports, their nesting,
//! their size, and that nothing of the machine that built them is in them.
//!
//! The goldens are rewritten by `UPDATE_GOLDEN=1 cargo test -p edgelb-artifacts`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "of dozens of payloads a test looks at a few"
)]

use std::io::Write as _;
use std::path::Path;
use std::{env, fs};

use edgelb_artifacts::{BALANCER, BALANCER_PATH, EDGELB, EDGELB_PATH};
use flate2::Compression;
use flate2::write::GzEncoder;
use wasmparser::{Encoding, Parser, Payload};

/// Bytes under `gzip -9`. Every cold start loads the policy, and what is uploaded
/// to Cloudflare, its JavaScript included, is to stay within 80 KiB; so growth is
/// to be noticed. See `docs/performance.md`.
const BALANCER_LIMIT: usize = 65 * 1024;

/// Bytes, uncompressed.
const EDGELB_LIMIT: usize = 448 * 1024;

#[test]
fn imports_are_those_of_the_goldens() {
    assert_golden("balancer.imports", &imports(BALANCER));
    assert_golden("edgelb.imports", &imports(EDGELB));
}

#[test]
fn the_policy_needs_no_more_than_its_environment() {
    assert_eq!(imports(BALANCER), ["wasi:cli/environment@0.2.6"]);
}

#[test]
fn each_component_exports_its_door_alone() {
    assert_eq!(exports(BALANCER), ["edgelb:balancer/exchange@0.1.0"]);
    assert_eq!(exports(EDGELB), ["wasi:http/handler@0.3.2"]);
}

#[test]
fn the_policy_is_nested_in_edgelb_byte_for_byte() {
    let nested: Vec<_> = Parser::new(0)
        .parse_all(EDGELB)
        .filter_map(|payload| match payload.unwrap() {
            Payload::ComponentSection {
                unchecked_range, ..
            } => Some(&EDGELB[unchecked_range]),
            _ => None,
        })
        .collect();
    assert!(nested.contains(&BALANCER));
}

#[test]
fn files_and_constants_are_the_same() {
    assert_eq!(fs::read(BALANCER_PATH).unwrap(), BALANCER);
    assert_eq!(fs::read(EDGELB_PATH).unwrap(), EDGELB);
}

#[test]
fn sizes_stay_in_bounds() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(BALANCER).unwrap();
    let compressed = gzip.finish().unwrap().len();
    assert!(compressed <= BALANCER_LIMIT, "{compressed}");
    assert!(EDGELB.len() <= EDGELB_LIMIT, "{}", EDGELB.len());
}

#[test]
fn no_place_of_the_machine_is_in_the_bytes() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    let places = [
        workspace.map(Path::to_path_buf),
        env::home_dir(),
        env::var_os("CARGO_HOME").map(Into::into),
        env::var_os("RUSTUP_HOME").map(Into::into),
        Path::new(EDGELB_PATH).parent().map(Path::to_path_buf),
    ];
    for place in places.into_iter().flatten() {
        // A root directory of `/` would be everywhere.
        let place = format!("{}/", place.display());
        assert!(
            place == "//" || !contains(EDGELB, place.as_bytes()),
            "{place}"
        );
    }
}

/// The names that a component imports, sorted.
fn imports(component: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    for payload in outermost(component) {
        if let Payload::ComponentImportSection(section) = payload {
            names.extend(
                section
                    .into_iter()
                    .map(|import| import.unwrap().name.name.to_owned()),
            );
        }
    }
    names.sort();
    names
}

/// The names that a component exports, sorted.
fn exports(component: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    for payload in outermost(component) {
        if let Payload::ComponentExportSection(section) = payload {
            names.extend(
                section
                    .into_iter()
                    .map(|export| export.unwrap().name.name.to_owned()),
            );
        }
    }
    names.sort();
    names
}

/// The sections of a component without those of what is nested in it.
fn outermost(component: &[u8]) -> Vec<Payload<'_>> {
    let mut depth = 0_u32;
    let mut payloads = Vec::new();
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload.unwrap();
        match payload {
            Payload::Version { encoding, .. } => {
                depth += 1;
                assert!(depth > 1 || encoding == Encoding::Component);
            }
            Payload::End(_) => depth -= 1,
            _ if depth == 1 => payloads.push(payload),
            _ => {}
        }
    }
    payloads
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn assert_golden(name: &str, lines: &[String]) {
    let actual = lines.join("\n") + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &actual).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap();
    assert_eq!(actual, expected, "{name}; see the head of this file");
}
