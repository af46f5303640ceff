//! The programs that this one has cargo build.

use std::path::PathBuf;
use std::process::Command;

/// Returns the command for another binary of this package, and builds the binary first.
pub fn binary(name: &str) -> Command {
    let path = std::env::current_exe().unwrap().with_file_name(name);
    let target = PathBuf::from(path.ancestors().nth(2).unwrap());
    let mut build = cargo();
    build.args(["build", "--quiet", "--release", "--bin", name, "--target-dir"]);
    build.arg(target).current_dir(env!("CARGO_MANIFEST_DIR"));
    assert!(build.status().unwrap().success(), "{name} cannot be built");
    Command::new(path)
}

/// Returns `cargo` without the variables that `cargo run` has set, because they would make it rebuild a
/// dependency.
pub fn cargo() -> Command {
    let mut cargo = Command::new("cargo");
    for (name, _) in std::env::vars() {
        if name.starts_with("CARGO_MANIFEST_") || name.starts_with("CARGO_PKG_") {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// Returns the standard output, or the last line of the error output.
pub fn output(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| {
        format!("{} cannot be run: {error}", command.get_program().to_string_lossy())
    })?;
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout).unwrap());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    Err(text.lines().last().unwrap_or("it failed and said nothing").to_owned())
}
