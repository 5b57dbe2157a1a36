//! Accounts of the heap say how many bytes are allocated for whom. Each block says who pays for it, so that it is
//! given back to the same account whoever frees it. One thread runs for accounts; others only free what they were
//! handed.
//!
//! They are our own, as allocators do not tell for whom they allocate.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

/// A `Payer` pays for a block, where anybody in particular does. Counters are never freed.
pub type Payer = Option<&'static Counter>;

/// A `Counter` counts the bytes of one account.
pub struct Counter {
    /// This many bytes are allocated and not freed, but for what other threads have freed.
    live: AtomicUsize,
    freed_elsewhere: AtomicUsize,
    /// There may be this many bytes before somebody is told.
    most: AtomicUsize,
    /// The threshold is `most` until somebody was told.
    threshold: AtomicUsize,
    is_noticed: AtomicBool,
}

thread_local! {
    /// What is allocated now is for this payer.
    static PAYER: Cell<Payer> = const { Cell::new(None) };
    /// This is the thread that runs for accounts.
    static RUNS: Cell<bool> = const { Cell::new(false) };
    /// These counters have no account; some have blocks that outlive it.
    static SPARE: RefCell<VecDeque<&'static Counter>> = const { RefCell::new(VecDeque::new()) };
}

/// This many of them are looked at before a new one is made.
const LOOKS: usize = 4;

/// This is called when an account first has more than it may, from within an allocation: it must not allocate.
static NOTIFY: OnceLock<Box<dyn Fn() + Send + Sync>> = OnceLock::new();

/// Has `notify` called whenever an account comes to have more than it may. It must not allocate. The first who asks
/// is the one who is told.
pub fn on_excess(notify: impl Fn() + Send + Sync + 'static) {
    NOTIFY.get_or_init(|| Box::new(notify));
}

/// Returns who pays for what is allocated now.
pub fn payer() -> Payer {
    PAYER.get()
}

impl Counter {
    const fn new() -> Counter {
        Counter {
            live: AtomicUsize::new(0),
            freed_elsewhere: AtomicUsize::new(0),
            most: AtomicUsize::new(usize::MAX),
            threshold: AtomicUsize::new(usize::MAX),
            is_noticed: AtomicBool::new(false),
        }
    }

    /// Notes that this many bytes more were allocated, by whichever thread.
    pub fn add(&self, bytes: usize) {
        match RUNS.get() {
            true => self.add_here(bytes),
            // It has grown a block that it was handed.
            false => {
                self.freed_elsewhere.fetch_sub(bytes, Relaxed);
            }
        }
    }

    /// Notes that the thread that runs for accounts allocated this many bytes more.
    pub fn add_here(&self, bytes: usize) {
        let live = self.live.load(Relaxed).wrapping_add(bytes);
        self.live.store(live, Relaxed);
        if live > self.threshold.load(Relaxed) {
            self.notice();
        }
    }

    /// Notes that this many bytes were freed.
    pub fn remove(&self, bytes: usize) {
        if RUNS.get() {
            let live = self.live.load(Relaxed).wrapping_sub(bytes);
            self.live.store(live, Relaxed);
        } else {
            self.freed_elsewhere.fetch_add(bytes, Relaxed);
        }
    }

    fn live(&self) -> usize {
        let freed = self.freed_elsewhere.load(Relaxed);
        self.live.load(Relaxed).wrapping_sub(freed)
    }

    #[cold]
    fn notice(&self) {
        // What others have freed is in the way of seeing an excess at once.
        let freed = self.freed_elsewhere.swap(0, Relaxed);
        self.live
            .store(self.live.load(Relaxed).wrapping_sub(freed), Relaxed);
        if self.live() <= self.most.load(Relaxed) {
            return;
        }
        self.threshold.store(usize::MAX, Relaxed);
        self.is_noticed.store(true, Relaxed);
        if let Some(notify) = NOTIFY.get() {
            notify();
        }
    }
}

