//! A counter that tasks can wait on: no wake-up is lost between looking and waiting, and closing wakes everyone.
//! It needs no executor, so the testbed may own it.

use parking_lot::Mutex;
use std::future::poll_fn;
use std::task::{Poll, Waker};

/// A counter that tasks can wait on.
#[derive(Debug, Default)]
pub struct Signal {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    count: u64,
    closed: bool,
    wakers: Vec<Waker>,
}

impl Signal {
    /// The count now; hand it to [`Signal::wait`].
    pub fn ticket(&self) -> u64 {
        self.inner.lock().count
    }

    /// Wakes everyone who waits.
    pub fn notify(&self) {
        let wakers = {
            let mut inner = self.inner.lock();
            inner.count += 1;
            std::mem::take(&mut inner.wakers)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Wakes everyone for good.
    pub fn close(&self) {
        self.inner.lock().closed = true;
        self.notify();
    }

    /// True after [`Signal::close`].
    pub fn is_closed(&self) -> bool {
        self.inner.lock().closed
    }

    /// Waits until the count is past `ticket` or the signal is closed.
    pub async fn wait(&self, ticket: u64) {
        poll_fn(|cx| {
            let mut inner = self.inner.lock();
            if inner.count > ticket || inner.closed {
                return Poll::Ready(());
            }
            if !inner.wakers.iter().any(|w| w.will_wake(cx.waker())) {
                inner.wakers.push(cx.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }
}
