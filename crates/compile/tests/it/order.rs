//! The order in which things are written means nothing.

use std::fs;

use leno_compile::compile;
use leno_model::{Dice, Namespace};
use leno_resources::Resources;

use crate::cases::paths;

#[test]
fn the_same_objects_in_any_order_are_the_same_mesh() {
    let shop = Namespace::new("shop").unwrap();
    for path in paths() {
        let text = fs::read_to_string(&path).unwrap();
        let mut files = text
            .split("\n---\n")
            .enumerate()
            .map(|(index, document)| (format!("{index}.yaml"), document.as_bytes().to_vec()))
            .collect::<Vec<_>>();
        let read = |files: &[(String, Vec<u8>)]| {
            let files = files
                .iter()
                .map(|(name, bytes)| (name.as_str(), bytes.clone()));
            compile(&Resources::read(files, &shop).0)
        };
        let (mesh, notes) = read(&files);
        let mut dice = Dice::new(7);
        for _ in 0..5 {
            shuffle(&mut files, &mut dice);
            let (again, same) = read(&files);
            assert_eq!(again, mesh, "{}", path.display());
            assert_eq!(same, notes, "{}", path.display());
        }
    }
}

fn shuffle<T>(items: &mut [T], dice: &mut Dice) {
    for last in (1..items.len()).rev() {
        let bound = u64::try_from(last).unwrap() + 1;
        items.swap(last, usize::try_from(dice.next_u64() % bound).unwrap());
    }
}
