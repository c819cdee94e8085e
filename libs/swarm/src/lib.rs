//! Swarm: chunk algorithms and a Bee client.
