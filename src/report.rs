//! A page about a training run: one self-contained HTML file with the log, the training, the figures, and examples
//! with their explanations.

mod examples;
mod html;

pub use examples::{Advice, Example, Named, Past, examples};

use crate::data::{DataReport, Dataset, LengthBin, Log, Negatives, Sample, date, grouped};
use crate::metrics::Estimate;
use crate::plot::{Chart, HeatMap, Histogram, Series};
use crate::train::evaluate::{Scorer, sampled_auc};
use crate::train::fit::EpochReport;
use html::{Escaped, page, plots, table};

/// Bars of the histogram of times.
const TIME_BARS: i64 = 24;
/// Events of a heat map.
const HEAT_ROWS: usize = 24;

/// A number of an epoch.
type Value = fn(&EpochReport) -> f64;

/// What the page tells.
#[derive(Clone, Debug)]
pub struct Report<'a> {
    /// Its heading.
    pub title: String,
    /// Name and value of what is worth knowing at first sight.
    pub facts: Vec<(String, String)>,
    /// The log.
    pub log: &'a Log,
    /// What the epochs' AUC is measured on.
    pub measured_on: &'a str,
    /// The epochs.
    pub epochs: &'a [EpochReport],
    /// What was measured: the model and its rivals.
    pub measured: Vec<String>,
    /// The final figures: name, and one of each that was measured.
    pub figures: Vec<Vec<String>>,
    /// How the model was picked and what the figures are worth.
    pub remarks: Vec<String>,
    /// AUC by the length of the history, from [`auc_by_length`].
    pub by_length: Vec<LengthAuc>,
    /// Users with recommendations; none for models that the scorer does not know.
    pub examples: Vec<Example>,
    /// All settings as TOML.
    pub settings: String,
}

/// The AUC of the users with histories of some length.
#[derive(Clone, Debug)]
pub struct LengthAuc {
    /// Events before the test event, and how many users have so many.
    pub bin: LengthBin,
    /// Their AUC.
    pub auc: Estimate,
}

/// The AUC (eq 23, `count` negatives a user) of the test samples by the length of their histories; the lengths double.
pub fn auc_by_length(
    scorer: &mut impl Scorer,
    dataset: &Dataset,
    negatives: &Negatives,
    test: &[Sample],
    count: usize,
    seed: u64,
) -> Vec<LengthAuc> {
    let longest = test.iter().map(|sample| sample.target as usize).max().unwrap_or(0);
    let (mut out, mut from) = (Vec::new(), 1);
    while from <= longest {
        let to = 2 * from - 1;
        let group: Vec<Sample> =
            test.iter().copied().filter(|sample| (from..=to).contains(&(sample.target as usize))).collect();
        if !group.is_empty() {
            let bin = LengthBin { from, to, users: group.len() };
            out.push(LengthAuc { bin, auc: sampled_auc(scorer, dataset, negatives, &group, count, seed) });
        }
        from = to + 1;
    }
    out
}

