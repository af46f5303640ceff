//! The features that a setting needs: the compiler names a feature that is off.

/// No type implements it, so a call of a setting that asks for it does not compile, and the error names the feature.
#[diagnostic::on_unimplemented(
    message = "`with_failed_auth_limit` needs the feature `throttle` of scrapest-webhook",
    label = "the feature `throttle` is off",
    note = "enable it: cargo add scrapest-webhook --features throttle"
)]
pub trait Throttle {}
