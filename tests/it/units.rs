//! The units for systemd that are printed: systemd accepts them, and what they start serves.

use crate::harness::certificates::Authority;
use crate::harness::{Folder, HELLO, Server, activated, finished, get, root, wasmserve};
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};

/// Writes the units of a command line, and gives what both of them say.
fn units(folder: &Folder, arguments: &[&str]) -> (PathBuf, [String; 2]) {
    let directory = folder.path().join("units");
    fs::create_dir_all(&directory).unwrap();
    let mut command = wasmserve();
    command.arg("unit").args(arguments).current_dir(root());
    command.args(["--name", "app", "--output"]).arg(&directory);
    let output = finished(command);
    assert!(output.status.success(), "{output:?}");
    let texts = ["app.service", "app.socket"];
    let texts = texts.map(|file| fs::read_to_string(directory.join(file)).unwrap());
    (directory, texts)
}

/// The values of a setting.
fn values<'a>(unit: &'a str, setting: &str) -> Vec<&'a str> {
    let lines = unit.lines();
    lines
        .filter_map(|line| line.strip_prefix(setting)?.strip_prefix('='))
        .collect()
}

fn analyze(arguments: &[&str]) -> Option<Output> {
    let output = Command::new("systemd-analyze").args(arguments).output();
    if output.is_err() {
        println!("systemd-analyze is not installed");
    }
    output.ok()
}

#[test]
fn systemd_accepts_the_units_and_rates_them_well() {
    let authority = Authority::new();
    let pair = authority.issue("localhost", &["localhost"]);
    let stores = Folder::new("unit-stores");
    let store = stores.path().join("store.db");
    let store = format!("--keyvalue=sqlite:{}", store.display());
    let secure = [
        HELLO,
        "--workers=4",
        "--bind=[::]:443",
        "--bind=0.0.0.0:443",
        "--redirect-http=0.0.0.0:80",
        "--ssl-certfile",
        &pair.certificate,
        "--ssl-keyfile",
        &pair.key,
        "--allow-http=https://example.com",
        &store,
        "--env=GREETING=50 % off $x",
    ];
    let plain = [HELLO, "--port", "8000", "--exit-idle", "10m"];
    for (name, arguments) in [("secure", &secure[..]), ("plain", &plain[..])] {
        let folder = Folder::new(&format!("unit-{name}"));
        let (directory, _) = units(&folder, arguments);
        let service = directory.join("app.service").display().to_string();
        let socket = directory.join("app.socket").display().to_string();
        let Some(verified) = analyze(&["verify", "--man=no", &service, &socket]) else {
            return;
        };
        let said = String::from_utf8_lossy(&verified.stderr).into_owned();
        let of_ours: Vec<&str> = said.lines().filter(|line| line.contains("app.")).collect();
        assert!(of_ours.is_empty(), "{name}: {said}");
        let rated = analyze(&["security", "--offline=yes", "--threshold=20", &service]).unwrap();
        let said = String::from_utf8_lossy(&rated.stdout).into_owned();
        assert!(rated.status.success(), "{name}: {said}");
    }
}

/// The service's own command, given its sockets: what it says is what serves.
#[test]
fn the_command_of_the_service_serves_the_sockets_of_the_unit() {
    let folder = Folder::new("unit-serves");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let port = address.port().to_string();
    let arguments = [HELLO, "--port", &port, "--workers", "2", "--env=A=b c"];
    let (_, [service, socket]) = units(&folder, &arguments);
    assert_eq!(values(&socket, "ListenStream"), [address.to_string()]);
    assert_eq!(values(&service, "Type"), ["notify"]);
    let directory = root().display().to_string();
    assert_eq!(values(&service, "WorkingDirectory"), [directory]);
    let exec = values(&service, "ExecStart")[0];
    let executable = env!("CARGO_BIN_EXE_wasmserve");
    let expected = format!("{executable} {HELLO} --workers 2 \"--env=A=b c\"");
    assert_eq!(exec, expected);
    let arguments = [HELLO, "--workers", "2", "--env=A=b c"];
    let server = Server::command(activated(&arguments, vec![listener.into()], "app")).start();
    assert_eq!(server.announced(), [format!("http://{address}")]);
    assert_eq!(get(address, "/").status, 200);
}

