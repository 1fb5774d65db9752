//! Poisson models of claims with exposure on the 678,013 policies of freMTPL2, beside glum on the same columns, one thread both, in
//! turns: without a penalty, and with an elastic net. Coefficients are compared with those of a fit of glum's to a gradient of
//! 1e-10, times are those of its own settings; both begin with columns in memory and end with coefficients.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use luopan_bench::data::DataFile;
use luopan_bench::process::Others;
use luopan_bench::{Fault, Measurement, Reference, folder, peer, write};
use luopan_learning::glm::{Column, Design, Family, Fit, Observations, Penalty, Settings, fit};

const PACKAGES: [&str; 4] = [
    "glum==3.4.1",
    "tabmat==4.2.1",
    "numpy==2.4.6",
    "pandas==3.1.1",
];
const NUMBERS: [&str; 4] = ["VehAge", "DrivAge", "BonusMalus", "Density"];
const CATEGORIES: [&str; 5] = ["Area", "VehPower", "VehBrand", "VehGas", "Region"];
const ROUNDS: usize = 5;
/// Name and weight of the penalty, whose share of L1 is one half.
const FITS: [(&str, f64); 2] = [("plain", 0.0), ("net", 1e-4)];

fn main() -> ExitCode {
    luopan_bench::ending(run())
}

fn run() -> Result<(), Fault> {
    let python = peer::python("glum", &PACKAGES)?;
    let place = folder::root()?.join("glm");
    std::fs::create_dir_all(&place)?;
    let table = Table::read()?;
    table.store(&place)?;
    let (mut own, mut theirs) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    let (mut differences, mut shares) = ([0.0f64; 2], Vec::new());
    for round in 0..ROUNDS {
        let said = peer::run(
            Command::new(&python)
                .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/peers/glm.py"))
                .arg(&place)
                .args([table.outcomes.len(), NUMBERS.len()].map(|n| n.to_string()))
                .args(
                    table
                        .categories
                        .iter()
                        .map(|(_, levels)| levels.len().to_string()),
                )
                .env("OMP_NUM_THREADS", "1")
                .env("OPENBLAS_NUM_THREADS", "1"),
        )?;
        let others = Others::watch(&[std::process::id()])?;
        for (at, (name, alpha)) in FITS.into_iter().enumerate() {
            let started = Instant::now();
            let found = table.fit(alpha)?;
            own[at].push(started.elapsed().as_secs_f64());
            theirs[at].push(peer::figure(&said, &format!("{name}.seconds"))?);
            if !found.converged || !found.flags.is_empty() {
                return Err(format!("{name}: {:?}", found.flags).into());
            }
            let coefficients = core::iter::once(&found.intercept).chain(&found.coefficients);
            for (k, coefficient) in coefficients.enumerate() {
                let told = peer::figure(&said, &format!("{name}.{k}"))?;
                differences[at] = differences[at].max((coefficient - told).abs());
            }
            eprintln!(
                "{name} {round}: {:.3} s and {} steps, glum {:.3} s, greatest difference {:.2e}",
                own[at][round], found.iterations, theirs[at][round], differences[at]
            );
        }
        shares.push(others.share()?);
    }
    let mut list = Vec::new();
    for (at, (name, alpha)) in FITS.into_iter().enumerate() {
        let words = match name {
            "plain" => "no penalty".to_owned(),
            _ => format!("elastic net of {alpha:e}, half of it L1"),
        };
        list.push(Measurement {
            name: format!("Poisson model of 678,013 policies, 4 numbers and 5 categories, {words}"),
            figure: peer::median(&own[at]),
            unit: "s".to_owned(),
            reference: Some(Reference {
                name: "glum 3.4.1, one thread".to_owned(),
                figure: peer::median(&theirs[at]),
            }),
        });
        list.push(Measurement {
            name: format!(
                "Poisson model, {words}, greatest difference of a coefficient from glum's"
            ),
            figure: differences[at],
            unit: "log of the rate".to_owned(),
            reference: Some(Reference {
                name: "allowed (set before it was built)".to_owned(),
                figure: 1e-4,
            }),
        });
    }
    list.push(Measurement {
        name: "share of the machine that other processes took while models were fitted".to_owned(),
        figure: peer::median(&shares),
        unit: "share".to_owned(),
        reference: None,
    });
    let path = write("glm", &list)?;
    eprintln!("written to {}", path.display());
    Ok(())
}

