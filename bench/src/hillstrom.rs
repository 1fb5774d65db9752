//! Hillstrom's e-mail trial: 64,000 customers, a third each with men's mail, women's mail and none, drawn by lot; read in one way for all
//! that measure on it. Cells are read as CSV has them: some are quoted and hold commas, such as `"6) $750 - $1,000"`. This room must
//! never leave a row out.

use std::io::Read;

use crate::Fault;
use crate::data::DataFile;

/// The segment that got no mail.
pub const NONE: &str = "No E-Mail";

/// The trial in columns.
#[derive(Clone, Debug)]
pub struct Trial {
    /// What each customer got.
    pub segments: Vec<String>,
    /// 1 where she visited within two weeks.
    pub visits: Vec<f64>,
    /// 1 where she bought.
    pub conversions: Vec<f64>,
    /// Names of what is known of a customer before the mail.
    pub names: Vec<String>,
    /// A column a name, a number a customer: segments of history by their order, other texts as columns of 0 and 1.
    pub columns: Vec<Vec<f64>>,
}

impl Trial {
    /// The file of the folder that `LUOPAN_DATASETS` names.
    ///
    /// # Errors
    /// A file that is not there or has other columns.
    pub fn read() -> Result<Self, Fault> {
        let data = DataFile::at("hillstrom_uplift/hillstrom.csv.gz");
        Self::of(data.unzipped()?).map_err(|e| data.fault(e))
    }

    fn of(text: impl Read) -> Result<Self, Fault> {
        let mut reader = csv::Reader::from_reader(text);
        let header = reader.headers()?.clone();
        let rows = reader.records().collect::<Result<Vec<_>, _>>()?;
        let column = |name: &str| -> Result<Vec<&str>, Fault> {
            let at = (header.iter().position(|found| found == name))
                .ok_or_else(|| format!("no column {name}"))?;
            Ok(rows.iter().map(|row| &row[at]).collect())
        };
        let numbers = |name: &str| -> Result<Vec<f64>, Fault> {
            let number = |cell: &str| {
                let digits = cell.split(')').next().unwrap_or_default();
                digits
                    .parse()
                    .map_err(|_| format!("{name}: `{cell}` is no number"))
            };
            let all: Result<Vec<f64>, String> = column(name)?.into_iter().map(number).collect();
            Ok(all?)
        };
        let (mut names, mut columns) = (Vec::new(), Vec::new());
        for name in [
            "recency",
            "history_segment",
            "history",
            "mens",
            "womens",
            "newbie",
        ] {
            columns.push(numbers(name)?);
            names.push(name.to_owned());
        }
        for name in ["zip_code", "channel"] {
            let words = column(name)?;
            let mut different = words.clone();
            different.sort_unstable();
            different.dedup();
            for word in different {
                let is = |w: &&str| f64::from(u8::from(*w == word));
                columns.push(words.iter().map(is).collect());
                names.push(format!("{name}_{word}"));
            }
        }
        Ok(Self {
            segments: column("segment")?.into_iter().map(str::to_owned).collect(),
            visits: numbers("visit")?,
            conversions: numbers("conversion")?,
            names,
            columns,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_cell_with_a_comma_is_one_cell() {
        let text = "\
recency,history_segment,history,mens,womens,zip_code,newbie,channel,segment,visit,conversion,spend
10,2) $100 - $200,142.44,1,0,Surburban,0,Phone,Womens E-Mail,0,0,0
6,\"6) $750 - $1,000\",829.08,0,1,Rural,1,Web,No E-Mail,1,0,0
";
        let trial = Trial::of(text.as_bytes()).unwrap();
        assert_eq!(trial.segments, ["Womens E-Mail", NONE]);
        assert_eq!(trial.visits, [0.0, 1.0]);
        let of = |name: &str| {
            let at = trial.names.iter().position(|n| n == name).unwrap();
            trial.columns[at].clone()
        };
        assert_eq!(of("history_segment"), [2.0, 6.0]);
        assert_eq!(of("history"), [142.44, 829.08]);
        assert_eq!(of("newbie"), [0.0, 1.0]);
        assert_eq!(of("zip_code_Rural"), [0.0, 1.0]);
        assert_eq!(of("channel_Phone"), [1.0, 0.0]);
    }
}
