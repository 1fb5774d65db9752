//! The task pages, `docs/tasks`: every file, edit and command of a page is taken from the page itself and done with the real
//! program on a copy of the scene `fund`; what is printed must be what the page shows.
//!
//! A page is read so (docs/tasks/README.md says it to its readers too):
//! - a fenced block behind a paragraph that ends with a file's name in backticks and a colon is that file; marked `diff`, it is
//!   an edit of that file: lines that stay, `-` lines that go, `+` lines that come;
//! - a `console` block holds commands behind `$ `, each followed by all that it prints; `…` stands for what differs from run to
//!   run, a line of its own for any number of lines;
//! - each `###` below "What goes wrong" begins where the rest of the page ended. There a command may fail.
//!
//! `LUOPAN_BLESS=1` writes what was printed into the pages, to be read before it is committed.

use crate::pages::root;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The heading below which every part begins anew.
const MISTAKES: &str = "What goes wrong";
/// Stands for what differs from run to run.
const ANY: char = '…';

/// One step of a page.
#[derive(Debug)]
enum Step {
    Heading(usize, String),
    File {
        path: String,
        text: String,
    },
    Edit {
        path: String,
        lines: Vec<String>,
    },
    Run {
        command: String,
        /// Line numbers of what it prints, from zero, the last not included.
        from: usize,
        to: usize,
    },
}

/// The steps of a page, with the line each begins at.
fn steps(page: &str) -> Result<Vec<(usize, Step)>, String> {
    let lines: Vec<&str> = page.lines().collect();
    let mut out = Vec::new();
    let mut prose = String::new();
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at];
        if let Some(kind) = line.strip_prefix("```") {
            let end = (at + 1..lines.len())
                .find(|i| lines[*i] == "```")
                .ok_or(format!("line {}: a block without an end", at + 1))?;
            let path = (prose.trim_end().strip_suffix(':'))
                .and_then(|p| p.trim_end().strip_suffix('`'))
                .and_then(|p| p.rsplit('`').next())
                .map(str::to_owned);
            let named = || path.clone().ok_or(format!("line {}: which file?", at + 1));
            let body = &lines[at + 1..end];
            match kind {
                "console" => {
                    let commands: Vec<usize> = (at + 1..end)
                        .filter(|i| lines[*i].starts_with("$ "))
                        .collect();
                    if commands.first() != Some(&(at + 1)) {
                        return Err(format!("line {}: begin with a command", at + 2));
                    }
                    for (n, begin) in commands.iter().enumerate() {
                        let to = commands.get(n + 1).copied().unwrap_or(end);
                        let mut command = lines[*begin][2..].to_owned();
                        let mut from = begin + 1;
                        while command.ends_with('\\') {
                            command.pop();
                            command.push_str(lines[from].trim_start());
                            from += 1;
                        }
                        out.push((begin + 1, Step::Run { command, from, to }));
                    }
                }
                "diff" => {
                    let lines = body.iter().map(|l| (*l).to_owned()).collect();
                    out.push((
                        at + 1,
                        Step::Edit {
                            path: named()?,
                            lines,
                        },
                    ));
                }
                "yaml" | "csv" | "json" | "text" => {
                    let text = body.iter().map(|l| format!("{l}\n")).collect();
                    out.push((
                        at + 1,
                        Step::File {
                            path: named()?,
                            text,
                        },
                    ));
                }
                // Shown alone.
                "" => {}
                other => return Err(format!("line {}: a block of `{other}`", at + 1)),
            }
            prose.clear();
            at = end + 1;
            continue;
        }
        if line.starts_with('#') {
            let level = line.chars().take_while(|c| *c == '#').count();
            let words = line.trim_start_matches('#').trim().to_owned();
            out.push((at + 1, Step::Heading(level, words)));
            prose.clear();
        } else if line.trim().is_empty() {
            if !prose.trim_end().ends_with(':') {
                prose.clear();
            }
        } else {
            prose.push_str(line);
            prose.push('\n');
        }
        at += 1;
    }
    Ok(out)
}

/// A line whose columns may be wider or narrower: that depends on what else stands in the table.
fn narrow(line: &str) -> String {
    let indent = line.len() - line.trim_start().len();
    let words: Vec<&str> = line.split_whitespace().collect();
    " ".repeat(indent) + &words.join(" ")
}

