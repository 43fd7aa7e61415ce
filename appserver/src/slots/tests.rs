use super::*;
use tidegate_contract::{AppPhase, WorkerPhase};
use tidegate_site::Recycle;

const DRAIN: Duration = Duration::from_secs(30);

fn plan(processes: u32) -> Plan {
    let recycle = Recycle { requests: None, lifetime: None, memory: None };
    Plan { processes, threads_max: 8, drain_timeout: DRAIN, recycle, replace: Replace::Overlap }
}

struct Story {
    slots: Slots,
    start: Instant,
    generation: Generation,
}

impl Story {
    fn new(processes: u32, purpose: Purpose) -> Self {
        Self::with(plan(processes), purpose)
    }

    fn with(plan: Plan, purpose: Purpose) -> Self {
        let start = Instant::now();
        Self { slots: Slots::new(plan, purpose, 1, start), start, generation: 0 }
    }

    /// A story in which every slot's first worker is ready.
    fn ready(processes: u32) -> Self {
        Self::ready_with(plan(processes))
    }

    fn ready_with(plan: Plan) -> Self {
        let mut story = Self::with(plan, Purpose::Serve);
        story.run(0);
        for generation in 1..=u64::from(plan.processes) {
            story.slots.ready(generation, story.start);
        }
        story
    }

    fn at(&self, seconds: u64) -> Instant {
        self.start + Duration::from_secs(seconds)
    }

    /// Does what is to be done and returns it.
    fn run(&mut self, seconds: u64) -> Vec<Action> {
        let actions = self.slots.actions(self.at(seconds), true);
        for action in &actions {
            if let Action::Start { slot } = *action {
                self.generation += 1;
                self.slots.started(slot, self.generation, format!("unix:/{}", self.generation));
            }
        }
        actions
    }

    fn died(&mut self, generation: Generation, seconds: u64) -> Option<RestartReason> {
        self.slots.ended(generation, &End::Exited("signal 9".to_owned()), self.at(seconds))
    }

    fn phases(&self) -> Vec<(u64, WorkerPhase)> {
        self.slots.workers().into_iter().map(|worker| (worker.generation, worker.phase)).collect()
    }
}

fn import_error() -> End {
    End::ImportFailed { error: "ImportError: x".to_owned(), traceback: String::new() }
}

#[test]
fn every_slot_starts_one_process_and_the_app_is_ready_with_the_first() {
    let mut story = Story::new(2, Purpose::Serve);
    assert_eq!(story.run(0), [Action::Start { slot: 0 }, Action::Start { slot: 1 }]);
    assert_eq!((story.run(0), story.slots.phase()), (vec![], AppPhase::Starting));
    story.slots.ready(2, story.at(1));
    assert_eq!((story.slots.phase(), story.slots.is_complete()), (AppPhase::Ready, false));
    story.slots.ready(1, story.at(1));
    assert!(story.slots.is_complete());
    assert_eq!(story.phases(), [(1, WorkerPhase::Ready), (2, WorkerPhase::Ready)]);
}

#[test]
fn a_worker_that_dies_is_replaced_at_once_and_the_app_stays_ready() {
    let mut story = Story::ready(1);
    assert_eq!(story.died(1, 5), Some(RestartReason::Died));
    assert_eq!(story.slots.phase(), AppPhase::Ready);
    assert_eq!(story.run(5), [Action::Start { slot: 0 }]);
    assert_eq!(story.phases(), [(2, WorkerPhase::Starting)]);
}

#[test]
fn a_second_death_in_a_row_waits_and_a_healthy_minute_forgives() {
    let mut story = Story::ready(1);
    story.died(1, 1);
    story.run(1);
    story.slots.ready(2, story.at(2));
    story.died(2, 3);
    assert_eq!(story.run(3), []);
    assert!(story.slots.next_wake().is_some_and(|wake| wake > story.at(3) && wake <= story.at(4)));
    assert_eq!(story.run(4), [Action::Start { slot: 0 }]);
    story.slots.ready(3, story.at(5));
    story.died(3, 65);
    assert_eq!(story.run(65), [Action::Start { slot: 0 }]);
}

#[test]
fn an_app_that_cannot_start_has_failed_until_a_worker_is_ready() {
    let cases =
        [(import_error(), 1), (End::NotReady, 1), (End::NotStarted(String::new()), 1), (End::Exited(String::new()), 2)];
    for (end, attempts) in cases {
        let mut story = Story::new(1, Purpose::Serve);
        for attempt in 1..=attempts {
            assert_eq!(story.slots.phase(), AppPhase::Starting, "{end:?}");
            story.run(attempt * 60);
            assert_eq!(story.slots.ended(attempt, &end, story.at(attempt * 60)), Some(end.reason()));
        }
        assert_eq!(story.slots.phase(), AppPhase::Failed, "{end:?}");
        assert_eq!(story.slots.failure(), Some(end.to_string().as_str()));
        assert_eq!(story.run(600), [Action::Start { slot: 0 }]);
        assert_eq!(story.slots.phase(), AppPhase::Failed, "still, while it tries again");
        story.slots.ready(attempts + 1, story.at(601));
        assert_eq!((story.slots.phase(), story.slots.failure()), (AppPhase::Ready, None));
    }
}

