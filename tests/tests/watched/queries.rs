//! What a query asks for: enough of PromQL to find names and labels.

use serde_json::Value;
use tonic::Code;
use transport::status::code_name;

use super::exposition::Metrics;

/// What a query names.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Query {
    /// Each series with its matchers.
    pub(crate) series: Vec<(String, Vec<Matcher>)>,
    /// Labels that it groups by or matches on.
    pub(crate) grouping: Vec<String>,
}

/// Label, operator, value.
type Matcher = (String, String, String);

/// The queries of a Grafana dashboard.
pub(crate) fn of_dashboard(json: &str) -> Vec<String> {
    fn collect(value: &Value, queries: &mut Vec<String>) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| collect(item, queries)),
            Value::Object(members) => {
                for (name, member) in members {
                    match member.as_str() {
                        Some(query) if name == "expr" => queries.push(query.to_owned()),
                        _ => collect(member, queries),
                    }
                }
            }
            _ => {}
        }
    }
    let mut queries = Vec::new();
    collect(&serde_json::from_str(json).unwrap(), &mut queries);
    queries
}

/// The queries of a file of rules: what follows `expr:`, on its line or folded below it.
pub(crate) fn of_rules(yaml: &str) -> Vec<String> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut lines = yaml.lines().peekable();
    let mut queries = Vec::new();
    while let Some(line) = lines.next() {
        let Some(query) = line.trim_start().strip_prefix("expr:") else { continue };
        let mut query = query.trim().to_owned();
        if query == ">-" {
            query.clear();
            while let Some(more) = lines.next_if(|more| indent(more) > indent(line)) {
                query = format!("{query} {}", more.trim());
            }
        }
        queries.push(query);
    }
    queries
}

impl Query {
    /// Reads a query.
    pub(crate) fn scan(text: &str) -> Self {
        let tokens = tokens(text);
        let mut query = Self::default();
        let mut at = 0;
        while at < tokens.len() {
            let (token, next) = (tokens[at].as_str(), tokens.get(at + 1).map(String::as_str));
            at += 1;
            if token == "[" {
                at += tokens[at..].iter().position(|token| token == "]").unwrap() + 1;
            } else if GROUPING.contains(&token) && next == Some("(") {
                let end = at + tokens[at..].iter().position(|token| token == ")").unwrap();
                let labels = tokens[at + 1..end].iter().filter(|token| *token != ",");
                query.grouping.extend(labels.cloned());
                at = end + 1;
            } else if is_name(token) && next != Some("(") && !next.is_some_and(is_grouping) {
                if KEYWORDS.contains(&token) {
                    continue;
                }
                let mut matchers = Vec::new();
                if next == Some("{") {
                    let end = at + tokens[at..].iter().position(|token| token == "}").unwrap();
                    for matcher in tokens[at + 1..end].split(|token| token == ",") {
                        let [label, operator, value] = matcher else {
                            panic!("{matcher:?} in {text}");
                        };
                        let value = value.trim_matches('"').to_owned();
                        matchers.push((label.clone(), operator.clone(), value));
                    }
                    at = end + 1;
                }
                query.series.push((token.to_owned(), matchers));
            }
        }
        query
    }

    /// What it asks for and `metrics` does not have.
    pub(crate) fn missing<'a>(&'a self, metrics: &'a Metrics) -> impl Iterator<Item = String> + 'a {
        let series = self.series.iter().flat_map(|(name, matchers)| {
            let known = metrics.series(name);
            let unknown = (known.is_none() && name != UP).then(|| name.clone());
            let labels = matchers.iter().filter(|(label, ..)| !is_scrapers(label));
            let missing = labels.filter_map(move |(label, operator, value)| {
                let values = known?.get(label);
                let Some(values) = values else { return Some(format!("{name}{{{label}}}")) };
                // A code is there from its first call on.
                let is_there =
                    |value: &str| values.contains(value) || (label == "code" && is_code(value));
                let all_there = match operator.as_str() {
                    "=~" | "!~" => value.split('|').all(is_there),
                    _ => is_there(value),
                };
                (!all_there).then(|| format!("{name}{{{label}{operator}{value:?}}}"))
            });
            unknown.into_iter().chain(missing)
        });
        let grouping = self.grouping.iter().filter(|label| !is_scrapers(label)).filter(|label| {
            !self.series.iter().any(|(name, _)| {
                metrics.series(name).is_some_and(|labels| labels.contains_key(*label))
            })
        });
        series.chain(grouping.map(|label| format!("the label {label}")))
    }
}

