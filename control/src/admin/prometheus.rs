//! The counters as Prometheus reads them.

use std::fmt::Write;

use crate::metrics::{Counter, Counters, Gauge, Gauges};

/// One number of the relay, on all its shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayNumber {
    /// Its name: lower case, underscores.
    pub name: &'static str,
    /// What it says, in one sentence.
    pub what: &'static str,
    /// Whether it goes up and down.
    pub is_gauge: bool,
    /// Its value on each shard.
    pub values: Vec<u64>,
}

/// The page: control's own numbers, then those of the relay, if one is attached.
pub fn page(counters: &Counters, gauges: &Gauges, relay: &[RelayNumber]) -> String {
    let mut page = String::new();
    for &gauge in Gauge::ALL {
        let name = format!("causeway_{}", gauge.name());
        head(&mut page, &name, gauge.what(), "gauge");
        line(&mut page, &name, None, gauges.value(gauge));
    }
    for &counter in Counter::ALL {
        let name = format!("causeway_{}_total", counter.name());
        head(&mut page, &name, counter.what(), "counter");
        line(&mut page, &name, None, counters.value(counter));
    }
    for number in relay {
        let (end, kind) = if number.is_gauge {
            ("", "gauge")
        } else {
            ("_total", "counter")
        };
        let name = format!("causeway_relay_shard_{}{end}", number.name);
        head(&mut page, &name, number.what, kind);
        for (shard, value) in number.values.iter().enumerate() {
            line(&mut page, &name, Some(shard), *value);
        }
    }
    page
}

fn head(page: &mut String, name: &str, what: &str, kind: &str) {
    // Writing to a string does not fail.
    let _ = writeln!(page, "# HELP {name} {what}\n# TYPE {name} {kind}");
}

fn line(page: &mut String, name: &str, shard: Option<usize>, value: u64) {
    let _ = match shard {
        Some(shard) => writeln!(page, "{name}{{shard=\"{shard}\"}} {value}"),
        None => writeln!(page, "{name} {value}"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_its_type_and_its_value() {
        let mut counters = Counters::default();
        counters.add(Counter::ScriptRuns);
        let mut gauges = Gauges::default();
        gauges.set(Gauge::Sessions, 3);
        let relay = RelayNumber {
            name: "legs_up",
            what: "Legs with a peer.",
            is_gauge: true,
            values: vec![4, 5],
        };
        let page = page(&counters, &gauges, &[relay]);
        assert!(page.contains("# TYPE causeway_sessions gauge\ncauseway_sessions 3\n"));
        assert!(page.contains("causeway_script_runs_total 1\n"));
        assert!(page.contains("causeway_relay_shard_legs_up{shard=\"1\"} 5\n"));
        let names = Gauge::ALL.len() + Counter::ALL.len() + 1;
        assert_eq!(page.matches("# TYPE").count(), names);
    }
}
