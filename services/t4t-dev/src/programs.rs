//! Programs of others: where they are, and how they are started.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use t4t_runtime::config::keys;
use tokio::process::Command;

/// The first program of that name in the folders of `path`.
pub(super) fn in_path(program: &str, path: Option<&OsStr>) -> Option<PathBuf> {
    std::env::split_paths(path?).map(|folder| folder.join(program)).find(|file| is_program(file))
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(file).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// A process that ends with this one even if that is killed, where the system can. Ctrl-C on the terminal is not for it:
/// this process ends it, when nobody needs it any more.
pub(super) fn command(program: &Path) -> Command {
    let mut command = match in_path("setpriv", std::env::var_os("PATH").as_deref()) {
        Some(wrapper) => {
            let mut command = Command::new(wrapper);
            command.args(["--pdeathsig", "KILL", "--"]).arg(program);
            command
        }
        None => Command::new(program),
    };
    without_secrets(&mut command);
    command.process_group(0).kill_on_drop(true);
    command
}

/// Takes our secrets out of what a program inherits: unlike this process, it shows its environment to its user.
pub(super) fn without_secrets(command: &mut Command) {
    for key in keys::ALL.iter().filter(|key| key.kind.is_secret()) {
        command.env_remove(key.name);
    }
}
