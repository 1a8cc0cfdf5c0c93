//! The corpora, replayed without libFuzzer: inputs that were worth keeping go through their targets.

use std::{fs, path::Path};

use humanchat_fuzz::TARGETS;

#[test]
fn every_input_that_was_kept_holds() {
    for (name, target) in TARGETS {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
        let inputs: Vec<_> = fs::read_dir(&corpus).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(inputs.len() >= 5, "{name} has {} inputs", inputs.len());
        for input in inputs {
            println!("{}", input.display());
            target(&fs::read(&input).unwrap());
        }
    }
}
