//! Charts as SVG text: lines with error bars, and bars. Colours that colour-blind people can tell apart, each series also
//! with a marker of its own shape; text that is legible when a page shows the chart 400 pixels wide.
//!
//! ```
//! use dmran::plot::{Chart, Series};
//! let auc = Series { name: "DMRAN".into(), points: vec![(1.0, 0.76), (2.0, 0.8)], errors: vec![0.002, 0.003] };
//! let chart = Chart { title: "AUC".into(), x_label: "epoch".into(), series: vec![auc], ..Chart::default() };
//! assert!(chart.svg().starts_with("<svg "));
//! ```

mod axis;
mod heat_map;

use axis::{Axis, shown};
pub use heat_map::HeatMap;
use plotters::backend::SVGBackend;
use plotters::coord::Shift;
use plotters::coord::ranged1d::IntoSegmentedCoord;
use plotters::prelude::{
    ChartBuilder, Circle, Cross, DrawingArea, IntoDrawingArea, IntoFont, PathElement, Rectangle, SegmentValue, Text,
    TriangleMarker,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{BLACK, Color, RGBColor, ShapeStyle, TextStyle, WHITE};

/// Points of a line, with what they may be off by.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// Name in the legend.
    pub name: String,
    /// Points (x, y) in the order in which the line runs; what is not finite is left out.
    pub points: Vec<(f64, f64)>,
    /// Half the length of each point's error bar; empty = no bars. Where it is not finite there is none.
    pub errors: Vec<f64>,
}

/// A line chart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chart {
    /// Above the chart.
    pub title: String,
    /// Under the horizontal axis.
    pub x_label: String,
    /// Beside the vertical axis.
    pub y_label: String,
    /// The lines. With more than one, or one that has a name, there is a legend.
    pub series: Vec<Series>,
    /// Points without lines between them.
    pub scattered: bool,
    /// Whether the horizontal axis counts powers; points with x <= 0 are then left out.
    pub log_x: bool,
}

/// Bars that begin at 0: a histogram, or figures by category.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// Above the chart.
    pub title: String,
    /// Under the horizontal axis.
    pub x_label: String,
    /// Beside the vertical axis.
    pub y_label: String,
    /// Label and height of each bar. Negative heights and heights that are not finite are drawn as 0.
    pub bars: Vec<(String, f64)>,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Pixel = (i32, i32);

/// Okabe and Ito's palette without its yellow, which is too pale for lines on white.
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 0, 0),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 158, 115),
    RGBColor(213, 94, 0),
    RGBColor(0, 114, 178),
    RGBColor(204, 121, 167),
];
/// Size of a chart without its legend.
const SIZE: (u32, u32) = (520, 340);
/// Space between a chart and its legend.
const LEGEND_GAP: u32 = 8;
/// Height of a row of the legend.
const LEGEND_ROW: u32 = 20;
const FONT: f64 = 15.0;
/// More labels than this under bars would run into each other.
const MOST_BAR_LABELS: usize = 10;
/// Drawing into a text has no way to fail.
const IN_MEMORY: &str = "an SVG is drawn in memory";

impl Chart {
    /// The chart as one `<svg>` element.
    pub fn svg(&self) -> String {
        let series: Vec<Series> = self.series.iter().map(|s| self.drawable(s)).collect();
        let legend = series.len() > 1 || series.iter().any(|s| !s.name.is_empty());
        let rows = if legend { series.len().div_ceil(2) as u32 } else { 0 };
        let below = if legend { LEGEND_GAP + rows * LEGEND_ROW } else { 0 };
        document(&self.title, (SIZE.0, SIZE.1 + below), |root| {
            let (area, below) = root.split_vertically(SIZE.1);
            self.draw(&area, &series);
            for (i, series) in series.iter().enumerate().take(if legend { usize::MAX } else { 0 }) {
                let at = (
                    16 + (i as i32 % 2) * 250,
                    (i as i32 / 2) * LEGEND_ROW as i32 + (LEGEND_GAP + LEGEND_ROW / 2) as i32 - 4,
                );
                line(&below, &[at, (at.0 + 28, at.1)], i);
                marker(&below, (at.0 + 14, at.1), i);
                text(&below, &series.name, (at.0 + 36, at.1), FONT, HPos::Left);
            }
        })
    }

