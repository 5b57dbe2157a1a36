//! These tests show who waits for a worker's memory, and who goes on.

use super::*;
use std::pin::{Pin, pin};
use std::task::{Context, Waker};

fn run<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().build().unwrap().block_on(future)
}

/// Makes a worker that is always full: it may have no memory at all.
fn full() -> Arc<WorkerMemory> {
    WorkerMemory::bounded(0, 0, Duration::from_millis(1))
}

#[test]
fn without_a_bound_nobody_waits() {
    let memory = WorkerMemory::unbounded();
    let both = [(); 2].map(|()| RunningGuard::new(&memory));
    run(async {
        assert_eq!(memory.admit().await, Ok(()));
        assert_eq!(memory.grant(both[0].age(), usize::MAX).await, Ok(()));
    });
}

#[test]
fn who_is_alone_goes_on() {
    let memory = full();
    run(async {
        assert_eq!(memory.admit().await, Ok(()));
        let alone = RunningGuard::new(&memory);
        assert_eq!(memory.resume(alone.age()).await, Ok(()));
        assert_eq!(memory.admit().await, Err(NoRoom));
    });
}

#[test]
fn what_is_granted_counts_until_it_is_given_back() {
    let most = 1 << 40;
    let memory = WorkerMemory::bounded(most, 0, Duration::from_millis(1));
    let most = usize::try_from(most).unwrap();
    let [first, second] = [(); 2].map(|()| RunningGuard::new(&memory));
    run(async {
        assert_eq!(memory.grant(first.age(), most / 2).await, Ok(()));
        assert!(!memory.is_full());
        assert_eq!(memory.grant(second.age(), most / 2).await, Err(NoRoom));
        memory.give_back(most / 2);
        assert_eq!(memory.grant(second.age(), most / 2).await, Ok(()));
    });
}

fn is_pending(future: Pin<&mut impl Future>) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    future.poll(&mut cx).is_pending()
}

#[test]
fn of_those_who_all_wait_the_youngest_is_ended() {
    let memory = WorkerMemory::bounded(0, 0, Duration::from_secs(3600));
    let [first, second] = [(); 2].map(|()| RunningGuard::new(&memory));
    run(async {
        let mut young = pin!(memory.resume(second.age()));
        assert!(is_pending(young.as_mut()));
        let mut old = pin!(memory.resume(first.age()));
        assert!(is_pending(old.as_mut()));
        assert_eq!(young.await, Err(NoRoom));
        drop(second);
        assert_eq!(old.await, Ok(()));
    });
}

#[test]
fn more_workers_have_smaller_shares() {
    let workers = |count| NonZeroUsize::new(count).unwrap();
    let memory = WorkerMemory::shared(64 << 20, 1 << 20, Duration::ZERO, workers(2));
    memory.share_among(workers(4));
    assert_eq!(memory.most(), 32 << 20);
    memory.share_among(workers(2));
    assert_eq!(memory.most(), 64 << 20);
    let memory = WorkerMemory::bounded(64 << 20, 1 << 20, Duration::ZERO);
    memory.share_among(workers(4));
    assert_eq!(memory.most(), 64 << 20, "it was named");
}
