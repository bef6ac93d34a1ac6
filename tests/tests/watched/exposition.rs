//! What a service tells: Prometheus' text format.

use std::collections::{BTreeMap, BTreeSet};

/// Names of series, and the values of their labels.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    series: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
    families: BTreeSet<String>,
}

impl Metrics {
    /// Adds what a scrape gave.
    pub(crate) fn read(&mut self, text: &str) {
        for line in text.lines() {
            if let Some(family) = line.strip_prefix("# TYPE ") {
                self.families.insert(family.split(' ').next().unwrap().to_owned());
            } else if !line.starts_with('#') && !line.is_empty() {
                let (series, value) = line.rsplit_once(' ').unwrap();
                value.parse::<f64>().unwrap();
                let (name, labels) = series.split_once('{').unwrap_or((series, ""));
                let known = self.series.entry(name.to_owned()).or_default();
                for (label, value) in labels_of(labels.trim_end_matches('}')) {
                    known.entry(label).or_default().insert(value);
                }
            }
        }
    }

    /// The labels of a series, and their values.
    pub(crate) fn series(&self, name: &str) -> Option<&BTreeMap<String, BTreeSet<String>>> {
        self.series.get(name)
    }

    pub(crate) fn families(&self) -> impl Iterator<Item = &str> {
        self.families.iter().map(String::as_str)
    }
}

/// `a="b",c="d"`; no value of ours holds a quote.
fn labels_of(labels: &str) -> impl Iterator<Item = (String, String)> {
    labels.split("\",").filter(|label| !label.is_empty()).map(|label| {
        let (name, value) = label.split_once("=\"").unwrap();
        (name.to_owned(), value.trim_end_matches('"').to_owned())
    })
}

#[test]
fn series_and_labels_are_read() {
    let mut metrics = Metrics::default();
    metrics.read("# HELP a_total x\n# TYPE a_total counter\na_total{x=\"1\",y=\"p/q\"} 3\nb 0.5\n");
    assert_eq!(metrics.families().collect::<Vec<_>>(), ["a_total"]);
    assert!(metrics.series("a_total").unwrap()["y"].contains("p/q"));
    assert!(metrics.series("b").unwrap().is_empty());
    assert!(metrics.series("c").is_none());
}
