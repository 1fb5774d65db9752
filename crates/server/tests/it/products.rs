//! Products: imported by the shipped mappings, looked at, changed; bad files of them; and the public lists and NAVs.

use crate::command_line::luopan;
use crate::pages::root;
use crate::server::Server;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A data folder with the fund scene.
fn funds() -> TempDir {
    let data = tempfile::tempdir().expect("a folder");
    let pack = root().join("scenes/fund");
    luopan(
        data.path(),
        &["scene", "apply", &pack.display().to_string()],
    )
    .ok();
    data
}

/// Rows, accepted, quarantined.
fn import(data: &Path, into: &str, mapping: &str, files: &[PathBuf]) -> (u64, u64, u64) {
    let mut words = vec!["import", "--scene", "fund", "--into", into];
    words.extend(["--mapping", mapping, "--format", "json"]);
    let files: Vec<String> = files.iter().map(|f| f.display().to_string()).collect();
    words.extend(files.iter().map(String::as_str));
    let said = luopan(data, &words);
    let answer: Value = serde_json::from_str(&said.out).unwrap_or_else(|e| {
        panic!("{e}: {} {}", said.out, said.err);
    });
    let count = |name: &str| answer[name].as_u64().expect("a count");
    (count("rows"), count("accepted"), count("quarantined"))
}

fn file(data: &Path, name: &str, bytes: impl AsRef<[u8]>) -> Vec<PathBuf> {
    let path = data.join(name);
    std::fs::write(&path, bytes).expect("a file");
    vec![path]
}

fn fund(data: &Path, key: &str) -> Value {
    let words = ["product", "show", "--scene", "fund", "--catalogue", "funds"];
    let mut words = words.to_vec();
    words.extend([key, "--format", "json"]);
    luopan(data, &words).json()
}

fn reasons(data: &Path) -> Vec<String> {
    let listed = luopan(data, &["quarantine", "list", "--format", "json"]).json();
    let inputs = listed["inputs"].as_array().expect("inputs").clone();
    let text = |q: &Value| q["reason"].as_str().expect("text").to_owned();
    inputs.iter().map(text).collect()
}

const LIST: &str = "基金代码|基金名称|基金类别\nJ000001|华夏成长混合|混合型-灵活\n3|中海可转债债券A|债券型-可转债\n";

#[test]
fn a_list_comes_in_with_its_codes_and_without_ratings() {
    let data = funds();
    let at = data.path();
    let list = file(at, "list.csv", LIST);
    assert_eq!(import(at, "products", "funds", &list), (2, 2, 0));
    // `3` and `000003` are the same code.
    let plain = fund(at, "000003");
    assert_eq!(plain["attributes"]["code"], "000003");
    assert_eq!(plain["attributes"]["kind"], "bond");
    assert_eq!(plain["attributes"]["risk_level"], Value::Null);
    assert_eq!(plain["generated"], json!([]));
    let odd = "基金代码|基金名称|基金类别\n12345678|长|股票型\nA1|字母|股票型\n";
    let odd = file(at, "odd.csv", odd);
    assert_eq!(import(at, "products", "funds", &odd), (2, 0, 2));
    for reason in reasons(at) {
        assert!(
            reason.contains("write a code of at most 6 digits"),
            "{reason}"
        );
    }
    // Made up, and marked; what is then told is marked no more.
    assert_eq!(import(at, "products", "funds_generated", &list), (2, 2, 0));
    let made_up = fund(at, "000003");
    assert_eq!(made_up["attributes"]["risk_level"], 3);
    let marks = json!([
        "least_order",
        "on_sale",
        "risk_level",
        "subscription_fee",
        "term_days"
    ]);
    assert_eq!(made_up["generated"], marks);
    let names = "fund_num,fund_name,fund_fee\n3,中海可转债,0.08%\n";
    let (gb, _, _) = encoding_rs::GB18030.encode(names);
    let names = file(at, "names.csv", &gb);
    assert_eq!(
        import(at, "product_changes", "fund_names", &names),
        (1, 1, 0)
    );
    let changed = fund(at, "000003");
    assert_eq!(changed["attributes"]["name"], "中海可转债");
    assert_eq!(changed["attributes"]["subscription_fee"], 0.0008);
    assert_eq!(
        changed["generated"],
        json!(["least_order", "on_sale", "risk_level", "term_days"])
    );
    let words = ["product", "list", "--scene", "fund", "--catalogue", "funds"];
    let listed = luopan(at, &[&words[..], &["--limit", "1"]].concat());
    assert!(listed.ok().contains("4 (generated)"), "{}", listed.out);
    assert!(
        listed.out.contains("2 items, 0 of them withdrawn"),
        "{}",
        listed.out
    );
    assert!(
        listed.out.contains("more: --after 000001"),
        "{}",
        listed.out
    );
    let nobody = luopan(
        at,
        &[&words[..1], &["show"], &words[2..], &["999999"]].concat(),
    );
    assert!(
        nobody.refused().contains("has no item `999999`"),
        "{}",
        nobody.err
    );
    let which = luopan(at, &["product", "list", "--scene", "fund"]);
    assert!(
        which
            .refused()
            .contains("name one with --catalogue: funds, content, partner_offers"),
        "{}",
        which.err
    );
}

