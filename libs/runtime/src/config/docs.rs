//! The table of settings as a page.

use std::fmt::Write;

use super::keys;

/// `docs/configuration.md`: every setting with its values, its default and who reads it.
pub fn reference() -> String {
    let mut page = String::from(
        "# Configuration\n\n\
         Settings come from, each overruling the one before: defaults, a TOML file (`--config PATH` or `T4T_CONFIG`; \
         the same names in lower case), the environment, the command's flags. Unknown names, bad values and unsafe \
         combinations stop the start and name the line to change. `t4t config show` shows what holds and where it \
         comes from. This page is made by `t4t config keys --markdown`.\n\n\
         | setting | values | default | read by | what it is |\n|---|---|---|---|---|\n",
    );
    for key in keys::ALL {
        let unit = if key.unit.is_empty() { String::new() } else { format!(" ({})", key.unit) };
        let default = key.default.map_or("not set".to_owned(), |default| format!("`{default}`"));
        let (expected, role) = (key.kind.expected(), key.role.name());
        writeln!(page, "| `{}` | {expected}{unit} | {default} | {role} | {} |", key.name, key.doc)
            .expect("writing to a string can't fail");
    }
    page
}
