//! Figures in Prometheus's text format, version 0.0.4: families of samples as data, and the one
//! place that writes them down.

use std::fmt::Write as _;

use crate::base::tally::Buckets;

/// What the format is called.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// What all names of our own begin with.
#[cfg(test)]
pub(crate) const PREFIX: &str = "barnacle_";

/// What a family's values do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// They rise, and begin anew with the process.
    Counter,
    /// They rise and fall.
    Gauge,
    /// They count spans of time by their length.
    Histogram,
}

/// Samples of one name.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Family {
    /// With its unit at the end, and `_total` if it counts.
    pub(crate) name: &'static str,
    /// What its values do.
    pub(crate) kind: Kind,
    /// What it says, in a sentence.
    pub(crate) help: &'static str,
    /// Its samples, which differ in their labels.
    pub(crate) samples: Vec<Sample>,
}

/// One figure.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Sample {
    /// What tells it from the others of its family.
    pub(crate) labels: Vec<(&'static str, String)>,
    /// How much.
    pub(crate) value: Figure,
}

/// How much.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Figure {
    /// A whole number.
    Count(u64),
    /// Any number.
    Number(f64),
    /// A histogram.
    Spans(Buckets),
}

impl Family {
    /// A family without samples.
    pub(crate) fn new(name: &'static str, kind: Kind, help: &'static str) -> Family {
        Family { name, kind, help, samples: Vec::new() }
    }

    /// With one more sample.
    pub(crate) fn with(mut self, labels: &[(&'static str, &str)], value: Figure) -> Family {
        self.add(labels, value);
        self
    }

    /// Adds a sample.
    pub(crate) fn add(&mut self, labels: &[(&'static str, &str)], value: Figure) {
        let labels = labels.iter().map(|&(name, value)| (name, value.to_owned())).collect();
        self.samples.push(Sample { labels, value });
    }
}

/// All of them, written down; those without samples too, so that it can be seen what there is.
pub(crate) fn render(families: &[Family]) -> String {
    let mut out = String::new();
    for Family { name, kind, help, samples } in families {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for Sample { labels, value } in samples {
            match value {
                Figure::Count(count) => line(&mut out, name, "", labels, None, *count),
                Figure::Number(number) => line(&mut out, name, "", labels, None, *number),
                Figure::Spans(buckets) => histogram(&mut out, name, labels, buckets),
            }
        }
    }
    out
}

type Labels = [(&'static str, String)];

/// Each bucket counts what the smaller ones do, and what is new in it.
fn histogram(out: &mut String, name: &str, labels: &Labels, buckets: &Buckets) {
    let mut total = 0;
    for (place, count) in buckets.counts.iter().enumerate() {
        total += count;
        let bound = buckets.bounds_ms.get(place).map(|&ms| Bound(ms).to_string());
        let bound = bound.unwrap_or_else(|| "+Inf".into());
        line(out, name, "_bucket", labels, Some(&bound), total);
    }
    line(out, name, "_sum", labels, None, buckets.sum.as_secs_f64());
    line(out, name, "_count", labels, None, total);
}

/// Milliseconds as seconds.
struct Bound(u64);

impl std::fmt::Display for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (seconds, ms) = (self.0 / 1000, self.0 % 1000);
        if ms == 0 {
            return write!(f, "{seconds}.0");
        }
        let text = format!("{seconds}.{ms:03}");
        f.write_str(text.trim_end_matches('0'))
    }
}

fn line(
    out: &mut String,
    name: &str,
    suffix: &str,
    labels: &Labels,
    bound: Option<&str>,
    value: impl std::fmt::Display,
) {
    let _ = write!(out, "{name}{suffix}");
    let labels = labels.iter().map(|(name, value)| (*name, value.as_str()));
    let mut separator = '{';
    for (name, value) in labels.chain(bound.map(|bound| ("le", bound))) {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let _ = write!(out, "{separator}{name}=\"{value}\"");
        separator = ',';
    }
    let _ = writeln!(out, "{} {value}", if separator == ',' { "}" } else { "" });
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_family_is_told_with_its_help_and_its_kind() {
        let family = Family::new("x_total", Kind::Counter, "What\nis counted.")
            .with(&[("cause", "a\"b\\c\nd"), ("n", "1")], Figure::Count(3))
            .with(&[], Figure::Number(0.5));
        let text = "# HELP x_total What\\nis counted.\n# TYPE x_total counter\n\
            x_total{cause=\"a\\\"b\\\\c\\nd\",n=\"1\"} 3\nx_total 0.5\n";
        assert_eq!(render(&[family]), text);
        let text = "# HELP empty Nothing.\n# TYPE empty gauge\n";
        assert_eq!(render(&[Family::new("empty", Kind::Gauge, "Nothing.")]), text);
    }

    #[test]
    fn a_histograms_buckets_add_up() {
        let buckets = Buckets {
            bounds_ms: &[5, 1000, 2500],
            counts: vec![1, 0, 2, 4],
            sum: Duration::from_millis(12_250),
        };
        let family = Family::new("x_seconds", Kind::Histogram, "Spans.")
            .with(&[("a", "b")], Figure::Spans(buckets));
        let text = "# HELP x_seconds Spans.\n# TYPE x_seconds histogram\n\
            x_seconds_bucket{a=\"b\",le=\"0.005\"} 1\n\
            x_seconds_bucket{a=\"b\",le=\"1.0\"} 1\n\
            x_seconds_bucket{a=\"b\",le=\"2.5\"} 3\n\
            x_seconds_bucket{a=\"b\",le=\"+Inf\"} 7\n\
            x_seconds_sum{a=\"b\"} 12.25\n\
            x_seconds_count{a=\"b\"} 7\n";
        assert_eq!(render(&[family]), text);
    }
}
