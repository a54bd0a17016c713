//! Rules of whole exchanges, one case each: above all what careless balancers
//! get wrong.

mod clients;
mod health;
mod retries;
mod scenario;
mod sessions;
