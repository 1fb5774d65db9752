//! `luopan-checker PATH... [--json]`: counts violations of the market rules in files of JSON lines. Ends with 0 when there is
//! none, 1 when there is one, 2 when something cannot be read. Unknowns are printed and do not change the code.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "luopan-checker PATH... [--json]
  PATH    a file of JSON lines, - for standard input, or a folder with .jsonl files, config.json and calendar.json
  --json  print the report as JSON";

fn main() -> ExitCode {
    let (flags, paths): (Vec<String>, Vec<String>) = std::env::args()
        .skip(1)
        .partition(|a| a.starts_with('-') && a != luopan_checker::input::STANDARD_INPUT);
    let as_json = flags.iter().any(|f| f == "--json");
    if let Some(other) = flags.iter().find(|f| *f != "--json") {
        let asks = other == "--help" || other == "-h";
        return said(if asks { 0 } else { 2 }, USAGE);
    }
    if paths.is_empty() {
        return said(2, USAGE);
    }
    let paths: Vec<PathBuf> = paths.into_iter().map(PathBuf::from).collect();
    match luopan_checker::check_paths(&paths) {
        Ok(report) => {
            let code = u8::from(report.violated() > 0);
            match as_json {
                true => match serde_json::to_string_pretty(&report) {
                    Ok(text) => said(code, &text),
                    Err(e) => said(2, &e.to_string()),
                },
                false => said(code, report.to_string().trim_end()),
            }
        }
        Err(e) => said(2, &e.to_string()),
    }
}

/// Prints and ends: what could not be done goes to standard error.
fn said(code: u8, text: &str) -> ExitCode {
    let written = if code == 2 {
        writeln!(std::io::stderr(), "{text}")
    } else {
        writeln!(std::io::stdout(), "{text}")
    };
    match written {
        Ok(()) => ExitCode::from(code),
        Err(_) => ExitCode::from(2),
    }
}
