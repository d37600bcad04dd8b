//! `causeway-bench report`: what was measured as a page with plots, and as a section of a README.
//!
//! ```text
//! JSON files ▶ document ▶ page: tables, plots (SVG) ▶ one HTML file without anything outside
//!                       ▶ readme: a table, and a plot as a file of its own
//! ```
//! Not here: measuring, and judging.

mod document;
mod page;
mod plots;
mod readme;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use document::Document;

/// Make a page of what was measured, with plots; it goes to standard output.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// What `--json` of the other modes has written.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Write the plot of the first comparison to this file, too, as SVG.
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Write the table of the first comparison into this file, between the lines
    /// `<!-- benchmark -->` and `<!-- end of benchmark -->`.
    #[arg(long, value_name = "FILE")]
    readme: Option<PathBuf>,
}

/// Makes the page.
pub fn main(arguments: &Arguments) -> ExitCode {
    match report(arguments) {
        Ok(page) => {
            print!("{page}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("causeway-bench report: {why}");
            ExitCode::from(2)
        }
    }
}

fn report(arguments: &Arguments) -> Result<String, String> {
    let mut documents = Vec::new();
    for path in &arguments.files {
        let told = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
        let text = fs::read_to_string(path).map_err(|error| told(&error))?;
        let document = Document::read(&text).map_err(|error| told(&error))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        documents.push((name.into_owned(), document));
    }
    let comparison = documents.iter().find_map(|(_, document)| match document {
        Document::Comparison(comparison) => Some(comparison),
        _ => None,
    });
    let needed = || "--plot and --readme need what `compare --json` has written".to_owned();
    if let Some(path) = &arguments.plot {
        let plot = plots::ratios(&comparison.ok_or_else(needed)?.rows)?;
        let written = fs::write(path, plots::alone(&plot));
        written.map_err(|error| format!("{}: {error}", path.display()))?;
    }
    if let Some(path) = &arguments.readme {
        let told = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
        let text = fs::read_to_string(path).map_err(|error| told(&error))?;
        let section = readme::section(comparison.ok_or_else(needed)?);
        let text = readme::replaced(&text, &section).map_err(|error| told(&error))?;
        fs::write(path, text).map_err(|error| told(&error))?;
    }
    page::page(&documents)
}
