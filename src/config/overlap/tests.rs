//! These tests say what may not be given, in command lines.

use crate::cli::Cli;
use crate::config::Config;
use clap::Parser;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let name = format!("wasmserve-overlap-{name}-{}", std::process::id());
        let path = std::env::temp_dir().canonicalize().unwrap().join(name);
        let _ = fs::remove_dir_all(&path);
        for inner in ["app", "cache/inner", "data/deep", "www"] {
            fs::create_dir_all(path.join(inner)).unwrap();
        }
        for file in ["app/a.wasm", "app/c.toml", "app/e.env"] {
            fs::write(path.join(file), "").unwrap();
        }
        symlink("../app/a.wasm", path.join("data/link.wasm")).unwrap();
        symlink("../app", path.join("data/current")).unwrap();
        symlink("cache", path.join("alias")).unwrap();
        Folder(path)
    }

    /// Returns what is said to a command line in which `@` stands for this folder.
    fn said(&self, line: &str) -> Option<String> {
        let line = line.replace('@', &self.0.display().to_string());
        let words = ["wasmserve"].into_iter().chain(line.split(' '));
        let resolved = Config::resolve(&Cli::parse_from(words).serve);
        resolved.err().map(|error| format!("{error:#}"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn what_is_given_holds_nothing_that_is_relied_on() {
    let folder = Folder::new("refused");
    for (line, option, what) in [
        (
            "@/app/a.wasm --cache-dir @/cache --dir-rw @",
            "--dir-rw",
            "cache",
        ),
        ("@/app/a.wasm --cache-dir @/cache --dir @", "--dir", "cache"),
        (
            "@/app/a.wasm --cache-dir @/cache --dir-rw @/cache/inner",
            "--dir-rw",
            "cache",
        ),
        (
            "@/app/a.wasm --cache-dir @/alias --static /=@/cache",
            "--static",
            "cache",
        ),
        (
            "@/app/a.wasm --cache-dir @/data/none/yet --dir-rw @/data",
            "--dir-rw",
            "cache",
        ),
        (
            "@/app/a.wasm --cache-dir @/cache --keyvalue sqlite:@/s.db",
            "--keyvalue",
            "cache",
        ),
        (
            "@/app/a.wasm --cache-dir @/cache --keyvalue sqlite:@/cache/s.db",
            "--keyvalue",
            "cache",
        ),
        ("@/app/a.wasm --dir-rw @/app", "--dir-rw", "component"),
        ("@/app/a.wasm --static /=@/app", "--static", "component"),
        (
            "@/app/a.wasm --keyvalue sqlite:@/app/a.wasm",
            "--keyvalue",
            "component",
        ),
        (
            "@/app/a.wasm --sqlite app=@/app/a.wasm",
            "--sqlite",
            "component",
        ),
        // Every client could have all of it.
        (
            "@/app/a.wasm --sqlite app=@/data/deep/s.db --static /=@/data",
            "--static",
            "database",
        ),
        (
            "@/app/a.wasm --keyvalue sqlite:@/www/s.db --static /=@/www",
            "--static",
            "database",
        ),
        // A guest could cut short what SQLite has mapped beside it.
        (
            "@/app/a.wasm --sqlite app=@/data/deep/s.db --dir-rw @/data",
            "--dir-rw",
            "database",
        ),
        (
            "@/app/a.wasm --keyvalue sqlite:@/data/s.db --dir-rw @/data",
            "--dir-rw",
            "database",
        ),
        // Links that a guest could point elsewhere.
        ("@/data/link.wasm --dir-rw @/data", "--dir-rw", "component"),
        (
            "@/data/current/a.wasm --dir-rw @/data",
            "--dir-rw",
            "component",
        ),
        (
            "@/www/a.wasm --before-start @/data/link.wasm --dir-rw @/data",
            "--dir-rw",
            "component",
        ),
        (
            "@/www/a.wasm --middleware @/data/link.wasm --dir-rw @/data",
            "--dir-rw",
            "component",
        ),
        (
            "@/www/a.wasm --every 5m=@/data/link.wasm --dir-rw @/data",
            "--dir-rw",
            "component",
        ),
        (
            "@/www/a.wasm --env-file @/app/e.env --static /=@/app",
            "--static",
            "environment",
        ),
        // A name that can be guessed, which a guest could have lead elsewhere.
        (
            "@/app/a.wasm --profile-guest 1s --profile-dir @/data/deep --dir-rw @/data",
            "--dir-rw",
            "profiles",
        ),
        (
            "@/app/a.wasm --profile-dir @/data/deep --dir-rw @/data",
            "--dir-rw",
            "profiles",
        ),
        // Workers write there for as long as they serve.
        (
            "@/app/a.wasm --cache-dir @/cache --profile-dir @/cache/inner",
            "--profile-dir",
            "cache",
        ),
        (
            "@/app/a.wasm --log-file syslog:@/data/log --dir-rw @/data",
            "--dir-rw",
            "log",
        ),
    ] {
        let said = folder.said(line).expect(line);
        let begins = said.starts_with(&format!("option {option}: "));
        assert!(begins && said.contains(what), "{line}: {said}");
    }
}

#[test]
fn what_harms_nobody_is_allowed() {
    let folder = Folder::new("allowed");
    for line in [
        "@/app/a.wasm --cache-dir @/cache --dir @/app",
        "@/app/a.wasm --cache-dir @/cache --dir-rw @/data",
        "@/app/a.wasm --cache-dir @/cache --static /=@/www --dir-rw @/data/deep",
        "@/app/a.wasm --cache-dir @/cache --keyvalue sqlite:@/data/s.db --static /=@/www",
        "@/app/a.wasm --cache-dir @/cache-not --dir-rw @/cache",
        "@/app/a.wasm --cache-dir @/cache --sqlite app=@/data/s.db --dir-rw @/data/deep --dir @/data",
        // No files of these names.
        "@/app/a.wasm --cache-dir @/cache --static /=. --log-file - --access-logfile syslog",
        "@/app/a.wasm --cache-dir @/cache --profile-dir @/data --dir-rw @/www --dir @/data",
    ] {
        assert_eq!(folder.said(line), None, "{line}");
    }
}