    /// A series as it is drawn: finite points only, x as its logarithm where the axis counts powers.
    fn drawable(&self, series: &Series) -> Series {
        let mut out = Series { name: series.name.clone(), ..Series::default() };
        for (i, &(x, y)) in series.points.iter().enumerate() {
            let x = if self.log_x { x.log10() } else { x };
            if x.is_finite() && y.is_finite() {
                out.points.push((x, y));
                out.errors.push(series.errors.get(i).copied().filter(|e| e.is_finite()).unwrap_or(0.0));
            }
        }
        out
    }

    fn draw(&self, area: &Area<'_>, series: &[Series]) {
        let all = || series.iter().flat_map(|s| s.points.iter().zip(&s.errors));
        let x = Axis::of(all().map(|((x, _), _)| *x));
        let y = Axis::of(all().flat_map(|((_, y), e)| [y - e, y + e]));
        let mut chart = frame(area).build_cartesian_2d(x.range(), y.range()).expect(IN_MEMORY);
        let whole = !self.log_x && all().all(|((x, _), _)| x.fract() == 0.0);
        let labels = if whole { (x.span() as usize).saturating_add(1).clamp(2, 10) } else { 8 };
        chart
            .configure_mesh()
            .x_labels(labels)
            .y_labels(7)
            .x_label_formatter(&|value| if self.log_x { shown(10f64.powf(*value), 0.0) } else { x.label(*value) })
            .y_label_formatter(&|value| y.label(*value))
            .x_desc(&*self.x_label)
            .y_desc(&*self.y_label)
            .label_style(("sans-serif", FONT - 1.0))
            .axis_desc_style(("sans-serif", FONT))
            .bold_line_style(BLACK.mix(0.15))
            .light_line_style(WHITE)
            .draw()
            .expect(IN_MEMORY);
        let root = area.strip_coord_spec();
        let (left, top) = root.get_base_pixel();
        let pixel = |x, y| {
            let at = chart.backend_coord(&(x, y));
            (at.0 - left, at.1 - top)
        };
        // Error bars at one x stand side by side, as far apart as leaves them nearer to their own x than to the next.
        let mut xs: Vec<f64> = all().map(|((x, _), _)| *x).collect();
        xs.sort_by(f64::total_cmp);
        let gap = xs.windows(2).map(|w| w[1] - w[0]).filter(|gap| *gap > 0.0).fold(f64::INFINITY, f64::min);
        let space = gap / x.span() * f64::from(SIZE.0);
        let step =
            if all().any(|(_, error)| *error > 0.0) { (space / 2.0 / series.len() as f64).min(3.0) } else { 0.0 };
        for (i, s) in series.iter().enumerate() {
            let aside = (step * (i as f64 - (series.len() - 1) as f64 / 2.0)).round() as i32;
            let pixel = |x, y| {
                let at = pixel(x, y);
                (at.0 + aside, at.1)
            };
            let points: Vec<Pixel> = s.points.iter().map(|&(x, y)| pixel(x, y)).collect();
            if !self.scattered {
                line(&root, &points, i);
            }
            for ((&(x, y), &error), &at) in s.points.iter().zip(&s.errors).zip(&points) {
                if error > 0.0 {
                    let (low, high) = (pixel(x, y - error), pixel(x, y + error));
                    line(&root, &[low, high], i);
                    for end in [low, high] {
                        line(&root, &[(end.0 - 4, end.1), (end.0 + 4, end.1)], i);
                    }
                }
                marker(&root, at, i);
            }
        }
    }
}

