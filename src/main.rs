//! The executable ends with the status that the command line came to, and does nothing else.

fn main() {
    std::process::exit(wasmserve::run_command_line());
}
