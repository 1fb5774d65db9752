//! Gradient-boosted trees: what LightGBM makes of the same tables, laws that hold of every table, and what is refused.

mod laws;
mod more;
mod reference;
mod refused;

use luopan_learning::gbdt::{Binned, Column, Kind};

/// A table, column by column.
pub(crate) struct Table {
    pub(crate) names: Vec<String>,
    pub(crate) columns: Vec<Vec<f64>>,
    pub(crate) categories: Vec<usize>,
}

impl Table {
    pub(crate) fn new(columns: Vec<Vec<f64>>, categories: &[usize]) -> Self {
        Self {
            names: (0..columns.len()).map(|at| format!("f{at}")).collect(),
            columns,
            categories: categories.to_vec(),
        }
    }

    pub(crate) fn columns(&self) -> Vec<Column<'_>> {
        let made = self.names.iter().zip(&self.columns).enumerate();
        made.map(|(at, (name, values))| Column {
            name,
            values,
            kind: if self.categories.contains(&at) {
                Kind::Category
            } else {
                Kind::Number
            },
        })
        .collect()
    }

    pub(crate) fn binned(&self) -> Binned {
        Binned::new(&self.columns(), &Default::default()).unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) fn rows(&self, from: usize, to: usize) -> Self {
        let cut = self.columns.iter().map(|column| column[from..to].to_vec());
        Self {
            names: self.names.clone(),
            columns: cut.collect(),
            categories: self.categories.clone(),
        }
    }

    /// Row by row.
    pub(crate) fn flat(&self) -> Vec<f64> {
        (0..self.columns[0].len())
            .flat_map(|row| self.columns.iter().map(move |column| column[row]))
            .collect()
    }
}
