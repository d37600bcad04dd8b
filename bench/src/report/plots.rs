//! Plots as SVG. Text and lines take the colour of the text around them, so that they can be read
//! on light and on dark; nothing is taken from outside.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::document::Series;
use crate::compare::{Relay, Row};

/// Stand-ins, replaced by the colour of the text around the plot.
const INK: RGBColor = RGBColor(1, 2, 3);
const GRID: RGBColor = RGBColor(1, 2, 4);

/// Colours of series, to be told apart on light and on dark.
const COLOURS: [RGBColor; 7] = [
    RGBColor(0x2f, 0x7f, 0xff),
    RGBColor(0xe0, 0x7b, 0x1f),
    RGBColor(0x1f, 0xa0, 0x6a),
    RGBColor(0xc4, 0x3d, 0x9b),
    RGBColor(0x8a, 0x8f, 0x98),
    RGBColor(0xb8, 0x95, 0x0b),
    RGBColor(0xd9, 0x3f, 0x3f),
];

const WIDTH: u32 = 760;
const FONT: &str = "system-ui, sans-serif";
const FONT_SIZE: u32 = 13;
/// Octets of a text are about so wide.
const LETTER_WIDTH: i32 = 7;

/// A relay's colour in every plot.
pub fn colour(relay: Relay) -> RGBColor {
    match relay {
        Relay::Causeway => COLOURS[0],
        Relay::Haproxy => COLOURS[1],
        Relay::HaproxySplice => COLOURS[5],
        Relay::Kamailio => COLOURS[3],
        Relay::Bytes => COLOURS[4],
    }
}

/// CPU time for a message as a multiple of the byte relay's, a line for each load.
pub fn ratios(rows: &[Row]) -> Result<String, String> {
    let compared = |row: &&Row| row.relay != Relay::Bytes;
    let mut loads = Vec::new();
    for row in rows {
        if loads.last() != Some(&row.load) {
            loads.push(row.load);
        }
    }
    let (left, top, step) = (230, 44, 36);
    let height = top + step * loads.len() as i32 + 44;
    let right = WIDTH as i32 - 20;
    let ratios = rows.iter().filter(compared).filter_map(|row| row.ratio());
    let most = ratios.fold(2.0_f64, |most, ratio| most.max(ratio.max));
    let (low, high) = (0.6_f64.ln(), (most * 1.1).ln());
    let x = |ratio: f64| {
        let part = (ratio.ln() - low) / (high - low);
        left + (part.clamp(0.0, 1.0) * f64::from(right - left)) as i32
    };
    draw(height as u32, |area| {
        let bottom = height - 40;
        for tick in [0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0, 20.0, 50.0] {
            if tick > most * 1.1 {
                break;
            }
            let ink = if tick == 1.0 { INK } else { GRID };
            line(area, [(x(tick), top - 8), (x(tick), bottom)], ink.into(), 1)?;
            text(
                area,
                &format!("{tick}"),
                (x(tick), bottom + 12),
                HPos::Center,
            )?;
        }
        let axis = "CPU time of the relay for a message, as a multiple of the byte relay's";
        text(area, axis, ((left + right) / 2, bottom + 30), HPos::Center)?;
        for (number, load) in loads.iter().enumerate() {
            let y = top + step * number as i32 + step / 2;
            text(area, &load.in_short(), (left - 12, y), HPos::Right)?;
            line(area, [(left, y), (right, y)], GRID.into(), 1)?;
            // Causeway's dot is drawn last: on top.
            for row in rows
                .iter()
                .rev()
                .filter(compared)
                .filter(|row| row.load == *load)
            {
                if let Some(goal) = row.goal {
                    let at = [(x(goal), y - 13), (x(goal), y + 13)];
                    line(area, at, colour(row.relay).into(), 2)?;
                }
                let Some(ratio) = row.ratio() else { continue };
                let ink = colour(row.relay);
                // Equal ones are seen beside each other.
                let place = Relay::ALL.iter().position(|relay| *relay == row.relay);
                let y = y - 8 + 4 * place.unwrap_or(0) as i32 - 2;
                let ends = [(x(ratio.min), y), (x(ratio.max), y)];
                line(area, ends, ink.mix(0.5), 3)?;
                area.draw(&Circle::new((x(ratio.median), y), 5, ink.filled()))
                    .map_err(|error| error.to_string())?;
            }
        }
        let present = |relay: &&Relay| rows.iter().any(|row| row.relay == **relay);
        let relays = Relay::ALL.iter().filter(|relay| **relay != Relay::Bytes);
        let names = relays
            .filter(present)
            .map(|relay| (relay.name(), colour(*relay)));
        let mut names: Vec<(&str, RGBColor)> = names.collect();
        names.push(("| goal", colour(Relay::Causeway)));
        legend(area, &names, left)
    })
}

