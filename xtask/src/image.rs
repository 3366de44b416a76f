//! `cargo xtask image`: the image of Leno as a file, without a registry and without Docker.

use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;

use leno_image::{folder, of_leno, plugin};

use crate::{Outcome, shell};

/// What it is called where nobody says otherwise; `leno install` asks for the same.
const NAME: &str = concat!("leno.dev/leno:", env!("CARGO_PKG_VERSION"));

/// What is asked for.
#[derive(PartialEq, Eq, Debug)]
struct Wanted {
    name: String,
    profile: String,
    file: Option<PathBuf>,
}

/// Builds Leno and writes its image.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let Wanted {
        name,
        profile,
        file,
    } = wanted(arguments)?;
    let target = shell::target()?;
    let into = target.display().to_string();
    let cargo = ["build", "--locked", "--package", "leno"];
    let build = ["--profile", &profile, "--target-dir", &into];
    shell::run("cargo", &[&cargo[..], &build].concat(), &[])?;
    let built = target.join(folder(&profile)).join("leno");
    let image = of_leno(&[&name], &built, &plugin(&profile, &target)?)?;
    let file = file.unwrap_or_else(|| target.join("leno-image.tar"));
    let out = File::create(&file).map_err(|why| format!("{}: {why}", file.display()))?;
    image.write(BufWriter::new(out))?;
    println!("{name} is in {}", file.display());
    println!(
        "docker load -i FILE · ctr -n k8s.io images import FILE · then: leno install --image {name}"
    );
    Ok(())
}

fn wanted(arguments: &[String]) -> Result<Wanted, String> {
    let mut wanted = Wanted {
        name: NAME.to_owned(),
        profile: "dist".to_owned(),
        file: None,
    };
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().cloned().ok_or(format!("{word} takes a value"));
        match word.as_str() {
            "--name" => wanted.name = value()?,
            "--profile" => wanted.profile = value()?,
            option if option.starts_with('-') => return Err(format!("there is no {option}")),
            file => wanted.file = Some(file.into()),
        }
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_profiles_are_chosen() {
        let read = |text: &str| {
            let words: Vec<_> = text.split_whitespace().map(str::to_owned).collect();
            wanted(&words)
        };
        let plain = read("").unwrap();
        assert!(plain.name.starts_with("leno.dev/leno:"));
        assert_eq!((&*plain.profile, plain.file), ("dist", None));
        let chosen = read("--name shop.example/leno:7 out.tar --profile dev").unwrap();
        assert_eq!(chosen.name, "shop.example/leno:7");
        assert_eq!(chosen.profile, "dev");
        assert_eq!(chosen.file, Some("out.tar".into()));
        assert!(read("--name").is_err() && read("--tag 1").is_err());
    }
}