#[test]
fn a_failed_replacement_does_not_fail_an_app_that_another_worker_serves() {
    let mut story = Story::ready(2);
    story.died(1, 1);
    story.run(1);
    story.slots.ended(3, &import_error(), story.at(2));
    assert_eq!(story.slots.phase(), AppPhase::Ready);
    story.died(2, 3);
    assert_eq!(story.slots.phase(), AppPhase::Failed);
}

#[test]
fn a_condemned_worker_serves_until_its_replacement_is_ready() {
    let mut story = Story::ready(1);
    assert!(story.slots.condemned(1, story.at(5)));
    assert!(!story.slots.condemned(1, story.at(5)), "counted once");
    assert_eq!(story.run(5), [Action::Start { slot: 0 }]);
    assert_eq!(story.phases(), [(1, WorkerPhase::Ready), (2, WorkerPhase::Starting)]);
    story.slots.ready(2, story.at(6));
    assert_eq!(story.phases(), [(1, WorkerPhase::Draining), (2, WorkerPhase::Ready)]);
    assert_eq!(story.run(7), []);
    story.slots.drained(1);
    assert_eq!(story.run(8), [Action::Stop { generation: 1, until: story.at(36) }]);
    assert_eq!(story.run(9), []);
    assert_eq!(story.died(1, 10), None);
}

#[test]
fn a_condemned_worker_that_dies_is_counted_once() {
    let mut story = Story::ready(1);
    story.slots.condemned(1, story.at(5));
    story.run(5);
    assert_eq!(story.died(1, 6), None);
    assert_eq!((story.run(6), story.slots.phase()), (vec![], AppPhase::Ready));
}

#[test]
fn the_proxys_word_counts_if_it_comes_before_the_draining() {
    let mut story = Story::ready(1);
    // A commit shows the proxy a draining worker before its pool is told to leave.
    story.slots.drained(1);
    assert_eq!(story.run(1), []);
    story.slots.leave(story.at(1));
    assert_eq!(story.run(1), [Action::Stop { generation: 1, until: story.at(31) }]);
}

#[test]
fn draining_ends_with_the_proxys_word_the_timeout_or_the_proxys_absence() {
    for (drained, connected, seconds, stops) in
        [(false, true, 29, false), (true, true, 1, true), (false, true, 30, true), (false, false, 1, true)]
    {
        let mut story = Story::ready(1);
        assert_eq!(story.slots.leave(story.start), 1);
        if drained {
            story.slots.drained(1);
        }
        let actions = story.slots.actions(story.at(seconds), connected);
        assert_eq!(!actions.is_empty(), stops, "{drained} {connected} {seconds}");
        assert_eq!((story.slots.phase(), story.phases()), (AppPhase::Stopping, vec![(1, WorkerPhase::Draining)]));
    }
}

#[test]
fn a_leaving_pool_starts_nothing_and_stops_what_never_served() {
    let mut story = Story::new(2, Purpose::Serve);
    story.run(0);
    story.slots.ready(1, story.at(1));
    story.slots.leave(story.at(2));
    assert_eq!(story.run(2), [Action::Stop { generation: 2, until: story.at(2) }]);
    assert_eq!(story.died(1, 3), None);
    assert_eq!(story.died(2, 3), None);
    assert_eq!(story.run(60), []);
    assert!(story.slots.is_empty());
    assert_eq!(story.slots.next_wake(), None);
}

#[test]
fn a_trial_starts_once_and_serves_when_promoted() {
    let mut story = Story::new(1, Purpose::Trial);
    story.run(0);
    assert_eq!(story.died(1, 1), None);
    assert_eq!((story.run(100), story.slots.phase()), (vec![], AppPhase::Failed));
    story.slots.promote(story.at(100));
    assert_eq!(story.run(100), [Action::Start { slot: 0 }]);
}

#[test]
fn an_unresponsive_worker_is_ready_again_with_its_next_heartbeat() {
    let mut story = Story::ready(1);
    story.slots.silent(1);
    assert_eq!((story.phases(), story.slots.phase()), (vec![(1, WorkerPhase::Unresponsive)], AppPhase::Ready));
    story.slots.beat(1, Figures { busy: 3, threads: 4, ..Figures::default() });
    assert_eq!(story.phases(), [(1, WorkerPhase::Ready)]);
    let worker = &story.slots.workers()[0];
    assert_eq!((worker.threads_busy, worker.threads, worker.threads_max), (3, 4, 8));
}

fn recycling(processes: u32, replace: Replace) -> Story {
    let recycle = Recycle { requests: Some(100), lifetime: Some(Duration::from_secs(1000)), memory: Some(1000) };
    Story::ready_with(Plan { recycle, replace, ..plan(processes) })
}

fn figures(requests: u64, memory_bytes: u64) -> Figures {
    Figures { requests, memory_bytes, ..Figures::default() }
}

