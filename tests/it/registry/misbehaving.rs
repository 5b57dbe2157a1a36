//! A registry, or whoever is on the way to it, may do anything: nothing of it is served that is not what was asked for,
//! and what breaks off is gone on with.

use super::{at_home, failed, greets, run, serve, succeeded};
use crate::harness::folder;
use crate::harness::registry::{Bad, BadRegistry, Registry};
use crate::harness::{eventually, finished, guest, on_terminal};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A manifest of a component, with what others say of it.
fn manifest(digest: &str, size: usize, kind: &str) -> Vec<u8> {
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "layers": [{"mediaType": kind, "digest": digest, "size": size}],
    });
    manifest.to_string().into_bytes()
}

fn sha256(path: &Path) -> String {
    let mut command = Command::new("sha256sum");
    command.arg(path);
    let output = finished(command).stdout;
    let hex = String::from_utf8_lossy(&output[..64]).into_owned();
    format!("sha256:{hex}")
}

/// What a well-behaved registry has for this component.
fn good() -> Bad {
    let path = PathBuf::from(guest("hello"));
    let blob = fs::read(&path).unwrap();
    Bad {
        manifest: manifest(&sha256(&path), blob.len(), "application/wasm"),
        blob,
        ..Bad::default()
    }
}

/// What was pulled and can be served.
fn components(home: &Path) -> Vec<String> {
    let listed = fs::read_dir(home.join("cache/registry"));
    let names = listed.into_iter().flatten().flatten();
    let names = names.map(|entry| entry.file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".wasm")).collect()
}

#[test]
fn what_is_not_what_the_manifest_says_is_neither_served_nor_kept() {
    let home = folder("registry-digest");
    let mut changed = good();
    let last = changed.blob.len() - 1;
    changed.blob[last] ^= 1;
    let mut longer = good();
    longer.blob.push(0);
    let mut huge = good();
    huge.manifest = manifest(
        &format!("sha256:{}", "0".repeat(64)),
        1 << 40,
        "application/wasm",
    );
    let mut image = good();
    let layer = "application/vnd.oci.image.layer.v1.tar+gzip";
    image.manifest = manifest(&format!("sha256:{}", "0".repeat(64)), 5, layer);
    let mut garbage = good();
    garbage.manifest = b"<html>".to_vec();
    for (what, bad, told) in [
        ("changed", changed, "is not used: its digest is"),
        ("longer", longer, "more than the"),
        ("huge", huge, "MiB are served"),
        ("an image", image, "holds no component"),
        ("garbage", garbage, "manifest is none"),
    ] {
        let registry = BadRegistry::start(bad);
        let output = run(&home, &[&registry.named("a:1"), "--port", "0"]);
        let said = failed(&output, 3);
        assert!(said.contains(told), "{what}: {said}");
        assert!(!said.contains("running on"), "{what}: {said}");
        assert_eq!(components(&home), Vec::<String>::new(), "{what}");
    }
    // Another manifest than the one that was asked for, though whole in itself.
    let registry = BadRegistry::start(good());
    let pinned = registry.named(&format!("a@sha256:{}", "0".repeat(64)));
    let said = failed(&run(&home, &[&pinned, "--port", "0"]), 3);
    assert!(said.contains("another digest"), "{said}");
}

#[test]
fn what_breaks_off_is_gone_on_with_from_there() {
    let home = folder("registry-cut");
    let cut = 100_000;
    let (bad, of) = (good(), guest("hello"));
    let pieces = bad.blob.len().div_ceil(cut);
    assert!(pieces > 2);
    let registry = BadRegistry::start(Bad {
        cut: Some(cut),
        ..bad
    });
    let file = home.join("a.wasm");
    let output = file.to_str().unwrap();
    succeeded(&run(&home, &["pull", &registry.named("a:1"), "-o", output]));
    assert_eq!(fs::read(file).unwrap(), fs::read(of).unwrap());
    let asked = registry.asked();
    let blobs: Vec<_> = asked.iter().filter(|it| it.contains("/blobs/")).collect();
    assert_eq!(blobs.len(), pieces, "{blobs:?}");
    assert!(blobs[1].contains(&format!("bytes={cut}-")), "{blobs:?}");
}

#[test]
fn a_pull_that_takes_a_while_draws_a_bar_on_a_terminal() {
    let home = folder("registry-bar");
    // Before each piece but the first there is a pause.
    let registry = BadRegistry::start(Bad {
        cut: Some(50_000),
        ..good()
    });
    let mut command = at_home(&home);
    command.args(["pull", &registry.named("a:1")]);
    let (status, written) = on_terminal(command);
    assert!(status.success(), "{written}");
    let bar = "\u{1b}[KPulling oci://";
    assert!(
        written.contains(bar) && written.contains("[###"),
        "{written}"
    );
    let (_, last) = written.rsplit_once("\u{1b}[K").unwrap();
    assert!(last.contains("Pulled oci://"), "{written}");
}

