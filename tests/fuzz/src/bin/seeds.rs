//! Writes the seeds of every target to `seeds/`, one file each.

use std::path::Path;

fn main() -> std::io::Result<()> {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    for check in checks::ALL {
        let folder = all.join(check.name);
        std::fs::create_dir_all(&folder)?;
        for (nth, seed) in (check.seeds)().iter().enumerate() {
            std::fs::write(folder.join(format!("{nth:02}")), seed)?;
        }
    }
    Ok(())
}
