//! A table of numbers as colours.

use super::{Area, FONT, IN_MEMORY, document, text};
use plotters::element::Rectangle;
use plotters::style::text_anchor::HPos;
use plotters::style::{Color, RGBColor};

/// Rows of cells, the darker the larger; white is 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeatMap {
    /// Above the map.
    pub title: String,
    /// Under the columns, from left to right.
    pub columns: Vec<String>,
    /// Label and cells of each row, from top to bottom. Values that are not finite are drawn as 0.
    pub rows: Vec<(String, Vec<f64>)>,
}

/// Width of the map with its labels.
const WIDTH: u32 = 520;
/// Width of the labels beside the rows.
const LABELS: i32 = 150;
const ROW: i32 = 20;
const TOP: i32 = 34;
/// Longest label beside a row.
const LABEL_CHARS: usize = 20;
/// More labels than this under columns would run into each other.
const MOST_COLUMN_LABELS: usize = 16;

impl HeatMap {
    /// The map as one `<svg>` element; its scale, from 0 to the largest value, stands below.
    pub fn svg(&self) -> String {
        let columns = self.columns.len().max(1) as i32;
        let cell = ((WIDTH as i32 - LABELS - 16) / columns).clamp(2, 60);
        let bottom = TOP + ROW * self.rows.len() as i32;
        let most = self.rows.iter().flat_map(|(_, cells)| cells).copied().filter(|v| v.is_finite()).fold(0.0, f64::max);
        document(&self.title, (WIDTH, bottom as u32 + 56), |root| {
            for (y, (label, cells)) in (0..).zip(&self.rows) {
                let top = TOP + ROW * y;
                text(root, &short(label), (LABELS - 8, top + ROW / 2), FONT - 2.0, HPos::Right);
                for (x, value) in (0..columns).zip(cells) {
                    let left = LABELS + cell * x;
                    square(root, [(left, top), (left + cell - 1, top + ROW - 1)], value / most);
                }
            }
            let every = self.columns.len().div_ceil(MOST_COLUMN_LABELS).max(1);
            for (x, label) in (0..).zip(&self.columns).step_by(every) {
                text(root, label, (LABELS + cell * x + cell / 2, bottom + 10), FONT - 3.0, HPos::Center);
            }
            let scale = bottom + 32;
            text(root, "0", (LABELS - 8, scale + 6), FONT - 3.0, HPos::Right);
            for step in 0..20 {
                let left = LABELS + 8 * step;
                square(root, [(left, scale), (left + 8, scale + 12)], f64::from(step) / 19.0);
            }
            text(root, &format!("{most:.2}"), (LABELS + 168, scale + 6), FONT - 3.0, HPos::Left);
        })
    }
}

/// Fills a rectangle: `share` 0 is white, 1 a dark blue.
fn square(area: &Area<'_>, corners: [(i32, i32); 2], share: f64) {
    let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
    let towards = |dark: f64| (255.0 + share * (dark - 255.0)) as u8;
    let colour = RGBColor(towards(8.0), towards(48.0), towards(107.0));
    area.draw(&Rectangle::new(corners, colour.filled())).expect(IN_MEMORY);
}

fn short(label: &str) -> String {
    match label.char_indices().nth(LABEL_CHARS) {
        None => label.to_owned(),
        Some(_) => label.chars().take(LABEL_CHARS - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_is_there_and_the_largest_is_the_darkest() {
        let map = HeatMap {
            title: "A".into(),
            columns: vec!["1".into(), "2".into()],
            rows: vec![
                ("first <event>".into(), vec![0.5, 0.0]),
                ("a name that is far too long".into(), vec![0.25, f64::NAN]),
            ],
        };
        let svg = map.svg();
        // Background, four cells, twenty of the scale.
        assert_eq!(svg.matches("<rect").count(), 1 + 4 + 20);
        assert_eq!(svg.matches("#08306B").count(), 1 + 1, "the largest cell and the end of the scale");
        assert!(svg.contains("first &lt;event&gt;") && svg.contains("a name that is far …"));
        assert!(svg.contains("0.50") && !svg.contains("NaN"));
        assert!(HeatMap::default().svg().starts_with("<svg "));
    }
}