/// Whether a printed line is the one that the page shows.
fn same_line(shown: &str, printed: &str) -> bool {
    let (shown, printed) = (narrow(shown), narrow(printed));
    let mut parts = shown.split(ANY);
    let Some(mut rest) = printed.strip_prefix(parts.next().unwrap_or("")) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(i) => rest = &rest[i + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Whether what was printed is what the page shows.
fn same(shown: &[&str], printed: &[&str]) -> bool {
    match (shown.split_first(), printed.split_first()) {
        (None, None) => true,
        (Some((first, rest)), _) if first.trim() == ANY.to_string() => {
            (0..=printed.len()).any(|n| same(rest, &printed[n..]))
        }
        (Some((first, rest)), Some((line, more))) => same_line(first, line) && same(rest, more),
        _ => false,
    }
}

/// Makes an edit of a file: the lines that stay or go must stand in it once, one below the other.
fn edited(text: &str, edit: &[String]) -> Result<String, String> {
    let old: Vec<&str> = (edit.iter())
        .filter(|l| !l.starts_with('+'))
        .map(|l| l.get(1..).unwrap_or(""))
        .collect();
    let lines: Vec<&str> = text.lines().collect();
    let places: Vec<usize> = (0..lines.len().saturating_sub(old.len() - 1))
        .filter(|at| lines[*at..*at + old.len()] == old[..])
        .collect();
    let [at] = places[..] else {
        return Err(format!(
            "the lines stand there {} times:\n{}",
            places.len(),
            old.join("\n")
        ));
    };
    let new = (edit.iter())
        .filter(|l| !l.starts_with('-'))
        .map(|l| l.get(1..).unwrap_or(""));
    let all = (lines[..at].iter().copied())
        .chain(new)
        .chain(lines[at + old.len()..].iter().copied());
    Ok(all.map(|l| format!("{l}\n")).collect())
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_symlink() || name == "at-the-mistakes" {
            continue;
        }
        match path.is_dir() {
            true => copy(&path, &to.join(name)),
            false => drop(std::fs::copy(&path, to.join(name)).expect("a copy")),
        }
    }
}

fn empty(folder: &Path) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_symlink() {
            continue;
        }
        match path.is_dir() {
            true => std::fs::remove_dir_all(path).expect("removed"),
            false => std::fs::remove_file(path).expect("removed"),
        }
    }
}

/// A command as a shell does it in the folder: how it ended, and all that it printed.
fn shell(folder: &Path, command: &str) -> (bool, String) {
    let bin = Path::new(env!("CARGO_BIN_EXE_luopan"));
    let path = std::env::join_paths(
        std::iter::once(bin.parent().expect("a folder").to_owned()).chain(std::env::split_paths(
            &std::env::var_os("PATH").unwrap_or_default(),
        )),
    )
    .expect("a path");
    let output = Command::new("sh")
        .args(["-c", &format!("exec 2>&1; {command}")])
        .current_dir(folder)
        .env("PATH", path)
        .env_remove("LUOPAN_DATA")
        .env_remove("LUOPAN_LOG")
        .env_remove("LUOPAN_LISTEN")
        .output()
        .expect("a shell");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.success(), printed)
}

/// Does a page; what it should show instead, where it is not what was printed.
fn done(page: &str) -> Result<String, String> {
    let steps = steps(page)?;
    let lines: Vec<&str> = page.lines().collect();
    let work = tempfile::tempdir().expect("a folder");
    let kept = tempfile::tempdir().expect("a folder");
    let at = work.path();
    std::os::unix::fs::symlink(root().join("scenes"), at.join("scenes")).expect("a link");
    let mut mistakes = false;
    let mut runs = 0;
    let mut wrong = Vec::new();
    let mut right: Vec<(usize, usize, Vec<String>)> = Vec::new();
    for (line, step) in steps {
        match step {
            Step::Heading(2, words) => {
                mistakes = words == MISTAKES;
                if mistakes {
                    copy(at, kept.path());
                }
            }
            Step::Heading(3, _) if mistakes => {
                empty(at);
                copy(kept.path(), at);
            }
            Step::Heading(..) => {}
            Step::File { path, text } => {
                let path = at.join(path);
                std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
                std::fs::write(path, text).expect("a file");
            }
            Step::Edit { path, lines } => {
                let path = at.join(path);
                let text = std::fs::read_to_string(&path)
                    .map_err(|e| format!("line {line}: {}: {e}", path.display()))?;
                let text = edited(&text, &lines).map_err(|e| format!("line {line}: {e}"))?;
                std::fs::write(path, text).expect("a file");
            }
            Step::Run { command, from, to } => {
                let (well, printed) = shell(at, &command);
                runs += 1;
                if !well && !mistakes {
                    return Err(format!("line {line}: `{command}` failed:\n{printed}"));
                }
                let shown = &lines[from..to];
                let found: Vec<&str> = printed.lines().map(str::trim_end).collect();
                if !same(shown, &found) {
                    wrong.push(format!(
                        "line {line}: `{command}` prints\n{}\n  and the page shows\n{}",
                        found.join("\n"),
                        shown.join("\n")
                    ));
                    right.push((from, to, found.iter().map(|l| hidden(l)).collect()));
                }
            }
        }
    }
    if runs < 4 {
        return Err(format!("only {runs} commands"));
    }
    if wrong.is_empty() {
        return Ok(page.to_owned());
    }
    if std::env::var_os("LUOPAN_BLESS").is_none() {
        return Err(wrong.join("\n\n"));
    }
    let mut out: Vec<String> = lines.iter().map(|l| (*l).to_owned()).collect();
    for (from, to, text) in right.into_iter().rev() {
        out.splice(from..to, text);
    }
    Ok(out.iter().map(|l| format!("{l}\n")).collect())
}

