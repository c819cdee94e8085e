//! The real programs as processes of their own, beside a real chain and development Swarm nodes.
//!
//! Each process has its own data folder and its own log, ends with its value, can be ended as `kill -9` does and started
//! again on the same data.

mod apart;
mod app;
mod process;
mod roles;
mod scene;
mod world;

pub use self::apart::{Apart, RUNNER_TOKEN, SERVICE_TOKEN, build_services};
pub use self::app::{App, Question, Reply};
pub use self::process::{Process, Recipe};
pub use self::roles::{Gateway, Provider, RoleSpec};
pub use self::scene::{ECHO, Scene, SceneSpec};
pub use self::world::{PATIENCE, World, WorldConfig};
