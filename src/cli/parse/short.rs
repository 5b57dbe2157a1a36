//! What `wasmserve -h` prints: what most people need, on one screen of 24 lines and 80 columns.

/// The short help. `wasmserve --help` lists everything.
pub const SHORT_HELP: &str = "\
Serves a WASI HTTP component from several worker processes

Usage: wasmserve [OPTIONS] <COMPONENT>
       wasmserve build main.py -o app.wasm    make a component of a project
       wasmserve dev .                        build, serve, and do so on change
       wasmserve inspect|check|compile        look before serving
       wasmserve status|reload|scale|stop     steer a server that is running

  -w, --workers <COUNT>        worker processes, or auto
      --bind <ADDRESS>         HOST:PORT, unix:PATH, fd://3 [127.0.0.1:8000]
      --host, --port, --uds    the same as uvicorn has them
      --reload                 reload when the component's file changes
      --ssl-certfile, --ssl-keyfile <FILE>   speak TLS
      --env <NAME=VALUE>       an environment variable for the application
      --dir-rw <HOST::GUEST>   a directory that it may read and write
      --allow-http <RULE>      where it may send requests
      --keyvalue <STORE>       sqlite:PATH or redis://HOST:PORT
      --max-memory <SIZE>      memory of one instance [512MiB]
      --timeout-request <DURATION>           time until a response begins [30s]
      --config-file <FILE>     options from a TOML file

      --help                   every option; each has a variable WASMSERVE_...
";