#[test]
fn who_was_killed_in_the_middle_of_a_pull_is_followed_by_one_that_goes_on() {
    let home = folder("registry-killed");
    let (cut, component) = (100_000, good());
    // It sends a piece and no more, and whoever waits for the rest is killed.
    let registry = BadRegistry::start(Bad {
        cut: Some(cut),
        ..component.clone()
    });
    let partial = home.join("cache/registry");
    let length = || {
        let listed = fs::read_dir(&partial).into_iter().flatten().flatten();
        let mut parts = listed.filter(|it| it.path().extension().is_some_and(|it| it == "part"));
        parts.next().map_or(0, |it| it.metadata().unwrap().len())
    };
    let mut command = at_home(&home);
    command.args(["pull", &registry.named("a:1")]);
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    eventually("a piece is here", || length() >= cut as u64);
    let _ = killpg(Pid::from_raw(child.id().cast_signed()), Signal::SIGKILL);
    let _ = child.wait();
    let whole = BadRegistry::start(component);
    let reference = whole.named("a:1");
    let server = serve(&home, &[&reference]);
    assert_eq!(greets(&server), "Hello, world!\n");
    // Who pulled may have had more than one piece, or all of it, when he was killed.
    let asked = whole.asked();
    let mut blobs = asked.iter().filter(|it| it.contains("/blobs/"));
    assert!(blobs.all(|it| it.contains("bytes=")), "{asked:?}");
}

/// A component in the cache that was changed since is not served.
#[test]
fn what_was_damaged_in_the_cache_is_pulled_again() {
    let home = folder("registry-damaged");
    let registry = BadRegistry::start(good());
    let reference = registry.named("a:1");
    succeeded(&run(&home, &["pull", &reference]));
    let kept = components(&home).into_iter();
    let kept: Vec<_> = kept.filter(|name| name.starts_with("sha256-")).collect();
    let path = home.join("cache/registry").join(&kept[0]);
    fs::write(&path, b"\0asm").unwrap();
    let server = serve(&home, &[&reference]);
    server.wait_for("is damaged, and pulled again");
    assert_eq!(greets(&server), "Hello, world!\n");
    assert_eq!(sha256(&path), sha256(Path::new(&guest("hello"))));
}

#[test]
fn a_password_does_not_follow_to_where_the_registry_leads() {
    let home = folder("registry-elsewhere");
    let other = BadRegistry::start(good());
    let digest = sha256(Path::new(&guest("hello")));
    let registry = BadRegistry::start(Bad {
        elsewhere: Some(format!("http://{}/v2/x/blobs/{digest}", other.address)),
        ..good()
    });
    let docker = home.join("docker");
    fs::create_dir(&docker).unwrap();
    let host = registry.address;
    let login = format!(r#"{{"auths":{{"{host}":{{"auth":"dGVzdGVyOnNlY3JldA=="}}}}}}"#);
    fs::write(docker.join("config.json"), login).unwrap();
    succeeded(&run(&home, &["pull", &registry.named("a:1")]));
    let asked = other.asked();
    assert!(!asked.is_empty());
    assert!(
        asked
            .iter()
            .all(|it| !it.to_lowercase().contains("authorization")),
        "{asked:?}"
    );
}

#[test]
fn a_registry_that_is_busy_is_asked_again_and_one_that_refuses_is_not() {
    let home = folder("registry-busy");
    for (status, times) in [("503 Service Unavailable", 5), ("403 Forbidden", 1)] {
        let registry = BadRegistry::start(Bad {
            status: Some(status),
            ..Bad::default()
        });
        let said = failed(&run(&home, &["pull", &registry.named("a:1")]), 3);
        assert!(said.contains(&status[..3]), "{said}");
        let asked = registry.asked();
        let manifests = asked.iter().filter(|it| it.contains("/manifests/"));
        assert_eq!(manifests.count(), times, "{status}");
        // Who waits is told of each attempt.
        assert_eq!(
            said.matches("; asking again in ").count(),
            times - 1,
            "{said}"
        );
    }
}

/// Each server pulls for itself, and all of them have it.
#[test]
fn servers_that_pull_the_same_at_a_time_do_not_harm_each_other() {
    let home = folder("registry-several");
    let registry = Registry::start(&home, false);
    let tag = registry.named("hello:1");
    succeeded(&run(&home, &["push", &guest("hello"), &tag]));
    let pulls = (0..4).map(|_| {
        let (home, tag) = (home.clone(), tag.clone());
        std::thread::spawn(move || succeeded(&run(&home, &["pull", &tag])))
    });
    let pulls: Vec<_> = pulls.collect();
    let pinned: Vec<String> = pulls.into_iter().map(|it| it.join().unwrap()).collect();
    assert!(pinned.iter().all(|it| *it == pinned[0]), "{pinned:?}");
    assert_eq!(greets(&serve(&home, &[&tag])), "Hello, world!\n");
}
