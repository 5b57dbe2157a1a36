//! What a recording does not keep.

use super::{SAME, recording, recordings, replayed};
use crate::harness::{Folder, Server, Upstream, get, guest};
use std::fs;

#[test]
fn credentials_are_not_recorded_unless_they_are_wanted() {
    for (option, secret) in [(None, false), (Some("--record-secrets"), true)] {
        let folder = Folder::new("secrets");
        let server = Server::component(guest("behaviours"))
            .option("--record-failures", folder.path())
            .args(["--env", "KEY=hush-variable", "--config", "key=hush-setting"])
            .args(option)
            .start();
        let mut connection = server.connect();
        let request = connection.get("/trap-before-head");
        let request = request.header("Authorization", "Bearer hush-token");
        let request = request.header("Cookie", "id=hush-cookie");
        assert_eq!(request.response().unwrap().status, 500);
        let file = recordings(&folder).remove(0);
        let bytes = fs::read(&file).unwrap();
        let content = String::from_utf8_lossy(&bytes).into_owned();
        for word in ["hush-token", "hush-cookie"] {
            assert_eq!(content.contains(word), secret, "{word} in {content}");
        }
        assert!(!content.contains("hush-variable"), "{content}");
        assert!(!content.contains("hush-setting"), "{content}");
        let (_, said) = replayed(&file, &["--env", "KEY=another"]);
        assert!(said.contains("--env KEY has another value"), "{said}");
        assert!(said.contains("--config key is missing"), "{said}");
        assert!(said.contains(SAME), "it has not asked for them: {said}");
    }
}

/// They are in the query of the request and of the one that the guest sends, in what stands before a host, in a target
/// that a field holds, and in fields of other names than the known ones.
#[test]
fn credentials_in_targets_are_not_recorded_and_the_failure_comes_again() {
    let folder = Folder::new("targets");
    let upstream = Upstream::friendly();
    let server = recording(&folder, &["--allow-http", "127.0.0.1"]);
    let authority = format!("hush-user:hush-word@{}", upstream.address);
    let path = "/a?api_key=hush-key";
    let target = format!("/outbound?authority={authority}&path={path}&trap=yes&token=hush-token");
    let mut connection = server.connect();
    let request = connection.get(&target);
    let request = request.header("X-Auth-Key", "hush-auth");
    let request = request.header("Referer", "http://a/?access_token=hush-access&d=e");
    assert_eq!(request.response().unwrap().status, 500);
    server.wait_for("a failing request is recorded in ");
    let file = recordings(&folder).remove(0);
    let content = String::from_utf8_lossy(&fs::read(&file).unwrap()).into_owned();
    for word in ["hush-token", "hush-auth", "hush-access"] {
        assert!(!content.contains(word), "{word} in {content}");
    }
    assert!(
        content.contains("http://a/?access_token=***********&d=e"),
        "{content}"
    );
    // What the client says of whom to ask is no secret by its name.
    let asked = content.split("\"ask\":").nth(1).unwrap();
    assert!(!asked.contains("hush"), "{asked}");
    let (output, said) = replayed(&file, &[]);
    assert!(said.contains(SAME), "{said}");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(get(server.address, "/ok").status, 200);
}