impl Histogram {
    /// The chart as one `<svg>` element.
    pub fn svg(&self) -> String {
        document(&self.title, SIZE, |root| {
            let heights: Vec<f64> =
                self.bars.iter().map(|(_, h)| if h.is_finite() { h.max(0.0) } else { 0.0 }).collect();
            let y = Axis::of(heights.iter().copied().chain([0.0]));
            let last = self.bars.len().max(1) as i32 - 1;
            let across = (0..last).into_segmented();
            let mut chart = frame(root).build_cartesian_2d(across, 0.0..y.range().end).expect(IN_MEMORY);
            let every = self.bars.len().div_ceil(MOST_BAR_LABELS).max(1);
            chart
                .configure_mesh()
                .disable_x_mesh()
                .x_labels(self.bars.len().max(1))
                .y_labels(7)
                .x_label_formatter(&|at| match at {
                    SegmentValue::CenterOf(i) if (*i as usize).is_multiple_of(every) => {
                        self.bars.get(*i as usize).map(|(label, _)| label.clone()).unwrap_or_default()
                    }
                    _ => String::new(),
                })
                .y_label_formatter(&|value| y.label(*value))
                .x_desc(&*self.x_label)
                .y_desc(&*self.y_label)
                .label_style(("sans-serif", FONT - 1.0))
                .axis_desc_style(("sans-serif", FONT))
                .bold_line_style(BLACK.mix(0.15))
                .light_line_style(WHITE)
                .draw()
                .expect(IN_MEMORY);
            let bars = heights.iter().enumerate().map(|(i, height)| {
                let (from, to) = (SegmentValue::Exact(i as i32), SegmentValue::Exact(i as i32 + 1));
                let mut bar = Rectangle::new([(from, 0.0), (to, *height)], COLOURS[5].filled());
                bar.set_margin(0, 0, 2, 2);
                bar
            });
            chart.draw_series(bars).expect(IN_MEMORY);
        })
    }
}

/// An SVG of some size with a title, which screen readers read too; it shrinks with the page.
fn document(title: &str, size: (u32, u32), draw: impl FnOnce(&Area<'_>)) -> String {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        root.fill(&WHITE).expect(IN_MEMORY);
        // As large as fits.
        let font = (1.7 * f64::from(size.0) / title.chars().count().max(1) as f64).clamp(9.0, FONT + 2.0);
        text(&root, title, (size.0 as i32 / 2, 16), font, HPos::Center);
        draw(&root);
        root.present().expect(IN_MEMORY);
    }
    let (tag, rest) = svg.split_once('>').unwrap_or(("<svg", ""));
    let escaped = title.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!("{tag} role=\"img\" style=\"max-width:100%;height:auto\">\n<title>{escaped}</title>{rest}")
}

fn frame<'a, 'b>(area: &'a Area<'b>) -> ChartBuilder<'a, 'b, SVGBackend<'b>> {
    let mut builder = ChartBuilder::on(area);
    builder.margin_top(34).margin_right(16).margin_left(4).x_label_area_size(46).y_label_area_size(66);
    builder
}

fn style(i: usize) -> ShapeStyle {
    COLOURS[i % COLOURS.len()].stroke_width(2)
}

fn line(area: &Area<'_>, points: &[Pixel], i: usize) {
    area.draw(&PathElement::new(points.to_vec(), style(i))).expect(IN_MEMORY);
}

/// The i-th series' marker: with 4 shapes and 7 colours, 28 series differ.
fn marker(area: &Area<'_>, at: Pixel, i: usize) {
    let filled = COLOURS[i % COLOURS.len()].filled();
    match i % 4 {
        0 => area.draw(&Circle::new(at, 4, filled)),
        1 => area.draw(&TriangleMarker::new(at, 6, filled)),
        2 => area.draw(&Rectangle::new([(at.0 - 4, at.1 - 4), (at.0 + 4, at.1 + 4)], filled)),
        _ => area.draw(&Cross::new(at, 4, style(i))),
    }
    .expect(IN_MEMORY);
}

