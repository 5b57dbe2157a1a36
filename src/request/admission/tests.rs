//! These tests put permits under pressure: in which order they are given, to whom, and from whom they are taken back.

use super::*;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use tokio::runtime::{Builder, LocalOptions};

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .build_local(LocalOptions::default());
    runtime.unwrap().block_on(future)
}

fn progress() -> Rc<ClientProgress> {
    ClientProgress::new(0, &Rc::default())
}

fn somebody(last: u8) -> Option<ClientKey> {
    Some(IpAddr::from([192, 0, 2, last]))
}

type Waiting<'a> = Pin<Box<dyn Future<Output = Result<Permit, Rejected>> + 'a>>;

fn poll(waiting: &mut Waiting<'_>) -> Poll<Result<Permit, Rejected>> {
    waiting
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
}

/// Asks for a permit that is not to be had now.
fn ask(admission: &Admission, who: Option<ClientKey>) -> Waiting<'_> {
    let mut waiting: Waiting = Box::pin(async move { admission.enter(who, &progress()).await });
    assert!(poll(&mut waiting).is_pending(), "there was a permit");
    waiting
}

const LONG: Duration = Duration::from_secs(3600);

#[test]
fn a_full_house_queues_and_then_turns_away() {
    run(async {
        let admission = Admission::new(1, 1, LONG);
        let permit = admission.enter(None, &progress()).await.unwrap();
        let second = ask(&admission, None);
        let third = admission.enter(None, &progress()).await;
        assert_eq!(third.err(), Some(Rejected::Queue));
        drop(permit);
        assert!(second.await.is_ok());
        admission.idle().await;
    });
}

#[test]
fn nobody_waits_for_ever() {
    run(async {
        let admission = Admission::new(1, 1, Duration::from_millis(1));
        let _permit = admission.enter(None, &progress()).await.unwrap();
        let second = admission.enter(None, &progress()).await;
        assert_eq!(second.err(), Some(Rejected::Wait));
        assert_eq!(admission.0.waiting.get(), 0);
    });
}

#[test]
fn the_client_with_the_fewest_permits_is_next() {
    run(async {
        let admission = Admission::new(2, 10, LONG);
        let first = admission.enter(somebody(1), &progress()).await.unwrap();
        let _second = admission.enter(somebody(1), &progress()).await.unwrap();
        let mut more = ask(&admission, somebody(1));
        let other = ask(&admission, somebody(2));
        drop(first);
        assert!(other.await.is_ok());
        assert!(poll(&mut more).is_pending() || admission.0.held.get() <= 2);
    });
}

#[test]
fn one_client_does_not_have_all_permits_while_there_are_others() {
    run(async {
        let admission = Admission::new(4, 10, LONG);
        drop(admission.enter(somebody(2), &progress()).await);
        let mut permits = Vec::new();
        for _ in 0..3 {
            permits.push(admission.enter(somebody(1), &progress()).await.unwrap());
        }
        let _fourth = ask(&admission, somebody(1));
        assert!(admission.enter(somebody(2), &progress()).await.is_ok());
    });
}

#[test]
fn one_client_that_is_alone_or_a_proxy_may_have_all_permits() {
    run(async {
        for who in [somebody(1), None] {
            let admission = Admission::new(4, 10, LONG);
            let mut permits = Vec::new();
            for _ in 0..4 {
                permits.push(admission.enter(who, &progress()).await.unwrap());
            }
            let _fifth = ask(&admission, who);
        }
    });
}

/// What lasts for days does not end when others come.
#[test]
fn of_what_lasts_one_client_never_has_all() {
    run(async {
        let admission = Admission::lasting(4);
        let mut permits = Vec::new();
        for _ in 0..3 {
            permits.push(admission.enter(somebody(1), &progress()).await.unwrap());
        }
        let fourth = admission.enter(somebody(1), &progress()).await;
        assert_eq!(fourth.err(), Some(Rejected::Queue));
        assert!(admission.enter(somebody(2), &progress()).await.is_ok());
        // A proxy speaks for many.
        let admission = Admission::lasting(1);
        assert!(admission.enter(None, &progress()).await.is_ok());
    });
}

#[test]
fn a_queue_that_one_client_fills_has_room_for_others() {
    run(async {
        let admission = Admission::new(1, 3, LONG);
        let _permit = admission.enter(somebody(1), &progress()).await.unwrap();
        let mut waiting: Vec<_> = (0..3).map(|_| ask(&admission, somebody(1))).collect();
        let _other = ask(&admission, somebody(2));
        let last = waiting.pop().unwrap().await;
        assert_eq!(last.err(), Some(Rejected::Queue));
        let one_more = admission.enter(somebody(1), &progress()).await;
        assert_eq!(one_more.err(), Some(Rejected::Queue));
    });
}

#[test]
fn permits_of_clients_that_do_not_keep_up_go_to_those_who_wait() {
    run(async {
        let admission = Admission::new(2, 10, LONG);
        let (keeps_up, stalls) = (progress(), progress());
        let _first = admission.enter(None, &keeps_up).await.unwrap();
        let _second = admission.enter(None, &stalls).await.unwrap();
        stalls.waits_for_room();
        let _waiting = ask(&admission, None);
        admission.0.evict(Instant::now() + BEHIND / 2);
        assert!(!stalls.is_evicted());
        admission.0.evict(Instant::now() + BEHIND);
        assert!(stalls.is_evicted() && !keeps_up.is_evicted());
    });
}

#[test]
fn who_gives_up_waiting_leaves_its_place() {
    run(async {
        let admission = Admission::new(1, 1, LONG);
        let permit = admission.enter(None, &progress()).await.unwrap();
        drop(ask(&admission, None));
        let second = ask(&admission, None);
        drop(permit);
        assert!(second.await.is_ok());
    });
}