/// A list of names and types takes no rating away that another file brought, whether published or made up.
#[test]
fn what_a_mapping_does_not_name_stays() {
    let data = funds();
    let at = data.path();
    let list = file(at, "list.csv", LIST);
    assert_eq!(import(at, "products", "funds_generated", &list), (2, 2, 0));
    let made_up = fund(at, "000003");
    assert_eq!(made_up["attributes"]["risk_level"], 3);
    let names = file(
        at,
        "names.csv",
        "fund_num,fund_name,fund_fee\n3,名字,0.08%\n",
    );
    assert_eq!(
        import(at, "product_changes", "fund_names", &names),
        (1, 1, 0)
    );
    // The bare list again: its own name comes back, and the rest is as it was, marks of what was made up too.
    assert_eq!(import(at, "products", "funds", &list), (2, 2, 0));
    let again = fund(at, "000003");
    assert_eq!(again["attributes"]["name"], "中海可转债债券A");
    assert_eq!(again["attributes"]["risk_level"], 3);
    assert_eq!(again["attributes"]["subscription_fee"], 0.0008);
    assert_eq!(
        again["generated"],
        json!(["least_order", "on_sale", "risk_level", "term_days"])
    );
    // An item that was not there has what the list says and no more.
    let more = LIST.replace("\n3|", "\n4|");
    let more = file(at, "more.csv", more);
    assert_eq!(import(at, "products", "funds", &more), (2, 2, 0));
    assert_eq!(fund(at, "000004")["attributes"]["risk_level"], Value::Null);
}

#[test]
fn files_in_another_encoding_than_the_mapping_says() {
    let data = funds();
    let at = data.path();
    let (gb, _, _) = encoding_rs::GB18030.encode(LIST);
    let list = file(at, "list.csv", &gb);
    let words = |mapping: &'static str, into: &'static str, path: &PathBuf| {
        let path = path.display().to_string();
        luopan(
            at,
            &[
                "import",
                "--scene",
                "fund",
                "--into",
                into,
                "--mapping",
                mapping,
                &path,
            ],
        )
    };
    let said = words("funds", "products", &list[0]);
    assert!(
        said.refused()
            .contains("looks like GB18030; write `encoding: gb18030`"),
        "{}",
        said.err
    );
    let names = "fund_num,fund_name,fund_fee\n1,华夏成长混合,0.08%\n2,中海可转债债券型,0.1%\n3,某某某某某,0.1%\n";
    let names = file(at, "names.csv", names);
    let said = words("fund_names", "product_changes", &names[0]);
    assert!(
        said.refused()
            .contains("the file is UTF-8; write `encoding: utf-8`"),
        "{}",
        said.err
    );
}

