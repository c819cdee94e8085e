//! The market end to end: the real programs, a real chain, Swarm nodes, and the books checked to the last PLUR.

mod apart;
mod backends;
mod messages;
mod swarm;
mod traced;
mod trade;

use t4t_testkit::processes::{Scene, SceneSpec};

/// The command under test.
const T4T: &str = env!("CARGO_BIN_EXE_t4t");

/// A gateway and a provider of the scripted backend.
async fn scene() -> anyhow::Result<Scene> {
    Scene::start(SceneSpec::new(T4T)).await
}