#[test]
fn sockets_that_speak_differently_are_told_apart() {
    let authority = Authority::new();
    let pair = authority.issue("localhost", &["localhost"]);
    let folder = Folder::new("unit-sockets");
    let arguments = [
        HELLO,
        "--bind=127.0.0.1:443,http://localhost:80",
        "--uds=/run/app.sock",
        "--uds-permissions=660",
        "--ssl-certfile",
        &pair.certificate,
        "--ssl-keyfile",
        &pair.key,
    ];
    let (_, [service, socket]) = units(&folder, &arguments);
    let streams = ["/run/app.sock", "127.0.0.1:443", "127.0.0.1:80", "[::1]:80"];
    assert_eq!(values(&socket, "ListenStream"), streams);
    assert_eq!(values(&socket, "SocketMode"), ["0660"]);
    let exec = values(&service, "ExecStart")[0];
    let named = "--bind fd+https://3 --bind fd+https://4 --bind fd+http://5 --bind fd+http://6";
    assert!(exec.ends_with(named), "{exec}");
    // The key is root's; the service gets a copy of it and of what goes with it.
    assert!(exec.contains("--ssl-keyfile=%d/key1.pem"), "{exec}");
    assert!(
        exec.contains("--ssl-certfile=%d/certificate1.pem"),
        "{exec}"
    );
    let credentials = [
        format!("certificate1.pem:{}", pair.certificate),
        format!("key1.pem:{}", pair.key),
    ];
    assert_eq!(values(&service, "LoadCredential"), credentials);
}

#[test]
fn what_no_socket_unit_can_do_is_said() {
    for (arguments, said) in [
        (["--port", "0"], "option --port: a socket unit needs a port"),
        (["--host", "example.com"], "takes addresses"),
        (["--uds", "app.sock"], "needs the whole path"),
        (["--fd", "3"], "name the address"),
        (["--name", "a/b"], "option --name"),
        (["--workers", "none"], "option --workers"),
    ] {
        let mut command = wasmserve();
        command.args(["unit", HELLO]).args(arguments);
        let output = finished(command);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(said), "{text}");
    }
}

#[test]
fn what_a_database_needs_is_in_the_unit() {
    let folder = Folder::new("unit-databases");
    let url = folder.path().join("url");
    fs::write(&url, "postgres://app:secret@localhost/app").unwrap();
    let postgres = format!("--postgres=app=file:{}", url.display());
    let hello = root().join(HELLO);
    let mut command = wasmserve();
    command
        .current_dir(folder.path())
        .arg("unit")
        .arg(&hello)
        .args(["--name=app", "--output=.", "--port=8000"])
        .args(["--sqlite=app=unit.db", "--log-file=unit.log", &postgres]);
    let output = finished(command);
    assert!(output.status.success(), "{output:?}");
    let service = fs::read_to_string(folder.path().join("app.service")).unwrap();
    let exec = values(&service, "ExecStart")[0];
    assert!(
        exec.contains("--postgres=app=file:%d/postgres1.url"),
        "{exec}"
    );
    let credential = format!("postgres1.url:{}", url.display());
    assert_eq!(values(&service, "LoadCredential"), [credential]);
    // Both files are in the working directory, which may be one that services do not see.
    let here = folder.path().display().to_string();
    let mut writable = values(&service, "ReadWritePaths");
    writable.extend(values(&service, "BindPaths"));
    assert_eq!(writable, [here.as_str()]);
    let mut command = wasmserve();
    command.args(["unit", HELLO, "--port=8000", "--postgres", "app=env:URL"]);
    command.env("URL", "postgres://app:secret@localhost/app");
    let output = finished(command);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("app=file:PATH"), "{text}");
}

