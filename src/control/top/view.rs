//! A `View` is the state of what is shown: what is known, what is chosen, and what keys and answers make of it. It
//! knows no terminal.

use super::history::History;
use super::rows::Sorting;
use super::sample::Sample;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use std::time::Duration;

#[derive(Debug, Default)]
pub struct View {
    pub history: History,
    pub sorting: Sorting,
    /// This many rows stand above the first that is shown.
    pub scrolled: usize,
    /// The server has not answered for this long, for this reason.
    pub silence: Option<(Duration, String)>,
}

/// `Flow` says whether the view goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    Stay,
    Quit,
}

/// A page key goes by this many rows.
const PAGE: usize = 10;

impl View {
    pub fn answered(&mut self, sample: Sample, now: Duration) {
        self.history.add(sample, now);
        self.silence = None;
        self.scrolled = self.scrolled.min(self.last_row());
    }

    pub fn unanswered(&mut self, why: String, now: Duration) {
        let since = self.silence.take().map_or(now, |(since, _)| since);
        self.silence = Some((since, why));
    }

    pub fn key(&mut self, key: KeyEvent) -> Flow {
        if key.kind == KeyEventKind::Release {
            return Flow::Stay;
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c' | 'd') if control => return Flow::Quit,
            KeyCode::Char('q' | 'Q') | KeyCode::Esc => return Flow::Quit,
            KeyCode::Right | KeyCode::Tab => self.sorting.column = self.sorting.column.next(),
            KeyCode::Left | KeyCode::BackTab => {
                self.sorting.column = self.sorting.column.previous();
            }
            KeyCode::Char('r' | 'R') => self.sorting.reversed = !self.sorting.reversed,
            KeyCode::Down => self.scrolled += 1,
            KeyCode::Up => self.scrolled = self.scrolled.saturating_sub(1),
            KeyCode::PageDown => self.scrolled += PAGE,
            KeyCode::PageUp => self.scrolled = self.scrolled.saturating_sub(PAGE),
            KeyCode::Home => self.scrolled = 0,
            KeyCode::End => self.scrolled = self.last_row(),
            _ => {}
        }
        self.scrolled = self.scrolled.min(self.last_row());
        Flow::Stay
    }

    fn last_row(&self) -> usize {
        let workers = self.history.latest().map_or(0, |it| it.workers.len());
        workers.saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::Column;
    use super::*;
    use serde_json::json;

    fn press(view: &mut View, code: KeyCode) -> Flow {
        view.key(KeyEvent::new(code, KeyModifiers::NONE))
    }

    #[test]
    fn the_view_is_left_by_q_and_escape_and_control_c() {
        let mut view = View::default();
        for code in [KeyCode::Char('q'), KeyCode::Esc] {
            assert_eq!(press(&mut view, code), Flow::Quit);
        }
        let control = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(view.key(control), Flow::Quit);
        for code in [KeyCode::Char('c'), KeyCode::Enter, KeyCode::Char('x')] {
            assert_eq!(press(&mut view, code), Flow::Stay);
        }
    }

    #[test]
    fn keys_choose_the_order_and_scroll_within_the_rows() {
        let mut view = View::default();
        let sample = json!({"workers": [{"pid": 1}, {"pid": 2}, {"pid": 3}]});
        view.answered(serde_json::from_value(sample).unwrap(), Duration::ZERO);
        press(&mut view, KeyCode::Right);
        press(&mut view, KeyCode::Char('r'));
        let column = Column::State;
        let reversed = true;
        assert_eq!(view.sorting, Sorting { column, reversed });
        for (code, scrolled) in [
            (KeyCode::Up, 0),
            (KeyCode::Down, 1),
            (KeyCode::PageDown, 2),
            (KeyCode::Home, 0),
            (KeyCode::End, 2),
        ] {
            press(&mut view, code);
            assert_eq!(view.scrolled, scrolled, "{code:?}");
        }
    }

    #[test]
    fn a_silence_lasts_from_the_first_question_that_was_not_answered() {
        let mut view = View::default();
        for second in [3, 4] {
            view.unanswered("late".to_owned(), Duration::from_secs(second));
        }
        let since = Duration::from_secs(3);
        assert_eq!(view.silence, Some((since, "late".to_owned())));
        view.answered(Sample::default(), Duration::from_secs(5));
        assert_eq!(view.silence, None);
    }
}
