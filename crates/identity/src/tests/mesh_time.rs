//! Mesh time on hosts whose clocks are wrong, or that sleep.

use leno_model::{Dice, Mono, Now};

use super::*;
use crate::{
    Answer, Boot, Looked, Lookout, MeshTime, NotBelieved, Pace, Renewal, Shown, StoodStill,
    Validity,
};

const MINUTE: Duration = Duration::from_secs(60);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn boot(second: u64) -> Boot {
    Boot(seconds(second))
}

fn day() -> Validity {
    Validity {
        begins: NOW - HOUR,
        ends: NOW + DAY,
    }
}

/// An answer of `told` that was `took` on its way, from boot second 1000 on.
fn answer(told: Wall, took: Duration) -> Answer {
    Answer {
        asked: boot(1000),
        came: Boot(seconds(1000) + took),
        told,
        stands: day(),
    }
}

#[test]
fn until_it_is_told_the_wall_clock_stands_in() {
    assert_eq!(MeshTime::default().now(boot(7), NOW), NOW);
    assert_eq!(MeshTime::default().wall_clock_off(boot(7), NOW), None);
}

#[test]
fn an_answer_counts_from_the_middle_of_its_round_trip() {
    let mesh = MeshTime::default().learn(answer(NOW, seconds(2))).unwrap();
    assert_eq!(mesh.now(boot(1001), Wall::default()), NOW);
    assert_eq!(mesh.now(boot(1061), Wall::default()), NOW + MINUTE);
}

#[test]
fn a_host_whose_clock_is_wrong_either_way_knows_the_time_and_says_so() {
    let mesh = MeshTime::default().learn(answer(NOW, seconds(0))).unwrap();
    let told = |wall| {
        let off = mesh.wall_clock_off(boot(1000), wall);
        off.map(|off| format!("{} {off}", off.code()))
    };
    for wall in [NOW + 5 * MINUTE, NOW - 5 * MINUTE, Wall::default()] {
        assert_eq!(mesh.now(boot(1000), wall), NOW);
    }
    let ahead = "T013 the host's clock is 300.0 s ahead of mesh time";
    assert_eq!(told(NOW + 5 * MINUTE).as_deref(), Some(ahead));
    let behind = "T013 the host's clock is 300.0 s behind mesh time";
    assert_eq!(told(NOW - 5 * MINUTE).as_deref(), Some(behind));
    assert_eq!(told(NOW + seconds(5)), None);
}

#[test]
fn an_answer_that_was_too_long_on_its_way_says_nothing() {
    let late = MeshTime::default().learn(answer(NOW, seconds(3)));
    assert_eq!(late, Err(NotBelieved::TooSlow { took: seconds(3) }));
}

#[test]
fn a_control_plane_whose_clock_left_its_own_certificate_is_not_believed() {
    for wrong in [NOW - DAY, NOW + 2 * DAY, Wall::default()] {
        let learned = MeshTime::default().learn(answer(wrong, seconds(0)));
        let (told, stands) = (wrong, day());
        assert_eq!(
            learned,
            Err(NotBelieved::OutsideItsCertificate { told, stands })
        );
    }
}

#[test]
fn the_closer_answer_stands_until_drift_has_eaten_its_lead() {
    let close = answer(NOW, Duration::from_millis(2));
    let mesh = MeshTime::default().learn(close).unwrap();
    // A second off at most, ten minutes and ten days later.
    let far = |later: Duration| Answer {
        asked: Boot(seconds(1000) + later),
        came: Boot(seconds(1002) + later),
        told: NOW + later + seconds(1),
        stands: Validity {
            begins: NOW,
            ends: NOW + 20 * DAY,
        },
    };
    assert_eq!(mesh.learn(far(10 * MINUTE)), Ok(mesh));
    assert_ne!(mesh.learn(far(10 * DAY)), Ok(mesh));
}

#[test]
fn a_control_plane_whose_clock_was_set_right_is_followed() {
    let mesh = MeshTime::default().learn(answer(NOW + MINUTE, seconds(0)));
    let set = Answer {
        asked: boot(1600),
        came: boot(1601),
        told: NOW + seconds(600),
        stands: day(),
    };
    let mesh = mesh.unwrap().learn(set).unwrap();
    let middle = Boot(Duration::from_millis(1_600_500));
    assert_eq!(mesh.now(middle, Wall::default()), NOW + seconds(600));
}

