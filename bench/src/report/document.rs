//! What a JSON file of the other modes holds.

use serde_json::Value;

use crate::compare::Comparison;
use crate::scenario::Outcomes;

/// One file.
pub enum Document {
    /// Of `compare`.
    Comparison(Box<Comparison>),
    /// Of `run`.
    Outcomes(Box<Outcomes>),
    /// Of a mode that measures one thing.
    Result(Value),
}

/// A curve or a course that is somewhere in a result.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Where it is, or whose it is.
    pub name: String,
    /// Its points.
    pub points: Vec<(f64, f64)>,
}

impl Document {
    /// Tells by its fields what it is.
    pub fn read(text: &str) -> Result<Document, String> {
        let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let told = |error: serde_json::Error| format!("not what this version writes: {error}");
        if value.get("rows").is_some() && value.get("turns").is_some() {
            let read = serde_json::from_value(value).map_err(told)?;
            return Ok(Document::Comparison(read));
        }
        if value.get("scenarios").is_some() {
            let read = serde_json::from_value(value).map_err(told)?;
            return Ok(Document::Outcomes(read));
        }
        match value.is_object() {
            true => Ok(Document::Result(value)),
            false => Err("no result of causeway-bench".to_owned()),
        }
    }
}

/// All latency curves in a result: how slow, by the part of all that were at most so slow.
pub fn curves(value: &Value) -> Vec<Series> {
    let mut found = Vec::new();
    walk(value, "", &mut |name, value| {
        if let Some(points) = value.get("curve").and_then(pairs) {
            found.push(Series {
                name: name.to_owned(),
                points,
            });
        }
    });
    found
}

/// A figure over time, in seconds, if a result has it.
pub fn course(value: &Value, figure: &str) -> Vec<Series> {
    let mut found = Vec::new();
    walk(value, "", &mut |name, value| {
        let Some(Value::Array(moments)) = value.get("timeline") else {
            return;
        };
        let point =
            |moment: &Value| Some((moment.get("at")?.as_f64()?, moment.get(figure)?.as_f64()?));
        let points: Vec<_> = moments.iter().filter_map(point).collect();
        if points.len() > 1 {
            let name = name.to_owned();
            found.push(Series { name, points });
        }
    });
    found
}

/// All figures of a result that stand alone, by where they are.
pub fn figures(value: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    walk(value, "", &mut |name, value| match value {
        Value::Number(number) => found.push((name.to_owned(), number_text(number))),
        Value::Bool(is_so) => found.push((name.to_owned(), is_so.to_string())),
        Value::String(text) => found.push((name.to_owned(), text.clone())),
        _ => {}
    });
    found
}

/// Meets every value but those of curves and courses.
fn walk<'a>(value: &'a Value, name: &str, meet: &mut dyn FnMut(&str, &'a Value)) {
    meet(name, value);
    if let Value::Object(fields) = value {
        for (key, field) in fields {
            if key != "curve" && key != "timeline" {
                let dot = if name.is_empty() { "" } else { "." };
                walk(field, &format!("{name}{dot}{key}"), meet);
            }
        }
    }
}

fn pairs(value: &Value) -> Option<Vec<(f64, f64)>> {
    let pair = |value: &Value| Some((value.get(0)?.as_f64()?, value.get(1)?.as_f64()?));
    value.as_array()?.iter().map(pair).collect()
}

fn number_text(number: &serde_json::Number) -> String {
    match number.as_f64() {
        Some(value) if value.fract() != 0.0 => format!("{value:.3}"),
        _ => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn curves_courses_and_figures_are_found_wherever_they_are() {
        let value = json!({
            "rate": 12.3456,
            "latency_us": {"p50": 3, "curve": [[0.0, 1.0], [0.5, 3.0]]},
            "timeline": [{"at": 1.0, "rate": 10.0}, {"at": 2.0, "rate": 11.0}],
            "other": {"timeline": [{"at": 1.0, "rate": 1.0}]},
        });
        let curves = curves(&value);
        assert_eq!(
            (&curves[0].name[..], curves[0].points[1]),
            ("latency_us", (0.5, 3.0))
        );
        let course = course(&value, "rate");
        assert_eq!((course.len(), course[0].points[1]), (1, (2.0, 11.0)));
        let figures = figures(&value);
        assert!(figures.contains(&("latency_us.p50".to_owned(), "3".to_owned())));
        assert!(figures.contains(&("rate".to_owned(), "12.346".to_owned())));
        assert_eq!(figures.len(), 2);
    }

    #[test]
    fn a_file_is_known_by_its_fields() {
        assert!(Document::read("[]").is_err());
        assert!(matches!(Document::read("{}"), Ok(Document::Result(_))));
        assert!(Document::read(r#"{"scenarios": 1}"#).is_err());
        let outcomes = r#"{"machine": {}, "scenarios": []}"#;
        assert!(matches!(
            Document::read(outcomes),
            Ok(Document::Outcomes(_))
        ));
    }
}
