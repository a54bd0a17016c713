//! The field `Date` (<https://www.rfc-editor.org/rfc/rfc9110#section-6.6.1>).

use std::cell::RefCell;
use std::time::{SystemTime, UNIX_EPOCH};

/// The date as it was written last, and the second it says.
struct Written {
    second: u64,
    text: String,
}

thread_local! {
    static LAST: RefCell<Written> = const {
        RefCell::new(Written { second: u64::MAX, text: String::new() })
    };
}

/// Appends the date of now. It is the same for a second, and written once.
pub(super) fn push_now(out: &mut Vec<u8>) {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let second = now.as_secs();
    LAST.with_borrow_mut(|last| {
        if last.second != second {
            last.second = second;
            last.text = httpdate::fmt_http_date(UNIX_EPOCH + now);
        }
        out.extend_from_slice(last.text.as_bytes());
    });
}
