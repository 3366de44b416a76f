//! Whatever is written, something is understood of it: nothing panics, and no note is without words.

use std::fs;

use leno_compile::{ViewOf, conditions};
use leno_model::Dice;

use crate::cases::{compiled, paths};

#[test]
fn broken_resources_are_understood_as_far_as_they_go() {
    let mut dice = Dice::new(3);
    for path in paths() {
        let bytes = fs::read(&path).unwrap();
        for _ in 0..30 {
            let broken = mutated(&bytes, &mut dice);
            let (resources, mesh, notes) = compiled("broken.yaml", &broken);
            for note in &notes {
                assert!(
                    !note.message.is_empty() && !note.in_force.is_empty(),
                    "{note:?}"
                );
            }
            for route in leno_compile::routes(&resources) {
                conditions(route, 0, &notes);
            }
            let workloads = mesh.instances.keys().cloned().collect();
            mesh.view(ViewOf {
                workloads: &workloads,
            });
        }
    }
}

/// A few places changed: a piece taken away, doubled, or put elsewhere.
fn mutated(bytes: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..1 + below(dice, 4) {
        let start = below(dice, bytes.len());
        let end = (start + 1 + below(dice, 12)).min(bytes.len());
        let piece = bytes[start..end].to_vec();
        let at = below(dice, bytes.len());
        match below(dice, 3) {
            0 => drop(bytes.drain(start..end)),
            1 => drop(bytes.splice(at..at, piece)),
            _ => bytes[at] = b"0aZ -:{}[],\n\"'*&"[below(dice, 16)],
        }
    }
    bytes
}

fn below(dice: &mut Dice, bound: usize) -> usize {
    let bound = u64::try_from(bound.max(1)).unwrap();
    usize::try_from(dice.next_u64() % bound).unwrap()
}
