//! A build without the development market.

use super::rig::{errors, t4t};

#[test]
fn without_the_market_on_one_machine_dev_says_in_one_line_how_to_get_it() {
    let home = tempfile::tempdir().unwrap();
    for arguments in [&["dev"][..], &["dev", "--check", "--port", "8080"], &["dev", "--help"]] {
        let output = t4t(home.path(), arguments, &[]);
        assert_eq!(output.status.code(), Some(1), "{}", errors(&output));
        let said = errors(&output);
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.contains("cargo run --release -p t4t -- dev"), "{said}");
    }
}