#[test]
fn navs_of_zero_of_gaps_and_of_strangers_and_funds_that_end() {
    let data = funds();
    let at = data.path();
    import(at, "products", "funds", &file(at, "list.csv", LIST));
    let navs = "time,value,hisvalue\n2026-01-05,1.0,1.0\n2026-01-06,0,0\n2026-01-07,1.1,1.1\n2026-03-09,1.2,1.2\n2026-03-10,1.32,--\nyesterday,1,1\n";
    let told = file(at, "000001.csv", navs);
    assert_eq!(import(at, "navs", "navs", &told), (6, 4, 2));
    let reasons = reasons(at).join("\n");
    assert!(
        reasons.contains("`nav` is 0; a net asset value is above 0"),
        "{reasons}"
    );
    assert!(
        reasons.contains("`yesterday` is not time for `day`"),
        "{reasons}"
    );
    let found = fund(at, "000001")["attributes"].clone();
    assert_eq!(found["nav"], 1.32);
    assert_eq!(found["nav_at"], "2026-03-10T00:00:00Z");
    // The gap of two months: what spans it is unknown, not guessed.
    assert_eq!(found["return_all"], Value::Null);
    // Restated: the latest wins.
    let again = file(
        at,
        "000001.csv",
        "time,value,hisvalue\n2026-03-10,1.5,1.5\n",
    );
    assert_eq!(import(at, "navs", "navs", &again), (1, 1, 0));
    assert_eq!(fund(at, "000001")["attributes"]["nav"], 1.5);
    let stranger = file(
        at,
        "999999.csv",
        "time,value,hisvalue\n2026-03-10,1.5,1.5\n",
    );
    assert_eq!(import(at, "navs", "navs", &stranger), (1, 0, 1));
    // Merged: still shown, and no candidate.
    let ends = file(at, "ends.csv", "code,day,successor\n1,2026-03-11,3\n");
    assert_eq!(import(at, "withdrawals", "mergers", &ends), (1, 1, 0));
    let gone = fund(at, "000001");
    assert_eq!(gone["successor"], "000003");
    assert_eq!(gone["withdrawn_at"], "2026-03-10T16:00:00Z");
    assert_eq!(gone["attributes"]["nav"], 1.5);
    luopan(at, &["verify"]).ok();
}

#[tokio::test]
async fn products_over_http() {
    let server = Server::start().await;
    let items = "/v1/scenes/shop/catalogues/offers/items";
    let page = server.get(&format!("{items}?limit=2")).await.ok();
    assert_eq!(
        (&page["candidates"], &page["next"]),
        (&json!(3), &json!("silk"))
    );
    assert_eq!(page["items"][0]["key"], "jade");
    let rest = server.get(&format!("{items}?after=silk")).await.ok();
    assert_eq!(rest["items"][0]["attributes"]["price"], 10);
    assert_eq!(rest["next"], Value::Null);
    let told = json!({"events": [
        {"type": "luopan.product_changed", "key": "tea", "values": {"price": 12}},
        {"type": "luopan.product", "key": "gold", "values": {"price": 9}},
        {"type": "luopan.product_withdrawn", "key": "jade", "successor": "gold"},
        {"type": "luopan.nav", "key": "tea", "day": "2026-01-05", "nav": 0.0},
        {"type": "luopan.announcement", "key": "nobody", "kind": "news", "text": "x"},
    ]});
    let answer = server
        .post("/v1/scenes/shop/catalogues/offers/events", &told)
        .await
        .ok();
    assert_eq!(
        (&answer["accepted"], &answer["quarantined"]),
        (&json!(3), &json!(2))
    );
    assert_eq!(answer["outcomes"][3]["code"], "out_of_range");
    assert_eq!(answer["outcomes"][4]["code"], "unknown_item");
    server.opened.settle().await.expect("folded");
    let tea = server.get(&format!("{items}/tea")).await.ok();
    assert_eq!(tea["attributes"]["price"], 12);
    let jade = server.get(&format!("{items}/jade")).await.ok();
    assert_eq!(jade["successor"], "gold");
    server
        .get(&format!("{items}/none"))
        .await
        .refused(404, "unknown_item");
    server
        .get("/v1/scenes/shop/catalogues/offer/items")
        .await
        .refused(404, "unknown_catalogue");
    server
        .get("/v1/scenes/none/catalogues/offers/items")
        .await
        .refused(404, "unknown_scene");
    server
        .get(&format!("{items}?limit=0"))
        .await
        .refused(422, "malformed_request");
    let bad =
        json!({"events": [{"type": "luopan.nav", "key": "tea", "day": "5.1.2026", "nav": 1.0}]});
    let words = server
        .post("/v1/scenes/shop/catalogues/offers/events", &bad)
        .await
        .refused(422, "malformed_request");
    assert!(words.contains("write 2026-01-31"), "{words}");
}