/// What the command line names was handed over, and what stood elsewhere was not.
#[test]
fn secret_files_are_handed_over_wherever_they_are_named() {
    let folder = Folder::new("unit-elsewhere");
    let authority = Authority::new();
    let pair = authority.issue("localhost", &["localhost"]);
    let (certificate, key) = (&pair.certificate, &pair.key);
    let secret = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path.display().to_string()
    };
    let url = secret("url", "postgres://app:secret@localhost/app");
    let values_file = secret("values", "A=1\n");
    let lines = format!(
        "ssl-certfile = [\"{certificate}\"]\nssl-keyfile = [\"{key}\"]\nworkers = 2\n\
         postgres = [\"app=file:{url}\"]\nenv-file = [\"{values_file}\"]\n"
    );
    let config = secret("wasmserve.toml", &lines);
    let hello = root().join(HELLO);
    let hello = hello.to_str().unwrap();
    let expected = |credentials: &[(&str, &String)]| -> Vec<String> {
        let named = credentials
            .iter()
            .map(|(name, path)| format!("{name}:{path}"));
        named.collect()
    };
    let (unit, _) = service(&folder, &[hello, "--config-file", &config], &[]);
    let options = "--ssl-certfile=%d/certificate1.pem --ssl-keyfile=%d/key1.pem --env-file=%d/file3 \
                   --postgres=app=file:%d/postgres4.url";
    let exec = values(&unit, "ExecStart")[0];
    assert!(exec.contains(options), "{exec}");
    assert!(exec.contains("--config-file=%d/file5"), "{exec}");
    assert!(!exec.contains("--workers"), "{exec}");
    let credentials = [
        ("certificate1.pem", certificate),
        ("key1.pem", key),
        ("file3", &values_file),
        ("postgres4.url", &url),
        ("file5", &config),
    ];
    assert_eq!(values(&unit, "LoadCredential"), expected(&credentials));
    let variables = [
        ("WASMSERVE_SSL_CERTFILE", certificate.as_str()),
        ("WASMSERVE_SSL_KEYFILE", key),
        ("WASMSERVE_WORKERS", "3"),
    ];
    let (unit, _) = service(&folder, &[hello], &variables);
    assert_eq!(values(&unit, "Environment"), ["WASMSERVE_WORKERS=3"]);
    let exec = values(&unit, "ExecStart")[0];
    assert!(exec.contains("--ssl-keyfile=%d/key1.pem"), "{exec}");
    assert_eq!(values(&unit, "LoadCredential"), expected(&credentials[..2]));
}

/// The service has a /tmp and homes of its own, and sees of the others what its command line names.
#[test]
fn what_the_command_line_names_is_seen_where_services_see_nothing() {
    let folder = std::env::temp_dir().join(format!("wasmserve unit:{}", std::process::id()));
    for directory in ["files", "data", "kept"] {
        fs::create_dir_all(folder.join(directory)).unwrap();
    }
    fs::copy(root().join(HELLO), folder.join("app.wat")).unwrap();
    fs::write(folder.join("settings"), "A=1\n").unwrap();
    let mut command = wasmserve();
    command
        .current_dir(&folder)
        .args(["unit", "app.wat", "--output=.", "--port=8000"])
        .args(["--env-file=settings", "--static=/assets=files"])
        .args(["--dir=data::/data", "--dir=/home::/homes"])
        .args(["--dir-rw=kept", "--every=1h=app.wat"]);
    let output = finished(command);
    assert!(output.status.success(), "{output:?}");
    let unit = folder.join("app.service");
    let service = fs::read_to_string(&unit).unwrap();
    if let Some(verified) = analyze(&["verify", "--man=no", unit.to_str().unwrap()]) {
        let said = String::from_utf8_lossy(&verified.stderr).into_owned();
        assert!(!said.contains("Paths"), "{said}");
    }
    fs::remove_dir_all(&folder).unwrap();
    let here = folder.display().to_string().replace(':', "\\\\:");
    let bound = |name: &str| format!("\"{here}{name}\"");
    // A file is seen through its directory, so that one that is put in its place is seen too.
    let read = ["", "/data", "/files"].map(bound);
    let seen = values(&service, "BindReadOnlyPaths");
    for path in read.iter().map(String::as_str).chain(["/home"]) {
        assert!(seen.contains(&path), "{path} is missing in {service}");
    }
    let alone = seen.iter().find(|path| path.contains("app.wat"));
    assert_eq!(alone, None, "a file is bound by itself");
    assert_eq!(values(&service, "BindPaths"), [bound("/kept")]);
    assert_eq!(values(&service, "ProtectHome"), ["tmpfs"]);
}

