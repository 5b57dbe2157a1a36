//! A path that is in none of the directories that a guest may use is not there. Go passes the system a directory that no guest has,
//! whose error is EBADF: applications that go on without a file when it is not there do not go on then.

use std::fmt::Write as _;

/// Paths become requests to the system here.
pub const FILE: &str = "syscall/fs_wasip1.go";

/// A function of it finds the directory of a path in this way.
const FINDS: &str = " := preparePath(";

/// Has each function of this file that looks for a path end with ENOENT where no directory has it, as it does in C. What is not as it
/// is known here stays as it is.
pub fn without_directory(text: &str) -> String {
    let (mut written, mut missing) = (String::with_capacity(text.len()), None);
    for line in text.lines() {
        if line.starts_with("func ") {
            missing = returns(line);
        }
        let _ = writeln!(written, "{line}");
        if let (Some(missing), Some((names, _))) = (missing, line.split_once(FINDS))
            && let Some((directory, _)) = names.trim_start().split_once(", ")
        {
            let _ = writeln!(
                written,
                "\tif {directory} < 0 {{\n\t\treturn {missing}\n\t}}"
            );
        }
    }
    written
}

/// Gives what a function returns that has found nothing.
fn returns(line: &str) -> Option<&'static str> {
    let (_, results) = line.strip_suffix(" {")?.rsplit_once(") ")?;
    match line.ends_with("error) {") {
        true => Some("-1, ENOENT"),
        false => (results == "error").then_some("ENOENT"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_end_as_they_must_where_there_is_no_directory() {
        let text = "func preparePath(path string) (int32, *byte, size) {\n}\n\
            func Open(path string, openmode int, perm uint32) (int, error) {\n\
            \tdirFd, pathPtr, pathLen := preparePath(path)\n}\n\
            func Readlink(path string, buf []byte) (n int, err error) {\n\
            \tdirFd, pathPtr, pathLen := preparePath(path)\n}\n\
            func Rename(from, to string) error {\n\
            \toldDirFd, oldPathPtr, oldPathLen := preparePath(from)\n\
            \tnewDirFd, newPathPtr, newPathLen := preparePath(to)\n}\n";
        let expected = "func preparePath(path string) (int32, *byte, size) {\n}\n\
            func Open(path string, openmode int, perm uint32) (int, error) {\n\
            \tdirFd, pathPtr, pathLen := preparePath(path)\n\
            \tif dirFd < 0 {\n\t\treturn -1, ENOENT\n\t}\n}\n\
            func Readlink(path string, buf []byte) (n int, err error) {\n\
            \tdirFd, pathPtr, pathLen := preparePath(path)\n\
            \tif dirFd < 0 {\n\t\treturn -1, ENOENT\n\t}\n}\n\
            func Rename(from, to string) error {\n\
            \toldDirFd, oldPathPtr, oldPathLen := preparePath(from)\n\
            \tif oldDirFd < 0 {\n\t\treturn ENOENT\n\t}\n\
            \tnewDirFd, newPathPtr, newPathLen := preparePath(to)\n\
            \tif newDirFd < 0 {\n\t\treturn ENOENT\n\t}\n}\n";
        assert_eq!(without_directory(text), expected);
        let other = "func Open(path string) *File {\n\tdir, rest := preparePath(path)\n}\n";
        assert_eq!(without_directory(other), other);
    }
}