impl Report<'_> {
    /// The page.
    pub fn html(&self) -> String {
        let mut body = table(&[], &pairs(&self.facts), false);
        body += "<h2>Figures</h2>\n";
        let head: Vec<&str> = std::iter::once("").chain(self.measured.iter().map(String::as_str)).collect();
        body += &table(&head, &self.figures, true);
        self.remarks.iter().for_each(|remark| body += &format!("<p>{}</p>\n", Escaped(remark)));
        body += "<h2>Training</h2>\n";
        body += &plots(&self.training());
        body += "<h2>The log</h2>\n";
        let data = DataReport::new(self.log);
        body += &plots(&self.histograms(&data));
        body += &format!("<pre>{}</pre>\n", Escaped(&data.to_string()));
        if !self.examples.is_empty() {
            body += "<h2>Examples</h2>\n<p>Users before their test event, evenly spread over the test set: what they had, \
                     what the model recommends then, and which events carried each recommendation (the share of the \
                     attention that leads back to them).</p>\n";
            self.examples.iter().for_each(|example| body += &self.example(example));
        }
        body += &format!("<h2>Settings</h2>\n<pre>{}</pre>\n", Escaped(&self.settings));
        page(&self.title, &body)
    }

    fn training(&self) -> Vec<String> {
        let line = |name: &str, value: Value, error: Value| Series {
            name: name.into(),
            points: self.epochs.iter().map(|e| (e.epoch as f64, value(e))).collect(),
            errors: self.epochs.iter().map(error).collect(),
        };
        let chart = |title: &str, y_label: &str, series| Chart {
            title: title.into(),
            x_label: "epoch".into(),
            y_label: y_label.into(),
            series,
            ..Chart::default()
        };
        let none: Value = |_| 0.0;
        let auc = line("", |e| e.auc.mean, |e| e.auc.se);
        let rank = [line("weighted sum", |e| e.loss, none), line("ranking loss", |e| e.terms.rank, none)];
        let mut out = vec![
            chart(&format!("AUC on the {} set, ± standard error", self.measured_on), "AUC", vec![auc]).svg(),
            chart("Loss", "mean over the epoch", rank.to_vec()).svg(),
        ];
        let terms: [(&str, Value); 3] = [
            ("Redundancy of the hops (before its weight)", |e| e.terms.penalty),
            ("L2 (before its weight)", |e| e.terms.l2),
            ("L2 of dense weights (before its weight)", |e| e.terms.l2_dense),
        ];
        for (title, value) in terms {
            if self.epochs.iter().any(|e| value(e) != 0.0) {
                out.push(chart(title, "mean over the epoch", vec![line("", value, none)]).svg());
            }
        }
        if !self.by_length.is_empty() {
            let bars = self.by_length.iter().map(|group| (group.bin.range(), group.auc.mean));
            let title = "AUC on the test set by the length of the history".into();
            let (x_label, y_label) = ("events before the test event".into(), "AUC".into());
            out.push(Histogram { title, x_label, y_label, bars: bars.collect() }.svg());
        }
        out
    }

    fn histograms(&self, data: &DataReport) -> Vec<String> {
        let lengths = data.lengths.iter().flat_map(|lengths| &lengths.histogram);
        let mut out = vec![
            Histogram {
                title: "Users by their number of events".into(),
                x_label: "events".into(),
                y_label: "users".into(),
                bars: lengths.map(|bin| (bin.range(), bin.users as f64)).collect(),
            }
            .svg(),
        ];
        if let Some(time) = &data.time {
            let bars = times(&self.log.dataset, time.first, time.last);
            let (x_label, y_label) = ("from".into(), "events".into());
            out.push(Histogram { title: "Events by time".into(), x_label, y_label, bars }.svg());
        }
        out
    }

    fn example(&self, example: &Example) -> String {
        let shown = |what: &Named| match &what.category {
            Some(category) => format!("{} ({category})", what.item),
            None => what.item.clone(),
        };
        let place = |at: usize| format!("{}. {}", at + 1, shown(&example.history[at].what));
        let mut out = format!("<h3>User {}</h3>\n", Escaped(&example.user));
        let hidden = example.history.len().saturating_sub(HEAT_ROWS);
        out += &format!("<p class=\"quiet\">{} events", grouped(example.history.len()));
        out += &if hidden > 0 { format!(", the latest {HEAT_ROWS} of them here.</p>\n") } else { ".</p>\n".into() };
        let history = example
            .history
            .iter()
            .enumerate()
            .skip(hidden)
            .map(|(at, past)| vec![(at + 1).to_string(), shown(&past.what), past.day.clone().unwrap_or_default()]);
        out += &table(&["", "had", ""], &history.collect::<Vec<_>>(), false);
        out += "<div class=\"wide\"><table>\n<thead><tr><th></th><th>recommended</th><th>score</th><th>carried by</th></tr></thead>\n";
        for (rank, advice) in (1..).zip(&example.advice) {
            let because: Vec<String> =
                advice.because.iter().map(|(at, share)| format!("{:.0} % {}", 100.0 * share, place(*at))).collect();
            let (class, mark) = if advice.hit { (" class=\"hit\"", " — came next") } else { ("", "") };
            out += &format!(
                "<tr{class}><td>{rank}</td><td>{}{mark}</td><td class=\"n\">{:.3}</td><td>{}</td></tr>\n",
                Escaped(&shown(&advice.what)),
                advice.score,
                Escaped(&because.join("; ")),
            );
        }
        out += &format!("</table></div>\n<p>What came next: {}</p>\n", Escaped(&shown(&example.next)));
        let mut pictures = Vec::new();
        if let Some((_, first)) = example.attention.first() {
            let hidden = example.attention.len().saturating_sub(HEAT_ROWS);
            let rows = example.attention.iter().skip(hidden);
            let rows = rows.map(|(at, row)| (place(*at), row.iter().map(|a| f64::from(*a)).collect())).collect();
            let columns = (1..=first.len()).map(|hop| hop.to_string()).collect();
            pictures.push(HeatMap { title: "A: where each hop looks".into(), columns, rows }.svg());
        }
        if !example.dimensions.is_empty() {
            let bar = |(dimension, focus, row): &(usize, f32, usize)| {
                (format!("{dimension} → {}", row + 1), f64::from(*focus))
            };
            pictures.push(
                Histogram {
                    title: "Beta: dimensions that choose most clearly (first recommendation)".into(),
                    x_label: "dimension → hop chosen".into(),
                    y_label: "largest weight".into(),
                    bars: example.dimensions.iter().map(bar).collect(),
                }
                .svg(),
            );
        }
        out + &plots(&pictures)
    }
}

fn pairs(facts: &[(String, String)]) -> Vec<Vec<String>> {
    facts.iter().map(|(name, value)| vec![name.clone(), value.clone()]).collect()
}

/// Events in equal parts of the time from `first` to `last`.
fn times(dataset: &Dataset, first: i64, last: i64) -> Vec<(String, f64)> {
    // Times may be any 64-bit numbers.
    let (first, last) = (i128::from(first), i128::from(last));
    let width = ((last - first) / i128::from(TIME_BARS) + 1).max(1);
    let bars = (last - first) / width + 1;
    let mut counts = vec![0.0; bars as usize];
    for user in 0..dataset.users() as u32 {
        for time in dataset.history(user).times {
            counts[((i128::from(*time) - first) / width) as usize] += 1.0;
        }
    }
    let label = |at: usize| {
        i64::try_from(first + width * at as i128).map_or_else(|_| String::new(), |from| date(from)[..7].to_owned())
    };
    counts.iter().enumerate().map(|(at, count)| (label(at), *count)).collect()
}