/// Columns in memory.
struct Table {
    outcomes: Vec<f64>,
    exposure: Vec<f64>,
    numbers: Vec<Vec<f64>>,
    /// Levels in the order of their names.
    categories: Vec<(Vec<u32>, Vec<String>)>,
}

impl Table {
    fn read() -> Result<Self, Fault> {
        let data = DataFile::at("insurance_fremtpl2/freMTPL2freq.csv.gz");
        let failed = |e: &dyn std::fmt::Display| data.fault(e);
        let text = data.text()?;
        let mut lines = text.lines();
        let header: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
        let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
        let words = |name: &str| -> Result<Vec<&str>, Fault> {
            let at = (header.iter().position(|found| *found == name))
                .ok_or_else(|| failed(&format!("no column {name}")))?;
            rows.iter()
                .map(|row| {
                    row.get(at)
                        .map(|word| word.trim_matches('"'))
                        .ok_or_else(|| failed(&"a short line"))
                })
                .collect()
        };
        let numbers = |name: &str| -> Result<Vec<f64>, Fault> {
            words(name)?
                .into_iter()
                .map(|word| word.parse().map_err(|e| failed(&e)))
                .collect()
        };
        let mut columns = NUMBERS
            .iter()
            .map(|name| numbers(name))
            .collect::<Result<Vec<_>, _>>()?;
        for density in &mut columns[3] {
            *density = density.ln();
        }
        let mut categories = Vec::new();
        for name in CATEGORIES {
            let found = words(name)?;
            let levels: std::collections::BTreeSet<&str> = found.iter().copied().collect();
            let levels: Vec<&str> = levels.into_iter().collect();
            let code = |word: &&str| levels.binary_search(word).unwrap_or_default() as u32;
            let codes = found.iter().map(code).collect();
            categories.push((
                codes,
                levels.iter().map(|level| (*level).to_owned()).collect(),
            ));
        }
        Ok(Self {
            outcomes: numbers("ClaimNb")?,
            exposure: numbers("Exposure")?,
            numbers: columns,
            categories,
        })
    }

    fn store(&self, place: &Path) -> Result<(), Fault> {
        let put =
            |name: String, bytes: Vec<u8>| std::fs::write(place.join(name + ".column"), bytes);
        let of = |values: &[f64]| values.iter().flat_map(|x| x.to_le_bytes()).collect();
        put("outcomes".to_owned(), of(&self.outcomes))?;
        put("exposure".to_owned(), of(&self.exposure))?;
        for (k, values) in self.numbers.iter().enumerate() {
            put(format!("number-{k}"), of(values))?;
        }
        for (k, (codes, _)) in self.categories.iter().enumerate() {
            put(
                format!("category-{k}"),
                codes.iter().flat_map(|code| code.to_le_bytes()).collect(),
            )?;
        }
        Ok(())
    }

    fn fit(&self, alpha: f64) -> Result<Fit, Fault> {
        let levels: Vec<Vec<&str>> = (self.categories.iter())
            .map(|(_, levels)| levels.iter().map(String::as_str).collect())
            .collect();
        let numbers = NUMBERS.iter().zip(&self.numbers);
        let mut columns: Vec<Column<'_>> = numbers
            .map(|(name, values)| Column::Numeric { name, values })
            .collect();
        for (at, name) in CATEGORIES.iter().enumerate() {
            columns.push(Column::Categorical {
                name,
                codes: &self.categories[at].0,
                levels: &levels[at],
                base: Some(0),
            });
        }
        let design = Design::new(&columns, self.outcomes.len())?;
        let mut settings = Settings::of(Family::Poisson);
        let mut observations = Observations {
            outcomes: &self.outcomes,
            weights: None,
            offset: None,
            exposure: Some(&self.exposure),
        };
        if alpha == 0.0 {
            return Ok(fit(&design, &observations, &settings)?);
        }
        // A penalty is weighed against rows by their weights: rates by exposure, as glum has them.
        let rates: Vec<f64> = self
            .outcomes
            .iter()
            .zip(&self.exposure)
            .map(|(y, e)| y / e)
            .collect();
        observations.outcomes = &rates;
        observations.weights = Some(&self.exposure);
        observations.exposure = None;
        settings.penalty = Penalty {
            alpha,
            l1_ratio: 0.5,
        };
        Ok(fit(&design, &observations, &settings)?)
    }
}
