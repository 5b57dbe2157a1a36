//! A path belongs to the directory whose whole name it begins with, and one that is in none of the directories that a guest may use
//! is not there. Go has `/application` in `/app`, and passes the system a directory that no guest has where it finds none, whose
//! error is EBADF: applications that go on without a file when it is not there do not go on then.

use std::fmt::Write as _;

/// Paths become requests to the system here.
pub const FILE: &str = "syscall/fs_wasip1.go";

/// The directory of a path is looked for by this.
const BEGINS: &str = "stringslite.HasPrefix(path, p.name)";

/// By this in its place. The names have no slash at their end, but for that of the root.
const IS_WITHIN: &str = "wasmserveIsWithin(path, p.name)";

const DECLARED: &str = "
func wasmserveIsWithin(path, directory string) bool {
	if !stringslite.HasPrefix(path, directory) {
		return false
	}
	return len(path) == len(directory) || path[len(directory)] == '/' || directory[len(directory)-1] == '/'
}
";

/// Has paths be found by whole names. What is not as it is known here stays as it is.
pub fn by_whole_names(text: &str) -> String {
    match text.contains(BEGINS) {
        true => text.replace(BEGINS, IS_WITHIN) + DECLARED,
        false => text.to_owned(),
    }
}

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
