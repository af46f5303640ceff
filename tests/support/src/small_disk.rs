use std::path::Path;
use std::process::Command;

use crate::Folder;

/// A disk that is full after a few hundred kilobytes.
pub struct SmallDisk(Folder);

impl SmallDisk {
    /// Returns `None` without the permission to mount one, and prints that past the test harness.
    pub fn mount(size: &str) -> Option<Self> {
        let folder = Folder::new();
        let size = format!("size={size}");
        if run("mount", &["-t", "tmpfs", "-o", &size, "none"], folder.path()) {
            return Some(Self(folder));
        }
        eprintln!("skipped: a full disk, which needs the right to mount a tmpfs");
        None
    }

    pub fn file(&self, name: &str) -> String {
        self.0.file(name)
    }

    pub fn grow(&self) {
        assert!(run("mount", &["-o", "remount,size=64m"], self.0.path()));
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        run("umount", &["--lazy"], self.0.path());
    }
}

fn run(command: &str, arguments: &[&str], on: &Path) -> bool {
    let ran = Command::new(command).args(arguments).arg(on).output();
    ran.is_ok_and(|ran| ran.status.success())
}