/// Latency by the part of all messages that were at most so slow.
pub fn latencies(series: &[(Series, RGBColor)]) -> Result<String, String> {
    // 0.99 is 100, 0.999 is 1000: as many nines as digits.
    let place = |(part, us): &(f64, f64)| {
        let is_shown = *part < 1.0 && *us > 0.0;
        is_shown.then(|| (1.0 / (1.0 - part), *us))
    };
    let series: Vec<(Series, RGBColor)> = series
        .iter()
        .map(|(series, ink)| {
            let points = series.points.iter().filter_map(place).collect();
            let name = series.name.clone();
            (Series { name, points }, *ink)
        })
        .collect();
    let label = |nines: f64| match nines {
        n if n < 1.5 => "0 %".to_owned(),
        n => {
            let percent = 100.0 - 100.0 / n;
            let digits = (n.log10().round() - 2.0).max(0.0) as usize;
            format!("{percent:.digits$} %")
        }
    };
    let (low, high) = bounds(&series, |point| point.1);
    let y = (low / 1.5).max(0.1)..high.max(low * 2.0) * 1.5;
    draw(330, |area| {
        let mut chart = ChartBuilder::on(area);
        let chart = chart.margin(14).margin_top(34).margin_right(36);
        let chart = chart.x_label_area_size(40).y_label_area_size(72);
        let mut chart = chart
            .build_cartesian_2d((1.0..100_000.0).log_scale(), y.log_scale())
            .map_err(|error| error.to_string())?;
        chart
            .configure_mesh()
            .x_labels(6)
            .x_label_formatter(&|x| label(*x))
            .y_label_formatter(&|y| amount(*y))
            .x_desc("part of all that were at most so slow")
            .y_desc("us")
            .label_style(style())
            .axis_desc_style(style())
            .axis_style(INK)
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .draw()
            .map_err(|error| error.to_string())?;
        for (series, ink) in &series {
            let line = LineSeries::new(series.points.iter().copied(), ink.stroke_width(2));
            chart.draw_series(line).map_err(|error| error.to_string())?;
        }
        let names: Vec<_> = series.iter().map(|(s, ink)| (&s.name[..], *ink)).collect();
        legend(area, &names, 86)
    })
}

/// Figures over time.
pub fn courses(series: &[(Series, RGBColor)], unit: &str) -> Result<String, String> {
    let (_, end) = bounds(series, |point| point.0);
    let (_, high) = bounds(series, |point| point.1);
    draw(260, |area| {
        let mut chart = ChartBuilder::on(area);
        let chart = chart.margin(14).margin_top(34).margin_right(36);
        let chart = chart.x_label_area_size(40).y_label_area_size(72);
        let mut chart = chart
            .build_cartesian_2d(0.0..end.max(0.1), 0.0..high.max(1e-9) * 1.1)
            .map_err(|error| error.to_string())?;
        chart
            .configure_mesh()
            .y_labels(5)
            .y_label_formatter(&|y| amount(*y))
            .x_desc("seconds")
            .y_desc(unit)
            .label_style(style())
            .axis_desc_style(style())
            .axis_style(INK)
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .draw()
            .map_err(|error| error.to_string())?;
        for (series, ink) in series {
            let line = LineSeries::new(series.points.iter().copied(), ink.stroke_width(2));
            chart.draw_series(line).map_err(|error| error.to_string())?;
        }
        let names: Vec<_> = series.iter().map(|(s, ink)| (&s.name[..], *ink)).collect();
        legend(area, &names, 86)
    })
}

/// With colours, one after the other.
pub fn coloured(series: Vec<Series>) -> Vec<(Series, RGBColor)> {
    series
        .into_iter()
        .zip(COLOURS.into_iter().cycle())
        .collect()
}