/// Gives the service of a command line, and what was said about it.
fn service(folder: &Folder, arguments: &[&str], variables: &[(&str, &str)]) -> (String, String) {
    let mut command = wasmserve();
    command.current_dir(folder.path()).arg("unit");
    command.args(arguments).args(["--name=app", "--output=."]);
    command.envs(variables.iter().copied());
    let output = finished(command);
    assert!(output.status.success(), "{output:?}");
    let service = fs::read_to_string(folder.path().join("app.service")).unwrap();
    (
        service,
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

/// A reload that fails has `systemctl reload` fail, and the commands find the service.
#[test]
fn the_service_is_steered_by_the_commands() {
    let folder = Folder::new("unit-steered");
    let hello = root().join(HELLO);
    let hello = hello.to_str().unwrap();
    let (unit, _) = service(&folder, &[hello], &[]);
    assert_eq!(values(&unit, "RuntimeDirectory"), ["wasmserve-app"]);
    assert_eq!(values(&unit, "RuntimeDirectoryMode"), ["0700"]);
    let executable = env!("CARGO_BIN_EXE_wasmserve");
    let reload = format!("{executable} reload --pid $MAINPID --timeout 660s");
    assert_eq!(values(&unit, "ExecReload"), [reload]);
    let (unit, _) = service(&folder, &[hello, "--no-admin"], &[]);
    assert_eq!(values(&unit, "ExecReload"), ["/bin/kill -HUP $MAINPID"]);
}

/// Systemd makes the service's user, or has the one who was named, and gives him what he is to write to.
#[test]
fn whom_the_service_runs_as_can_do_what_the_command_line_says_or_that_is_told() {
    let folder = Folder::new("unit-user");
    let hello = root().join(HELLO);
    let hello = hello.to_str().unwrap();
    let (unit, said) = service(
        &folder,
        &[
            hello,
            "--access-logfile=/var/log/unit-of-tests/access.log",
            "--log-file=/run/unit-of-tests/log",
            "--user=nobody",
        ],
        &[],
    );
    assert_eq!(values(&unit, "LogsDirectory"), ["unit-of-tests"]);
    let runtime = values(&unit, "RuntimeDirectory");
    assert_eq!(runtime, ["wasmserve-app", "unit-of-tests"]);
    assert_eq!(values(&unit, "User"), ["nobody"]);
    assert!(values(&unit, "DynamicUser").is_empty(), "{unit}");
    assert!(!said.contains("cannot write"), "{said}");
    // A directory of somebody else, a file that only its owner reads, and one that is not there.
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).unwrap();
    let secrets = folder.path().join("secrets");
    fs::write(&secrets, "A=1\n").unwrap();
    fs::set_permissions(&secrets, fs::Permissions::from_mode(0o600)).unwrap();
    let arguments = [
        "no-such.wasm",
        "--keyvalue=sqlite:data/app.db",
        "--env-file=secrets",
    ];
    let (unit, said) = service(&folder, &arguments, &[]);
    assert_eq!(values(&unit, "DynamicUser"), ["yes"]);
    let credential = format!("file1:{}", secrets.display());
    assert_eq!(values(&unit, "LoadCredential"), [credential]);
    assert!(unit.contains("--env-file=%d/file1"), "{unit}");
    assert!(said.contains("no-such.wasm` is not there"), "{said}");
    let data = data.display();
    assert!(
        said.contains(&format!("`{data}` belongs to user")),
        "{said}"
    );
}

#[test]
fn a_login_to_a_registry_is_handed_to_the_service() {
    let folder = Folder::new("unit-login");
    let logins = r#"{"auths":{"registry.example":{"auth":"dTpwdw=="}}}"#;
    fs::write(folder.path().join("config.json"), logins).unwrap();
    let home = folder.path().display().to_string();
    let variables = [("DOCKER_CONFIG", home.as_str())];
    let reference = "oci://registry.example/team/app:1";
    let (unit, _) = service(&folder, &[reference], &variables);
    let credential = format!("config.json:{home}/config.json");
    assert_eq!(values(&unit, "LoadCredential"), [credential]);
    assert_eq!(values(&unit, "Environment"), ["DOCKER_CONFIG=%d"]);
    // Nobody has logged in to another.
    let (unit, _) = service(&folder, &["oci://other.example/team/app:1"], &variables);
    assert!(values(&unit, "LoadCredential").is_empty(), "{unit}");
}
