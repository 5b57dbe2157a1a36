//! What people who run other servers are used to: a file that names the process, keys with passwords, ciphers,
//! revoked certificates, and names of options.

use crate::harness::certificates::{Authority, Pair};
use crate::harness::{
    HELLO, Server, SetAtEnd, curl, eventually, finished, get, guest, order, root, s_client, said,
    secure, wasmserve,
};
use nix::sys::signal::Signal;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

fn place(name: &str) -> PathBuf {
    let name = format!("{name}-{}.pid", std::process::id());
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_file(&path);
    path
}

fn with_pid(path: &Path) -> Server {
    Server::component(guest("hello"))
        .option("--pid", path)
        .start()
}

fn refused(path: &Path) -> String {
    let mut command = wasmserve();
    let path = path.to_str().unwrap();
    command.args([&guest("hello"), "--port", "0", "--pid", path]);
    let output = finished(command);
    assert_eq!(output.status.code(), Some(2));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_file_names_the_process_while_it_serves() {
    let path = place("serves");
    let mut server = with_pid(&path);
    let named = format!("{}\n", server.pid());
    assert_eq!(fs::read_to_string(&path).unwrap(), named);
    let said = refused(&path);
    assert!(
        said.contains("option --pid: ") && said.contains("which is running"),
        "{said}"
    );
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        named,
        "the other has not touched it"
    );
    server.signal(Signal::SIGHUP);
    server.wait_for("ended: replaced by a reload");
    assert_eq!(fs::read_to_string(&path).unwrap(), named);
    server.signal(Signal::SIGTERM);
    assert!(server.wait().success());
    assert!(!path.exists(), "it is removed at the end");
}

/// The process is the same after another executable has taken its place, and so is the file.
#[test]
fn the_file_survives_a_new_executable() {
    let path = place("executable");
    let mut server = with_pid(&path);
    server.signal(Signal::SIGUSR2);
    server.wait_for_count("Application startup complete.", 2);
    eventually("it is the same again", || {
        fs::read_to_string(&path).is_ok_and(|text| text == format!("{}\n", server.pid()))
    });
    assert!(refused(&path).contains("which is running"));
    server.signal(Signal::SIGTERM);
    assert!(server.wait().success());
    assert!(!path.exists());
}

#[test]
fn a_file_that_nobody_has_is_replaced_and_another_is_left_alone() {
    let path = place("stale");
    // Of a process that has ended.
    let mut ended = Command::new("true").spawn().unwrap();
    let pid = ended.id();
    ended.wait().unwrap();
    fs::write(&path, format!("{pid}\n")).unwrap();
    let mut server = with_pid(&path);
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        format!("{}\n", server.pid())
    );
    server.signal(Signal::SIGKILL);
    server.wait();
    assert!(path.exists(), "nobody has removed it");
    drop(with_pid(&path));
    fs::write(&path, "precious\n").unwrap();
    assert!(refused(&path).contains("holds no process's number"));
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious\n");
    // A server of another kind, which lives.
    fs::write(&path, "1\n").unwrap();
    assert!(refused(&path).contains("process 1, which is running"));
    fs::remove_file(&path).unwrap();
    let nowhere = Path::new("/nowhere/at/all.pid");
    assert!(refused(nowhere).contains("there is no directory"));
}

fn openssl(arguments: &[&str]) {
    let output = Command::new("openssl").args(arguments).output();
    let output = output.expect("openssl is there");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
}

#[test]
fn a_key_with_a_password_is_read() {
    let authority = Authority::new();
    let pair = authority.issue("server", &["a.test"]);
    let password = authority.write("password", "open sesame\nnot this\n");
    for cipher in ["-aes-256-cbc", "-aes-128-cbc"] {
        let key = authority.write("encrypted.key", "");
        openssl(&[
            "pkcs8",
            "-topk8",
            "-v2",
            &cipher[1..],
            "-in",
            &pair.key,
            "-out",
            &key,
            "-passout",
            "pass:open sesame",
        ]);
        let encrypted = Pair {
            key,
            ..pair.clone()
        };
        for option in [
            ["--ssl-keyfile-password", "open sesame"],
            ["--ssl-keyfile-password-file", &password],
        ] {
            let server = secure(&encrypted, &option);
            let answer = curl(&server, &authority, "a.test", &[]);
            assert!(answer.ends_with(" 200"), "{answer}");
        }
        let mut command = wasmserve();
        command.args([
            &guest("hello"),
            "--port",
            "0",
            "--ssl-certfile",
            &pair.certificate,
        ]);
        command.args([
            "--ssl-keyfile",
            &encrypted.key,
            "--ssl-keyfile-password",
            "wrong",
        ]);
        let output = finished(command);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(
            said.contains("the password is wrong") && !said.contains("`wrong`"),
            "{said}"
        );
    }
}

