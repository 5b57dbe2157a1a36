//! Servers with a certificate, and the clients that everybody has.

use super::certificates::{Authority, Pair};
use super::{Server, guest};
use std::io::Write;
use std::process::{Command, Stdio};

/// A server that has this certificate.
pub fn secure(pair: &Pair, options: &[&str]) -> Server {
    Server::component(guest("behaviours"))
        .certificate(pair)
        .args(options)
        .start()
}

/// What curl prints: the body, the version of HTTP and the status.
pub fn curl(server: &Server, authority: &Authority, name: &str, options: &[&str]) -> String {
    let port = server.address.port();
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "20"])
        .args(["--cacert", &authority.file()])
        .args([
            "--resolve",
            &format!("{name}:{port}:{}", server.address.ip()),
        ])
        .args(["--write-out", "%{http_version} %{http_code}"])
        .args(options)
        .arg(format!("https://{name}:{port}/request"))
        .output()
        .expect("curl is there");
    let (out, err) = (output.stdout, output.stderr);
    String::from_utf8_lossy(&[out, err].concat()).into_owned()
}

/// What `openssl s_client` says of a handshake and one exchange.
pub fn s_client(server: &Server, options: &[&str]) -> String {
    let mut client = Command::new("openssl")
        .args([
            "s_client",
            "-ign_eof",
            "-connect",
            &server.address.to_string(),
        ])
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl is there");
    // Where the handshake fails, nobody takes this.
    let request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let _ = client.stdin.take().unwrap().write_all(request);
    let output = client.wait_with_output().unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}
