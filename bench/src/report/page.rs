//! The page: tables and plots in one HTML file, without anything from outside.

use std::fmt::Write;

use serde_json::Value;

use super::document::{Document, Series, course, curves, figures};
use super::plots;
use crate::compare::{Case, Comparison, Relay, Row, Turn};
use crate::machine::Machine;
use crate::scenario::Outcomes;

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;\
color:#1f2328;background:#fff}\
h1{font-size:1.6rem}h2{font-size:1.3rem;margin-top:2.5rem}h3{font-size:1.05rem;margin-top:2rem}\
p.note{color:#59636e}p.doubt{border-left:4px solid #d9822b;padding-left:.8rem}\
table{border-collapse:collapse;font-variant-numeric:tabular-nums;margin:1rem 0;display:block;\
overflow-x:auto}th,td{padding:.25rem .7rem;border-bottom:1px solid #8884;text-align:right;white-space:nowrap}\
th{font-weight:600}th:first-child,td:first-child,td.text,th.text{text-align:left}\
td.text{white-space:normal}\
figure{margin:1.2rem 0}figcaption{font-weight:600;margin-bottom:.3rem}svg{width:100%;height:auto}\
.good{color:#1a7f37}.bad{color:#d1242f;font-weight:600}code{font-size:.9em}\
@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}p.note{color:#9198a1}\
.good{color:#3fb950}.bad{color:#f85149}}";

/// The page of these documents, each with a name.
pub fn page(documents: &[(String, Document)]) -> Result<String, String> {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>Causeway: what was measured</title>\n<style>{STYLE}</style>\n\
         <h1>Causeway: what was measured</h1>\n"
    );
    for (name, document) in documents {
        match document {
            Document::Comparison(it) => comparison(&mut page, it)?,
            Document::Outcomes(it) => outcomes(&mut page, it)?,
            Document::Result(it) => {
                let _ = writeln!(page, "<h2>{}</h2>", escaped(name));
                result(&mut page, it)?;
            }
        }
    }
    page.push_str("</html>\n");
    Ok(page)
}

fn machine(page: &mut String, machine: &Machine) {
    let text = machine.to_string();
    let (doubts, told): (Vec<&str>, Vec<&str>) =
        text.lines().partition(|line| line.starts_with("WARNING"));
    let told: Vec<String> = told.into_iter().map(escaped).collect();
    let _ = writeln!(page, "<p class=\"note\">{}</p>", told.join("<br>\n"));
    for doubt in doubts {
        let _ = writeln!(page, "<p class=\"doubt\">{}</p>", escaped(doubt));
    }
}

fn figure(page: &mut String, caption: &str, plot: &str) {
    let caption = escaped(caption);
    let _ = writeln!(
        page,
        "<figure><figcaption>{caption}</figcaption>{plot}</figure>"
    );
}

fn comparison(page: &mut String, it: &Comparison) -> Result<(), String> {
    page.push_str("<h2>Relays compared</h2>\n");
    machine(page, &it.machine);
    let _ = writeln!(
        page,
        "<p>The same load through each relay, in turns, on the same core; medians of {} turns of \
         {} s. A dot is the median, the bar behind it goes from the best to the worst round, an \
         upright line is Causeway's goal.</p>",
        it.rounds, it.seconds
    );
    figure(page, "CPU time for a message", &plots::ratios(&it.rows)?);
    let mut load = None;
    for row in &it.rows {
        if load != Some(row.load) {
            load = Some(row.load);
            let of: Vec<&Row> = it
                .rows
                .iter()
                .filter(|other| other.load == row.load)
                .collect();
            one_load(page, row.load, &of, &it.turns)?;
        }
    }
    for absent in &it.absent {
        let (name, why) = (absent.relay.name(), escaped(&absent.why));
        let _ = writeln!(page, "<p>{name}: {why}</p>");
    }
    Ok(())
}

fn one_load(page: &mut String, load: Case, rows: &[&Row], turns: &[Turn]) -> Result<(), String> {
    let _ = writeln!(page, "<h3>{}</h3>\n<table>", escaped(&load.in_words()));
    page.push_str(
        "<tr><th>relay<th>CPU us<th>ratio<th>from–to<th>messages/s<th>p50 us<th>p99 us<th>its \
         core<th>others there<th>generator<th class=\"text\">\n",
    );
    for row in rows {
        let _ = write!(page, "<tr><td>{}", row.relay.name());
        if let Some(figures) = &row.figures {
            let (ratio, spread) = row.ratio().map_or((String::new(), String::new()), |ratio| {
                let spread = format!("{:.2}–{:.2}", ratio.min, ratio.max);
                (format!("{:.2}", ratio.median), spread)
            });
            let _ = write!(
                page,
                "<td>{:.2}<td>{ratio}<td>{spread}<td>{:.0}<td>{:.0}<td>{:.0}<td>{:.0} %<td>{:.0} \
                 %<td>{:.0} %",
                figures.cpu_us,
                figures.rate,
                figures.latency_p50_us,
                figures.latency_p99_us,
                figures.relay_load * 100.0,
                figures.others_load * 100.0,
                figures.generator_work * 100.0
            );
        } else {
            page.push_str(&"<td>".repeat(9));
        }
        let verdict = row.verdict();
        let class = match verdict.contains("MISSED") || row.failure.is_some() || row.faults > 0 {
            true => "bad",
            false => "good",
        };
        let _ = write!(page, "<td class=\"text {class}\">{verdict}");
        if row.faults > 0 {
            let _ = write!(page, " {} faults", row.faults);
        }
        for why in row.failure.iter().chain(&row.cannot) {
            let _ = write!(page, " {}", escaped(why));
        }
        page.push('\n');
    }
    page.push_str("</table>\n");
    let curve = |relay: Relay| {
        let mut of: Vec<_> = turns
            .iter()
            .filter(|turn| turn.load == load && turn.relay == relay)
            .filter_map(Turn::report)
            .collect();
        of.sort_by(|a, b| a.latency_us.p50.total_cmp(&b.latency_us.p50));
        let middle = of.get(of.len() / 2)?;
        let points = middle.latency_us.curve.clone();
        let name = relay.name().to_owned();
        Some((Series { name, points }, plots::colour(relay)))
    };
    let curves: Vec<_> = Relay::ALL.into_iter().filter_map(curve).collect();
    if !curves.is_empty() {
        let plot = plots::latencies(&curves)?;
        figure(
            page,
            "Latency under this closed load, the middle round",
            &plot,
        );
    }
    Ok(())
}

fn outcomes(page: &mut String, it: &Outcomes) -> Result<(), String> {
    page.push_str("<h2>Scenarios</h2>\n");
    machine(page, &it.machine);
    let verdict = |verdict: &dyn std::fmt::Display| {
        let text = verdict.to_string();
        let class = if text == "pass" { "good" } else { "bad" };
        format!("<span class=\"{class}\">{}</span>", escaped(&text))
    };
    for scenario in &it.scenarios {
        let _ = writeln!(
            page,
            "<h3>{}: {}</h3>\n<p>{}</p>",
            escaped(&scenario.title),
            verdict(&scenario.verdict),
            escaped(&scenario.about)
        );
        for step in &scenario.steps {
            let _ = writeln!(
                page,
                "<h4>{}: {}</h4>\n<p class=\"note\"><code>causeway-bench {} {}</code></p>",
                escaped(&step.name),
                verdict(&step.verdict),
                escaped(&step.mode),
                escaped(&step.options.join(" "))
            );
            if !step.checks.is_empty() {
                page.push_str("<table>\n<tr><th>demand<th class=\"text\">\n");
                for check in &step.checks {
                    let class = if check.holds { "good" } else { "bad" };
                    let text = escaped(&check.to_string());
                    let (holds, rest) = text.split_once("  ").unwrap_or(("", &text));
                    let _ = writeln!(
                        page,
                        "<tr><td class=\"{class}\">{holds}<td class=\"text\">{rest}"
                    );
                }
                page.push_str("</table>\n");
            }
            result(page, &step.result)?;
        }
    }
    Ok(())
}

/// What any mode has measured: its plots, then its figures.
fn result(page: &mut String, value: &Value) -> Result<(), String> {
    let curves = curves(value);
    if !curves.is_empty() {
        let plot = plots::latencies(&plots::coloured(curves))?;
        figure(page, "Latency", &plot);
    }
    for (name, caption, unit) in [
        ("rate", "Throughput", "messages a second"),
        (
            "relay_cpu_us_per_message",
            "CPU time of the relay for a message",
            "us",
        ),
        ("relay_memory_kib", "Memory of the relay", "KiB"),
    ] {
        let courses = course(value, name);
        if !courses.is_empty() {
            let plot = plots::courses(&plots::coloured(courses), unit)?;
            figure(page, caption, &plot);
        }
    }
    page.push_str("<details><summary>All figures</summary>\n<table>\n");
    for (name, figure) in figures(value) {
        let (name, figure) = (escaped(&name), escaped(&figure));
        let _ = writeln!(page, "<tr><td>{name}<td class=\"text\">{figure}");
    }
    page.push_str("</table></details>\n");
    Ok(())
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_page_needs_nothing_from_outside_and_takes_no_markup_from_a_file() {
        let value = json!({
            "name": "<script>alert(1)</script>",
            "latency_us": {"p50": 3, "curve": [[0.0, 1.0], [0.5, 3.0], [0.99, 30.0]]},
            "timeline": [{"at": 1.0, "rate": 10.0}, {"at": 2.0, "rate": 11.0}],
        });
        let documents = [("<x>".to_owned(), Document::Result(value))];
        let page = page(&documents).unwrap();
        assert!(!page.contains("<script") && !page.contains("<x>"), "{page}");
        assert!(page.contains("&lt;script&gt;") && page.contains("<svg "));
        assert_eq!(
            page.matches("http").count(),
            page.matches("http://www.w3.org/").count()
        );
        assert!(!page.contains("src=") && !page.contains("href="));
        assert_eq!(page.matches("<figure>").count(), 2);
    }
}