#[test]
fn workers_that_have_done_enough_are_recycled_one_at_a_time() {
    let mut story = recycling(2, Replace::Overlap);
    assert_eq!(story.slots.recycle(story.at(1)), None);
    story.slots.beat(1, figures(111, 0));
    story.slots.beat(2, figures(0, 1101));
    assert_eq!(story.slots.recycle(story.at(1)), Some((1, RestartReason::Requests)));
    assert_eq!(story.run(1), [Action::Start { slot: 0 }]);
    let both = [(1, WorkerPhase::Ready), (3, WorkerPhase::Starting), (2, WorkerPhase::Ready)];
    assert_eq!((story.slots.recycle(story.at(2)), story.phases()), (None, both.to_vec()));
    story.slots.ready(3, story.at(3));
    assert_eq!(story.slots.recycle(story.at(3)), None, "the first still drains");
    story.slots.drained(1);
    assert_eq!(story.run(4), [Action::Stop { generation: 1, until: story.at(33) }]);
    assert_eq!((story.died(1, 5), story.slots.recycle(story.at(5))), (None, Some((2, RestartReason::Memory))));
}

#[test]
fn a_lifetime_ends_without_a_heartbeat() {
    let mut story = recycling(1, Replace::Overlap);
    let end = story.slots.next_wake().unwrap();
    assert!((story.at(900)..=story.at(1100)).contains(&end));
    assert_eq!(story.slots.recycle(end - Duration::from_millis(1)), None);
    assert_eq!(story.slots.recycle(end), Some((1, RestartReason::Lifetime)));
    assert_eq!(story.slots.actions(end, true), [Action::Start { slot: 0 }], "it was healthy for long enough");
}

#[test]
fn a_replacement_that_fails_leaves_the_recycled_worker_in_place() {
    let mut story = recycling(1, Replace::Overlap);
    story.slots.beat(1, figures(200, 0));
    story.slots.recycle(story.at(1));
    story.run(1);
    assert_eq!(story.slots.ended(2, &import_error(), story.at(2)), Some(RestartReason::ImportFailed));
    assert_eq!((story.phases(), story.slots.phase()), (vec![(1, WorkerPhase::Ready)], AppPhase::Ready));
    assert_eq!(story.run(60), [Action::Start { slot: 0 }]);
}

#[test]
fn a_limit_below_what_the_app_needs_does_not_restart_it_without_pause() {
    let mut story = recycling(1, Replace::Overlap);
    for (generation, seconds) in [(1, 0), (2, 1)] {
        story.slots.beat(generation, figures(0, 5000));
        assert_eq!(story.slots.recycle(story.at(seconds)), Some((generation, RestartReason::Memory)));
        if generation == 2 {
            assert_eq!(story.run(seconds), []);
            assert_eq!(story.phases(), [(2, WorkerPhase::Ready)]);
            break;
        }
        story.run(seconds);
        story.slots.ready(generation + 1, story.at(seconds));
        story.slots.drained(generation);
        story.run(seconds);
        story.died(generation, seconds);
    }
}

#[test]
fn an_app_that_cannot_run_twice_is_stopped_first() {
    let mut story = recycling(2, Replace::StopFirst);
    story.slots.beat(1, figures(111, 0));
    assert!(story.slots.recycle(story.at(1)).is_some());
    assert_eq!(story.run(1), []);
    assert_eq!(story.phases(), [(1, WorkerPhase::Draining), (2, WorkerPhase::Ready)]);
    story.slots.drained(1);
    assert_eq!(story.run(2), [Action::Stop { generation: 1, until: story.at(31) }]);
    assert_eq!(story.run(3), [], "its process is still there");
    assert_eq!(story.died(1, 4), None);
    assert_eq!(story.run(4), [Action::Start { slot: 0 }]);
    assert_eq!(story.slots.phase(), AppPhase::Ready);

    assert!(story.slots.condemned(2, story.at(5)), "and so after a timeout");
    assert_eq!((story.run(5), story.phases()[1]), (vec![], (2, WorkerPhase::Draining)));
}

#[test]
fn a_paused_pool_drains_and_keeps_requests_waiting_until_it_is_resumed() {
    let mut story = Story::ready(2);
    assert_eq!(story.slots.pause(story.at(1)), 2);
    assert_eq!(story.slots.pause(story.at(1)), 0);
    story.slots.drained(1);
    story.slots.drained(2);
    assert_eq!(story.run(1).len(), 2);
    assert_eq!((story.died(1, 2), story.died(2, 2)), (None, None));
    assert_eq!((story.run(60), story.slots.is_empty(), story.slots.phase()), (vec![], true, AppPhase::Ready));
    story.slots.resume(story.at(60));
    assert_eq!(story.run(60), [Action::Start { slot: 0 }, Action::Start { slot: 1 }]);
}

#[test]
fn a_trial_that_is_given_up_has_nothing_in_flight() {
    let mut story = Story::new(1, Purpose::Trial);
    story.run(0);
    story.slots.ready(1, story.at(1));
    story.slots.leave(story.at(2));
    assert_eq!(story.run(2), [Action::Stop { generation: 1, until: story.at(32) }]);
}