#[test]
fn sleep_and_a_clock_that_is_set_are_noticed_and_nothing_else() {
    let at = |mono: u64, wall: Wall| Now {
        mono: Mono::since_start(seconds(mono)),
        wall,
    };
    let mut pace = Pace::new(at(0, NOW));
    assert!(!pace.has_jumped(at(10, NOW + seconds(10))));
    // Timers stood still while mesh time went on: the machine slept.
    assert!(pace.has_jumped(at(20, NOW + HOUR)));
    assert!(!pace.has_jumped(at(30, NOW + HOUR + seconds(10))));
    assert!(pace.has_jumped(at(40, NOW)), "a clock was set back");
    assert!(!pace.has_jumped(at(50, NOW + seconds(10))));
}

/// A host that learned mesh time at boot second 1000 and looks at its clocks again when they show something else: how
/// much later each of them.
fn after(mono: Duration, boot: Duration, wall: Duration) -> (MeshTime, Shown, Looked) {
    let mesh = MeshTime::default().learn(answer(NOW, seconds(0))).unwrap();
    let start = Shown {
        mono: Mono::since_start(seconds(1)),
        boot: Boot(seconds(1000)),
        wall: NOW,
    };
    let shown = Shown {
        mono: start.mono + mono,
        boot: Boot(start.boot.0 + boot),
        wall: start.wall + wall,
    };
    (mesh, shown, Lookout::new(start).look(shown))
}

/// A certificate of a day that was taken as the host learned the time: whether it is asked for now.
fn is_asked_for(mesh: &MeshTime, shown: Shown) -> bool {
    let held = Validity {
        begins: NOW,
        ends: NOW + DAY,
    };
    let now = Now {
        mono: shown.mono,
        wall: mesh.now(shown.boot, shown.wall),
    };
    let mut dice = Dice::new(1);
    Renewal::new(held, &mut dice).handle_timeout(now, &mut dice)
}

#[test]
fn a_machine_that_runs_and_one_whose_clock_creeps_have_nothing_to_tell() {
    let second = seconds(10);
    for wall in [second, second + Duration::from_millis(400)] {
        let (_, _, looked) = after(second, second, wall);
        let nothing = Looked {
            slept: None,
            is_doubtful: false,
        };
        assert_eq!(looked, nothing);
    }
}

#[test]
fn a_machine_that_slept_knows_the_time_and_renews_at_once() {
    let (moment, night) = (seconds(10), 13 * HOUR);
    let (mesh, shown, looked) = after(moment, night + moment, night + moment);
    assert_eq!(looked.slept, Some(night));
    assert!(!looked.is_doubtful);
    assert!(is_asked_for(&mesh, shown));
    let told = StoodStill::Slept(night).to_string();
    assert_eq!(told, "the machine slept for 46800 s");
}

#[test]
fn a_machine_that_was_paused_doubts_its_time_asks_and_then_renews_at_once() {
    // Timers and the boot clock stood still, and somebody has set the wall clock since.
    let (moment, night) = (seconds(10), 13 * HOUR);
    let (mesh, shown, looked) = after(moment, moment, night + moment);
    assert_eq!(looked.slept, None);
    assert!(looked.is_doubtful);
    assert!(!is_asked_for(&mesh, shown), "for all it knows it is early");
    let asked = Answer {
        asked: shown.boot,
        came: shown.boot,
        told: NOW + night + moment,
        stands: day(),
    };
    let learned = mesh.learn(asked).unwrap();
    assert!(is_asked_for(&learned, shown));
    let behind = StoodStill::between(&mesh, &learned);
    assert_eq!(behind, Some(StoodStill::Behind(night)));
    assert_eq!(StoodStill::between(&learned, &mesh), None);
    assert_eq!(StoodStill::between(&MeshTime::default(), &mesh), None);
}

#[test]
fn a_wall_clock_that_is_set_either_way_is_reason_enough_to_ask() {
    let moment = seconds(10);
    let (_, _, ahead) = after(moment, moment, moment + HOUR);
    assert!(ahead.is_doubtful);
    let (_, _, back) = after(moment, moment, seconds(0));
    assert!(back.is_doubtful);
}
