//! The arms of a trial: numbers with names, the control first. This room must never guess a control among names that do not say it.

use super::{ARMS_MAX, Error};

/// Most arms that an error names.
const NAMED_MAX: usize = 8;
/// What is taken for the control where none is named, whatever its case.
const CONTROLS: [&str; 3] = ["control", "0", "false"];

/// The arm of each row: 0 is the control, 1 and on are treatments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arms {
    codes: Vec<u32>,
    names: Vec<String>,
}

impl Arms {
    /// Arms by number, which are named by it.
    ///
    /// # Errors
    /// One arm, more than [`ARMS_MAX`].
    pub fn of_codes(codes: &[u32]) -> Result<Self, Error> {
        let count = codes.iter().max().map_or(0, |most| *most as usize + 1);
        let names: Vec<String> = (0..count.min(ARMS_MAX + 1))
            .map(|n| n.to_string())
            .collect();
        Self::counted(count, &names)?;
        Ok(Self {
            codes: codes.to_vec(),
            names,
        })
    }

    /// Arms by name, a row each. Treatments are in the order of their names. Without `control` the arm that is called `control`,
    /// `0` or `false` (whatever its case) is it.
    ///
    /// # Errors
    /// No arm of that name, none or several that say that they are the control, a row without a name, one arm, more than
    /// [`ARMS_MAX`].
    pub fn of_texts(arms: &[&str], control: Option<&str>) -> Result<Self, Error> {
        let mut names: Vec<&str> = Vec::new();
        for (row, arm) in arms.iter().enumerate() {
            if arm.is_empty() {
                return Err(Error::Value {
                    column: "the treatment",
                    row,
                    found: f64::NAN,
                    wanted: "the name of an arm in every row; leave out rows of which it is not known",
                });
            }
            if let Err(place) = names.binary_search(arm) {
                if names.len() > ARMS_MAX {
                    break;
                }
                names.insert(place, arm);
            }
        }
        Self::counted(names.len(), &names)?;
        let said = |name: &str| match control {
            Some(control) => name == control,
            None => CONTROLS.iter().any(|word| word.eq_ignore_ascii_case(name)),
        };
        let places: Vec<usize> = (0..names.len()).filter(|at| said(names[*at])).collect();
        let [place] = places[..] else {
            let found = match (control, places.len()) {
                (Some(control), _) => format!("no arm is called {control:?}"),
                (None, 0) => {
                    "no control is named, and no arm is called control, 0 or false".to_owned()
                }
                (None, _) => "no control is named, and several arms are called as one".to_owned(),
            };
            return Err(Error::Control {
                found,
                arms: listed(&names),
            });
        };
        let control = names.remove(place);
        let code = |arm: &&str| match names.binary_search(arm) {
            Ok(at) => at as u32 + 1,
            Err(_) => 0,
        };
        let codes = arms.iter().map(code).collect();
        names.insert(0, control);
        let names = names.into_iter().map(str::to_owned).collect();
        Ok(Self { codes, names })
    }

    fn counted<S: AsRef<str>>(found: usize, names: &[S]) -> Result<(), Error> {
        if (2..=ARMS_MAX).contains(&found) {
            return Ok(());
        }
        if found == 0 {
            return Err(Error::Empty);
        }
        let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
        Err(Error::Arms {
            found,
            arms: listed(&names),
            most: ARMS_MAX,
        })
    }

    /// A number a row.
    pub fn codes(&self) -> &[u32] {
        &self.codes
    }

    /// Names by number.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// How many treatments.
    pub fn treatments(&self) -> usize {
        self.names.len() - 1
    }

    /// Whether each row is of the treatment (true) or of the control (false); none for rows of other arms, which no comparison of
    /// the two uses.
    pub fn against(&self, treatment: u32) -> Vec<Option<bool>> {
        let of = |code: &u32| match *code {
            0 => Some(false),
            code => (code == treatment).then_some(true),
        };
        self.codes.iter().map(of).collect()
    }

    /// The same arms for some of the rows, by their places.
    ///
    /// # Panics
    /// When there is no such row.
    #[must_use]
    pub fn take(&self, rows: &[u32]) -> Self {
        Self {
            codes: rows.iter().map(|row| self.codes[*row as usize]).collect(),
            names: self.names.clone(),
        }
    }
}

fn listed(names: &[&str]) -> String {
    let mut words: Vec<String> = (names.iter().take(NAMED_MAX))
        .map(|n| format!("{n:?}"))
        .collect();
    if names.len() > NAMED_MAX {
        words.push("others".to_owned());
    }
    words.join(", ")
}
