//! Uploads and downloads.

use t4t_swarm::chunk::{Chunk, root_reference};
use t4t_swarm::{Patience, SwarmError, Upload};
use t4t_types::SwarmRef;

use crate::nodes::{Nodes, PATIENCE};

fn random(length: usize) -> Vec<u8> {
    let mut data = vec![0; length];
    getrandom::fill(&mut data).unwrap();
    data
}

#[tokio::test]
async fn what_was_uploaded_directly_is_read_on_another_node() {
    let nodes = Nodes::start().await;
    for length in [0, 1, 4096, 4097, 9000] {
        let data = random(length);
        let reference = nodes.sender.upload(&nodes.batch, data.clone(), Upload::Direct).await.unwrap();
        assert_eq!(reference, root_reference(&data), "{length} bytes");
        let read = nodes.receiver.download(&reference, 10_000, PATIENCE).await.unwrap();
        assert_eq!(read, data, "{length} bytes");
    }
}

#[tokio::test]
async fn what_was_uploaded_deferred_is_read_on_another_node() {
    let nodes = Nodes::start().await;
    let data = random(150_000);
    let reference = nodes.sender.upload(&nodes.batch, data.clone(), Upload::Deferred).await.unwrap();
    assert_eq!(reference, root_reference(&data));
    assert_eq!(nodes.receiver.download(&reference, 150_000, PATIENCE).await.unwrap(), data);
}

#[tokio::test]
async fn content_that_is_longer_than_asked_for_is_refused() {
    let nodes = Nodes::start().await;
    let reference = nodes.sender.upload(&nodes.batch, random(5000), Upload::Direct).await.unwrap();
    let refused = nodes.receiver.download(&reference, 4999, PATIENCE).await.unwrap_err();
    assert!(matches!(refused, SwarmError::TooLarge { limit: 4999, .. }), "{refused:?}");
}

#[tokio::test]
async fn content_that_nobody_has_is_not_found() {
    let nodes = Nodes::start().await;
    let unknown = SwarmRef::new(random(32).try_into().unwrap());
    let missed = nodes.receiver.download(&unknown, 1000, Patience::once()).await.unwrap_err();
    assert!(missed.is_retryable(), "{missed:?}");
    if !Nodes::is_real() {
        assert!(matches!(missed, SwarmError::NotFound(_)), "{missed:?}");
    }
}

#[tokio::test]
async fn a_chunk_is_read_back_as_it_was_sent() {
    let nodes = Nodes::start().await;
    let chunk = Chunk::content(&random(1000)).unwrap();
    let address = nodes.sender.post_chunk(&nodes.batch, chunk.data().clone()).await.unwrap();
    assert_eq!(address, chunk.address());
    assert_eq!(nodes.receiver.get_chunk(&address).await.unwrap(), chunk.data());
}

#[tokio::test]
async fn the_node_is_told_how_long_to_look_for_chunks() {
    let nodes = Nodes::start().await;
    let reference = nodes.sender.upload(&nodes.batch, "x", Upload::Direct).await.unwrap();
    let patience = Patience { retrieval: Some(std::time::Duration::from_millis(2500)), ..PATIENCE };
    assert_eq!(nodes.receiver.download(&reference, 10, patience).await.unwrap(), "x");
}

#[tokio::test]
async fn a_node_says_who_it_is() {
    let nodes = Nodes::start().await;
    let addresses = nodes.sender.addresses().await.unwrap();
    assert_ne!(addresses.overlay, nodes.overlay);
    assert!(nodes.sender.node().await.unwrap().bee_mode.receives_messages());
    assert_eq!(nodes.sender.health().await.unwrap().status, "ok");
    assert!(nodes.sender.status().await.unwrap().storage_radius.is_some());
    assert!(!nodes.sender.wallet().await.unwrap().bzz_balance.is_zero());
}
