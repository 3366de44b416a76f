//! Whether a call is tried again, and the budget that bounds it.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;

use leno_model::view::{Budget, Retry};
use leno_model::{Dice, Mono};
use leno_traffic::{
    Attempts, Balancer, Failure, Next, Picked, RetryBudget, Scope, Table, Tried, WhyNot,
};

use crate::world::{World, at, port};

fn picked() -> Picked {
    let world = World::new()
        .service("cart", &[])
        .endpoints("cart", &["a 10.0.0.1:80"]);
    let table = Table::new(world.view(), Scope::Whole);
    let cart = port("cart");
    let port = table.port(&cart).unwrap();
    let balancer = Balancer::new(&table);
    balancer
        .pick(port, &Tried::default(), at(0), &mut Dice::new(1), None)
        .unwrap()
}

fn retry(attempts: u8, codes: &[u16]) -> Retry {
    Retry {
        attempts,
        codes: codes.to_vec(),
        unanswered: false,
        backoff: Duration::from_millis(40),
    }
}

fn check(retry: &Retry, failure: Failure, replayable: bool, expect: Option<WhyNot>) {
    let budget = RetryBudget::new(Budget::default());
    let mut attempts = Attempts::start(retry, &budget, None, at(0));
    let next = attempts.after(&picked(), failure, replayable, at(5), &mut Dice::new(1));
    let stopped = match next {
        Next::Again(_) => None,
        Next::Stop(why) => Some(why),
    };
    assert_eq!(stopped, expect, "{failure:?}");
}

#[test]
fn only_what_provably_was_not_processed_is_tried_again_unless_its_status_is_named() {
    let (plain, named) = (retry(2, &[]), retry(2, &[503]));
    check(&plain, Failure::NotSent, true, None);
    check(
        &plain,
        Failure::NoAnswer,
        true,
        Some(WhyNot::MaybeProcessed),
    );
    check(
        &plain,
        Failure::Answered(503),
        true,
        Some(WhyNot::StatusNotNamed),
    );
    check(&named, Failure::Answered(503), true, None);
    check(
        &named,
        Failure::Answered(500),
        true,
        Some(WhyNot::StatusNotNamed),
    );
    check(
        &named,
        Failure::NoAnswer,
        true,
        Some(WhyNot::MaybeProcessed),
    );
    check(&plain, Failure::NotSent, false, Some(WhyNot::BodyGone));
    check(
        &retry(0, &[]),
        Failure::NotSent,
        true,
        Some(WhyNot::NoneLeft),
    );
}

#[test]
fn a_rule_may_have_tried_again_what_perhaps_was_processed() {
    let stubborn = Retry {
        unanswered: true,
        ..retry(1, &[])
    };
    check(&stubborn, Failure::NoAnswer, true, None);
    check(&stubborn, Failure::Late, true, None);
    check(&stubborn, Failure::Late, false, Some(WhyNot::BodyGone));
    let named = Failure::Answered(503);
    check(&stubborn, named, true, Some(WhyNot::StatusNotNamed));
    let perhaps = Some(WhyNot::MaybeProcessed);
    // A status stands for what its caller would be told with it.
    check(&retry(1, &[504]), Failure::Late, true, None);
    check(&retry(1, &[502]), Failure::NoAnswer, true, None);
    check(&retry(1, &[502, 503]), Failure::Late, true, perhaps);
    check(&retry(1, &[503, 504]), Failure::NoAnswer, true, perhaps);
    // The endpoint's proxy tells of it what this one would have seen of a plain endpoint.
    check(&stubborn, Failure::Unanswered(502), true, None);
    check(&retry(1, &[502]), Failure::Unanswered(502), true, None);
    check(&retry(1, &[503]), Failure::Unanswered(502), true, perhaps);
}

#[test]
fn tries_are_counted_and_wait_longer_each_time() {
    let retry = retry(3, &[]);
    for seed in 0..100 {
        let budget = RetryBudget::new(Budget::default());
        let mut dice = Dice::new(seed);
        let mut attempts = Attempts::start(&retry, &budget, None, at(0));
        let mut now = at(0);
        for (made, least, most) in [(1, 40, 60), (2, 80, 120), (3, 160, 240)] {
            assert_eq!(attempts.made(), made);
            let next = attempts.after(&picked(), Failure::NotSent, true, now, &mut dice);
            let Next::Again(again) = next else {
                panic!("{next:?}");
            };
            let waited = again.since(now).as_millis();
            assert!((least..=most).contains(&waited), "{waited} ms");
            now = again + Duration::from_secs(10);
        }
        let next = attempts.after(&picked(), Failure::NotSent, true, now, &mut dice);
        assert_eq!(next, Next::Stop(WhyNot::NoneLeft));
    }
}