/// A printed line without the ids and moments that are others every time.
fn hidden(line: &str) -> String {
    let is_id =
        |word: &str| word.len() == 36 && word.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    let is_now = |word: &str| word.len() > 20 && word.contains('.') && word.ends_with('Z');
    let words: Vec<String> = (line.split(' '))
        .map(|w| match is_id(w) || is_now(w) {
            true => ANY.to_string(),
            false => w.to_owned(),
        })
        .collect();
    words.join(" ")
}

fn folder() -> PathBuf {
    root().join("docs/tasks")
}

fn holds(name: &str) {
    let path = folder().join(name);
    let page = std::fs::read_to_string(&path).expect("a page");
    match done(&page) {
        Ok(text) if text == page => {}
        Ok(text) => std::fs::write(path, text).expect("a page"),
        Err(why) => panic!("docs/tasks/{name}: {why}"),
    }
}

#[test]
fn the_page_on_tags_does_what_it_says() {
    holds("add-a-tag.md");
}

#[test]
fn the_page_on_product_attributes_does_what_it_says() {
    holds("add-a-product-attribute.md");
}

#[test]
fn the_page_on_rules_does_what_it_says() {
    holds("add-a-rule.md");
}

#[test]
fn the_page_on_objectives_does_what_it_says() {
    holds("add-an-objective.md");
}

#[test]
fn the_page_on_placements_does_what_it_says() {
    holds("add-a-placement.md");
}

#[test]
fn the_page_on_importing_funds_does_what_it_says() {
    holds("import-your-own-funds.md");
}

/// Every page has a test above and stands in the list of pages.
#[test]
fn every_task_page_is_tested_and_listed() {
    let source = std::fs::read_to_string(root().join("crates/server/tests/it/tasks.rs"));
    let source = source.expect("this file");
    let list = std::fs::read_to_string(folder().join("README.md")).expect("the list");
    let mut pages = 0;
    for entry in std::fs::read_dir(folder()).expect("docs/tasks") {
        let name = entry.expect("an entry").file_name();
        let name = name.to_string_lossy();
        if name == "README.md" {
            continue;
        }
        pages += 1;
        assert!(source.contains(&format!("holds(\"{name}\")")), "{name}");
        assert!(list.contains(&format!("({name})")), "{name}");
    }
    assert_eq!(pages, 6);
}

/// A page that shows what is not printed, edits what is not there, or leaves out what a command needs is refused.
#[test]
fn a_task_page_that_lies_is_noticed() {
    let page = "# A page\n\nWrite `note.yaml`:\n\n```yaml\nscene: note\n```\n\n```console\n$ cat note.yaml\nscene: note\n\
                $ echo 1 2 3\n1 … 3\n$ echo one; echo two; echo three\none\n…\n$ true\n```\n";
    let refused = |from: &str, to: &str| {
        assert!(page.contains(from), "{from}");
        done(&page.replacen(from, to, 1)).expect_err(to)
    };
    if std::env::var_os("LUOPAN_BLESS").is_some() {
        return;
    }
    assert_eq!(done(page).as_deref(), Ok(page));
    assert!(refused("\nscene: note\n$", "\nscene: other\n$").contains("the page shows"));
    assert!(refused("1 … 3", "1 … 4").contains("the page shows"));
    assert!(refused("\none\n…", "\ntwo\n…").contains("the page shows"));
    assert!(refused("$ true", "$ false").contains("`false` failed"));
    assert!(refused("$ true", "$ true\nmore").contains("the page shows"));
    assert!(refused("`note.yaml`:", "a note:").contains("which file?"));
    assert!(refused("```yaml\nscene", "```diff\n-scene").contains("No such file"));
    assert!(edited("a\nb\n", &["-c".into()]).is_err());
    assert!(edited("a\na\n", &["-a".into()]).is_err());
    let edit = [" a".into(), "-b".into(), "+c".into()];
    assert_eq!(edited("a\nb\n", &edit).as_deref(), Ok("a\nc\n"));
}
