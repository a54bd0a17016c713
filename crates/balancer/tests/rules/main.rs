//! Rules of whole exchanges, one case each: above all what careless balancers
//! get wrong.

mod health;
mod retries;
mod scenario;
mod sessions;
