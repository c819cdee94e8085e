//! `t4t dev`: the whole market on one machine.

use serde_json::Value;

use super::rig::{Process, T4T, command, errors, t4t};
use t4t_testkit::eventually;

fn check(arguments: &[&str]) -> Value {
    let home = tempfile::tempdir().unwrap();
    let arguments = [&["dev", "--check", "--json"], arguments].concat();
    let output = t4t(home.path(), &arguments, &[]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let last = said.lines().last().unwrap_or_else(|| panic!("{}", errors(&output)));
    let report: Value = serde_json::from_str(last).unwrap();
    assert!(output.status.success(), "{report:#}\n{}", errors(&output));
    report
}

#[test]
fn two_requests_are_paid_to_the_plur() {
    let report = check(&[]);
    assert_eq!(report["ok"], true);
    assert_eq!(report["answered"], 2);
    assert_eq!(report["paid_plur"], report["expected_plur"]);
    assert_eq!(report["provider_balance_delta_plur"], report["expected_plur"]);
    assert_eq!(report["client_balance_delta_plur"], report["expected_plur"]);
    assert_eq!(report["escrow_balance_plur"], "0");
}

#[test]
fn an_unreliable_swarm_costs_time_and_no_money() {
    assert_eq!(check(&["--chaos"])["ok"], true);
}

#[actix_web::test]
async fn it_says_where_everything_is_serves_an_app_and_ends_when_asked() {
    let home = tempfile::tempdir().unwrap();
    let port = super::rig::free_port().to_string();
    let mut dev = command(T4T, home.path());
    dev.args(["dev", "--port", &port]);
    let dev = Process::start(dev, home.path().join("log"));
    let said = dev.says("ready in").await;
    let base = format!("http://127.0.0.1:{port}");
    for part in [&format!("base URL  {base}/v1"), "demo", "curl", "t4t jobs --data", "built-in demo"] {
        assert!(said.contains(part), "{part}\n{said}");
    }
    let (status, answer) = super::rig::ask(&base, "demo").await;
    assert_eq!(status, 200, "{answer}");
    assert!(answer["choices"][0]["message"]["content"].as_str().unwrap().contains("demo backend"));

    let folder = home.path().join(".local/share/t4t/dev");
    let second = t4t(home.path(), &["dev"], &[]);
    assert!(errors(&second).contains("another t4t process uses"), "{}", errors(&second));

    let data = folder.to_str().unwrap();
    let settled =
        eventually(std::time::Duration::from_secs(15), "both sides to see the payment", async || {
            let jobs = t4t(home.path(), &["jobs", "--json", "--data", data], &[]);
            let jobs: Value = serde_json::from_slice(&jobs.stdout).unwrap();
            let jobs = jobs.as_array().unwrap().clone();
            (jobs.len() == 2 && jobs.iter().all(|job| job["state"] == "claimed" && !job["paid"].is_null()))
                .then_some(jobs)
        });
    let jobs = settled.await.unwrap_or_else(|error| {
        panic!(
            "{error}\n{}\n{}",
            dev.log(),
            String::from_utf8_lossy(&t4t(home.path(), &["jobs", "--json", "--data", data], &[]).stdout)
        )
    });
    assert_eq!(jobs[0]["paid"], jobs[1]["paid"]);
    let shown = t4t(home.path(), &["jobs", "show", jobs[0]["job"].as_str().unwrap(), "--data", data], &[]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("answered") && shown.contains("posted"), "{shown}");
    assert_eq!(dev.stop().await, Some(0));
}
