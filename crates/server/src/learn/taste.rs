//! Factors of users and items from a file of who took what: kept in a folder, and asked for each user's best items.

use super::dataset::sha256;
use super::model::{
    FACTORS, LIGHTGBM, MODEL, PAGE, REPORT, Trained, cpu_seconds, gone, refused, told,
};
use super::{table, written};
use crate::problem::{Problem, Result};
use crate::whole::{writable, write_whole};
use luopan_learning::tabular::{Error, Series, Target, Taste, TasteSettings, taste};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Trains factors from a file and keeps them in a folder; `tell` hears what is begun.
///
/// # Errors
/// `file_unreadable`, `bad_table`, `cannot_learn`. Then the folder holds no new factors.
pub fn from_file(
    input: &Path,
    settings: &TasteSettings,
    out: &Path,
    tell: &mut dyn FnMut(usize),
) -> Result<Trained> {
    for name in [FACTORS, REPORT, PAGE] {
        writable(&out.join(name))?;
    }
    let begun = cpu_seconds();
    let wanted = table::Wanted {
        texts: vec![settings.user.clone(), settings.item.clone()],
        ..table::Wanted::default()
    };
    let mut frame = table::read(input, &wanted)?;
    if let Some(name) = &settings.time {
        (frame, _) = table::with_times(input, frame, name)?;
    }
    let read = cpu_seconds();
    let mut folds = read;
    let found = taste(&frame, settings, &mut |at| {
        if at == settings.folds {
            folds = cpu_seconds();
        }
        tell(at);
    });
    let found = found.map_err(|e| match &e {
        // The numerics name it as Hu, Koren and Volinsky (2008) do.
        Error::Model(words) => {
            let words = words.replacen("alpha is", "--confidence is", 1);
            refused(input, Some(&frame), &Error::Model(words))
        }
        _ => refused(input, Some(&frame), &e),
    })?;
    let (users, items) = found.taste.size();
    let trained = Trained {
        model: "als",
        task: "rank",
        target: Target {
            column: settings.item.clone(),
            classes: Vec::new(),
        },
        rows: found.rows,
        features: settings.als.factors,
        users: Some(users),
        items: Some(items),
        cpu_seconds: cpu_seconds() - read,
        cpu_seconds_folds: folds - read,
        cpu_seconds_read: read - begun,
        seed: settings.als.seed,
        rounds: None,
        input: input.to_owned(),
        sha256: sha256(input)?,
        out: out.to_owned(),
        card: None,
        evaluation: found.evaluation,
    };
    told(&trained)?;
    gone(&out.join(MODEL))?;
    gone(&out.join(LIGHTGBM))?;
    write_whole(&out.join(FACTORS), &found.taste.encode())?;
    Ok(trained)
}

/// Reads factors from their folder.
///
/// # Errors
/// `file_unreadable`, `bad_model`.
pub fn open(folder: &Path) -> Result<Taste> {
    let path = folder.join(FACTORS);
    let bytes = std::fs::read(&path)
        .map_err(|e| Problem::new("file_unreadable", format!("{}: {e}", path.display())))?;
    Taste::decode(&bytes).map_err(|e| Problem::new("bad_model", format!("{}: {e}", path.display())))
}

/// What is said of users that were asked for.
#[derive(Debug, Clone, Serialize)]
pub struct Ranked {
    /// Users that have items.
    pub users: usize,
    /// Users that were never seen: nothing is written for them.
    pub unseen: usize,
    /// Rows: an item each.
    pub rows: usize,
    /// The file that was written.
    pub output: PathBuf,
}

/// Writes the best items of each user of a file, who has not taken them: user, rank from 1, item, score.
///
/// # Errors
/// `file_unreadable`, `bad_table`, `cannot_learn`. Then no file is written.
pub fn predict(kept: &Taste, input: &Path, output: &Path, top: usize) -> Result<Ranked> {
    written::ready(&[input], output)?;
    let wanted = table::Wanted {
        texts: vec![kept.user_column().to_owned()],
        only: Some(Vec::new()),
        ..table::Wanted::default()
    };
    let frame = table::read(input, &wanted)?;
    let bad = |e: Error| refused(input, Some(&frame), &e);
    let name = kept.user_column();
    let series = frame.get(name).ok_or_else(|| {
        bad(Error::Unknown {
            name: name.to_owned(),
            there: frame.names().join(", "),
        })
    })?;
    let mut users: Vec<String> = Vec::new();
    let mut known = std::collections::HashSet::new();
    for user in (0..frame.rows()).filter_map(|row| series.text(row)) {
        if known.insert(user.clone()) {
            users.push(user);
        }
    }
    let found = kept.recommend(&users, top).map_err(bad)?;
    let (mut places, mut ranks, mut items, mut scores) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (place, best) in (0u32..).zip(&found) {
        for (rank, (item, score)) in best.iter().flatten().enumerate() {
            places.push(place);
            ranks.push(rank as f64 + 1.0);
            items.push((*item).to_owned());
            scores.push(f64::from(*score));
        }
    }
    let rows = ranks.len();
    let columns = [
        (
            name.to_owned(),
            Series::Texts {
                codes: places,
                levels: users,
            },
        ),
        ("rank".to_owned(), Series::Numbers(ranks)),
        (
            "item".to_owned(),
            Series::Texts {
                codes: (0..rows as u32).collect(),
                levels: items,
            },
        ),
        ("score".to_owned(), Series::Numbers(scores)),
    ];
    written::write(output, &columns, rows)?;
    let unseen = found.iter().filter(|f| f.is_none()).count();
    Ok(Ranked {
        users: found.len() - unseen,
        unseen,
        rows,
        output: output.to_owned(),
    })
}
