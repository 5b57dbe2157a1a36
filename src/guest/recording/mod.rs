//! This room keeps what a failing request was given, so that it can be given again: its head and body, the seed of its
//! random numbers, and the answers of the host that differ from one run to the next. It knows nothing of instances.

mod answered;
mod asked;
mod body;
mod budget;
mod cause;
mod digest;
mod ending;
mod error;
mod file;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod given;
mod host_answer;
mod journal;
mod keep;
mod masked;
mod recorder;
mod request;
mod said;
mod sources;
mod start;

pub use answered::Answered;
pub use asked::swallow;
pub use budget::MOST as MOST_BYTES;
pub use digest::{digest_of, written_as};
pub use file::Recording;
pub use given::Given;
pub use host_answer::HostAnswer;
pub use journal::{Call, Event, OtherWay};
pub use keep::{Recordings, Settings};
pub use recorder::{Asked, Purpose, Recorder, Used};
pub use sources::{Calendar, RecordedClock, RecordedRng};
pub use start::Start;
