//! What was recorded beside what is decided again: each step once.

use leno_admin::{HowKnown, StepOutcome, StoryDetail, StoryStep};

use super::recorded::{ACCESS, ENDPOINT, ORDER, RETRY, ROUTE, SPLIT, detail};

/// Each step once, in order: as it was recorded, in the words of what decides if both say the same;
/// what was not recorded, as it is decided again. Nothing is imagined behind what ended the call.
pub(super) fn merge(replayed: Vec<StoryStep>, recorded: Vec<StoryStep>) -> Vec<StoryStep> {
    let ended = recorded
        .iter()
        .filter(|step| step.outcome == StepOutcome::No);
    let ended = ended.map(place).min().unwrap_or(ORDER.len());
    let (mut rest, mut steps) = (recorded, Vec::new());
    for step in replayed {
        match rest.iter().position(|known| known.step == step.step) {
            // Where there was nobody to try, it says nothing how often one may.
            Some(_) if step.step == RETRY && ended == place_of(ENDPOINT) => {}
            Some(at) => steps.push(beside(rest.remove(at), step)),
            None if place(&step) > ended || step.step == RETRY => {}
            None => steps.push(step),
        }
    }
    steps.extend(rest);
    steps.sort_by_key(place);
    steps
}

fn place(step: &StoryStep) -> usize {
    place_of(&step.step)
}

fn place_of(name: &str) -> usize {
    let known = ORDER.iter().position(|known| *known == name);
    known.unwrap_or(ORDER.len())
}

fn beside(recorded: StoryStep, replayed: StoryStep) -> StoryStep {
    match recorded.step.as_str() {
        SPLIT => return among_shares(recorded, replayed),
        RETRY => return with_what_is_allowed(recorded, replayed),
        _ => {}
    }
    let names_who_said_so = matches!(recorded.step.as_str(), ROUTE | ACCESS);
    let is_same = recorded.outcome == replayed.outcome
        && (!names_who_said_so || recorded.origin.is_none() || recorded.origin == replayed.origin);
    if is_same {
        return StoryStep {
            known: HowKnown::Recorded,
            ..replayed
        };
    }
    let mut step = recorded;
    step.details.push(StoryDetail {
        text: format!("decided again it would be: {}", replayed.text),
        origin: replayed.origin,
    });
    step
}

/// The share that the call fell to, and then the others.
fn among_shares(recorded: StoryStep, replayed: StoryStep) -> StoryStep {
    let (backend, roll) = recorded
        .text
        .split_once(": ")
        .unwrap_or((&recorded.text, ""));
    let first = StoryDetail {
        text: replayed.text,
        origin: replayed.origin,
    };
    let is_taken = |share: &StoryDetail| share.text.split(", ").next() == Some(backend);
    let shares = [first].into_iter().chain(replayed.details);
    let (taken, others) = shares.partition::<Vec<_>, _>(is_taken);
    let Some(taken) = taken.into_iter().next() else {
        return recorded;
    };
    // Without another share the dice decided nothing.
    let roll = (!others.is_empty()).then(|| detail(roll));
    StoryStep {
        text: taken.text,
        origin: taken.origin,
        details: roll.into_iter().chain(others).collect(),
        ..recorded
    }
}

fn with_what_is_allowed(recorded: StoryStep, replayed: StoryStep) -> StoryStep {
    let mut step = recorded;
    step.details.push(StoryDetail {
        text: replayed.text,
        origin: replayed.origin,
    });
    step.details.extend(replayed.details);
    step
}

#[cfg(test)]
mod tests {
    use super::super::recorded::{no, yes};
    use super::*;

    fn replayed(step: StoryStep) -> StoryStep {
        StoryStep {
            known: HowKnown::Replayed,
            ..step
        }
    }

    fn at(step: StoryStep, origin: &str) -> StoryStep {
        StoryStep {
            origin: Some(origin.to_owned()),
            ..step
        }
    }

    fn check(again: Vec<StoryStep>, recorded: Vec<StoryStep>, expect: &[&str]) {
        let again = again.into_iter().map(replayed).collect();
        let told = merge(again, recorded).into_iter().map(|step| {
            let details = step.details.iter().map(|detail| detail.text.as_str());
            let details = details.collect::<Vec<_>>().join("; ");
            let known = step.known.as_str();
            format!("{}: {} [{known}] {details}", step.step, step.text)
        });
        assert_eq!(told.collect::<Vec<_>>(), expect);
    }

    #[test]
    fn what_both_say_is_told_in_the_words_of_what_decides() {
        check(
            vec![
                yes("mTLS", "strict: the caller is shop/web"),
                no("access", "no AccessPolicy allows it"),
            ],
            vec![
                yes("mTLS", "the caller is proven"),
                no("access", "nobody allows it"),
            ],
            &[
                "mTLS: strict: the caller is shop/web [recorded] ",
                "access: no AccessPolicy allows it [recorded] ",
            ],
        );
    }

    #[test]
    fn what_was_not_recorded_is_replayed_and_what_differs_is_told_beside() {
        check(
            vec![
                yes("name", "Service shop/cart"),
                at(yes("route", "rule 1"), "cart.yaml:9"),
            ],
            vec![at(yes("route", "rule 2"), "cart.yaml:14")],
            &[
                "name: Service shop/cart [replayed] ",
                "route: rule 2 [recorded] decided again it would be: rule 1",
            ],
        );
    }

    #[test]
    fn the_share_that_was_taken_comes_first() {
        let mut shares = yes("split", "shop/cart-v1:8080, 90 of 100");
        shares.details = vec![detail("shop/cart-v2:8080, 10 of 100")];
        check(
            vec![shares],
            vec![yes(
                "split",
                "shop/cart-v2:8080: the dice came to 93 of 100",
            )],
            &["split: shop/cart-v2:8080, 10 of 100 [recorded] \
               the dice came to 93 of 100; shop/cart-v1:8080, 90 of 100"],
        );
    }

    #[test]
    fn nothing_is_imagined_behind_what_ended_it() {
        check(
            vec![yes("mTLS", "strict"), yes("access", "allowed")],
            vec![no("mTLS", "the caller is not in the mesh")],
            &["mTLS: the caller is not in the mesh [recorded] decided again it would be: strict"],
        );
    }
}
