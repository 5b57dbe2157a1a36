//! What calls itself without end, or is nested very deeply, is an error of Python's, as it is natively.

use super::{OF_TESTS, REUSE};
use crate::harness::get;
use crate::toolchains::{built, trials};

#[test]
fn what_calls_itself_without_end_is_an_error_and_the_instance_goes_on() {
    for reuse in REUSE {
        let server = trials::serve(&built(OF_TESTS), &["--reuse", reuse]);
        for _ in 0..2 {
            let answer = get(server.address, "/endless");
            let text = answer.text();
            assert_eq!(answer.status, 200, "{text}");
            let outcomes: Vec<(&str, &str)> = text
                .split(' ')
                .filter_map(|it| it.split_once(':'))
                .collect();
            assert!(outcomes.len() > 20, "{text}");
            for (name, outcome) in outcomes {
                assert_eq!(outcome, "RecursionError", "{name}");
            }
            let nested = get(server.address, "/nested/4000");
            assert_eq!((nested.status, nested.text()), (200, "True True".into()));
        }
    }
}

#[test]
fn a_regular_expression_without_end_is_ended() {
    trials::a_regular_expression_without_end_is_ended(&built(OF_TESTS));
}
