//! Messages between two nodes.

use t4t_swarm::{Sent, SwarmError};

use crate::nodes::{LIMIT, Nodes, next};

#[tokio::test]
async fn a_message_reaches_the_other_node_and_no_empty_frame_does() {
    let nodes = Nodes::start().await;
    let topic = Nodes::topic();
    let mut inbox = nodes.receiver.subscribe(&topic);
    inbox.wait_connected(LIMIT).await.unwrap();
    for number in 0..5u8 {
        let sent =
            nodes.sender.send_message(&nodes.message(&topic, vec![number; 100]), &nodes.batch).await.unwrap();
        assert!(
            matches!(sent, Sent::Chunk { address, .. } if address.as_bytes()[0] == nodes.overlay.as_bytes()[0])
        );
        // A real node may repeat a message.
        let mut arrived = next(&mut inbox).await;
        while number > 0 && arrived[0] == number - 1 {
            arrived = next(&mut inbox).await;
        }
        assert_eq!(arrived, vec![number; 100]);
    }
}

#[tokio::test]
async fn a_message_to_the_nodes_own_key_arrives() {
    let nodes = Nodes::start().await;
    let topic = Nodes::topic();
    let mut inbox = nodes.receiver.subscribe(&topic);
    inbox.wait_connected(LIMIT).await.unwrap();
    let mut message = nodes.message(&topic, "secret");
    message.recipient = Some(nodes.receiver.addresses().await.unwrap().pss_public_key);
    nodes.sender.send_message(&message, &nodes.batch).await.unwrap();
    assert_eq!(next(&mut inbox).await, "secret");
}

#[tokio::test]
async fn a_message_that_the_node_mines_itself_arrives() {
    let nodes = Nodes::start().await;
    let topic = Nodes::topic();
    let mut inbox = nodes.receiver.subscribe(&topic);
    inbox.wait_connected(LIMIT).await.unwrap();
    let sent = nodes.sender.send_by_node(&nodes.message(&topic, "by node"), &nodes.batch).await.unwrap();
    assert_eq!(sent, Sent::ByNode);
    assert_eq!(next(&mut inbox).await, "by node");

    let mut sealed = nodes.message(&topic, "by node, for one");
    sealed.recipient = Some(nodes.receiver.addresses().await.unwrap().pss_public_key);
    nodes.sender.send_by_node(&sealed, &nodes.batch).await.unwrap();
    let mut arrived = next(&mut inbox).await;
    while arrived == "by node" {
        arrived = next(&mut inbox).await;
    }
    assert_eq!(arrived, "by node, for one");
}

#[tokio::test]
async fn the_longest_message_arrives_and_a_longer_one_is_refused_here() {
    let nodes = Nodes::start().await;
    let topic = Nodes::topic();
    let mut inbox = nodes.receiver.subscribe(&topic);
    inbox.wait_connected(LIMIT).await.unwrap();
    nodes.sender.send_message(&nodes.message(&topic, vec![1; 4000]), &nodes.batch).await.unwrap();
    assert_eq!(next(&mut inbox).await.len(), 4000);
    let refused =
        nodes.sender.send_message(&nodes.message(&topic, vec![1; 4001]), &nodes.batch).await.unwrap_err();
    assert!(matches!(refused, SwarmError::TooLarge { limit: 4000, .. }), "{refused:?}");
}

#[tokio::test]
async fn a_topic_hears_only_its_own_messages() {
    let nodes = Nodes::start().await;
    let (topic, other) = (Nodes::topic(), Nodes::topic());
    let mut inbox = nodes.receiver.subscribe(&topic);
    inbox.wait_connected(LIMIT).await.unwrap();
    nodes.sender.send_message(&nodes.message(&other, "not for us"), &nodes.batch).await.unwrap();
    nodes.sender.send_message(&nodes.message(&topic, "for us"), &nodes.batch).await.unwrap();
    assert_eq!(next(&mut inbox).await, "for us");
}

#[tokio::test]
async fn every_subscriber_of_a_topic_gets_the_message() {
    let nodes = Nodes::start().await;
    let topic = Nodes::topic();
    let mut inboxes = [nodes.receiver.subscribe(&topic), nodes.receiver.subscribe(&topic)];
    for inbox in &inboxes {
        inbox.wait_connected(LIMIT).await.unwrap();
    }
    nodes.sender.send_message(&nodes.message(&topic, "all"), &nodes.batch).await.unwrap();
    for inbox in &mut inboxes {
        assert_eq!(next(inbox).await, "all");
    }
}
