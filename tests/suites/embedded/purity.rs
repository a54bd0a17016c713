//! The boundary is a crate, not a habit: the core has nothing to reach the
//! world by.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "of dozens of payloads a test looks at two"
)]

use edgelb_tests::PURE;
use wasmparser::{Parser, Payload};

#[test]
fn the_core_imports_nothing() {
    let mut imports = Vec::new();
    let mut functions = 0;
    for payload in Parser::new(0).parse_all(PURE) {
        match payload.unwrap() {
            Payload::ImportSection(section) => {
                imports.extend(section.into_imports().map(|import| {
                    let import = import.unwrap();
                    format!("{} {}", import.module, import.name)
                }));
            }
            Payload::CodeSectionStart { count, .. } => functions = count,
            _ => {}
        }
    }
    assert!(imports.is_empty(), "{imports:#?}");
    // That it is all there, and was not optimised away.
    assert!(functions > 100, "{functions} functions");
}
