//! Calendars: days in a file of the pack, the exchange's clock, and what is told of them when they are wrong.

use crate::support::{faults, lines};
use luopan_kernel::plan::{EnvironmentTag, SlotSource};
use luopan_scene::{Checked, Code, Fault, load_folder};

fn pack(scene: &str, days: &str) -> Result<Checked, Vec<Fault>> {
    luopan_scene::compile(vec![
        ("scene.yaml".into(), scene.into()),
        ("calendars/sse.txt".into(), days.into()),
    ])
}

const CLOCKED: &str = r#"
scene: a
calendars:
  sse:
    from: 2026-09-28
    to: 2026-10-11
    days_file: calendars/sse.txt
    utc_offset: "+08:00"
    cutoff: "15:00"
    sessions: ["09:30-11:30", "13:00-15:00"]
derived:
  trading: env.trading_phase_sse == "in_session"
  before_holiday: env.eve_of_holiday_sse && env.days_closed_ahead_sse >= 3
  too_late: env.order_day_sse > env.now
"#;

#[test]
fn days_stand_in_a_file_of_the_pack() {
    let days = "# made up\n2026-09-28\n\n2026-09-29  # the day before the eve\n  2026-09-30\r\n2026-10-08\n2026-10-09";
    let plan = pack(CLOCKED, days)
        .unwrap_or_else(|f| panic!("{}", lines(&f)))
        .plan;
    let calendar = &plan.calendars[0];
    let places: Vec<i64> = calendar
        .days
        .iter()
        .map(|d| d - calendar.from_day)
        .collect();
    assert_eq!(places, [0, 1, 2, 10, 11]);
    assert_eq!(
        calendar.is_eve_of_holiday(calendar.from_day + 2),
        Some(true)
    );
    let exchange = calendar.exchange.as_ref().unwrap();
    assert_eq!(
        (exchange.utc_offset_s, exchange.cutoff_minute),
        (28_800, Some(900))
    );
    assert_eq!(exchange.sessions, [(570, 690), (780, 900)]);
    let slot = plan
        .slots
        .iter()
        .find(|s| s.name == "env.order_day_sse")
        .unwrap();
    assert_eq!(
        slot.source,
        SlotSource::Environment(EnvironmentTag::OrderDay(0))
    );
    // What is not declared cannot be read.
    let without = CLOCKED.replace("    cutoff: \"15:00\"\n", "");
    let found = lines(&pack(&without, "2026-09-28").unwrap_err());
    assert!(found.contains("env.order_day_sse"), "{found}");
}

#[test]
fn a_folder_is_read_with_its_days() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("scene.yaml", CLOCKED);
    write("calendars/sse.txt", "2026-09-28\n2026-09-29\n");
    write("notes.txt", "not of the pack");
    let loaded = load_folder(folder.path()).unwrap();
    let names: Vec<&str> = loaded.files.iter().map(|(n, _)| n.as_str()).collect();
    assert_eq!(names, ["calendars/sse.txt", "scene.yaml"]);
    assert_eq!(
        luopan_scene::compile(loaded).unwrap().plan.calendars[0]
            .days
            .len(),
        2
    );
}

#[test]
fn faults_of_a_file_of_days_are_told_at_their_line() {
    let found = pack(CLOCKED, "2026-09-28\n  28.9.2026\n2026-11-01\n").unwrap_err();
    let places: Vec<_> = (found.iter())
        .map(|f| (f.file.as_str(), f.line, f.column, f.code))
        .collect();
    assert_eq!(
        places,
        [
            ("calendars/sse.txt", 2, 3, Code::WrongType),
            ("calendars/sse.txt", 3, 1, Code::OutOfRange),
        ]
    );
    let named = CLOCKED.replace("calendars/sse.txt", "calendars/see.txt");
    let found = lines(&pack(&named, "2026-09-28").unwrap_err());
    assert!(
        found.contains("no file of days") && found.contains("calendars/sse.txt"),
        "{found}"
    );
    // A file of sections is no file of days.
    let named = CLOCKED.replace("calendars/sse.txt", "scene.yaml");
    assert_eq!(pack(&named, "").unwrap_err().len(), 1);
}

#[test]
fn an_exchange_has_a_fixed_clock() {
    let with = |rest: &str| {
        faults(&format!(
            "scene: a\ncalendars:\n  x: {{from: 2026-02-02, to: 2026-02-15, weekdays: [1, 2, 3, 4, 5], {rest}}}"
        ))
    };
    assert_eq!(with("utc_offset: \"-03:30\", cutoff: \"15:00\""), "");
    let moving = with("utc_offset: America/New_York");
    assert!(moving.contains("daylight saving"), "{moving}");
    for (rest, wanted) in [
        ("utc_offset: \"08:00\"", "not an offset"),
        ("utc_offset: \"+19:00\"", "not an offset"),
        ("cutoff: \"15:00\"", "utc_offset"),
        ("sessions: [\"09:30-11:30\"]", "utc_offset"),
        (
            "utc_offset: \"+08:00\", sessions: [\"11:30-09:30\"]",
            "in order",
        ),
        (
            "utc_offset: \"+08:00\", sessions: [\"13:00-15:00\", \"09:30-11:30\"]",
            "in order",
        ),
        ("utc_offset: \"+08:00\", sessions: [morning]", "09:30-11:30"),
        ("utc_offset: \"+08:00\", cutoff: \"25:00\"", "time of day"),
        ("days: [2026-02-03]", "more than one"),
    ] {
        let found = with(rest);
        assert!(
            found.contains(wanted) && found.lines().count() == 1,
            "{rest}: {found}"
        );
    }
}

