//! What a person sees who waits for more than a second.

use std::{io::IsTerminal as _, sync::mpsc, thread, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};

/// So long nothing is shown.
const PATIENCE: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(100);

/// Shows that work goes on, until it is dropped; only on a terminal.
pub(super) struct Waiting {
    done: Option<mpsc::Sender<()>>,
    shows: Option<thread::JoinHandle<()>>,
}

impl Waiting {
    pub(super) fn start() -> Waiting {
        if !std::io::stderr().is_terminal() {
            return Waiting { done: None, shows: None };
        }
        let (done, ends) = mpsc::channel::<()>();
        let shows = thread::spawn(move || {
            if ends.recv_timeout(PATIENCE) != Err(mpsc::RecvTimeoutError::Timeout) {
                return;
            }
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} reading and checking, {elapsed}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(TICK);
            let _ = ends.recv();
            bar.finish_and_clear();
        });
        Waiting { done: Some(done), shows: Some(shows) }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        drop(self.done.take());
        if let Some(shows) = self.shows.take() {
            // What only shows can fail without harm.
            let _ = shows.join();
        }
    }
}