/// On the public lists and NAVs, through the mappings that are shipped.
mod real_data {
    use super::*;

    /// The folder, or none where it is not at hand and need not be.
    fn dataset(path: &str) -> Option<PathBuf> {
        let folder = std::env::var_os("LUOPAN_DATASETS")
            .map_or_else(|| root().join("../shared/data"), PathBuf::from);
        let found = folder.join(path);
        if found.is_dir() {
            return Some(found);
        }
        let missing = format!(
            "there is no {} (LUOPAN_DATASETS names the folder of data sets)",
            found.display()
        );
        assert!(
            std::env::var_os("LUOPAN_REQUIRE_ALL").is_none_or(|v| v != "1"),
            "{missing}"
        );
        eprintln!("SKIPPED: {missing}");
        None
    }

    #[test]
    fn the_list_of_funds_and_their_net_asset_values() {
        let (Some(list), Some(navs)) = (dataset("fund_products_cn"), dataset("fund_nav_cn")) else {
            return;
        };
        let data = funds();
        let at = data.path();
        let list = [list.join("fund-list.csv.gz")];
        assert_eq!(import(at, "products", "funds", &list), (18_270, 18_270, 0));
        let mut files: Vec<PathBuf> = std::fs::read_dir(navs.join("data"))
            .expect("a folder")
            .map(|f| f.expect("a file").path())
            .collect();
        files.sort();
        assert_eq!(files.len(), 100);
        // Fund 519709 is not in the list: its 990 days are refused with the reason.
        assert_eq!(import(at, "navs", "navs", &files), (79_134, 78_144, 990));
        // What `nav_measures.py` beside this file prints, up to the order of its additions.
        let measured: [(&str, &[(&str, f64)]); 2] = [
            (
                "161725",
                &[
                    ("nav", 1.327),
                    ("return_1m", 0.04323899371069162),
                    ("return_3m", 0.105833333333333),
                    ("return_6m", 0.32567432567432597),
                    ("return_1y", 0.35947838592577797),
                    ("return_all", 0.38185362328130834),
                    ("annualised_return", 0.1611732414796525),
                    ("volatility_1y", 0.1999255882249071),
                    ("sharpe_1y", 1.5991095097389705),
                    ("drawdown_1y", 0.10742187499999956),
                    ("days_down", 1.0),
                    ("history_days", 790.0),
                ],
            ),
            (
                "110022",
                &[
                    ("nav", 1.916),
                    ("return_1m", 0.009483667017913477),
                    ("return_1y", 0.39345454545454617),
                    ("return_all", 1.2201622247972255),
                    ("annualised_return", 0.21770350287787954),
                    ("volatility_1y", 0.1495028641358018),
                    ("sharpe_1y", 2.249334904025251),
                    ("drawdown_1y", 0.07585247042449539),
                ],
            ),
        ];
        for (key, wanted) in measured {
            let found = fund(at, key)["attributes"].clone();
            for (name, wanted) in wanted {
                let found = found[name]
                    .as_f64()
                    .unwrap_or_else(|| panic!("{key} {name}"));
                assert!(
                    (found - wanted).abs() < 1e-12,
                    "{key} {name}: {found} {wanted}"
                );
            }
        }
        // Five and a half years later, with nothing between: 50 days, told 1,910 times.
        let later = [
            navs.join("161725_2023.csv.gz"),
            navs.join("008383_2023.csv"),
        ];
        assert_eq!(import(at, "navs", "navs_cn", &later), (1_931, 1_931, 0));
        let found = fund(at, "161725")["attributes"].clone();
        assert_eq!(found["nav_at"], "2023-02-24T00:00:00Z");
        assert_eq!(
            (&found["days_down"], &found["return_1y"]),
            (&json!(4), &Value::Null)
        );
        // 1.2435 after 1.2432 of 2023-01-20, the last day before 2023-01-24; nothing was paid between.
        let month = found["return_1m"].as_f64().expect("a return");
        assert!((month - (1.2435 / 1.2432 - 1.0)).abs() < 1e-9, "{month}");
        // A list of 2,400 funds in GB18030, of which 243 are not in ours.
        let names = [navs.join("jijin1.csv.gz")];
        assert_eq!(
            import(at, "product_changes", "fund_names", &names),
            (2_400, 2_157, 243)
        );
        let found = fund(at, "161725")["attributes"].clone();
        assert_eq!(found["name"], "招商中证白酒指数分级");
        assert_eq!(found["subscription_fee"], 0.001);
        luopan(at, &["verify"]).ok();
    }