/// On the Chinese trading days of 1990 to 2026.
mod real_data {
    use super::*;
    use luopan_kernel::plan::Calendar;
    use luopan_kernel::time::{DAY_US, HOUR_US, MINUTE_US, Micros};
    use luopan_scene::unit::day;
    use std::io::Read as _;
    use std::path::{Path, PathBuf};

    /// The calendar through a pack with a file of days; none where the data is not at hand and need not be.
    fn sse() -> Option<Calendar> {
        let folder = std::env::var_os("LUOPAN_DATASETS").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
            PathBuf::from,
        );
        let path = folder.join("calendars_and_index/akshare_calendar.json.gz");
        if !path.is_file() {
            let missing = format!(
                "there is no {} (LUOPAN_DATASETS names the folder of data sets)",
                path.display()
            );
            assert!(
                std::env::var_os("LUOPAN_REQUIRE_ALL").is_none_or(|v| v != "1"),
                "{missing}"
            );
            eprintln!("SKIPPED: {missing}");
            return None;
        }
        let mut json = String::new();
        flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap())
            .read_to_string(&mut json)
            .unwrap();
        let days: Vec<String> = serde_json::from_str(&json).unwrap();
        assert_eq!(days.len(), 8_797);
        let lines: String = (days.iter())
            .map(|d| format!("{}-{}-{}\n", &d[..4], &d[4..6], &d[6..]))
            .collect();
        let scene = CLOCKED
            .replace("2026-09-28", "1990-12-19")
            .replace("2026-10-11", "2026-12-31");
        let checked = pack(&scene, &lines).unwrap_or_else(|f| panic!("{}", super::lines(&f)));
        Some(checked.plan.calendars[0].clone())
    }

    #[test]
    fn the_chinese_calendar_answers_as_its_market_did() {
        let Some(c) = sse() else { return };
        let d = |text: &str| day(text).unwrap();
        let at = |text: &str, h: i64, m: i64| {
            Micros(d(text) * DAY_US + (h - 8) * HOUR_US + m * MINUTE_US)
        };
        // Friday 2026-09-18: 14:59:59.999999 and 15:00.
        assert_eq!(
            c.order_day(Micros(at("2026-09-18", 15, 0).0 - 1)),
            Some(d("2026-09-18"))
        );
        assert_eq!(c.order_day(at("2026-09-18", 15, 0)), Some(d("2026-09-21")));
        // 2024-02-04 and 2024-02-18 were Sundays on which offices worked for the Spring Festival; the exchange did not.
        assert_eq!(c.is_trading_day(d("2024-02-18")), Some(false));
        assert_eq!(c.order_day(at("2024-02-18", 10, 0)), Some(d("2024-02-19")));
        // 2023-10-07, a working Saturday.
        assert_eq!(c.order_day(at("2023-10-07", 10, 0)), Some(d("2023-10-09")));
        // The eve of the Spring Festival of 2024 was Thursday, 8 February; ten days were closed.
        let eve = d("2024-02-08");
        assert_eq!(
            (c.is_eve_of_holiday(eve), c.closed_ahead(eve)),
            (Some(true), Some(10))
        );
        assert_eq!(c.order_day(at("2024-02-08", 15, 0)), Some(d("2024-02-19")));
        assert_eq!(c.confirmation_day(eve, 1), Some(d("2024-02-19")));
        assert_eq!(c.earning_change(eve, 1), Some(d("2024-02-19")));
        // An ordinary Friday is no eve.
        assert_eq!(c.is_eve_of_holiday(d("2024-03-08")), Some(false));
        // The end of the data set: the next day is not known, never guessed.
        let last = d("2026-12-31");
        assert_eq!(c.order_day(at("2026-12-31", 14, 59)), Some(last));
        assert_eq!(c.order_day(at("2026-12-31", 15, 0)), None);
        assert_eq!(
            (c.next_trading_day(last), c.is_eve_of_holiday(last)),
            (None, None)
        );
        assert_eq!(c.is_trading_day(d("2027-01-01")), None);
        // Seven or so holidays a year have an eve: a coarse check of the definition over the whole span.
        let eves = c
            .days
            .iter()
            .filter(|d| c.is_eve_of_holiday(**d) == Some(true))
            .count();
        assert!((100..300).contains(&eves), "{eves} eves in 36 years");
        assert!(
            c.days
                .iter()
                .all(|d| luopan_kernel::trading::weekday(*d) <= 5)
        );
    }
}
