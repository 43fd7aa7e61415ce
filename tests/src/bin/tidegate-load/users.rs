//! The users: when each arrives, its loop, and the end of the run.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use crate::options::Options;
use crate::session::Session;
use crate::slow;
use crate::tally::{Failure, Tally};
use crate::target::Target;

/// A refused connection fails at once; users who came back at once would only count refusals.
const AFTER_REFUSAL: Duration = Duration::from_millis(100);

/// A run's figures.
pub(crate) struct Outcome {
    pub(crate) users: u32,
    /// From the first user's arrival to the last answer.
    pub(crate) elapsed: Duration,
    pub(crate) tally: Tally,
}

/// When things happen.
#[derive(Clone, Copy)]
struct Times {
    start: Instant,
    /// No request is sent from here on; those under way are still answered.
    last_request: Instant,
}

/// Runs all users, or slow clients, to the end: after ramp and hold, plus at most one timeout for the last answers.
pub(crate) fn run(options: &Arc<Options>, target: &Arc<Target>) -> Result<Outcome> {
    let start = Instant::now();
    let times = Times { start, last_request: start + options.ramp + options.hold };
    let results: Vec<Result<(Tally, Instant)>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..options.threads)
            .map(|thread| scope.spawn(move || run_thread(options, target, thread, times)))
            .collect();
        threads.into_iter().map(|thread| thread.join().map_err(|_| anyhow!("a thread has panicked"))?).collect()
    });
    let mut tally = Tally::default();
    let mut end = start;
    for result in results {
        let (part, last) = result?;
        tally.merge(&part);
        end = end.max(last);
    }
    Ok(Outcome { users: options.users, elapsed: end - start, tally })
}

/// Every `threads`th user, on a runtime of this thread.
fn run_thread(options: &Arc<Options>, target: &Arc<Target>, thread: u32, times: Times) -> Result<(Tally, Instant)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
    let tally = Rc::new(RefCell::new(Tally::default()));
    let users = LocalSet::new();
    for user in (thread..options.users).step_by(options.threads as usize) {
        let arrival = times.start + options.ramp.mul_f64(f64::from(user) / f64::from(options.users));
        let (tally, target) = (Rc::clone(&tally), Arc::clone(target));
        match options.slow {
            Some(how) => {
                users.spawn_local(slow::run(tally, target, how, arrival, times.last_request));
            }
            None => {
                users.spawn_local(run_user(tally, Arc::clone(options), target, arrival, times.last_request));
            }
        }
    }
    let bound = times.last_request + options.timeout + Duration::from_secs(1);
    runtime.block_on(async {
        // Each user ends by itself; the bound is for a bug in here.
        let _ = timeout_at(bound, users).await;
    });
    let end = Instant::now();
    let tally = std::mem::take(&mut *tally.borrow_mut());
    Ok((tally, end))
}

async fn run_user(
    tally: Rc<RefCell<Tally>>,
    options: Arc<Options>,
    target: Arc<Target>,
    arrival: Instant,
    last_request: Instant,
) {
    let think = Duration::from_millis(options.think);
    let mut buffer = Vec::new();
    let mut session = None;
    sleep_until(arrival).await;
    while Instant::now() < last_request {
        let sent = Instant::now();
        let result = match timeout(options.timeout, request(&target, &mut session, &mut buffer, &tally)).await {
            Ok(result) => result,
            Err(_) => Err(Failure::Timeout),
        };
        match result {
            Ok(()) => tally.borrow_mut().succeed(sent.elapsed()),
            Err(failure) => {
                session = None;
                tally.borrow_mut().fail(failure);
                if failure == Failure::Connect {
                    sleep(AFTER_REFUSAL).await;
                }
            }
        }
        if options.close {
            session = None;
        }
        if !think.is_zero() {
            sleep(think).await;
        }
    }
}

/// One request over the user's connection, opened if there is none.
async fn request(
    target: &Target,
    session: &mut Option<Session>,
    buffer: &mut Vec<u8>,
    tally: &RefCell<Tally>,
) -> Result<(), Failure> {
    let open = match session {
        Some(open) => open,
        None => {
            let opened = Session::open(target).await?;
            tally.borrow_mut().connections += 1;
            session.insert(opened)
        }
    };
    let answer = open.exchange(target, buffer).await?;
    tally.borrow_mut().received += answer.bytes;
    if !answer.reusable {
        *session = None;
    }
    if answer.status >= 400 { Err(Failure::Status(answer.status)) } else { Ok(()) }
}