fn is_code(value: &str) -> bool {
    (0..=16).any(|number| code_name(Code::from_i32(number)) == value)
}

/// Labels that Prometheus gives to whatever it scrapes.
fn is_scrapers(label: &str) -> bool {
    ["instance", "job"].contains(&label)
}

fn is_name(token: &str) -> bool {
    token.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
}

fn is_grouping(token: &str) -> bool {
    GROUPING.contains(&token)
}

/// Names, strings, numbers with their units, and marks.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '.' | '$');
        let length = if first == '"' {
            rest[1..].find('"').unwrap() + 2
        } else if word(first) {
            rest.find(|c| !word(c)).unwrap_or(rest.len())
        } else if ["=~", "!~", "!=", "==", ">=", "<="].iter().any(|mark| rest.starts_with(mark)) {
            2
        } else {
            first.len_utf8()
        };
        let (token, after) = rest.split_at(length);
        tokens.push(token.to_owned());
        rest = after.trim_start();
    }
    tokens
}

/// Made by Prometheus for each target.
const UP: &str = "up";
const GROUPING: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];
const KEYWORDS: [&str; 6] = ["and", "or", "unless", "offset", "bool", "atan2"];
#[test]
fn names_and_labels_are_found() {
    let query = Query::scan(
        "histogram_quantile(0.99, sum by (le, x) (rate(a_bucket{m=\"p.Q/R\",i=~\"$i\"}[5m]))) > 1 \
         and on (job) b offset 5m or time() - c",
    );
    let matcher = |label: &str, operator: &str, value: &str| {
        (label.to_owned(), operator.to_owned(), value.to_owned())
    };
    let matchers = vec![matcher("m", "=", "p.Q/R"), matcher("i", "=~", "$i")];
    let series =
        vec![("a_bucket".to_owned(), matchers), ("b".into(), vec![]), ("c".into(), vec![])];
    assert_eq!(query, Query { series, grouping: vec!["le".into(), "x".into(), "job".into()] });
}

#[test]
fn what_is_not_there_is_missing() {
    let mut metrics = Metrics::default();
    metrics.read("a_total{code=\"OK\",x=\"1\"} 1\n");
    let missing = |text: &str| Query::scan(text).missing(&metrics).collect::<Vec<_>>();
    assert_eq!(missing("sum by (x, job) (rate(a_total{x=\"1\",code=\"INTERNAL\"}[5m]))"), [""; 0]);
    assert_eq!(missing("rate(b_total[5m])"), ["b_total"]);
    assert_eq!(missing("a_total{z=\"1\"}"), ["a_total{z}"]);
    assert_eq!(missing("a_total{x=~\"1|2\"}"), ["a_total{x=~\"1|2\"}"]);
    assert_eq!(missing("a_total{code=\"FINE\"}"), ["a_total{code=\"FINE\"}"]);
    assert_eq!(missing("sum by (z) (a_total)"), ["the label z"]);
}

#[test]
fn queries_are_found_in_their_files() {
    let rules = "- alert: A\n  expr: a > 1\n- alert: B\n  expr: >-\n    b\n    > 2\n  for: 1m\n";
    assert_eq!(of_rules(rules), ["a > 1", " b > 2"]);
    let dashboard =
        r#"{"panels": [{"targets": [{"expr": "a"}, {"expr": "b"}]}, {"x": {"expr": "c"}}]}"#;
    assert_eq!(of_dashboard(dashboard), ["a", "b", "c"]);
}
