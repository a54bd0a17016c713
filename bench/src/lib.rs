//! What several measurements share: the policy behind its door, without a host
//! around it.

pub mod door;