#[test]
fn a_password_is_not_shown() {
    let mut command = wasmserve();
    command.args(["check", &guest("hello")]);
    command.env("WASMSERVE_SSL_KEYFILE_PASSWORD", "sesame");
    let output = finished(command);
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(said.contains("ssl-keyfile-password"), "{said}");
    assert!(!said.contains("sesame"), "{said}");
    let mut command = wasmserve();
    command
        .arg("--help")
        .env("WASMSERVE_SSL_KEYFILE_PASSWORD", "sesame");
    let help = finished(command).stdout;
    assert!(!String::from_utf8_lossy(&help).contains("sesame"));
}

#[test]
fn ciphers_are_those_that_are_named() {
    let authority = Authority::new();
    let pair = authority.issue("server", &["a.test"]);
    let only = "ECDHE-ECDSA-AES256-GCM-SHA384";
    let server = secure(&pair, &["--ssl-ciphers", only]);
    let said = s_client(&server, &["-tls1_2"]);
    assert!(said.contains(&format!("Cipher is {only}")), "{said}");
    let other = ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"];
    let said = s_client(&server, &other);
    assert!(said.contains("handshake failure"), "{said}");
    assert!(s_client(&server, &["-tls1_3"]).contains("Cipher is TLS_"));
    let mut command = wasmserve();
    command.args([&guest("hello"), "--ssl-certfile", &pair.certificate]);
    command.args(["--ssl-keyfile", &pair.key, "--ssl-ciphers", "HIGH:!aNULL"]);
    let output = finished(command);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        said.contains("option --ssl-ciphers: `HIGH` is not spoken here"),
        "{said}"
    );
}

#[test]
fn a_certificate_that_was_revoked_is_refused() {
    let authority = Authority::new();
    let pair = authority.issue("server", &["a.test"]);
    let good = authority.issue_with("good", &["good.test"], |it| {
        it.serial_number = Some(41.into())
    });
    let bad = authority.issue_with("bad", &["bad.test"], |it| {
        it.serial_number = Some(42.into())
    });
    let list = authority.revoke("list.pem", 42);
    let ca = authority.file();
    // By uvicorn's names, too.
    let options = [
        "--ssl-ca-certs",
        &ca,
        "--ssl-crl",
        &list,
        "--ssl-cert-reqs",
        "2",
        "--ssl-version",
        "17",
    ];
    let server = secure(&pair, &options);
    let answers = |pair: &Pair| {
        let options = ["--cert", &pair.certificate, "--key", &pair.key];
        curl(&server, &authority, "a.test", &options).ends_with(" 200")
    };
    assert!(answers(&good));
    assert!(!answers(&bad));
    let nonsense = authority.write("nonsense.pem", "nonsense");
    let mut command = wasmserve();
    command.args([
        &guest("hello"),
        "--ssl-certfile",
        &pair.certificate,
        "--ssl-keyfile",
        &pair.key,
    ]);
    command.args(["--ssl-ca-certs", &ca, "--ssl-crl", &nonsense]);
    let output = finished(command);
    assert!(String::from_utf8_lossy(&output.stderr).contains("holds no list in PEM form"));
}

#[test]
fn what_has_no_meaning_says_what_takes_its_place() {
    for (option, says) in [
        ("--loop", "leave it out"),
        ("--interface", "leave it out"),
        ("--factory", "has no meaning here"),
        ("-k", "leave it out"),
        ("--pid-file", "write --pid"),
        ("--daemon", "--pid"),
    ] {
        let mut command = wasmserve();
        command.args([&guest("hello"), option, "x"]);
        let output = finished(command);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{option}");
        assert!(said.contains(says), "{option}: {said}");
    }
    let server = Server::component(guest("hello"))
        .arg("--access-log")
        .start();
    get(server.address, "/asked");
    server.wait_for("GET /asked");
}

