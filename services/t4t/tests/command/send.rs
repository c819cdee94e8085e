//! `t4t wallet send`: money leaves by its owner's word alone.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Output, Stdio};

use t4t_crypto::keyfile;
use t4t_testkit::anvil::dev_key;
use t4t_types::{Address, Xbzz};

use super::rig::{T4T, World, command, errors, folder_with_wallet};

const PASSWORD: &str = "correct horse battery staple";

/// To whom money is sent.
const TO: Address = Address::new([0x77; 20]);

/// `t4t wallet send …` from a folder, with this on its standard input.
fn send(world: &World, folder: &Path, arguments: &[&str], input: &str, more: &[(&str, &Path)]) -> Output {
    let mut command = command(T4T, folder.parent().unwrap());
    command.args(["wallet", "send"]).args(arguments).arg(TO.to_string()).env("T4T_DATA_DIR", folder);
    command.envs(world.variables(0)).envs(more.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // Where nothing is asked for, nobody reads it.
    let _unread = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

async fn received(world: &World) -> (Xbzz, u128) {
    (world.market.xbzz_of(TO).await.unwrap(), world.anvil.rpc().balance(TO).await.unwrap())
}

#[actix_web::test]
async fn an_open_key_sends_what_was_typed_again_and_nothing_else() {
    let (home, world) = (tempfile::tempdir().unwrap(), World::start().await);
    let key = dev_key(3);
    world.market.fund(key.address(), Xbzz::from_whole(10)).await.unwrap();
    let folder = folder_with_wallet(home.path(), "gateway", &key);
    for typed in
        ["", "\n", "y\n", "yes\n", &format!("50 xBZZ {TO}\n"), &format!("5 xDAI {TO}\n"), "5 xBZZ 0x77\n"]
    {
        let refused = send(&world, &folder, &["5", "xbzz"], typed, &[]);
        assert!(!refused.status.success(), "{typed:?} sends: {}", errors(&refused));
        assert!(errors(&refused).contains("nothing was sent"), "{}", errors(&refused));
    }
    assert_eq!(received(&world).await, (Xbzz::ZERO, 0));
    let sent = send(&world, &folder, &["5", "xbzz"], &format!("5 xbzz {TO}\n"), &[]);
    assert!(sent.status.success(), "{}", errors(&sent));
    let sent = send(&world, &folder, &["0.25", "xdai", "--json"], &format!("0.25 xDAI {TO}\n"), &[]);
    assert!(sent.status.success(), "{}", errors(&sent));
    let told: serde_json::Value = serde_json::from_slice(&sent.stdout).unwrap();
    assert!(told["block"].as_u64().is_some(), "{told}");
    assert_eq!(received(&world).await, (Xbzz::from_whole(5), 250_000_000_000_000_000));
    let too_much = send(&world, &folder, &["1000000", "xbzz"], &format!("1000000 xBZZ {TO}\n"), &[]);
    assert!(
        !too_much.status.success() && errors(&too_much).contains("send xBZZ to it"),
        "{}",
        errors(&too_much)
    );
    for wrong in ["0", "-1", "5e3", "all"] {
        assert!(!send(&world, &folder, &[wrong, "xdai"], "", &[]).status.success(), "{wrong}");
    }
}

#[actix_web::test]
async fn a_keystore_sends_with_its_password_given_here_and_not_with_that_of_its_services() {
    let (home, world) = (tempfile::tempdir().unwrap(), World::start().await);
    let key = dev_key(3);
    world.market.fund(key.address(), Xbzz::from_whole(10)).await.unwrap();
    let folder = home.path().join("gateway");
    std::fs::create_dir(&folder).unwrap();
    keyfile::write_wallet_keystore(&folder.join("wallet.key"), &key, &PASSWORD.into()).unwrap();
    let file = home.path().join("password");
    std::fs::write(&file, PASSWORD).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let services = [("T4T_WALLET_PASSWORD_FILE", file.as_path())];
    for typed in ["", "\n", "wrong\n", &format!("5 xBZZ {TO}\n")] {
        let refused = send(&world, &folder, &["5", "xbzz"], typed, &services);
        assert!(!refused.status.success(), "{typed:?} sends: {}", errors(&refused));
    }
    assert_eq!(received(&world).await.0, Xbzz::ZERO);
    let sent = send(&world, &folder, &["5", "xbzz"], &format!("{PASSWORD}\n"), &services);
    assert!(sent.status.success(), "{}", errors(&sent));
    assert!(!errors(&sent).contains(PASSWORD));
    assert_eq!(received(&world).await.0, Xbzz::from_whole(5));
}