/// An `Account` is one of the heap. What was allocated for it may outlive it.
pub struct Account(&'static Counter);

impl Account {
    pub fn open() -> Account {
        let spare = SPARE.with_borrow_mut(|spare| {
            for _ in 0..spare.len().min(LOOKS) {
                let counter = spare.pop_front()?;
                if counter.live() == 0 {
                    return Some(counter);
                }
                spare.push_back(counter);
            }
            None
        });
        let account = Account(spare.unwrap_or_else(|| {
            let before = PAYER.take();
            let counter = Box::leak(Box::new(Counter::new()));
            PAYER.set(before);
            counter
        }));
        account.allow(usize::MAX);
        account
    }

    /// Has this account pay for what `run` allocates.
    pub fn pay<T>(&self, run: impl FnOnce() -> T) -> T {
        RUNS.set(true);
        let _before = PreviousPayer(PAYER.replace(Some(self.0)));
        run()
    }

    /// Returns the bytes that the account pays for now.
    pub fn bytes(&self) -> usize {
        self.0.live()
    }

    /// Sets how many bytes there may be before somebody is told.
    pub fn allow(&self, bytes: usize) {
        self.0.most.store(bytes, Relaxed);
        self.0.is_noticed.store(false, Relaxed);
        self.0.threshold.store(bytes, Relaxed);
    }

    /// Says whether the account has come to pay for more than it may, and still does.
    pub fn has_excess(&self) -> bool {
        if !self.0.is_noticed.load(Relaxed) {
            return false;
        }
        let most = self.0.most.load(Relaxed);
        self.allow(most);
        self.bytes() > most
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.allow(usize::MAX);
        // A thread that ends has no spare ones any more.
        let _ = SPARE.try_with(|spare| spare.borrow_mut().push_back(self.0));
    }
}

/// `PreviousPayer` is who paid before.
struct PreviousPayer(Payer);

impl Drop for PreviousPayer {
    fn drop(&mut self) {
        PAYER.set(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_something_allocated_pays_until_it_is_freed() {
        let account = Account::open();
        let mut block = account.pay(|| Vec::<u8>::with_capacity(1000));
        assert_eq!(account.bytes(), 1000);
        block.reserve_exact(5000);
        assert_eq!(account.bytes(), 5000);
        let other = vec![0_u64; 100];
        account.pay(|| drop(other));
        assert_eq!(account.bytes(), 5000);
        drop(block);
        assert_eq!(account.bytes(), 0);
    }

    #[test]
    fn alignments_are_kept_and_counted() {
        #[repr(align(64))]
        struct Aligned(#[expect(dead_code, reason = "it has a size")] [u8; 100]);
        let account = Account::open();
        let block = account.pay(|| Box::new(Aligned([0; 100])));
        assert!(std::ptr::from_ref(&*block).addr().is_multiple_of(64));
        assert_eq!(account.bytes(), size_of::<Aligned>());
        let wide = account.pay(|| vec![0_u128; 10]);
        assert!(wide.as_ptr().addr().is_multiple_of(16));
        drop((block, wide));
        assert_eq!(account.bytes(), 0);
    }

    #[test]
    fn what_another_thread_frees_is_given_back() {
        let account = Account::open();
        let block = account.pay(|| vec![0_u8; 4096]);
        std::thread::spawn(move || drop(block)).join().unwrap();
        assert_eq!(account.bytes(), 0);
    }

    #[test]
    fn an_excess_is_seen_as_long_as_it_lasts() {
        let account = Account::open();
        account.allow(1000);
        let block = account.pay(|| vec![0_u8; 900]);
        assert!(!account.has_excess());
        let more = account.pay(|| vec![0_u8; 900]);
        assert!(account.has_excess());
        account.pay(|| drop(vec![0_u8; 900]));
        drop(more);
        assert!(!account.has_excess());
        let more = account.pay(|| vec![0_u8; 900]);
        assert!(account.has_excess());
        drop((block, more));
    }

    #[test]
    fn an_account_that_has_blocks_left_is_not_another_s() {
        let account = Account::open();
        let block = account.pay(|| vec![0_u8; 100]);
        drop(account);
        let others: Vec<Account> = (0..10).map(|_| Account::open()).collect();
        assert!(others.iter().all(|other| other.bytes() == 0));
        drop(block);
    }
}