/// Nobody who comes from one of these servers is left with an option that is merely unknown.
#[test]
fn every_option_of_the_other_servers_is_taken_or_answered() {
    let lists = fs::read_to_string(root().join("tests/options_of_others")).unwrap();
    let options = lists.lines().filter(|line| line.starts_with('-'));
    let mut asked: Vec<&str> = options.collect();
    asked.sort_unstable();
    asked.dedup();
    assert!(asked.len() > 200, "{} options", asked.len());
    for option in asked {
        let mut command = wasmserve();
        command.current_dir(root()).args(["check", HELLO, option]);
        let output = finished(command);
        let said = said(&output);
        let is_answered = output.status.success()
            || said.contains(&format!("option {option} is another server's: "))
            || said.contains("a value is required");
        assert!(is_answered, "{option}: {said}");
    }
}

/// A word in the wrong place is told where it belongs.
#[test]
fn what_stands_in_the_wrong_place_is_told_where_it_belongs() {
    for (arguments, part) in [
        (&["reload", "--canary", "10%"][..], "it takes no value here"),
        (&["reload", "--admin", "127.0.0.1:9000"], "--socket PATH"),
        (&["uvicorn", "main:app"], "write `wasmserve COMPONENT`"),
        (&["restart"], "see `wasmserve reload`"),
    ] {
        let mut command = wasmserve();
        command.args(arguments);
        let output = finished(command);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(part), "{arguments:?}: {said}");
    }
}

/// What is slow is found on the server that is slow: one that had to be started anew would be another.
#[test]
fn a_running_server_makes_profiles_by_command() {
    let without = Server::component(guest("behaviours")).start();
    let refused = order(&without, &["profile", "1"]);
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    assert!(
        said(&refused).contains("--profile-dir"),
        "{}",
        said(&refused)
    );
    let name = format!("profiles-command-{}", std::process::id());
    let directory = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).unwrap();
    let server = Server::component(guest("behaviours"))
        .workers(2)
        .option("--profile-dir", &directory)
        .arg("--limit-cpu=500ms")
        .start();
    assert_eq!(get(server.address, "/").status, 200);
    let (address, done) = (server.address, AtomicBool::new(false));
    std::thread::scope(|scope| {
        let end = SetAtEnd(&done);
        for _ in 0..4 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    get(address, "/spin");
                }
            });
        }
        let worker = server.workers()[0].to_string();
        let copy = directory.join("copy.json");
        let copied = copy.to_str().unwrap();
        let one = ["profile", "2", "--worker", &worker, "--output", copied];
        let all = [order(&server, &one), order(&server, &["profile", "3"])];
        drop(end);
        for made in &all {
            assert_eq!(made.status.code(), Some(0), "{}", said(made));
        }
        let mut files: Vec<std::path::PathBuf> = said(&all[1]).lines().map(Into::into).collect();
        assert_eq!(files.len(), 2, "{files:?}");
        files.push(copy);
        let texts = files
            .iter()
            .map(|file| std::fs::read_to_string(file).unwrap());
        let texts: Vec<String> = texts.collect();
        for text in &texts {
            let profile: serde_json::Value = serde_json::from_str(text).unwrap();
            assert!(
                profile["threads"][0]["samples"]["length"].is_u64(),
                "{text}"
            );
        }
        assert!(texts.iter().any(|text| text.contains("behaviours::")));
    });
    for wrong in [["profile", "0"], ["profile", "601"]] {
        let refused = order(&server, &wrong);
        assert_eq!(refused.status.code(), Some(2), "{wrong:?}");
        assert!(String::from_utf8_lossy(&refused.stderr).contains("is not in 1..=600"));
    }
    let nobody = order(&server, &["profile", "1", "--worker", "4194000"]);
    assert_eq!(nobody.status.code(), Some(2), "{}", said(&nobody));
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn a_profile_has_the_functions_that_ran() {
    let name = format!("profiles-{}", std::process::id());
    let directory = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).unwrap();
    let server = Server::component(guest("behaviours"))
        .arg("--profile-guest=3s")
        .option("--profile-dir", &directory)
        .arg("--limit-cpu=1s")
        .start();
    assert_eq!(get(server.address, "/spin").status, 504);
    server.wait_for("The profile of this worker's guests is in");
    let file = directory.join(format!("profile-{}.json", server.workers()[0]));
    let text = std::fs::read_to_string(file).unwrap();
    let profile: serde_json::Value = serde_json::from_str(&text).unwrap();
    let samples = profile["threads"][0]["samples"]["length"].as_u64().unwrap();
    assert!(samples > 20, "{samples} samples in a second");
    assert!(text.contains("behaviours::"), "it names the function");
    std::fs::remove_dir_all(&directory).unwrap();
}
