//! These tests show what a channel gives to whom, and when it is closed.

use super::*;

fn channel() -> Channel {
    let channel = Channel::new(Bounds {
        messages: 2,
        received: 10,
        sent: 10,
    });
    assert!(channel.answer(OpeningAnswer::Accepted {
        subprotocol: None,
        headers: HeaderMap::new(),
    }));
    channel
}

fn text(text: &str) -> Message {
    Message::Text(text.to_owned())
}

#[test]
fn queues_are_bounded_by_messages_and_by_bytes() {
    let channel = channel();
    channel.deliver(text("a"));
    assert!(channel.has_room());
    channel.deliver(text("b"));
    assert!(!channel.has_room());
    assert_eq!(channel.receive(), Ok(Some(text("a"))));
    assert!(channel.has_room());
    // One that is longer than the bound is taken, and nothing after it.
    let long = Outgoing::Message(text("0123456789abc"));
    assert_eq!(channel.send(long.clone()), Ok(None));
    let ping = Outgoing::Ping(vec![1]);
    assert_eq!(channel.send(ping.clone()), Ok(Some(ping)));
    assert_eq!(channel.next_outgoing(), Some(long));
    assert_eq!(channel.send(Outgoing::Ping(vec![])), Ok(None));
}

#[test]
fn what_came_before_the_end_is_received_first() {
    let channel = channel();
    channel.deliver(text("a"));
    channel.end(Closed::new(1001, "bye"));
    channel.end(Closed::new(1006, ""));
    assert_eq!(channel.receive(), Ok(Some(text("a"))));
    assert_eq!(channel.receive(), Err(Closed::new(1001, "bye")));
    let sent = channel.send(Outgoing::Message(text("b")));
    assert_eq!(sent, Err(Closed::new(1001, "bye")));
}

#[test]
fn a_close_follows_what_was_sent_and_comes_once() {
    let channel = channel();
    let message = Outgoing::Message(text("a"));
    channel.send(message.clone()).unwrap();
    channel.leave(Closed::new(1000, ""));
    channel.close(Closed::new(1011, ""));
    assert_eq!(channel.next_outgoing(), Some(message));
    let close = Outgoing::Close(Closed::new(1000, ""));
    assert_eq!(channel.next_outgoing(), Some(close));
    assert_eq!(channel.next_outgoing(), None);
}

#[test]
fn an_opening_is_answered_once_and_nothing_is_sent_before() {
    let channel = Channel::new(Bounds {
        messages: 2,
        received: 10,
        sent: 10,
    });
    assert!(channel.send(Outgoing::Message(text("a"))).is_err());
    let rejected = || OpeningAnswer::Rejected {
        status: 403,
        headers: HeaderMap::new(),
        body: Vec::new(),
    };
    assert!(channel.answer(rejected()));
    assert!(!channel.answer(rejected()));
    assert!(channel.take_answer().is_some() && channel.take_answer().is_none());
    assert!(channel.receive().is_err());
}

#[test]
fn what_is_given_up_holds_nothing_and_is_given_up_once() {
    let channel = channel();
    let now = Instant::now();
    channel.deliver(text("0123456789"));
    assert_eq!(channel.burden(now).map(|(bytes, _)| bytes), Some(0));
    let later = now + 2 * STUCK;
    assert_eq!(channel.burden(later).map(|(bytes, _)| bytes), Some(10));
    // A client that is gone takes it along no more than one that stays.
    channel.end(Closed::new(1006, ""));
    assert!(channel.burden(later).is_some() && !channel.is_given_up());
    channel.give_up(Closed::new(1013, ""));
    assert!(channel.burden(later).is_none() && channel.is_given_up());
    assert!(channel.receive().is_err());
    assert_eq!(channel.next_outgoing(), None);
}
