//! The layer in each framework: wherever a layer or a middleware can be put.

mod actix;
mod body_limits;
mod nested;
mod tower_stacks;
