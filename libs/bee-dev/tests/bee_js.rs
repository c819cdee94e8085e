//! bee-js, the client that most applications use, against this node.

use std::process::Command;

#[test]
#[ignore = "takes bee-js from npm's registry: cargo test -p t4t-bee-dev --test bee_js -- --ignored"]
fn bee_js_uploads_downloads_buys_stamps_and_gets_messages() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bee-js/run.sh");
    let status = Command::new(script).arg(env!("CARGO_BIN_EXE_t4t-bee-dev")).status().unwrap();
    assert!(status.success());
}
