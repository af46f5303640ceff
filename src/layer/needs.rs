//! Marker traits that make the compiler name the feature that a setting needs.

/// No type implements this trait, so a call of a setting that needs it does not compile, and the error names the
/// feature.
#[diagnostic::on_unimplemented(
    message = "`with_failed_auth_limit` needs the feature `throttle` of scrapest-webhook",
    label = "the feature `throttle` is off",
    note = "enable it: cargo add scrapest-webhook --features throttle"
)]
pub trait Throttle {}
