//! The layer in every position that each framework offers for a layer or a middleware.

mod actix;
mod actix_notices;
mod actix_readiness;
mod body_limits;
mod nested;
mod tower_stacks;
