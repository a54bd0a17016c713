//! The encoding of a ledger, version 1.
//!
//! One byte of version, then for each backend of which anything is known a
//! record of 41 bytes, integers big-endian:
//!
//! | bytes | |
//! |---|---|
//! | 8 | id of the backend |
//! | 8 | stamp, ms |
//! | 8 | date of the last transition, ms |
//! | 4 | consecutive failures |
//! | 4 | consecutive ejections |
//! | 1 | state: 0 admitting, 1 ejected, 2 on trial |
//! | 8 | end of the ejection or trial, ms; 0 while admitting |
//!
//! A record stands for itself: one that cannot be read is passed over.

use alloc::vec;
use alloc::vec::Vec;

use super::standing::{Standing, State};
use crate::time::Timestamp;

const VERSION: u8 = 1;
const RECORD: usize = 41;

pub(super) fn encode<'a>(records: impl Iterator<Item = (u64, &'a Standing)>) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    for (id, standing) in records {
        if *standing == Standing::default() {
            continue;
        }
        let (state, end) = match standing.state {
            State::Admitting => (0, 0),
            State::Ejected { until } => (1, until.as_millis()),
            State::Trial { deadline } => (2, deadline.as_millis()),
        };
        bytes.extend(id.to_be_bytes());
        bytes.extend(standing.stamp.as_millis().to_be_bytes());
        bytes.extend(standing.since.as_millis().to_be_bytes());
        bytes.extend(standing.failures.to_be_bytes());
        bytes.extend(standing.ejections.to_be_bytes());
        bytes.push(state);
        bytes.extend(end.to_be_bytes());
    }
    bytes
}

pub(super) fn decode(bytes: &[u8]) -> impl Iterator<Item = (u64, Standing)> {
    let records = match bytes.split_first() {
        Some((&VERSION, records)) => records,
        _ => &[],
    };
    records.chunks_exact(RECORD).filter_map(record)
}

fn record(bytes: &[u8]) -> Option<(u64, Standing)> {
    let (id, bytes) = u64_of(bytes)?;
    let (stamp, bytes) = time_of(bytes)?;
    let (since, bytes) = time_of(bytes)?;
    let (failures, bytes) = u32_of(bytes)?;
    let (ejections, bytes) = u32_of(bytes)?;
    let (&state, bytes) = bytes.split_first()?;
    let (end, _) = time_of(bytes)?;
    let state = match state {
        0 if end == Timestamp::default() => State::Admitting,
        1 => State::Ejected { until: end },
        2 => State::Trial { deadline: end },
        _ => return None,
    };
    let standing = Standing {
        stamp,
        since,
        failures,
        ejections,
        state,
    };
    Some((id, standing))
}

fn time_of(bytes: &[u8]) -> Option<(Timestamp, &[u8])> {
    let (millis, rest) = u64_of(bytes)?;
    Some((Timestamp::from_millis(millis), rest))
}

fn u64_of(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (first, rest) = bytes.split_first_chunk()?;
    Some((u64::from_be_bytes(*first), rest))
}

fn u32_of(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (first, rest) = bytes.split_first_chunk()?;
    Some((u32::from_be_bytes(*first), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(state: State) -> Standing {
        Standing {
            stamp: Timestamp::from_millis(5),
            since: Timestamp::from_millis(4),
            failures: 3,
            ejections: 2,
            state,
        }
    }

    #[test]
    fn each_state_survives() {
        let end = Timestamp::from_millis(u64::MAX);
        for state in [
            State::Admitting,
            State::Ejected { until: end },
            State::Trial { deadline: end },
        ] {
            let standing = standing(state);
            let bytes = encode([(7, &standing)].into_iter());
            assert_eq!(bytes.len(), 1 + RECORD);
            assert_eq!(decode(&bytes).collect::<Vec<_>>(), [(7, standing)]);
        }
    }

    #[test]
    fn what_nothing_is_known_of_takes_no_room() {
        let bytes = encode([(7, &Standing::default())].into_iter());
        assert_eq!(bytes, [VERSION]);
    }

    #[test]
    fn what_is_no_ledger_is_empty() {
        let good = encode([(7, &standing(State::Admitting))].into_iter());
        let mut other_version = good.clone();
        other_version[0] = VERSION + 1;
        let mut unknown_state = good.clone();
        unknown_state[1 + 32] = 9;
        let mut admitting_until = good.clone();
        admitting_until[1 + 40] = 1;
        let cut = &good[..good.len() - 1];
        for bytes in [
            &[][..],
            &[VERSION],
            &other_version,
            &unknown_state,
            &admitting_until,
            cut,
        ] {
            assert_eq!(decode(bytes).count(), 0, "{bytes:?}");
        }
    }
}
