//! A comparison as a section of a README.

use std::fmt::Write;

use crate::compare::{Comparison, Relay, Row};

const BEGIN: &str = "<!-- benchmark -->\n";
const END: &str = "<!-- end of benchmark -->";

/// A table of microseconds and ratios, and where they come from.
pub fn section(comparison: &Comparison) -> String {
    let relays: Vec<Relay> = Relay::ALL
        .into_iter()
        .filter(|relay| comparison.rows.iter().any(|row| row.relay == *relay))
        .collect();
    let mut text = String::from("| load |");
    let mut lines = String::from("|---|");
    for relay in &relays {
        let _ = write!(text, " {} |", relay.name());
        lines.push_str("---|");
    }
    let _ = writeln!(text, "\n{lines}");
    let mut load = None;
    for row in &comparison.rows {
        if load == Some(row.load) {
            continue;
        }
        load = Some(row.load);
        let _ = write!(text, "| {} |", row.load.in_short());
        for relay in &relays {
            let of = |other: &&Row| other.load == row.load && other.relay == *relay;
            let cell = comparison.rows.iter().find(of).map_or(String::new(), cell);
            let _ = write!(text, " {cell} |");
        }
        text.push('\n');
    }
    let machine = &comparison.machine;
    let _ = writeln!(
        text,
        "\nMicroseconds of the relay's CPU for a message, and in parentheses the ratio to the byte relay; medians \
         of {} turns of {} s.\n`{}`; {}, {} cores, Linux {}; commit {}; {}.",
        comparison.rounds,
        comparison.seconds,
        machine.command,
        machine.processor,
        machine.cores,
        machine.kernel,
        machine.commit,
        machine.at
    );
    for doubt in machine.doubts() {
        let _ = writeln!(text, "In doubt: {doubt}.");
    }
    text
}

fn cell(row: &Row) -> String {
    let Some(figures) = &row.figures else {
        return "–".to_owned();
    };
    let ratio = row
        .ratio()
        .map_or(String::new(), |ratio| format!(" ({:.2})", ratio.median));
    match row.relay {
        Relay::Bytes => format!("{:.1}", figures.cpu_us),
        Relay::Causeway => format!("**{:.1}{ratio}**", figures.cpu_us),
        _ => format!("{:.1}{ratio}", figures.cpu_us),
    }
}

/// `text` with the section in its place.
pub fn replaced(text: &str, section: &str) -> Result<String, String> {
    let place = || format!("no lines `{}` and `{END}` in this order", BEGIN.trim_end());
    let begin = text.find(BEGIN).ok_or_else(place)? + BEGIN.len();
    let end = begin + text[begin..].find(END).ok_or_else(place)?;
    Ok(format!("{}{section}{}", &text[..begin], &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_marks_is_replaced() {
        let text = "a\n<!-- benchmark -->\nold\n<!-- end of benchmark -->\nz\n";
        let new = replaced(text, "new\n").unwrap();
        assert_eq!(
            new,
            "a\n<!-- benchmark -->\nnew\n<!-- end of benchmark -->\nz\n"
        );
        assert_eq!(replaced(&new, "new\n").unwrap(), new);
        assert!(replaced("<!-- end of benchmark -->\n<!-- benchmark -->\n", "x").is_err());
    }
}
