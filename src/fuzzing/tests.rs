//! Each target holds for its corpus, and for what becomes of that by small changes: no compiler but the stable one is
//! needed for it.

use super::{FuzzTarget, TARGETS, snapshot};
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Each target is given changed inputs for this long. `WASMSERVE_FUZZ_SECONDS` makes it longer.
const TIME: Duration = Duration::from_secs(2);

/// As many changed inputs are enough where nobody asks for more.
const RUNS: u64 = 3000;

/// No input is longer.
const LONGEST: usize = 8 << 10;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// The corpus of a target, in the order of the names.
fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = folder().join("corpus").join(name);
    let files = std::fs::read_dir(&folder);
    let files = files.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    let read = |path: PathBuf| {
        let bytes = std::fs::read(&path).unwrap();
        (path, bytes)
    };
    paths.into_iter().map(read).collect()
}

/// Guards against targets that are listed here and cannot be built or run, and the other way round.
#[test]
fn every_target_has_a_program_and_a_corpus() {
    let manifest = std::fs::read_to_string(folder().join("Cargo.toml")).unwrap();
    let names = TARGETS.iter().map(|(name, _)| *name).chain(["snapshot"]);
    let names: Vec<&str> = names.collect();
    for name in &names {
        let program = format!("fuzz_targets/{name}.rs");
        assert!(manifest.contains(&program), "{name} is not in Cargo.toml");
        let text = std::fs::read_to_string(folder().join(&program)).unwrap();
        let call = format!("wasmserve::fuzzing::{name}(bytes)");
        assert!(text.contains(&call), "{program}");
        assert!(corpus(name).len() > 2, "{name} has no corpus");
    }
    let programs = std::fs::read_dir(folder().join("fuzz_targets")).unwrap();
    assert_eq!(programs.count(), names.len());
}

#[test]
fn every_target_holds_for_its_corpus() {
    let all = TARGETS
        .into_iter()
        .chain([("snapshot", snapshot as FuzzTarget)]);
    let mut findings = Vec::new();
    for (name, target) in all {
        for (path, bytes) in corpus(name) {
            if !holds(target, &bytes) {
                findings.push(path);
            }
        }
    }
    assert!(findings.is_empty(), "see above: {findings:?}");
}

fn holds(target: FuzzTarget, bytes: &[u8]) -> bool {
    catch_unwind(AssertUnwindSafe(|| target(bytes))).is_ok()
}

/// The seeds are fixed: what it finds, it finds each time. `restored_instances_are_as_fresh_ones` does the same for
/// snapshots.
#[test]
fn every_target_holds_for_inputs_that_are_like_its_corpus() {
    let asked = std::env::var("WASMSERVE_FUZZ_SECONDS").ok();
    let mut findings = Vec::new();
    let asked = asked.map(|text| Duration::from_secs(text.parse().unwrap()));
    for (number, (name, target)) in TARGETS.into_iter().enumerate() {
        let corpus: Vec<Vec<u8>> = corpus(name).into_iter().map(|(_, bytes)| bytes).collect();
        let seed = match asked {
            Some(_) => rand::rng().random(),
            None => number as u64,
        };
        let mut random = StdRng::seed_from_u64(seed);
        let (start, mut runs) = (Instant::now(), 0);
        while start.elapsed() < asked.unwrap_or(TIME) && (asked.is_some() || runs < RUNS) {
            let bytes = changed(&corpus, &mut random);
            if !holds(target, &bytes) {
                let path = std::env::temp_dir().join(format!("wasmserve-finding-{name}"));
                std::fs::write(&path, &bytes).unwrap();
                findings.push(path);
                break;
            }
            runs += 1;
        }
        println!("{name}: {runs} runs in {:?}", start.elapsed());
        assert!(
            runs > 20 || !findings.is_empty(),
            "{name} is too slow to show anything"
        );
    }
    assert!(findings.is_empty(), "see above: {findings:?}");
}

/// These bytes can matter in one format or another.
const TELLING: [&[u8]; 24] = [
    b"\r\n",
    b"\n",
    b"\r",
    b" ",
    b"\t",
    b"\0",
    b"\x7f",
    b"\xff",
    b"\"",
    b"\\",
    b",",
    b";",
    b":",
    b"=",
    b"0",
    b"-1",
    b"18446744073709551615",
    b"${",
    b"}",
    b"_",
    b"#",
    b"/",
    b"chunked",
    b"\r\n\r\n",
];

/// Makes one input of the corpus with some changes, or two that are put together.
fn changed(corpus: &[Vec<u8>], random: &mut StdRng) -> Vec<u8> {
    let mut bytes = pick(corpus, random).clone();
    for _ in 0..random.random_range(1..6) {
        let at = random.random_range(0..=bytes.len());
        let end = (at + random.random_range(0..9)).min(bytes.len());
        match random.random_range(0..7) {
            0 => drop(bytes.drain(at..end)),
            1 => {
                let mut any = [0; 4];
                random.fill_bytes(&mut any);
                bytes.splice(at..end, any);
            }
            2 if at < bytes.len() => bytes[at] ^= 1 << random.random_range(0..8),
            3 => {
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
            4 => {
                let other = pick(corpus, random);
                let from = random.random_range(0..=other.len());
                bytes.splice(at..end, other[from..].iter().copied());
            }
            5 => bytes.truncate(at.max(end)),
            _ => {
                let telling = TELLING[random.random_range(0..TELLING.len())];
                bytes.splice(at..end, telling.iter().copied());
            }
        }
    }
    bytes.truncate(LONGEST);
    bytes
}

fn pick<'a>(corpus: &'a [Vec<u8>], random: &mut StdRng) -> &'a Vec<u8> {
    &corpus[random.random_range(0..corpus.len())]
}
