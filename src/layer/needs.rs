//! What a setting needs of the build, said by the compiler where it is missing.

/// No type has it: a call that asks for it names the feature.
#[diagnostic::on_unimplemented(
    message = "`with_failed_auth_limit` needs the feature `throttle` of scrapest-webhook",
    label = "the feature `throttle` is off",
    note = "enable it: cargo add scrapest-webhook --features throttle"
)]
pub trait Throttle {}