fn text(area: &Area<'_>, text: &str, at: Pixel, size: f64, across: HPos) {
    let style = TextStyle::from(("sans-serif", size).into_font()).pos(Pos::new(across, VPos::Center));
    area.draw(&Text::new(text, at, style)).expect(IN_MEMORY);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(name: &str, points: &[(f64, f64)]) -> Series {
        Series { name: name.into(), points: points.to_vec(), errors: vec![] }
    }

    /// Every tag is closed, in order, and nothing stands outside; text holds no bare mark-up.
    fn well_formed(svg: &str) {
        let mut open = Vec::new();
        for part in svg.split('<').skip(1) {
            let (tag, text) = part.split_once('>').unwrap_or_else(|| panic!("an open tag: {part}"));
            assert!(!text.contains('>'), "{part}");
            for (i, _) in text.match_indices('&') {
                assert!(["&lt;", "&gt;", "&amp;", "&quot;", "&apos;"].iter().any(|e| text[i..].starts_with(e)));
            }
            match tag.strip_prefix('/') {
                Some(name) => assert_eq!(open.pop(), Some(name)),
                None if tag.ends_with('/') => {}
                None => open.push(tag.split(' ').next().unwrap()),
            }
        }
        assert!(open.is_empty(), "{open:?}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn every_series_is_there_with_its_bars_and_its_legend() {
        let mut first = series("DMRAN <full> & \"more\"", &[(1.0, 0.76), (2.0, 0.80), (3.0, 0.81)]);
        first.errors = vec![0.002, f64::NAN, 0.003];
        let chart = Chart {
            title: "AUC <b>&".into(),
            x_label: "epoch".into(),
            y_label: "AUC".into(),
            series: vec![first, series("b", &[(1.0, 0.7), (2.0, f64::NAN), (3.0, 0.72)])],
            ..Chart::default()
        };
        let svg = chart.svg();
        well_formed(&svg);
        for part in ["<title>AUC &lt;b&gt;&amp;</title>", "DMRAN &lt;full&gt; &amp; &quot;more&quot;", "epoch"] {
            assert!(svg.contains(part), "{part} is not in {svg}");
        }
        assert_eq!(svg.matches("<circle").count(), 3 + 1, "three points and the legend");
        assert_eq!(svg.matches("<polygon").count(), 2 + 1, "a point that is no number is left out");
        // Two lines, two bars with two caps each, two lines in the legend.
        let strokes = |colour: &str| {
            svg.lines()
                .filter(|l| l.contains("<polyline") && l.contains(colour) && l.contains("stroke-width=\"2\""))
                .count()
        };
        assert_eq!((strokes("#000000"), strokes("#E69F00")), (1 + 2 * 3 + 1, 1 + 1));
        assert_eq!(svg, chart.svg());
    }

    #[test]
    fn points_of_many_series_stay_near_their_own_x() {
        let points: Vec<_> = (1..=30).map(|epoch| (f64::from(epoch), 0.5)).collect();
        let of = |name: &str| Series { errors: vec![0.01; 30], ..series(name, &points) };
        let svg = Chart { series: ["a", "b", "c", "d", "e"].map(of).into(), ..Chart::default() }.svg();
        // The first and the fifth series have circles; the last of each colour is the legend's.
        let circles = |colour: &str| -> Vec<f64> {
            let circles = svg.lines().filter(|l| l.contains("<circle") && l.contains(colour));
            circles.map(|l| l.split("cx=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap()).collect()
        };
        let (first, fifth) = (circles("#000000"), circles("#D55E00"));
        assert_eq!((first.len(), fifth.len()), (31, 31));
        for epoch in 0..29 {
            let (apart, next) = (fifth[epoch] - first[epoch], first[epoch + 1] - fifth[epoch]);
            assert!(0.0 < apart && apart < next, "epoch {epoch}: {apart} from its own, {next} from the next");
        }
    }

    #[test]
    fn odd_data_is_drawn_all_the_same() {
        for points in [&[][..], &[(1.0, 0.5)], &[(0.0, 0.0), (0.0, 0.0)], &[(-1e300, 1e300), (f64::INFINITY, 1.0)]] {
            for log_x in [false, true] {
                let chart = Chart { series: vec![series("", points)], log_x, ..Chart::default() };
                well_formed(&chart.svg());
            }
        }
        well_formed(&Chart::default().svg());
        well_formed(&Histogram::default().svg());
        let bars = vec![("a".to_owned(), f64::NAN), ("b".to_owned(), -1.0)];
        well_formed(&Histogram { bars, ..Histogram::default() }.svg());
    }

    #[test]
    fn a_logarithmic_axis_is_labelled_by_its_values() {
        let points = [(0.001, 0.5), (0.01, 0.6), (0.1, 0.7), (1.0, 0.6)];
        let svg = Chart { series: vec![series("lr", &points)], log_x: true, ..Chart::default() }.svg();
        for label in ["\n0.001\n", "\n0.01\n", "\n1\n"] {
            assert!(svg.contains(label), "{label:?} is not in {svg}");
        }
    }

    #[test]
    fn bars_have_their_heights_and_labels() {
        let bars: Vec<_> = (0..30).map(|i| (format!("bar{i}"), f64::from(i))).collect();
        let svg = Histogram { bars, title: "lengths".into(), ..Histogram::default() }.svg();
        well_formed(&svg);
        assert_eq!(svg.matches("fill=\"#0072B2\"").count(), 30);
        assert!(svg.contains("\nbar0\n") && svg.contains("\nbar27\n") && !svg.contains("\nbar1\n"));
    }
}
