//! The live view on a terminal. It draws a [`Snapshot`] and reads keys; it must never change what runs.

use super::drive::Snapshot;
use super::score::Figures;
use super::words;
use crate::problem::{Problem, Result};
use ratatui::DefaultTerminal;
use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Block, Chart, Dataset, GraphType, Paragraph, Row, Sparkline, Table};
use std::collections::VecDeque;
use std::time::Duration;

/// Figures of the past kept for the small curve of events a second.
const PAST_MAX: usize = 240;
const LEARNED: Color = Color::Cyan;
const RANDOM: Color = Color::DarkGray;

/// What stands in the footer.
#[derive(Debug, Clone)]
pub(crate) struct Footer {
    /// Where the API listens.
    pub(crate) url: String,
    /// File of the API key.
    pub(crate) key: String,
}

/// The terminal while the demo has it; dropping gives it back.
pub(crate) struct Screen {
    terminal: DefaultTerminal,
    past: VecDeque<u64>,
    footer: Footer,
}

fn fault(e: std::io::Error) -> Box<Problem> {
    Problem::new(
        "terminal_unusable",
        format!("the terminal failed: {e}; write --plain to see lines instead"),
    )
}

impl Screen {
    pub(crate) fn open(footer: Footer) -> Result<Self> {
        let mut terminal = ratatui::try_init().map_err(fault)?;
        // Where a terminal has no second screen, what was said before stands on it still.
        terminal.clear().map_err(fault)?;
        Ok(Self {
            terminal,
            past: VecDeque::new(),
            footer,
        })
    }