#[test]
fn nothing_is_tried_again_behind_the_deadline() {
    let (retry, budget) = (retry(3, &[]), RetryBudget::new(Budget::default()));
    let limit = Some(Duration::from_millis(50));
    let mut attempts = Attempts::start(&retry, &budget, limit, at(0));
    assert_eq!(attempts.deadline().poll_timeout(), Some(at(50)));
    let next = attempts.after(&picked(), Failure::NotSent, true, at(45), &mut Dice::new(1));
    assert_eq!(next, Next::Stop(WhyNot::TooLate));
}

#[test]
fn a_quiet_service_may_retry_a_little_and_a_failing_one_not_much() {
    let budget = RetryBudget::new(Budget {
        percent: 20,
        at_least_per_second: 1,
    });
    let granted = |now| std::iter::from_fn(|| budget.withdraw(now).then_some(())).count();
    assert_eq!(granted(at(0)), 10);
    assert_eq!(granted(at(9_000)), 0);
    assert_eq!(granted(at(20_000)), 10);
    for _ in 0..1000 {
        budget.deposit(at(40_000));
    }
    assert_eq!(granted(at(40_000)), 210);
    assert_eq!(granted(at(49_000)), 0);
}

#[test]
fn without_a_budget_there_is_no_retry() {
    let budget = RetryBudget::new(Budget {
        percent: 0,
        at_least_per_second: 0,
    });
    budget.deposit(at(0));
    assert!(!budget.withdraw(at(0)));
}

/// What the budget means, remembered call by call.
#[derive(Clone)]
struct Naive {
    limits: Budget,
    tries: VecDeque<Mono>,
    retries: VecDeque<Mono>,
}

impl Naive {
    fn allows(&mut self, now: Mono) -> bool {
        for queue in [&mut self.tries, &mut self.retries] {
            queue.retain(|then| now.since(*then) < Duration::from_secs(10));
        }
        let share = self.tries.len() as u64 * u64::from(self.limits.percent) / 100;
        let least = u64::from(self.limits.at_least_per_second) * 10;
        (self.retries.len() as u64) < share + least
    }
}

#[test]
fn the_budget_is_never_exceeded_and_hardly_ever_unused() {
    for seed in 0..200 {
        let mut dice = Dice::new(seed);
        let mut roll = |of: u32| dice.roll(NonZeroU32::new(of).unwrap()).value;
        let limits = Budget {
            percent: u8::try_from(roll(101)).unwrap(),
            at_least_per_second: roll(4),
        };
        let budget = RetryBudget::new(limits);
        // One remembers what the budget granted, the other grants by itself.
        let mut watching = Naive {
            limits,
            tries: VecDeque::new(),
            retries: VecDeque::new(),
        };
        let mut exact = watching.clone();
        let (mut granted, mut due) = (0, 0);
        let mut now = at(roll(100_000).into());
        let step = 1 + roll(400);
        for _ in 0..2000 {
            now = now + Duration::from_millis(roll(step).into());
            if roll(3) > 0 {
                budget.deposit(now);
                watching.tries.push_back(now);
                exact.tries.push_back(now);
                continue;
            }
            if exact.allows(now) {
                exact.retries.push_back(now);
                due += 1;
            }
            if budget.withdraw(now) {
                assert!(watching.allows(now), "seed {seed}: a retry too many");
                watching.retries.push_back(now);
                granted += 1;
            }
        }
        assert!(
            (granted + 2) * 10 >= due * 9,
            "seed {seed}: {granted} of {due}"
        );
    }
}

#[test]
fn workers_that_share_a_budget_do_not_exceed_it_together() {
    let budget = RetryBudget::new(Budget {
        percent: 20,
        at_least_per_second: 0,
    });
    for _ in 0..1000 {
        budget.deposit(at(0));
    }
    let granted = std::thread::scope(|scope| {
        let workers =
            [(); 4].map(|()| scope.spawn(|| (0..200).filter(|_| budget.withdraw(at(100))).count()));
        workers
            .map(|worker| worker.join().unwrap())
            .iter()
            .sum::<usize>()
    });
    assert!(granted <= 200, "{granted}");
}
