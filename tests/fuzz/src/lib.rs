//! What the fuzz targets check.

#[path = "../../properties/checks/mod.rs"]
pub mod checks;
