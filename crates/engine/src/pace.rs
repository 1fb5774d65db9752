//! What nobody waits for goes in steps: fold workers and the relay begin their rounds no more often than [`Limits::pace_us`] while they
//! have little to do, so that what comes meanwhile shares the statements and the sync of one round. The first round after a
//! pause begins at once, and a round that left work behind is followed by the next without a wait.
//!
//! [`Limits::pace_us`]: crate::limits::Limits::pace_us

use crate::Inner;
use luopan_kernel::time::Micros;

/// When the last round began.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    began: Option<Micros>,
}

impl Pace {
    /// Waits until a round may begin, and notes that it does.
    pub(crate) async fn keep(&mut self, inner: &Inner) {
        let pace = inner.limits.pace_us;
        if pace <= 0 {
            return;
        }
        if let Some(began) = self.began {
            // A clock that was set back must not stop anything.
            let left = pace - inner.env.now().since(began).clamp(0, pace);
            if left > 0 && !inner.stopping() {
                inner.env.sleep(left).await;
            }
        }
        self.began = Some(inner.env.now());
    }
}