    /// How often the daily return that is computed is the one that was published.
    #[test]
    fn daily_returns_are_those_that_were_published() {
        use luopan_kernel::catalogue::measures::{
            Measure, MeasurePlan, MeasuresPlan, Nav, Span, of_history,
        };
        use std::io::Read;
        let Some(navs) = dataset("fund_nav_cn") else {
            return;
        };
        let plan = MeasuresPlan {
            peer_group: None,
            trading_days: 250,
            risk_free_rate: 0.0,
            longest_gap_days: 15,
            largest_move: 0.3,
            list: vec![MeasurePlan {
                attribute: 0,
                measure: Measure::Return(Span::Inception),
            }],
        };
        let (mut compared, mut agree) = (0, 0);
        for entry in std::fs::read_dir(navs.join("data")).expect("a folder") {
            let bytes = std::fs::read(entry.expect("a file").path()).expect("bytes");
            let mut plain = Vec::new();
            if bytes.starts_with(&[0x1f, 0x8b]) {
                flate2::read::GzDecoder::new(&bytes[..])
                    .read_to_end(&mut plain)
                    .expect("gzip");
            } else {
                plain = bytes;
            }
            let text = String::from_utf8_lossy(&plain);
            let mut rows: Vec<(String, Nav, Option<f64>)> = Vec::new();
            for line in text.lines().skip(1) {
                let cells: Vec<&str> = line.split(',').collect();
                let number = |i: usize| cells[i].parse::<f64>().ok();
                let nav = Nav {
                    day: 0,
                    unit: number(3).expect("a nav"),
                    accumulated: number(4),
                };
                let published = cells[5]
                    .strip_suffix('%')
                    .and_then(|p| p.parse::<f64>().ok());
                rows.push((cells[2].to_owned(), nav, published));
            }
            rows.sort_by(|a, b| a.0.cmp(&b.0));
            for pair in rows.windows(2) {
                let Some(published) = pair[1].2 else { continue };
                let next = Nav {
                    day: 1,
                    ..pair[1].1
                };
                let found = of_history(&plan, &[pair[0].1, next]).remove(0);
                compared += 1;
                let found = found.as_number().unwrap_or(f64::NAN);
                agree += u32::from((found - published / 100.0).abs() <= 0.0006);
            }
        }
        eprintln!("{agree} of {compared} daily returns are those published, to 0.06 %");
        assert_eq!(compared, 78_739);
        assert!(agree > 78_380, "{agree}");
    }
}
