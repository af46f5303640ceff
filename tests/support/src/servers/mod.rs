//! Servers of the stores. A test starts its own; without the program it is skipped, which one line says.

pub mod pgbouncer;
pub mod postgres;
pub mod redis;
