//! What a scenario demands of a figure.

use std::fmt;

use serde_json::Value;

/// What must hold of one figure of a step's result. At least one bound is set.
#[derive(Debug, Clone, PartialEq)]
pub struct Demand {
    /// Where it stands in the JSON, names joined by points; never inside a list.
    pub figure: String,
    /// Not less.
    pub min: Option<f64>,
    /// Not more.
    pub max: Option<f64>,
    /// An earlier step: the bounds are then multiples of its same figure.
    pub times: Option<String>,
}

impl Demand {
    /// The figure in a result: a number, or whether something is so, as 1 or 0.
    pub fn figure_in(&self, result: &Value) -> Option<f64> {
        let mut value = result;
        for name in self.figure.split('.') {
            value = value.get(name)?;
        }
        number(value)
    }

    /// Whether it holds; `base` is the earlier step's figure.
    pub fn holds(&self, value: f64, base: Option<f64>) -> bool {
        let value = match (&self.times, base) {
            (None, _) => value,
            (Some(_), Some(base)) if base != 0.0 => value / base,
            (Some(_), _) => f64::NAN,
        };
        // A figure that is no number holds to nothing.
        value.is_finite()
            && self.min.is_none_or(|min| value >= min)
            && self.max.is_none_or(|max| value <= max)
    }
}

/// The names of all figures in a result.
pub fn figures(result: &Value) -> Vec<String> {
    match result {
        Value::Object(fields) => {
            let inner = fields.iter().flat_map(|(name, value)| {
                let inner = figures(value).into_iter();
                inner.map(move |inner| match inner.is_empty() {
                    true => name.clone(),
                    false => format!("{name}.{inner}"),
                })
            });
            inner.collect()
        }
        value => number(value).map(|_| String::new()).into_iter().collect(),
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Bool(is_so) => Some(f64::from(u8::from(*is_so))),
        Value::Number(number) => number.as_f64(),
        _ => None,
    }
}

impl fmt::Display for Demand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.min, self.max) {
            (Some(min), Some(max)) if min == max => write!(f, "= {min}")?,
            (Some(min), Some(max)) => write!(f, "{min} … {max}")?,
            (Some(min), None) => write!(f, ">= {min}")?,
            (None, Some(max)) => write!(f, "<= {max}")?,
            (None, None) => {}
        }
        self.times
            .as_ref()
            .map_or(Ok(()), |step| write!(f, " times that of \"{step}\""))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn demand(figure: &str, min: Option<f64>, max: Option<f64>, times: Option<&str>) -> Demand {
        let (figure, times) = (figure.to_owned(), times.map(str::to_owned));
        Demand {
            figure,
            min,
            max,
            times,
        }
    }

    #[test]
    fn a_figure_is_found_by_its_names() {
        let result = json!({"latency_us": {"p99": 12.5}, "rows": [{"ratio": 2}], "is_good": true, "text": "x"});
        assert_eq!(figures(&result), ["is_good", "latency_us.p99"]);
        let found = |figure: &str| demand(figure, None, None, None).figure_in(&result);
        assert_eq!(found("latency_us.p99"), Some(12.5));
        assert_eq!(found("is_good"), Some(1.0));
        assert_eq!(found("text"), None);
        assert_eq!(found("latency_us.p98"), None);
        assert_eq!(found("rows.0.ratio"), None);
    }

    #[test]
    fn bounds_hold_or_do_not() {
        let within = demand("x", Some(1.0), Some(2.0), None);
        assert!(within.holds(1.0, None) && within.holds(2.0, None));
        assert!(!within.holds(0.9, None) && !within.holds(2.1, None));
        assert!(!within.holds(f64::NAN, None));
        assert_eq!(within.to_string(), "1 … 2");
        let times = demand("x", None, Some(1.1), Some("alone"));
        assert!(times.holds(11.0, Some(10.0)) && !times.holds(12.0, Some(10.0)));
        assert!(!times.holds(0.0, Some(0.0)) && !times.holds(1.0, None));
        assert_eq!(times.to_string(), "<= 1.1 times that of \"alone\"");
        assert_eq!(demand("x", Some(0.0), Some(0.0), None).to_string(), "= 0");
    }
}