/// A plot as a file of its own, which chooses its colours by the reader's.
pub fn alone(plot: &str) -> String {
    let style = "<style>svg{color:#1f2328;background:#fff}@media(prefers-color-scheme:dark)\
                 {svg{color:#e6edf3;background:#0d1117}}</style>";
    plot.replacen('>', &format!(">{style}"), 1) + "\n"
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn draw(height: u32, fill: impl FnOnce(&Area<'_>) -> Result<(), String>) -> Result<String, String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        fill(&area)?;
        area.present().map_err(|error| error.to_string())?;
    }
    let [ink, grid] = [INK, GRID].map(|RGBColor(r, g, b)| format!("\"#{r:02X}{g:02X}{b:02X}\""));
    let svg = svg.replace(&ink, "\"currentColor\"");
    let svg = svg.replace(&grid, "\"currentColor\" stroke-opacity=\"0.15\"");
    let size = format!("width=\"{WIDTH}\" height=\"{height}\"");
    Ok(svg.replacen(&size, "", 1).trim_end().to_owned())
}

fn line(area: &Area<'_>, ends: [(i32, i32); 2], ink: RGBAColor, width: u32) -> Result<(), String> {
    let path = PathElement::new(ends.to_vec(), ink.stroke_width(width));
    area.draw(&path).map_err(|error| error.to_string())
}

fn style() -> TextStyle<'static> {
    (FONT, FONT_SIZE).into_font().color(&INK)
}

fn text(area: &Area<'_>, words: &str, at: (i32, i32), side: HPos) -> Result<(), String> {
    let style = style().pos(Pos::new(side, VPos::Center));
    let drawn = area.draw(&Text::new(words.to_owned(), at, style));
    drawn.map_err(|error| error.to_string())
}

fn legend(area: &Area<'_>, names: &[(&str, RGBColor)], left: i32) -> Result<(), String> {
    let mut x = left;
    for (name, ink) in names.iter().filter(|(name, _)| !name.is_empty()) {
        let at = x + 5;
        match name.strip_prefix("| ") {
            Some(_) => line(area, [(at, 9), (at, 23)], (*ink).into(), 2)?,
            None => area
                .draw(&Circle::new((at, 16), 5, ink.filled()))
                .map_err(|error| error.to_string())?,
        }
        let name = name.trim_start_matches("| ");
        text(area, name, (x + 16, 16), HPos::Left)?;
        x += 34 + LETTER_WIDTH * name.chars().count() as i32;
    }
    Ok(())
}

fn bounds(series: &[(Series, RGBColor)], of: impl Fn(&(f64, f64)) -> f64) -> (f64, f64) {
    let points = series.iter().flat_map(|(series, _)| &series.points);
    points
        .map(of)
        .fold((f64::INFINITY, 0.0), |(low, high), value| {
            (low.min(value), high.max(value))
        })
}

/// A number as short as an axis needs it.
fn amount(value: f64) -> String {
    match value.abs() {
        size if size >= 1e6 => {
            format!("{:.4}", value / 1e6)
                .trim_end_matches('0')
                .trim_end_matches('.')
                .to_owned()
                + " M"
        }
        size if size >= 1e4 => format!("{:.0} k", value / 1e3),
        size if size >= 10.0 || size == 0.0 => format!("{value:.0}"),
        _ => format!("{value}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series() -> Vec<Series> {
        let points = vec![(0.0, 10.0), (0.9, 20.0), (0.99, 400.0), (1.0, 5000.0)];
        let name = "a <b>".to_owned();
        vec![Series { name, points }]
    }

    #[test]
    fn a_plot_takes_its_ink_from_around_it_and_nothing_from_outside() {
        let plot = latencies(&coloured(series())).unwrap();
        assert!(
            plot.starts_with("<svg ") && plot.ends_with("</svg>"),
            "{plot}"
        );
        assert!(plot.contains("currentColor") && plot.contains("#2F7FFF"));
        assert!(!plot.contains("#010203") && !plot.contains("#010204"));
        assert!(plot.contains("a &lt;b&gt;") && plot.contains("99.9 %"));
        let links = plot.matches("http").count();
        assert_eq!(links, plot.matches("http://www.w3.org/").count());
        assert!(alone(&plot).contains("><style>svg{"));
    }

    #[test]
    fn a_course_begins_at_nothing() {
        let plot = courses(&coloured(series()), "messages a second").unwrap();
        assert!(plot.contains("seconds") && plot.contains("messages a second"));
        assert!(courses(&[], "x").is_ok(), "nothing is drawn of nothing");
    }

    #[test]
    fn numbers_on_axes_are_short() {
        let told = [0.0, 0.5, 12.0, 9000.0, 25_000.0, 1_500_000.0].map(amount);
        assert_eq!(told, ["0", "0.5", "12", "9000", "25 k", "1.5 M"]);
    }
}
