//! Whether a file's group is this process's own, with nobody else in it.
//!
//! Clusters hand a pod's volumes to a group of their own (`fsGroup`) and let that group read and write every file in
//! them. Who is in a group is taken from `/etc/passwd` and `/etc/group`, which is what a container has; accounts that
//! only a directory service knows are not seen.

use std::fs;
use std::io;
use std::path::Path;

use rustix::process::{getegid, geteuid, getgroups};

/// The system's administrator, who can read every file anyway.
const ROOT: u32 = 0;

/// Whether this process is in the group and no other account but root is.
pub(super) fn is_ours_alone(group: u32) -> bool {
    let is_ours = getegid().as_raw() == group
        || getgroups().is_ok_and(|groups| groups.iter().any(|ours| ours.as_raw() == group));
    is_ours && Accounts::of_system().is_ok_and(|accounts| !accounts.has_others(group, geteuid().as_raw()))
}

/// The accounts and groups of a system.
struct Accounts {
    passwd: String,
    group: String,
}

impl Accounts {
    fn of_system() -> io::Result<Self> {
        Ok(Self { passwd: read(Path::new("/etc/passwd"))?, group: read(Path::new("/etc/group"))? })
    }

    /// Whether the group has anybody but `user` and root.
    fn has_others(&self, group: u32, user: u32) -> bool {
        let accounts = self.passwd.lines().filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            Some((name, fields.nth(1)?.parse::<u32>().ok()?, fields.next()?.parse::<u32>().ok()?))
        });
        let mut ours = Vec::new();
        for (name, id, primary) in accounts {
            match id {
                ROOT => ours.push(name),
                id if id == user => ours.push(name),
                _ if primary == group => return true,
                _ => {}
            }
        }
        let members = self.group.lines().filter_map(|line| {
            let mut fields = line.split(':');
            let id = fields.nth(2)?.parse::<u32>().ok()?;
            (id == group).then(|| fields.next()).flatten()
        });
        let mut names = members.flat_map(|members| members.split(',')).map(str::trim);
        names.any(|name| !name.is_empty() && !ours.contains(&name))
    }
}

/// A system without the file has no such accounts.
fn read(path: &Path) -> io::Result<String> {
    match fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nt4t:x:10001:10001::/data:/sbin/nologin\n\
                          eve:x:1000:10002::/home/eve:/bin/sh\nstaff:x:1001:1001::/home/staff:/bin/sh\n";
    const GROUP: &str =
        "root:x:0:\nt4t:x:10001:\nusers:x:100:eve,staff\nown:x:101:t4t,root\ngone:x:102:nobody-here\n";

    #[test]
    fn a_group_is_ours_alone_while_nobody_else_is_in_it() {
        let accounts = Accounts { passwd: PASSWD.into(), group: GROUP.into() };
        for alone in [10_001, 101, 2000, 0] {
            assert!(!accounts.has_others(alone, 10_001), "{alone}");
        }
        // A primary group of another account, a group with members, one whose member is known elsewhere.
        for shared in [10_002, 1001, 100, 102] {
            assert!(accounts.has_others(shared, 10_001), "{shared}");
        }
        assert!(accounts.has_others(10_001, 1000), "our own group, read by somebody else");
    }

    #[test]
    fn a_container_without_accounts_has_nobody_else() {
        let accounts = Accounts { passwd: String::new(), group: String::new() };
        assert!(!accounts.has_others(10_001, 10_001));
    }

    #[test]
    fn a_group_that_the_process_is_not_in_is_not_ours() {
        assert!(!is_ours_alone(u32::MAX - 7));
    }
}
