//! What a finished demo says: what was learned, whether the log agrees with the state, and what to open and try next.

use super::drive::Snapshot;
use super::pack::SCENE;
use super::words;
use crate::keys;
use crate::problem::{Problem, Result};
use luopan_engine::api::VerifyReport;
use serde::Serialize;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;

/// How the demo ended.
#[derive(Debug)]
pub(crate) struct Ending {
    /// Last figures, everything folded.
    pub(crate) last: Snapshot,
    /// What `verify` found.
    pub(crate) report: VerifyReport,
    /// Data folder, kept.
    pub(crate) data: PathBuf,
    /// Where the API was.
    pub(crate) listen: SocketAddr,
    /// Real seconds that it ran.
    pub(crate) seconds: f64,
}

/// The ending for programs.
#[derive(Serialize)]
struct Document<'a> {
    learned_and_agrees: bool,
    seconds: f64,
    data: String,
    last: &'a Snapshot,
    verify: &'a VerifyReport,
}

/// A figure document as one line.
pub(crate) fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|e| Problem::internal(format!("writing the figures failed: {e}")))
}

impl Ending {
    /// True when the learned policy earned something and the log agrees with the state.
    pub(crate) fn is_good(&self) -> bool {
        self.earned() && self.agrees()
    }

    fn earned(&self) -> bool {
        self.last.learned.reward > 0.0
    }

    fn agrees(&self) -> bool {
        self.report.differences_count == 0 && self.last.halted.is_empty()
    }

    /// For programs.
    pub(crate) fn document(&self) -> impl Serialize + '_ {
        Document {
            learned_and_agrees: self.is_good(),
            seconds: self.seconds,
            data: self.data.display().to_string(),
            last: &self.last,
            verify: &self.report,
        }
    }

    /// For people. `program` is how this program was called.
    pub(crate) fn text(&self, program: &str) -> String {
        let mut out = String::new();
        let s = &self.last;
        let _ = writeln!(
            out,
            "\n{:.1} simulated days in {:.0} s: {} events, {} decisions, {} quarantined",
            s.days,
            self.seconds,
            words::grouped(s.events),
            words::grouped(s.decisions),
            words::grouped(s.quarantined)
        );
        for (name, f) in [("learned", &s.learned), ("random", &s.random)] {
            let _ = writeln!(
                out,
                "  {name:<8} {:.4} a decision, 95 % interval {:.4} to {:.4}; {} contacts, {} dismissed, {} unsubscribed",
                f.mean,
                f.low,
                f.high,
                words::grouped(f.contacts),
                words::grouped(f.dismissed),
                words::grouped(f.unsubscribed)
            );
        }
        let _ = writeln!(out, "  {}", words::lift(s));
        if !self.earned() {
            let _ = writeln!(
                out,
                "  the learned policy has earned nothing (orders are confirmed a trading day later: let it run longer)"
            );
        }
        let r = &self.report;
        let verdict = if self.agrees() {
            "everything agrees".to_owned()
        } else {
            format!("{} differences", r.differences_count)
        };
        let _ = writeln!(
            out,
            "verify: {} log entries replayed, {} rows compared, {} decisions, {} samples: {verdict}",
            words::grouped(r.entries),
            words::grouped(r.rows),
            words::grouped(r.decisions),
            words::grouped(r.samples)
        );
        for difference in &r.differences {
            let _ = writeln!(out, "- {difference}");
        }
        self.next(&mut out, program);
        out
    }

    fn next(&self, out: &mut String, program: &str) {
        let data = self.data.display();
        let key = keys::file(&self.data);
        let url = format!("http://{}", self.listen);
        let customer = self.last.customer.as_deref().unwrap_or("c0000000");
        let _ = writeln!(
            out,
            "\nwhat to try next (nothing is running now; the data stays in {data} until you remove it)"
        );
        let mut line = |command: String| {
            let _ = writeln!(out, "  {command}");
        };
        if let Some(decision) = self.last.decision {
            line(format!("{program} explain {decision} --data {data}"));
        }
        line(format!(
            "{program} profile {customer} --scene {SCENE} --data {data}"
        ));
        line(format!(
            "{program} segment list --scene {SCENE} --data {data}"
        ));
        line(format!("{program} verify --data {data}"));
        line(format!(
            "{program} serve --data {data} --listen {}",
            self.listen
        ));
        line(format!(
            "curl -H \"Authorization: Bearer $(cat {})\" {url}/v1/customers/{customer}",
            key.display()
        ));
        line(format!(
            "curl -H \"Authorization: Bearer $(cat {})\" {url}/v1/segments",
            key.display()
        ));
        line(format!("curl {url}/openapi.json"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::score::Figures;

    fn ending(reward: f64, differences: u64) -> Ending {
        Ending {
            last: Snapshot {
                decision: Some(luopan_kernel::id::DecisionId([1; 16])),
                customer: Some("c0000042".into()),
                learned: Figures {
                    reward,
                    decisions: 10,
                    mean: reward / 10.0,
                    ..Figures::default()
                },
                ..Snapshot::default()
            },
            report: VerifyReport {
                differences_count: differences,
                ..VerifyReport::default()
            },
            data: "/d".into(),
            listen: ([127, 0, 0, 1], 7700).into(),
            seconds: 20.0,
        }
    }

    #[test]
    fn only_a_learned_reward_and_an_agreeing_log_are_good() {
        assert!(ending(1.0, 0).is_good());
        assert!(!ending(0.0, 0).is_good());
        assert!(!ending(-1.0, 0).is_good());
        assert!(!ending(1.0, 2).is_good());
        assert!(ending(0.0, 0).text("luopan").contains("earned nothing"));
        assert!(ending(1.0, 2).text("luopan").contains("2 differences"));
    }

    #[test]
    fn the_next_commands_name_what_was_made() {
        let text = ending(1.0, 0).text("bin/luopan");
        for words in [
            "bin/luopan explain 01010101-0101-0101-0101-010101010101 --data /d",
            "bin/luopan profile c0000042 --scene fund --data /d",
            "$(cat /d/api-key)\" http://127.0.0.1:7700/v1/customers/c0000042",
        ] {
            assert!(text.contains(words), "{words} is not in {text}");
        }
    }
}