    /// True when the person asked to end: `q`, Esc or Ctrl-C.
    pub(crate) fn asked_to_end(&mut self) -> Result<bool> {
        while event::poll(Duration::ZERO).map_err(fault)? {
            if let Event::Key(key) = event::read().map_err(fault)?
                && key.kind == KeyEventKind::Press
            {
                let ctrl_c =
                    key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
                if ctrl_c || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    pub(crate) fn show(&mut self, snapshot: &Snapshot) -> Result<()> {
        self.past.push_back(snapshot.events_per_second as u64);
        if self.past.len() > PAST_MAX {
            self.past.pop_front();
        }
        let (past, footer) = (&self.past, &self.footer);
        self.terminal
            .draw(|frame| draw(frame, snapshot, past, footer))
            .map_err(fault)?;
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// Draws everything; any size of terminal gets what fits.
fn draw(frame: &mut Frame<'_>, s: &Snapshot, past: &VecDeque<u64>, footer: &Footer) {
    let [head, chart, score, lower, foot] = Layout::vertical([
        Constraint::Length(5),
        Constraint::Min(8),
        Constraint::Length(5),
        Constraint::Length(9),
        Constraint::Length(3),
    ])
    .areas(frame.area());
    draw_head(frame, head, s, past);
    draw_chart(frame, chart, s);
    draw_score(frame, score, s);
    draw_lower(frame, lower, s);
    let keys = Line::from(vec![
        " q ".bold().reversed(),
        Span::raw(" ends, verifies and says what to try next   "),
        Span::styled(
            format!("{}  key in {}", footer.url, footer.key),
            Style::new().fg(Color::DarkGray),
        ),
    ]);
    frame.render_widget(Paragraph::new(keys).block(Block::bordered()), foot);
}

fn draw_head(frame: &mut Frame<'_>, area: Rect, s: &Snapshot, past: &VecDeque<u64>) {
    let block = Block::bordered().title(" luopan demo: simulated customers, the real loop ".bold());
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let [left, right] =
        Layout::horizontal([Constraint::Percentage(62), Constraint::Percentage(38)]).areas(inner);
    let lines = vec![
        Line::from(format!(
            "{}   day {:.1}   {:.1} simulated hours a second",
            words::time(s.now),
            s.days,
            s.hours_per_second
        )),
        Line::from(format!(
            "events {}   {:.0}/s   decisions {}   {:.0}/s",
            words::grouped(s.events),
            s.events_per_second,
            words::grouped(s.decisions),
            s.decisions_per_second
        )),
        Line::from(format!(
            "waiting to be folded {}   quarantined {}   {}",
            words::grouped(s.fold_lag),
            words::grouped(s.quarantined),
            s.models
                .iter()
                .map(|(n, k)| format!("model {n}: {} samples", words::grouped(*k)))
                .collect::<Vec<_>>()
                .join("   ")
        )),
    ];
    frame.render_widget(Paragraph::new(lines), left);
    let width = usize::from(right.width);
    let shown: Vec<u64> = past
        .iter()
        .skip(past.len().saturating_sub(width))
        .copied()
        .collect();
    let curve = Sparkline::default()
        .data(shown)
        .style(Style::new().fg(Color::Green));
    frame.render_widget(curve, right);
}

fn draw_chart(frame: &mut Frame<'_>, area: Rect, s: &Snapshot) {
    let all = || s.learned_series.iter().chain(&s.random_series);
    let top = all().map(|p| p.1).fold(0.01f64, f64::max) * 1.1;
    let bottom = all().map(|p| p.1).fold(0.0f64, f64::min) * 1.1;
    let end = s.days.max(1.0);
    let line = |name: &'static str, color: Color| {
        Dataset::default()
            .name(name)
            .marker(Marker::Braille)
            .graph_type(GraphType::Line)
            .style(Style::new().fg(color))
    };
    let chart = Chart::new(vec![
        line("random", RANDOM).data(&s.random_series),
        line("learned", LEARNED).data(&s.learned_series),
    ])
    .block(Block::bordered().title(
        " reward of a decision, by the day it was made (the newest days are still being answered) ",
    ))
    .x_axis(
        Axis::default()
            .bounds([0.0, end])
            .labels(["day 0".to_owned(), format!("day {end:.0}")]),
    )
    .y_axis(Axis::default().bounds([bottom, top]).labels([
        format!("{bottom:.3}"),
        format!("{:.3}", f64::midpoint(bottom, top)),
        format!("{top:.3}"),
    ]));
    frame.render_widget(chart, area);
}

fn draw_score(frame: &mut Frame<'_>, area: Rect, s: &Snapshot) {
    let row = |name: &str, f: &Figures, color: Color| {
        Row::new([
            name.to_owned(),
            words::grouped(f.decisions),
            words::grouped(f.contacts),
            format!("{:.4}", f.mean),
            format!("{:.4} to {:.4}", f.low, f.high),
            words::grouped(f.dismissed),
            words::grouped(f.unsubscribed),
        ])
        .style(Style::new().fg(color))
    };
    let head = [
        "policy",
        "decisions",
        "contacts",
        "reward each",
        "95 % interval",
        "dismissed",
        "unsubscribed",
    ];
    let table = Table::new(
        [
            row("learned", &s.learned, LEARNED),
            row("random", &s.random, RANDOM),
        ],
        [
            Constraint::Length(9),
            Constraint::Length(10),
            Constraint::Length(10),
            Constraint::Length(12),
            Constraint::Length(20),
            Constraint::Length(10),
            Constraint::Length(12),
        ],
    )
    .header(Row::new(head).bold())
    .block(Block::bordered().title(format!(
        " four customers of five learned, one of five random: {} ",
        words::lift(s)
    )));
    frame.render_widget(table, area);
}

fn draw_lower(frame: &mut Frame<'_>, area: Rect, s: &Snapshot) {
    let [left, right] =
        Layout::horizontal([Constraint::Percentage(50), Constraint::Percentage(50)]).areas(area);
    let budgets = s.budgets.iter().map(|b| {
        let share = if b.limit > 0 {
            format!("{:.1} %", 100.0 * b.spent as f64 / b.limit as f64)
        } else {
            String::new()
        };
        let grouped = |n: i64| words::grouped(n.unsigned_abs());
        Row::new([b.name.clone(), grouped(b.spent), share, grouped(b.in_all)])
    });
    let widths = [
        Constraint::Fill(1),
        Constraint::Length(12),
        Constraint::Length(8),
        Constraint::Length(14),
    ];
    let budgets = Table::new(budgets, widths)
        .header(Row::new(["budget", "today", "", "in all"]).bold())
        .block(Block::bordered());
    frame.render_widget(budgets, left);
    let segments = s
        .segments
        .iter()
        .map(|g| Row::new([g.name.clone(), words::grouped(g.members)]));
    let segments = Table::new(segments, [Constraint::Fill(1), Constraint::Length(14)])
        .header(Row::new(["segment", "customers"]).bold())
        .block(Block::bordered());
    frame.render_widget(segments, right);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::drive::Budget;
    use luopan_engine::api::SegmentCount;
    use luopan_kernel::time::Micros;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    fn drawn(width: u16, height: u16) -> String {
        let s = Snapshot {
            now: Micros(1_788_220_800_000_000),
            days: 12.5,
            events: 1_234_567,
            learned: Figures {
                decisions: 9_000,
                mean: 0.0712,
                low: 0.065,
                high: 0.077,
                ..Figures::default()
            },
            random: Figures {
                decisions: 2_200,
                mean: 0.0301,
                low: 0.024,
                high: 0.036,
                ..Figures::default()
            },
            learned_series: vec![(1.0, 0.03), (2.0, 0.05), (12.0, 0.08)],
            random_series: vec![(1.0, 0.03), (12.0, 0.03)],
            budgets: vec![Budget {
                name: "contacts".into(),
                spent: 50,
                limit: 200,
                in_all: 4_321,
            }],
            segments: vec![SegmentCount {
                name: "silent".into(),
                rule: String::new(),
                members: 321,
            }],
            ..Snapshot::default()
        };
        let footer = Footer {
            url: "http://127.0.0.1:7700".into(),
            key: "/d/api-key".into(),
        };
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal
            .draw(|f| draw(f, &s, &VecDeque::from([3, 5, 8]), &footer))
            .unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn the_view_shows_both_policies_budget_and_segments() {
        let text = drawn(110, 40);
        for word in [
            "1,234,567",
            "0.0712",
            "0.0650 to 0.0770",
            "0.0301",
            "25.0 %",
            "4,321",
            "silent",
            "321",
            "day 12.5",
            "/d/api-key",
        ] {
            assert!(text.contains(word), "`{word}` is not in\n{text}");
        }
    }

    #[test]
    fn a_terminal_too_small_for_everything_is_no_fault() {
        for (width, height) in [(1, 1), (20, 5), (40, 12)] {
            drawn(width, height);
        }
    }
}
